package query

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/lib/pq"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// postgresDialect reads PostgreSQL. The query becomes the query of a cursor, which the
// server allows for a SELECT alone, prepared as one statement, in a read-only transaction
// that is always rolled back; the server itself stops it at the deadline, and no more rows
// than the cap are fetched.
type postgresDialect struct{}

func (*postgresDialect) open(text, _ string) (*sql.DB, error) {
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
	connector, err := pq.NewConnector(u.String())
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

const cursorPrefix = "DECLARE sqlsentinel NO SCROLL CURSOR FOR "

func (*postgresDialect) query(ctx context.Context, conn *sql.Conn, text string, limit int, read func(*sql.Rows) error) error {
	deadline := int64(0)
	if at, ok := ctx.Deadline(); ok {
		deadline = max(time.Until(at).Milliseconds(), 1)
	}
	// One round trip. The cursor is planned as a query that is read whole.
	begin := fmt.Sprintf("BEGIN READ ONLY; SET LOCAL statement_timeout = %d; SET LOCAL cursor_tuple_fraction = 1", deadline)
	if _, err := conn.ExecContext(ctx, begin); err != nil {
		return err
	}
	if err := declare(ctx, conn, text); err != nil {
		return err
	}
	// Fetching, rolling back and forgetting the prepared statement are one round trip too.
	rows, err := conn.QueryContext(ctx, fmt.Sprintf("FETCH FORWARD %d FROM sqlsentinel; ROLLBACK; DEALLOCATE ALL", limit))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	if err := read(rows); err != nil {
		return err
	}
	for rows.NextResultSet() { // what the other two statements answer
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	if sticky(text) {
		return errSticky
	}
	return nil
}

// declare opens the cursor by a prepared statement, so that the server takes one statement
// only. The statement is not closed here, which would cost a round trip.
func declare(ctx context.Context, conn *sql.Conn, text string) error {
	return conn.Raw(func(c any) error {
		stmt, err := c.(driver.ConnPrepareContext).PrepareContext(ctx, cursorPrefix+text) //nolint:forcetypeassert // the driver's connections do
		if err != nil {
			return err
		}
		_, err = stmt.(driver.StmtExecContext).ExecContext(ctx, nil) //nolint:forcetypeassert // the driver's statements do
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

func postgresTime(kind string, t time.Time) alert.Value {
	switch kind {
	case "DATE":
		return alert.TextValue(t.Format(time.DateOnly))
	case "TIMESTAMP":
		return alert.TextValue(t.Format("2006-01-02T15:04:05.999999999"))
	case "TIME":
		return alert.TextValue(t.Format("15:04:05.999999999"))
	case "TIMETZ":
		return alert.TextValue(t.Format("15:04:05.999999999-07:00"))
	}
	return alert.TimeValue(t)
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

// postgresArray turns an array of one dimension into a JSON array; one of more dimensions
// stays the text that PostgreSQL writes.
func postgresArray(element, text string) alert.Value {
	var items []sql.NullString
	if err := pq.Array(&items).Scan(text); err != nil {
		return alert.TextValue(text)
	}
	values := make([]alert.Value, len(items))
	for i, item := range items {
		switch {
		case !item.Valid:
		case element == "BOOL":
			values[i] = alert.BoolValue(item.String == "t")
		default:
			values[i] = postgresText(element, item.String)
		}
	}
	out, err := json.Marshal(values)
	if err != nil {
		return alert.TextValue(text)
	}
	return alert.JSONValue(out)
}

func (*postgresDialect) explain(err error, query string) alert.Failure {
	var failed *pq.Error
	if !errors.As(err, &failed) {
		return alert.Failure{Code: alert.ErrorQuery, Message: "the query failed: " + err.Error()}
	}
	out := alert.Failure{Code: alert.ErrorQuery, Message: "the database refuses the query: " + failed.Message + place(failed, query)}
	if failed.Hint != "" {
		out.Message += " (" + failed.Hint + ")"
	}
	switch code := string(failed.Code); {
	case strings.HasPrefix(code, "08"), strings.HasPrefix(code, "28"), strings.HasPrefix(code, "53"), strings.HasPrefix(code, "57P"), code == "3D000":
		return unreachable(failed.Message)
	case code == "25006":
		out.Code, out.Message = alert.ErrorReadOnly, "the query would write, and an alert only reads: "+failed.Message
	case code == "57014":
		out.Code, out.Message = alert.ErrorTimeout, "the query was cancelled on the server: "+failed.Message
	case code == "42601" && strings.Contains(failed.Message, "multiple commands"):
		out.Code, out.Message = alert.ErrorStatements, "the query has more than one statement; an alert is one SELECT"
	case code == "42601" && atStart(failed, query):
		out.Code, out.Message = alert.ErrorReadOnly, "the query is no SELECT; an alert only reads: "+failed.Message
	case code == "0A000" && strings.Contains(failed.Message, "data-modifying"), strings.Contains(failed.Message, "DECLARE CURSOR"):
		out.Code, out.Message = alert.ErrorReadOnly, "the query would write, and an alert only reads: "+failed.Message
	}
	return out
}

// offset is where the error stands in the query, in bytes; -1 if the server did not say.
func offset(failed *pq.Error, query string) int {
	at := 0
	if _, err := fmt.Sscan(failed.Position, &at); err != nil || at <= len(cursorPrefix) {
		return -1
	}
	runes := []rune(query)
	at -= len(cursorPrefix) + 1
	if at > len(runes) {
		return -1
	}
	return len(string(runes[:at]))
}

func place(failed *pq.Error, query string) string {
	at := offset(failed, query)
	if at < 0 {
		return ""
	}
	before := query[:at]
	line := strings.Count(before, "\n") + 1
	return fmt.Sprintf(" (line %d, column %d of the query)", line, at-strings.LastIndexByte(before, '\n'))
}

// atStart tells whether the very first word was refused.
func atStart(failed *pq.Error, query string) bool {
	at := offset(failed, query)
	return at >= 0 && strings.TrimSpace(query[:at]) == ""
}
