package query

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// dialect is what tells one kind of database from another, of those that are reached over
// database/sql.
type dialect interface {
	// open makes a pool from a resolved URL, without connecting.
	open(url, dir string) (*sql.DB, error)
	// query runs one statement read-only on a connection and hands its rows to read. It
	// must end what it began; the connection is discarded if it returns an error.
	query(ctx context.Context, conn *sql.Conn, s statement, most caps, read func(*sql.Rows) error) error
	// value maps a scanned cell.
	value(column *sql.ColumnType, cell any) alert.Value
	// explain tells what an error means to an analyst.
	explain(err error, query string) alert.Failure
	// grammar is how the database reads SQL and writes a placeholder.
	grammar() grammar
}

// sqlSource is a source over database/sql.
type sqlSource struct {
	dialect
	db    *sql.DB
	limit int
}

// wholeConn is what database/sql may want of a connection: a session that embeds less would
// hide the rest from it.
type wholeConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.NamedValueChecker
	driver.Pinger
}

// resettableConn is one that tells, too, whether it may be used again.
type resettableConn interface {
	wholeConn
	driver.SessionResetter
	driver.Validator
}

// as looks at a connection of a driver as one that can do all of C. It closes one that cannot.
func as[C driver.Conn](opened driver.Conn) (C, error) {
	conn, ok := opened.(C)
	if !ok {
		return conn, errors.Join(fmt.Errorf("the driver's connections (%T) lack what is needed", opened), opened.Close())
	}
	return conn, nil
}

// over opens databases of a dialect. One dialect serves one database.
func over(make func() dialect) opener {
	return func(d alert.Database, url string, limit int) (source, error) {
		kind := make()
		db, err := kind.open(url, d.Dir)
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(limit)
		db.SetMaxIdleConns(limit)
		db.SetConnMaxIdleTime(5 * time.Minute)
		// A session may keep the rights, and the server, that it began with.
		db.SetConnMaxLifetime(time.Hour)
		return &sqlSource{dialect: kind, db: db, limit: limit}, nil
	}
}

// read implements source: it gets a session, runs the query and reads the table.
func (s *sqlSource) read(ctx context.Context, what statement, most caps) (*alert.Table, error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return nil, &connectError{err}
	}
	var read *alert.Table
	// One row more than is kept tells that there are more.
	err = s.query(ctx, conn, what, caps{most.rows + 1, most.bytes}, func(rows *sql.Rows) error {
		read, err = table(rows, s.dialect, most)
		return err
	})
	if err != nil {
		discard(conn)
		if errors.Is(err, errSticky) {
			return read, nil
		}
		return read, err
	}
	if err := conn.Close(); err != nil {
		return nil, fmt.Errorf("give back the connection: %w", err)
	}
	return read, nil
}

// discard closes a connection for good: it may be in any state.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = conn.Close()
}

// forget implements source.
func (s *sqlSource) forget() {
	s.db.SetMaxIdleConns(0)
	s.db.SetMaxIdleConns(s.limit)
}

// close implements source.
func (s *sqlSource) close() error { return s.db.Close() }

// values are the arguments of a statement as a driver takes them.
func (s statement) values(value func(argument) any) []any {
	out := make([]any, len(s.args))
	for i, a := range s.args {
		out[i] = value(a)
	}
	return out
}
