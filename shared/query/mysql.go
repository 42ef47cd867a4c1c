package query

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// mysqlDialect reads MySQL and MariaDB. The statement is prepared by the server, which
// tells whether it returns columns; it runs in a read-only transaction of a session that
// allows no other, and is killed from a second connection at the deadline, for the driver
// itself only drops the socket.
type mysqlDialect struct {
	config  *mysql.Config
	selects sync.Map                              // queries known to be a SELECT
	token   func(context.Context) (string, error) // gives the password; nil: it is in config
}

func (d *mysqlDialect) open(text, _ string) (*sql.DB, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("the URL cannot be read; percent-encode special characters of the password, such as %40 for @")
	}
	params := u.Query()
	params.Del("charset")
	authority := params.Get("sslrootcert")
	params.Del("sslrootcert")
	config, err := mysqlOptions(params)
	if err != nil {
		return nil, err
	}
	if u.Hostname() == "" {
		return nil, errors.New("the URL names no host; write mysql://user:${DB_PASSWORD}@host:3306/name")
	}
	port := u.Port()
	if port == "" {
		port = "3306"
	}
	config.Addr = net.JoinHostPort(u.Hostname(), port)
	config.User = u.User.Username()
	config.Passwd, _ = u.User.Password()
	config.DBName = strings.TrimPrefix(u.Path, "/")
	config.MultiStatements, config.InterpolateParams, config.ParseTime, config.AllowAllFiles = false, false, false, false
	config.Logger = silent{}
	if authority != "" {
		if config.TLS, err = trusting(authority, u.Hostname()); err != nil {
			return nil, err
		}
	}
	if err := config.Apply(mysql.BeforeConnect(d.logIn)); err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	d.config = config
	return sql.OpenDB(&mysqlConnector{connector}), nil
}

// trusting checks a server's certificate by the authorities in a file.
func trusting(file, host string) (*tls.Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("sslrootcert: %w", err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("sslrootcert: %s holds no certificate in PEM", file)
	}
	return &tls.Config{RootCAs: authorities, ServerName: host, MinVersion: tls.VersionTLS12}, nil
}

// useToken implements tokenUser.
func (d *mysqlDialect) useToken(token func(context.Context) (string, error)) error {
	if d.config.TLS == nil && (d.config.TLSConfig == "" || d.config.TLSConfig == "false" || d.config.TLSConfig == "preferred") || d.config.AllowFallbackToPlaintext {
		return errors.New("auth=iam sends what it signs as a password, so it needs encryption: sslrootcert=FILE or tls=true in the URL")
	}
	d.token = token
	return nil
}

// logIn gives a session that is about to be opened its password.
func (d *mysqlDialect) logIn(ctx context.Context, config *mysql.Config) (err error) {
	if d.token != nil {
		config.AllowCleartextPasswords = true // the way of RDS, over TLS
		config.Passwd, err = d.token(ctx)
	}
	return err
}

// grammar implements dialect.
func (*mysqlDialect) grammar() grammar {
	return grammar{backslash: true, hash: true, each: true, place: func(int, string) string { return "?" }}
}

// mysqlOptions has the driver read the part after the question mark, one option at a time,
// so that an error can name the option and need not repeat its value.
func mysqlOptions(params url.Values) (*mysql.Config, error) {
	for name, values := range params {
		if _, err := mysql.ParseDSN("tcp(host)/?" + url.Values{name: values}.Encode()); err != nil {
			return nil, fmt.Errorf("the value of the option %q is none that the MySQL driver takes", name)
		}
	}
	return mysql.ParseDSN("tcp(host)/?" + params.Encode())
}

// silent drops what the driver would log; its errors say it too.
type silent struct{}

func (silent) Print(...any) {}

// mysqlConnector opens sessions that cannot write.
type mysqlConnector struct{ driver.Connector }

// mysqlSession is a connection.
type mysqlSession struct {
	resettableConn
	id       string // on the server, to be killed by
	settings string // as they were when it was opened
}

