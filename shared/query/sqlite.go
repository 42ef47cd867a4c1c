package query

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// sqliteDialect reads SQLite files. They are opened read-only; SQLite's own authorizer
// refuses everything but reading, and a second statement.
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
	options := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)", "query_only(1)"}}
	if params.Get("immutable") == "1" {
		options.Set("immutable", "1")
	}
	dsn := (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: options.Encode()}).String()
	return sql.OpenDB(&sqliteConnector{path: path, dsn: dsn}), nil
}

// sqliteConnector opens connections and puts a gate on each.
type sqliteConnector struct {
	path, dsn string
	driver    sqlite.Driver
}

// Driver implements driver.Connector.
func (c *sqliteConnector) Driver() driver.Driver { return &c.driver }

// Connect implements driver.Connector.
func (c *sqliteConnector) Connect(context.Context) (driver.Conn, error) {
	if _, err := os.Stat(c.path); err != nil {
		return nil, err // SQLite would say "unable to open database file"
	}
	conn, err := c.driver.Open(c.dsn)
	if err != nil {
		return nil, err
	}
	authorizer, ok := conn.(sqlite.AuthorizerRegisterer)
	if !ok {
		return nil, errors.Join(errors.New("the SQLite driver offers no authorizer"), conn.Close())
	}
	g := &gate{}
	if err := authorizer.RegisterAuthorizer(g.decide); err != nil {
		return nil, errors.Join(fmt.Errorf("register the authorizer: %w", err), conn.Close())
	}
	return &gatedConn{Conn: conn, gate: g}, nil
}

// gatedConn is a connection with its gate.
type gatedConn struct {
	driver.Conn
	gate *gate
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *gatedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query) //nolint:forcetypeassert // the driver's connections do
}

// gate counts what SQLite asks to be allowed. Compiling the one statement asks a number of
// times; running it asks as often if the driver compiles it anew, because something
// follows it. Whatever asks beyond that is a second statement.
type gate struct {
	running        bool
	compiled, seen int
	denied         string
	second         bool
}

func (g *gate) begin() { *g = gate{} }

func (g *gate) decide(action sqlite.AuthorizerActionCode, _, name, _, _ string) sqlite.AuthorizerReturnCode {
	if g.running {
		if g.seen++; g.seen > g.compiled {
			g.second = true
			return sqlite.AuthorizerDeny
		}
	} else {
		g.compiled++
	}
	switch action {
	case sqlite.AuthSelect, sqlite.AuthRead, sqlite.AuthRecursive:
		return sqlite.AuthorizerOK
	case sqlite.AuthFunction:
		if strings.EqualFold(name, "load_extension") {
			break
		}
		return sqlite.AuthorizerOK
	}
	g.denied = sqliteActions[action]
	if g.denied == "" {
		g.denied = "a statement that changes something"
	}
	return sqlite.AuthorizerDeny
}

// sqliteActions are the words for what was denied.
var sqliteActions = map[sqlite.AuthorizerActionCode]string{ //nolint:gochecknoglobals // a constant table
	sqlite.AuthPragma: "PRAGMA", sqlite.AuthAttach: "ATTACH or VACUUM", sqlite.AuthDetach: "DETACH", sqlite.AuthTransaction: "transaction control",
	sqlite.AuthSavepoint: "SAVEPOINT", sqlite.AuthInsert: "INSERT", sqlite.AuthUpdate: "UPDATE", sqlite.AuthDelete: "DELETE",
}

func (*sqliteDialect) query(ctx context.Context, conn *sql.Conn, text string, _ int, read func(*sql.Rows) error) error {
	var g *gate
	err := conn.Raw(func(c any) error {
		g = c.(*gatedConn).gate //nolint:forcetypeassert // the connector made it
		g.begin()
		return nil
	})
	if err != nil {
		return &connectError{err}
	}
	stmt, err := conn.PrepareContext(ctx, text)
	if err != nil {
		return g.blame(err)
	}
	defer func() { _ = stmt.Close() }()
	if g.compiled == 0 {
		return guarded(alert.ErrorReadOnly, "the query is no SELECT; only a statement that reads is allowed")
	}
	g.running = true
	rows, err := stmt.QueryContext(ctx)
	if err != nil {
		return g.blame(err)
	}
	defer func() { _ = rows.Close() }()
	return read(rows)
}

// blame says which guard was broken, if one was.
func (g *gate) blame(err error) error {
	switch {
	case g.second:
		return guarded(alert.ErrorStatements, "the query has more than one statement; an alert is one SELECT")
	case g.denied != "":
		return guarded(alert.ErrorReadOnly, "%s is refused: an alert only reads", g.denied)
	}
	return err
}

func (*sqliteDialect) value(column *sql.ColumnType, cell any) alert.Value {
	switch v := cell.(type) {
	case nil:
		return alert.NullValue()
	case int64:
		if strings.EqualFold(column.DatabaseTypeName(), "BOOLEAN") && (v == 0 || v == 1) {
			return alert.BoolValue(v == 1)
		}
		return alert.IntValue(v)
	case float64:
		return alert.FloatValue(v)
	case bool:
		return alert.BoolValue(v)
	case string:
		return alert.TextValue(v)
	case []byte:
		return alert.BytesValue(v)
	case time.Time: // the driver reads texts of columns declared as dates; this is the text again
		return alert.TextValue(dateText(v))
	}
	return alert.TextValue(fmt.Sprint(cell))
}

// dateText writes a date, or a date with a time, as SQLite does.
func dateText(t time.Time) string {
	if t.Equal(t.Truncate(24*time.Hour)) && t.Location() == time.UTC {
		return t.Format(time.DateOnly)
	}
	layout := "2006-01-02 15:04:05.999999999"
	if _, offset := t.Zone(); offset != 0 {
		layout += "-07:00"
	}
	return t.Format(layout)
}

// sqliteCode is the number that the driver puts behind SQLite's words.
var sqliteCode = regexp.MustCompile(` \(\d+\)$`) //nolint:gochecknoglobals // compiled once

func (*sqliteDialect) explain(err error, _ string) alert.Failure {
	text := sqliteCode.ReplaceAllString(strings.TrimPrefix(err.Error(), "SQL logic error: "), "")
	out := alert.Failure{Code: alert.ErrorQuery, Message: "the database refuses the query: " + text}
	var failed *sqlite.Error
	switch {
	case errors.Is(err, os.ErrNotExist):
		return unreachable("the file does not exist: " + text)
	case errors.Is(err, os.ErrPermission):
		return unreachable("the file cannot be read: " + text)
	case !errors.As(err, &failed):
		return out
	}
	switch failed.Code() & 0xff {
	case sqlite3.SQLITE_NOTADB:
		return unreachable("the file is not a SQLite database: " + text)
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_PERM:
		return unreachable("the file cannot be read: " + text)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		out.Message = "the database is locked by another program: " + text
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH:
		out.Code, out.Message = alert.ErrorReadOnly, "the query would write, and an alert only reads: "+text
	}
	return out
}

func unreachable(message string) alert.Failure {
	return alert.Failure{Code: alert.ErrorUnreachable, Unreachable: true, Message: message}
}
