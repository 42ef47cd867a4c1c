package query

import (
	"bytes"
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// postgresDialect reads PostgreSQL. The query becomes the query of a cursor, which the
// server allows for a SELECT alone, prepared as one statement, in a read-only transaction
// that is always rolled back; the server itself stops it at the deadline, and no more rows
// than the cap are fetched.
type postgresDialect struct{ connector *postgresConnector }

func (d *postgresDialect) open(text, _ string) (*sql.DB, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("the URL cannot be read; percent-encode special characters of the password, such as %40 for @")
	}
	u.Scheme = "postgres"
	params := u.Query()
	if params.Get("application_name") == "" {
		params.Set("application_name", "sqlsentinel")
	}
	u.RawQuery = params.Encode()
	config, err := pq.NewConfig(u.String())
	if err != nil {
		return nil, err
	}
	d.connector = &postgresConnector{config: config}
	return sql.OpenDB(d.connector), nil
}

// useToken implements tokenUser.
func (d *postgresDialect) useToken(token func(context.Context) (string, error)) error {
	switch d.connector.config.SSLMode {
	case pq.SSLModeDisable, pq.SSLModeAllow, pq.SSLModePrefer:
		return errors.New("auth=iam sends what it signs as a password, so it needs encryption: sslmode=verify-full with sslrootcert, or sslmode=require")
	}
	d.connector.token = token
	return nil
}

// grammar implements dialect.
func (*postgresDialect) grammar() grammar {
	return grammar{
		escape: true, dollar: true, nested: true,
		place: func(n int, _ string) string { return fmt.Sprintf("$%d::timestamptz", n) },
	}
}

const cursorPrefix = "DECLARE sqlsentinel NO SCROLL CURSOR FOR "

func (d *postgresDialect) query(ctx context.Context, conn *sql.Conn, s statement, most caps, read func(*sql.Rows) error) error {
	err := onWire(ctx, conn, most, func() error { return d.guarded(ctx, conn, s, most.rows, read) })
	return located(err, s, len(cursorPrefix))
}

// onWire bounds what act does on a connection: by bytes, and by the end of ctx.
func onWire(ctx context.Context, conn *sql.Conn, most caps, act func() error) error {
	var w *wire
	if err := conn.Raw(func(c any) error { w = c.(*postgresSession).wire; return nil }); err != nil { //nolint:forcetypeassert // the connector made it
		return &connectError{err}
	}
	release := w.guard(ctx, 16*int64(most.bytes)+1<<20, grace)
	err := act()
	switch inTime := release(); {
	case w.left.Load() < 0 && !errors.As(err, new(*guardError)): // what is drained behind a cap counts too
		return tooLarge(most.bytes)
	case err == nil && !inTime:
		return ctx.Err()
	}
	return err
}