// settings asks for what a stored function may change in its session, and gives back locks
// that one took.
const settings = `SELECT CONCAT_WS('|', @@sql_mode, @@time_zone, @@autocommit, @@character_set_results, @@collation_connection,
	@@lc_time_names, @@div_precision_increment, @@group_concat_max_len, @@sql_select_limit, @@max_sort_length, DATABASE()), RELEASE_ALL_LOCKS()`

// Connect implements driver.Connector.
func (c *mysqlConnector) Connect(ctx context.Context) (driver.Conn, error) {
	opened, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := as[resettableConn](opened)
	if err != nil {
		return nil, err
	}
	session := &mysqlSession{resettableConn: conn}
	if err := session.prepare(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return session, nil
}

// prepare asks for the id and forbids the session to write.
func (s *mysqlSession) prepare(ctx context.Context) (err error) {
	if s.id, err = s.ask(ctx, "SELECT CONNECTION_ID()"); err != nil {
		return err
	}
	if s.settings, err = s.ask(ctx, settings); err != nil {
		return err
	}
	_, err = s.ExecContext(ctx, "SET SESSION TRANSACTION READ ONLY", nil)
	return err
}

// unchanged tells whether the session is as it was when it was opened.
func (s *mysqlSession) unchanged(ctx context.Context) (bool, error) {
	now, err := s.ask(ctx, settings)
	return now == s.settings, err
}

// ask gives the first value of the first row.
func (s *mysqlSession) ask(ctx context.Context, question string) (string, error) {
	rows, err := s.QueryContext(ctx, question, nil)
	if err != nil {
		return "", err
	}
	cells := make([]driver.Value, len(rows.Columns()))
	if err := errors.Join(rows.Next(cells), rows.Close()); err != nil {
		return "", err
	}
	if text, ok := cells[0].([]byte); ok {
		return string(text), nil
	}
	return fmt.Sprint(cells[0]), nil
}

func (d *mysqlDialect) query(ctx context.Context, conn *sql.Conn, s statement, _ caps, read func(*sql.Rows) error) error {
	var session *mysqlSession
	if err := conn.Raw(func(c any) error { session = c.(*mysqlSession); return nil }); err != nil { //nolint:forcetypeassert // the connector made it
		return &connectError{err}
	}
	if _, err := conn.ExecContext(ctx, "START TRANSACTION READ ONLY"); err != nil {
		return err
	}
	// The driver must not drop the socket before the query is killed on the server.
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	notKilled := context.AfterFunc(ctx, func() {
		d.kill(session.id)
		stop()
	})
	defer notKilled()
	err := d.statement(working, conn, s, read)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		if !errors.As(err, new(*mysql.MySQLError)) {
			d.kill(session.id) // a result that is left unread
		}
		return err
	}
	if _, err := conn.ExecContext(working, "ROLLBACK"); err != nil {
		return err
	}
	clean := false
	err = conn.Raw(func(any) (err error) {
		clean, err = session.unchanged(working)
		return err
	})
	switch {
	case !notKilled():
		return ctx.Err() // too late for this query, but it would hit the next one
	case err != nil:
		return err
	case !clean || sticky(s.text):
		return errSticky
	}
	return nil
}

func (d *mysqlDialect) statement(ctx context.Context, conn *sql.Conn, s statement, read func(*sql.Rows) error) error {
	if err := d.onlySelects(ctx, conn, s.text); err != nil {
		return err
	}
	stmt, err := conn.PrepareContext(ctx, s.text)
	if err != nil {
		return err
	}
	rows, err := stmt.QueryContext(ctx, s.values(func(a argument) any { return a.at })...) //nolint:rowserrcheck // read returns it
	if err != nil {
		return errors.Join(err, stmt.Close())
	}
	if err := read(rows); err != nil {
		return err // closing would read the rest: the connection is dropped instead
	}
	return errors.Join(rows.Close(), stmt.Close())
}

// kill stops a query from a second connection.
func (d *mysqlDialect) kill(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	connector, err := mysql.NewConnector(d.config)
	if err != nil {
		return
	}
	db := sql.OpenDB(connector)
	defer func() { _ = db.Close() }()
	_, _ = db.ExecContext(ctx, "KILL QUERY "+id)
}

