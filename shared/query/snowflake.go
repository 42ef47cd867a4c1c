package query

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/snowflakedb/gosnowflake/v2"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	_ "github.com/sqlsentinel/sqlsentinel/shared/query/before" // keeps the driver from making a folder
)

// snowflakeDialect reads Snowflake, which has no read-only transaction. The server first
// compiles the query as the inner one of SELECT EXISTS (…), where nothing but a query can
// stand, and runs nothing of it (describe only); then it runs the text as one statement.
// It ends it at the deadline by itself, and when it is told to.
type snowflakeDialect struct {
	selects sync.Map // queries known to be a SELECT
}

func (d *snowflakeDialect) open(text, dir string) (*sql.DB, error) {
	config, err := parseSnowflake(text, dir)
	if err != nil {
		return nil, err
	}
	if err := quiet(); err != nil {
		return nil, err
	}
	return sql.OpenDB(&snowflakeConnector{gosnowflake.NewConnector(gosnowflake.SnowflakeDriver{}, *config)}), nil
}

// grammar implements dialect. The driver binds an instant as a TIMESTAMP_NTZ in UTC.
func (*snowflakeDialect) grammar() grammar {
	return grammar{backslash: true, dollar: true, each: true, place: func(int, string) string { return "?" }}
}

// quiet has the driver write no log, no file and no request but those to Snowflake. What a
// user has set stays.
func quiet() error {
	for name, value := range map[string]string{"SF_OCSP_RESPONSE_CACHE_DIR": os.DevNull, "SNOWFLAKE_DISABLE_PLATFORM_DETECTION": "true"} {
		if _, set := os.LookupEnv(name); set {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("set %s for the Snowflake driver: %w", name, err)
		}
	}
	if err := gosnowflake.GetLogger().SetLogLevel("off"); err != nil {
		return fmt.Errorf("silence the Snowflake driver: %w", err)
	}
	return nil
}

// snowflakeConnector opens sessions that remember their settings.
type snowflakeConnector struct{ driver.Connector }

// snowflakeSession is a connection.
type snowflakeSession struct {
	wholeConn
	settings string // what ALTER SESSION said last
}

// Connect implements driver.Connector.
func (c *snowflakeConnector) Connect(ctx context.Context) (driver.Conn, error) {
	opened, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := as[wholeConn](opened)
	if err != nil {
		return nil, err
	}
	return &snowflakeSession{wholeConn: conn}, nil
}

// limit has the server end statements at the deadline, and give no more rows than the cap.
func (s *snowflakeSession) limit(ctx context.Context, rows int) error {
	seconds := 0
	if at, ok := ctx.Deadline(); ok {
		seconds = max(int((time.Until(at)+time.Second-1)/time.Second), 1)
	}
	settings := fmt.Sprintf("ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = %d, ROWS_PER_RESULTSET = %d", seconds, rows)
	if settings == s.settings {
		return nil
	}
	if _, err := s.ExecContext(ctx, settings, nil); err != nil {
		return err
	}
	s.settings = settings
	return nil
}

func (d *snowflakeDialect) query(ctx context.Context, conn *sql.Conn, s statement, most caps, read func(*sql.Rows) error) error {
	ctx = gosnowflake.WithQueryTag(gosnowflake.WithMultiStatement(ctx, 1), queryTag(s))
	err := conn.Raw(func(c any) error { return c.(*snowflakeSession).limit(ctx, most.rows) }) //nolint:forcetypeassert // the connector made it
	if err != nil {
		return err
	}
	args := s.values(func(a argument) any { return a.at })
	if err := d.onlySelects(ctx, conn, s.text, args); err != nil {
		return err
	}
	rows, err := conn.QueryContext(ctx, s.text, args...) //nolint:rowserrcheck // read returns it
	if err != nil {
		return err
	}
	if err := read(rows); err != nil {
		return errors.Join(err, rows.Close())
	}
	return rows.Close()
}

// queryTag tells in Snowflake's history which alert and run a query belongs to.
func queryTag(s statement) string {
	name := []rune(s.alert)
	name = name[:min(len(name), 300)] // a tag has 2,000 characters at most
	tag, err := json.Marshal(map[string]string{"application": "sqlsentinel", "alert": string(name), "run": s.run})
	if err != nil {
		return "sqlsentinel"
	}
	return string(tag)
}

// lineEnd are comments and semicolons at the end of a text.
var lineEnd = regexp.MustCompile(`;(?:[;\s]|--[^\n]*(?:\n|$)|//[^\n]*(?:\n|$)|/\*(?s:.*?)\*/)*$`) //nolint:gochecknoglobals // compiled once

// onlySelects has the server compile the query where only a query can stand. Where the
// text ends in a semicolon, it is tried without; the server takes one statement anyway.
func (d *snowflakeDialect) onlySelects(ctx context.Context, conn *sql.Conn, text string, args []any) error {
	if _, known := d.selects.Load(text); known {
		return nil
	}
	err := probe(ctx, conn, text, args)
	if at := lineEnd.FindStringIndex(text); err != nil && at != nil && ctx.Err() == nil {
		err = probe(ctx, conn, text[:at[0]], args)
	}
	if err == nil {
		d.selects.Store(text, true)
	}
	return err
}

func probe(ctx context.Context, conn *sql.Conn, text string, args []any) error {
	rows, err := conn.QueryContext(gosnowflake.WithDescribeOnly(ctx), "SELECT EXISTS (\n"+text+"\n)", args...) //nolint:gosec // compiled only, never run
	if err != nil {
		return &probeError{err}
	}
	return errors.Join(rows.Err(), rows.Close())
}

// probeError is an error about the text that the query is wrapped in.
type probeError struct{ err error }

func (e *probeError) Error() string { return e.err.Error() }
func (e *probeError) Unwrap() error { return e.err }

func (*snowflakeDialect) value(column *sql.ColumnType, cell any) alert.Value {
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
	case []byte:
		return alert.BytesValue(v)
	case time.Time:
		return snowflakeTime(kind, v)
	case string:
		return snowflakeText(kind, v)
	}
	return alert.TextValue(fmt.Sprint(cell))
}

// snowflakeTime writes a time as its type does: with an offset if it has one.
func snowflakeTime(kind string, t time.Time) alert.Value {
	switch kind {
	case "DATE":
		return alert.TextValue(t.Format(time.DateOnly))
	case "TIME":
		return alert.TextValue(t.Format("15:04:05.999999999"))
	case "TIMESTAMP_NTZ":
		return alert.TextValue(t.Format("2006-01-02T15:04:05.999999999"))
	}
	return alert.TimeValue(t)
}

func snowflakeText(kind, text string) alert.Value {
	switch kind {
	case "FIXED", "DECFLOAT", "NUMBER":
		return alert.NumberValue(text)
	case "REAL":
		if number, err := strconv.ParseFloat(text, 64); err == nil {
			return floatValue(number, 64)
		}
	case "BOOLEAN":
		if yes, err := strconv.ParseBool(text); err == nil {
			return alert.BoolValue(yes)
		}
	case "VARIANT", "OBJECT", "ARRAY", "MAP", "VECTOR", "GEOGRAPHY", "GEOMETRY":
		if strings.TrimSpace(text) != "" && json.Valid([]byte(text)) {
			return alert.JSONValue([]byte(text))
		}
	}
	return alert.TextValue(text)
}
