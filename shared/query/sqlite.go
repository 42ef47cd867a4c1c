package query

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteDialect reads SQLite files. They are opened read-only; SQLite itself tells where a
// statement ends and whether it reads only, and its authorizer refuses what acts already
// while it is compiled.
type sqliteDialect struct{}

func (*sqliteDialect) open(text, dir string) (*sql.DB, error) {
	_, rest, _ := strings.Cut(text, "://")
	path, query, _ := strings.Cut(rest, "?")
	path, err := url.PathUnescape(path)
	if err != nil || !strings.HasPrefix(path, "/") {
		return nil, errors.New("write sqlite:///relative.db or sqlite:////absolute.db, with three or four slashes")
	}
	if path = path[1:]; path == "" || strings.HasPrefix(path, ":memory:") {
		return nil, errors.New("a database in memory is empty in every process; name a file, such as sqlite:///shop.db")
	}
	if strings.IndexByte(path, 0) >= 0 {
		return nil, errors.New("the path holds a NUL character")
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	params, err := url.ParseQuery(query)
	if err != nil {
		return nil, errors.New("the parameters after ? cannot be read")
	}
	for name := range params {
		if name != "mode" && name != "cache" && name != "immutable" {
			return nil, fmt.Errorf("the parameter %q is not known; there is only immutable=1", name)
		}
	}
	return sql.OpenDB(&sqliteConnector{path: path, immutable: params.Get("immutable") == "1"}), nil
}

// grammar implements dialect.
func (*sqliteDialect) grammar() grammar {
	return grammar{brackets: true, place: func(n int, _ string) string { return fmt.Sprintf("?%d", n) }}
}

func (*sqliteDialect) query(ctx context.Context, conn *sql.Conn, s statement, _ caps, read func(*sql.Rows) error) error {
	rows, err := conn.QueryContext(ctx, s.text, s.values(sqliteTime)...) //nolint:rowserrcheck // read returns it
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	return read(rows)
}

// sqliteTime writes a time as SQLite's datetime() does.
func sqliteTime(a argument) any { return a.at.Format(time.DateTime) }

func (*sqliteDialect) value(column *sql.ColumnType, cell any) alert.Value {
	switch v := cell.(type) {
	case nil:
		return alert.NullValue()
	case int64:
		if kind := column.DatabaseTypeName(); (kind == "BOOLEAN" || kind == "BOOL") && (v == 0 || v == 1) {
			return alert.BoolValue(v == 1)
		}
		return alert.IntValue(v)
	case float64:
		return floatValue(v, 64)
	case string:
		if kind := column.DatabaseTypeName(); kind == "JSON" {
			return alert.JSONValue([]byte(v))
		}
		return alert.TextValue(v)
	case []byte:
		return alert.BytesValue(v)
	}
	return alert.TextValue(fmt.Sprint(cell))
}

func (*sqliteDialect) explain(err error, query string) alert.Failure {
	var failed *sqliteError
	switch {
	case errors.Is(err, os.ErrNotExist):
		return unreachable("the file does not exist: " + err.Error())
	case errors.Is(err, os.ErrPermission):
		return unreachable("the file cannot be read: " + err.Error())
	case !errors.As(err, &failed):
		return alert.Failure{Code: alert.ErrorQuery, Message: "the query failed: " + err.Error()}
	}
	text := failed.message
	if failed.offset >= 0 && failed.offset <= len(query) {
		text += " (" + position(query, failed.offset) + ")"
	}
	out := alert.Failure{Code: alert.ErrorQuery, Message: "the database refuses the query: " + text}
	switch failed.code {
	case sqlite3.SQLITE_READONLY_ROLLBACK, sqlite3.SQLITE_READONLY_RECOVERY, sqlite3.SQLITE_READONLY_CANTINIT, sqlite3.SQLITE_READONLY_CANTLOCK, sqlite3.SQLITE_READONLY_DBMOVED:
		return unreachable("the file cannot be read: a program that wrote it ended in the middle of a change; let one that may write open it once (" + text + ")")
	}
	switch failed.code & 0xff {
	case sqlite3.SQLITE_NOTADB:
		return unreachable("the file is not a SQLite database: " + text)
	case sqlite3.SQLITE_CANTOPEN:
		return unreachable("the file cannot be opened: " + text + "; check that it may be read, and its folder if the database uses WAL")
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_PERM, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOLFS:
		return unreachable("the file cannot be read: " + text)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		out.Message = "the database is locked by another program: " + text
	case sqlite3.SQLITE_TOOBIG:
		out.Code, out.Message = alert.ErrorSizeCap, fmt.Sprintf("a value in the query is larger than %d MiB: %s", largestValue>>20, text)
	case sqlite3.SQLITE_AUTH:
		out.Code, out.Message = alert.ErrorReadOnly, "the query is refused, for an alert only reads (no PRAGMA, ATTACH, VACUUM, transactions or changes): "+text
	case sqlite3.SQLITE_READONLY:
		out.Code, out.Message = alert.ErrorReadOnly, "the query would write, and an alert only reads: "+text
	}
	return out
}

func unreachable(message string) alert.Failure {
	return alert.Failure{Code: alert.ErrorUnreachable, Unreachable: true, Message: message}
}