// onlySelects has the server compile the statement as a subquery, where nothing but a
// SELECT can stand: no INTO a file, no CALL, no SET. Nothing is run. The statement itself
// must compile too, so that a bracket in it cannot trick the one around it.
func (d *mysqlDialect) onlySelects(ctx context.Context, conn *sql.Conn, text string) error {
	if _, known := d.selects.Load(text); known {
		return nil
	}
	err := d.probe(ctx, conn, strings.TrimRight(text, "; \t\r\n"))
	for end, tries := strings.LastIndexByte(text, ';'), 0; err != nil && end >= 0 && tries < 10; tries++ {
		if d.empty(ctx, conn, text[end+1:]) {
			err = d.probe(ctx, conn, text[:end])
			break
		}
		end = strings.LastIndexByte(text[:end], ';')
	}
	if err == nil {
		d.selects.Store(text, true)
		return nil
	}
	whole, wholeErr := conn.PrepareContext(ctx, text)
	if wholeErr != nil {
		return wholeErr // its own error tells more
	}
	var failed *mysql.MySQLError
	if errors.As(err, &failed) {
		err = errors.New(failed.Message)
	}
	return errors.Join(guarded(alert.ErrorReadOnly, "the query is no plain SELECT, and an alert only reads: %s", err), whole.Close())
}

func (d *mysqlDialect) probe(ctx context.Context, conn *sql.Conn, text string) error {
	stmt, err := conn.PrepareContext(ctx, "SELECT EXISTS (\n"+text+"\n)") //nolint:gosec // compiled only, never run
	if err != nil {
		return err
	}
	return stmt.Close()
}

// empty asks the server whether nothing but comments follows a semicolon: what is both a
// statement, if an empty one, and nothing behind a number.
func (d *mysqlDialect) empty(ctx context.Context, conn *sql.Conn, rest string) bool {
	behind, err := conn.PrepareContext(ctx, "SELECT (1\n"+rest+"\n)") //nolint:gosec // compiled only, never run
	if err != nil {
		return false
	}
	_ = behind.Close()
	alone, err := conn.PrepareContext(ctx, rest)
	if err == nil {
		return alone.Close() == nil
	}
	var failed *mysql.MySQLError
	return errors.As(err, &failed) && failed.Number == emptyQuery
}

// emptyQuery is the server's error for a text without a statement.
const emptyQuery = 1065

func (*mysqlDialect) value(column *sql.ColumnType, cell any) alert.Value {
	kind := column.DatabaseTypeName()
	switch v := cell.(type) {
	case nil:
		return alert.NullValue()
	case int64:
		return alert.IntValue(v)
	case uint64:
		return alert.NumberValue(strconv.FormatUint(v, 10))
	case float32:
		return floatValue(float64(v), 32)
	case float64:
		return floatValue(v, 64)
	case time.Time:
		return alert.TimeValue(v)
	case string:
		return mysqlText(kind, []byte(v))
	case []byte:
		return mysqlText(kind, v)
	}
	return alert.TextValue(fmt.Sprint(cell))
}

func mysqlText(kind string, text []byte) alert.Value {
	switch {
	case strings.HasSuffix(kind, "BLOB"), strings.HasSuffix(kind, "BINARY"), kind == "GEOMETRY":
		return alert.BytesValue(text)
	case kind == "BIT" && len(text) > 8: // MariaDB writes the bits of an expression in digits
		return alert.NumberValue(string(text))
	case kind == "BIT":
		n := uint64(0)
		for _, b := range text {
			n = n<<8 | uint64(b)
		}
		return alert.NumberValue(strconv.FormatUint(n, 10))
	case kind == "DECIMAL", strings.HasSuffix(kind, "INT"), kind == "FLOAT", kind == "DOUBLE", kind == "YEAR":
		return alert.NumberValue(string(text))
	case kind == "JSON":
		return alert.JSONValue(text)
	}
	return alert.TextValue(string(text))
}
