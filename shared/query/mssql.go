package query

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/golang-sql/civil"
	mssql "github.com/microsoft/go-mssqldb"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// mssqlDialect reads SQL Server, which has no read-only transaction and takes many statements
// without a semicolon between them. So the query is checked here, word by word; it runs in a
// transaction that is always rolled back, and whatever ends otherwise ends the session.
type mssqlDialect struct{}

func (*mssqlDialect) open(text, _ string) (*sql.DB, error) {
	config, err := mssqlConfig(text)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(&mssqlConnector{config}), nil
}

// grammar implements dialect.
func (*mssqlDialect) grammar() grammar {
	return grammar{brackets: true, doubled: true, nested: true, place: func(n int, _ string) string { return fmt.Sprintf("@p%d", n) }}
}

func (d *mssqlDialect) query(ctx context.Context, conn *sql.Conn, s statement, most caps, read func(*sql.Rows) error) error {
	if err := onlyReads(d.grammar(), s.text); err != nil {
		return err
	}
	var w *wire
	if err := conn.Raw(func(c any) error { w = c.(*mssqlSession).wire; return nil }); err != nil { //nolint:forcetypeassert // the connector made it
		return &connectError{err}
	}
	release := w.guard(ctx, 16*int64(most.bytes)+1<<20, grace)
	returned := false
	defer func() {
		if !returned { // the driver panicked: nothing of the session may go on at the server
			_ = w.Close()
		}
	}()
	err := d.rolledBack(ctx, conn, s, read)
	returned = true
	switch inTime := release(); {
	case w.left.Load() < 0 && !errors.As(err, new(*guardError)): // what is drained behind a cap counts too
		return tooLarge(most.bytes)
	case err != nil && ctx.Err() != nil, err == nil && !inTime:
		return ctx.Err()
	}
	var broke mssql.StreamError
	if errors.As(err, &broke) {
		return broke.InnerError // which it does not unwrap
	}
	return err
}

// rolledBack runs the query in a transaction. The driver asks the server to stop when ctx
// ends, and waits for its word.
func (d *mssqlDialect) rolledBack(ctx context.Context, conn *sql.Conn, s statement, read func(*sql.Rows) error) error {
	wait := int64(-1)
	if at, ok := ctx.Deadline(); ok {
		wait = max(time.Until(at).Milliseconds(), 1)
	}
	begin := fmt.Sprintf("SET XACT_ABORT ON; SET DEADLOCK_PRIORITY LOW; SET LOCK_TIMEOUT %d; BEGIN TRANSACTION;", wait)
	if _, err := conn.ExecContext(ctx, begin); err != nil {
		return err
	}
	working, cancel := context.WithCancel(ctx)
	defer cancel()
	// A text without a line end can be taken for the name of a procedure by the driver.
	rows, err := conn.QueryContext(working, s.text+"\n", s.values(func(a argument) any { return civil.DateTimeOf(a.at) })...) //nolint:rowserrcheck // read returns it
	if err != nil {
		return err
	}
	if err := read(rows); err != nil {
		cancel() // closing tells the server to stop
		return errors.Join(err, ignored(rows.Close()))
	}
	if rows.NextResultSet() {
		cancel()
		return errors.Join(guarded(alert.ErrorStatements, "the query has more than one result, so more than one statement; an alert is one SELECT"), ignored(rows.Close()))
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION;")
	return err
}