func (*postgresDialect) guarded(ctx context.Context, conn *sql.Conn, s statement, limit int, read func(*sql.Rows) error) error {
	deadline := int64(0)
	if at, ok := ctx.Deadline(); ok {
		deadline = max(time.Until(at).Milliseconds(), 1)
	}
	// One round trip. The cursor is planned as a query that is read whole.
	begin := fmt.Sprintf("BEGIN READ ONLY; SET LOCAL statement_timeout = %d; SET LOCAL cursor_tuple_fraction = 1", deadline)
	if _, err := conn.ExecContext(ctx, begin); err != nil {
		return err
	}
	if err := declare(ctx, conn, s); err != nil {
		return err
	}
	// Fetching, rolling back and forgetting what outlives the transaction (the prepared
	// statement, locks that a function took) are one round trip too.
	rows, err := conn.QueryContext(ctx, fmt.Sprintf("FETCH FORWARD %d FROM sqlsentinel; ROLLBACK; DEALLOCATE ALL; SELECT pg_advisory_unlock_all()", limit))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	if err := read(rows); err != nil {
		return err
	}
	for rows.NextResultSet() { // what the other statements answer
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	if sticky(s.text) {
		return errSticky
	}
	return nil
}

// declare opens the cursor by a prepared statement, so that the server takes one statement
// only. The statement is not closed here, which would cost a round trip.
func declare(ctx context.Context, conn *sql.Conn, s statement) error {
	var args []driver.NamedValue
	for i, a := range s.args {
		args = append(args, driver.NamedValue{Ordinal: i + 1, Value: a.at})
	}
	return conn.Raw(func(c any) error {
		stmt, err := c.(driver.ConnPrepareContext).PrepareContext(ctx, cursorPrefix+s.text) //nolint:forcetypeassert // the driver's connections do
		if err != nil {
			return err
		}
		_, err = stmt.(driver.StmtExecContext).ExecContext(ctx, args) //nolint:forcetypeassert // the driver's statements do
		return err
	})
}

func (*postgresDialect) value(column *sql.ColumnType, cell any) alert.Value {
	kind := column.DatabaseTypeName()
	switch v := cell.(type) {
	case nil:
		return alert.NullValue()
	case bool:
		return alert.BoolValue(v)
	case int64:
		return alert.IntValue(v)
	case float64:
		return floatValue(v, 64)
	case time.Time:
		return postgresTime(kind, v)
	case string:
		return postgresText(kind, v)
	case []byte:
		if kind == "BYTEA" {
			return alert.BytesValue(v)
		}
		return postgresText(kind, string(v))
	}
	return alert.TextValue(fmt.Sprint(cell))
}

// postgresTime writes a time as its type does: in ISO form, with an offset if it has one.
func postgresTime(kind string, t time.Time) alert.Value {
	layout := "15:04:05.999999"
	switch kind {
	case "TIME", "TIMETZ":
		if kind == "TIMETZ" {
			layout += "-07:00"
		}
		text := t.Format(layout)
		if t.Day() == 2 { // the driver's way to write 24:00:00
			text = "24" + text[2:]
		}
		return alert.TextValue(text)
	case "DATE":
		layout = ""
	case "TIMESTAMP":
		layout = "T" + layout
	default:
		layout = "T" + layout + "Z07:00"
	}
	year, era := t.Year(), ""
	if year <= 0 {
		year, era = 1-year, " BC"
	}
	return alert.TextValue(fmt.Sprintf("%04d%s%s", year, t.Format("-01-02"+layout), era))
}

func postgresText(kind, text string) alert.Value {
	switch {
	case kind == "NUMERIC" || kind == "FLOAT4" || kind == "FLOAT8" || kind == "INT8" || kind == "INT4" || kind == "INT2" || kind == "OID":
		return alert.NumberValue(text)
	case kind == "JSON" || kind == "JSONB":
		return alert.JSONValue([]byte(text))
	case strings.HasPrefix(kind, "_"):
		return postgresArray(kind[1:], text)
	}
	return alert.TextValue(text)
}

// postgresArray turns an array as PostgreSQL writes it, {1,NULL,"a b"}, into a JSON array.
func postgresArray(element, text string) alert.Value {
	p := arrayReader{element: element, rest: text}
	if strings.HasPrefix(text, "[") { // [0:1]={…}: bounds that do not begin at 1
		_, p.rest, _ = strings.Cut(text, "=")
	}
	if !p.array() || p.rest != "" {
		return alert.TextValue(text)
	}
	return alert.JSONValue(p.out.Bytes())
}

// arrayReader reads an array from the front of rest and writes it as JSON.
type arrayReader struct {
	element, rest string
	out           bytes.Buffer
}

func (p *arrayReader) array() bool {
	if !p.take('{') {
		return false
	}
	p.out.WriteByte('[')
	for first := true; !p.take('}'); first = false {
		if !first {
			if !p.take(',') {
				return false
			}
			p.out.WriteByte(',')
		}
		if strings.HasPrefix(p.rest, "{") {
			if !p.array() {
				return false
			}
		} else if !p.item() {
			return false
		}
	}
	p.out.WriteByte(']')
	return true
}

// take removes a character from the front, if it is there.
func (p *arrayReader) take(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// item reads one element, quoted or not.
func (p *arrayReader) item() bool {
	var text strings.Builder
	quoted := p.take('"')
	for i := 0; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '\\' && i+1 < len(p.rest):
			i++
			text.WriteByte(p.rest[i])
		case quoted && c == '"', !quoted && (c == ',' || c == '}'):
			p.rest = strings.TrimPrefix(p.rest[i:], `"`)
			return p.write(text.String(), quoted)
		default:
			text.WriteByte(c)
		}
	}
	return false
}

