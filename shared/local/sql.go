package local

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"syscall"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// statements keeps prepared statements of a connection or of a pool.
type statements struct {
	prepare func(ctx context.Context, query string) (*sql.Stmt, error)
	mu      sync.Mutex
	known   map[string]*sql.Stmt
}

func (s *statements) get(ctx context.Context, query string) (*sql.Stmt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stmt, ok := s.known[query]; ok {
		return stmt, nil
	}
	stmt, err := s.prepare(context.WithoutCancel(ctx), query)
	if err != nil {
		return nil, err
	}
	if s.known == nil {
		s.known = map[string]*sql.Stmt{}
	}
	s.known[query] = stmt
	return stmt, nil
}

func (s *statements) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []error
	for _, stmt := range s.known {
		all = append(all, stmt.Close())
	}
	s.known = nil
	return errors.Join(all...)
}

// first reads the first row into dest; false if there is none.
func (s *statements) first(ctx context.Context, query string, args []any, dest ...any) (bool, error) {
	stmt, err := s.get(ctx, query)
	if err != nil {
		return false, err
	}
	err = stmt.QueryRowContext(ctx, args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// each calls read for every row.
func (s *statements) each(ctx context.Context, query string, args []any, read func(scan func(...any) error) error) (err error) {
	stmt, err := s.get(ctx, query)
	if err != nil {
		return err
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := read(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// nanos is how a time stands in a column: null for the zero time.
func nanos(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return sortable(t)
}

// The years in which nanoseconds since 1970 fit into 64 bits.
const firstYear, lastYear = 1678, 2261

// sortable is a time as a number that keeps the order of times, also of absurd ones.
func sortable(t time.Time) int64 {
	switch year := t.UTC().Year(); {
	case year < firstYear:
		return -1 << 63
	case year > lastYear:
		return 1<<63 - 1
	}
	return t.UnixNano()
}

// moment reads what nanos wrote.
func moment(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.Unix(0, n.Int64).UTC()
}

func encode(what string, v any) (string, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode %s: %w", what, err)
	}
	return string(body), nil
}

func decode(what string, body []byte, v any) error {
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("decode %s: %w", what, err)
	}
	return nil
}

// sqliteCode is the primary result code of a SQLite error; 0 for any other.
func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

func busy(err error) bool {
	code := sqliteCode(err)
	return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED
}

// An explained error says what a person can do before SQLite's own words.
type explained struct {
	plain string
	cause error
}

func (e *explained) Error() string { return e.plain + " (" + e.cause.Error() + ")" }
func (e *explained) Unwrap() error { return e.cause }

// explain puts plain words before the errors that files and disks cause.
func explain(err error) error {
	if _, done := errors.AsType[*explained](err); err == nil || done {
		return err
	}
	plain := map[int]string{
		sqlite3.SQLITE_BUSY:     "it is locked by another process",
		sqlite3.SQLITE_FULL:     "the disk is full",
		sqlite3.SQLITE_READONLY: "it or its folder is read-only",
		sqlite3.SQLITE_CANTOPEN: "it or a file beside it cannot be opened; is its folder writable?",
		sqlite3.SQLITE_IOERR:    "the disk refused; is it full?",
		sqlite3.SQLITE_CORRUPT:  "it is damaged; restore it from a backup, or move it away to start anew",
		sqlite3.SQLITE_NOTADB:   "it is not a SQLite database; name another file with --state",
	}[sqliteCode(err)]
	switch {
	case plain != "":
	case errors.Is(err, fs.ErrPermission):
		plain = "this user may not write it or its folder"
	case errors.Is(err, syscall.EROFS):
		plain = "it or its folder is read-only"
	case errors.Is(err, syscall.ENOSPC):
		plain = "the disk is full"
	default:
		return err
	}
	return &explained{plain, err}
}