func (p *arrayReader) write(text string, quoted bool) bool {
	value := postgresText(p.element, text)
	switch {
	case !quoted && text == "NULL":
		value = alert.NullValue()
	case p.element == "BOOL":
		value = alert.BoolValue(text == "t")
	}
	encoded, err := value.MarshalJSON()
	p.out.Write(encoded)
	return err == nil
}

func (*postgresDialect) explain(err error, _ string) alert.Failure {
	var failed *pq.Error
	if !errors.As(err, &failed) {
		return alert.Failure{Code: alert.ErrorQuery, Message: "the query failed: " + err.Error() + tlsAdvice(err)}
	}
	out := alert.Failure{Code: alert.ErrorQuery, Message: "the database refuses the query: " + failed.Message}
	var at *placedError
	if errors.As(err, &at) {
		out.Message += " (" + at.place + ")"
	}
	if failed.Hint != "" {
		out.Message += " (" + failed.Hint + ")"
	}
	switch code := string(failed.Code); {
	case strings.HasPrefix(code, "08"), strings.HasPrefix(code, "28"), code == "53300", strings.HasPrefix(code, "57P"), code == "3D000":
		return unreachable(failed.Message)
	case code == "25006":
		out.Code, out.Message = alert.ErrorReadOnly, "the query would write, and an alert only reads: "+failed.Message
	case code == "57014":
		out.Code, out.Message = alert.ErrorTimeout, "the query was cancelled on the server: "+failed.Message
	case code == "42601" && strings.Contains(failed.Message, "multiple commands"):
		out.Code, out.Message = alert.ErrorStatements, "the query has more than one statement; an alert is one SELECT"
	case code == "42601" && at != nil && at.first:
		out.Code, out.Message = alert.ErrorReadOnly, "the query is no SELECT; an alert only reads: "+failed.Message
	case code == "0A000" && strings.Contains(failed.Message, "data-modifying"), strings.Contains(failed.Message, "DECLARE CURSOR"):
		out.Code, out.Message = alert.ErrorReadOnly, "the query would write, and an alert only reads: "+failed.Message
	}
	return out
}

// tlsAdvice tells which option of the URL decides where encryption is what failed.
func tlsAdvice(err error) string {
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, pq.ErrSSLNotSupported):
		return "; the server offers no encryption, and sslmode in the URL asks for it: sslmode=disable goes without, sslmode=prefer takes what there is"
	case errors.As(err, &certificate):
		return "; name the certificate of its authority with sslrootcert in the URL, or check less with sslmode=require"
	}
	return ""
}

// A placedError is an error and where it stands in the query.
type placedError struct {
	error
	place string
	first bool // nothing stands before it: the very first word was refused
}

// Unwrap gives the error itself.
func (e *placedError) Unwrap() error { return e.error }

// located finds the place of an error in the query as it was written; prefix is how many
// characters were sent before it.
func located(err error, s statement, prefix int) error {
	var failed *pq.Error
	if !errors.As(err, &failed) {
		return err
	}
	at, notNumber := strconv.Atoi(failed.Position)
	if at -= prefix + 1; notNumber != nil || at < 0 {
		return err
	}
	for offset := range s.text + "\n" { // an error may stand behind the end
		if at == 0 {
			return &placedError{err, s.place(offset), strings.TrimSpace(s.text[:offset]) == ""}
		}
		at--
	}
	return err
}
