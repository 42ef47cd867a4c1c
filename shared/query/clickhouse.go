package query

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"net"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// clickhouseDialect reads ClickHouse, over its native protocol or HTTP. Every query carries
// readonly=1, after which the server refuses whatever writes and every other setting, and
// the settings that stop it at the deadline and behind the last row that is kept. Before it
// is first run, the server compiles it where one SELECT alone can stand.
type clickhouseDialect struct {
	selects sync.Map // queries known to be a SELECT
}

func (*clickhouseDialect) open(text, _ string) (*sql.DB, error) {
	options, err := clickhouseOptions(text)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(&clickhouseConnector{options}), nil
}

// grammar implements dialect: the server binds what stands in braces.
func (*clickhouseDialect) grammar() grammar { return clickhouseGrammar() }

func clickhouseGrammar() grammar {
	return grammar{backslash: true, dollar: true, place: func(_ int, name string) string { return "{" + name + ":DateTime('UTC')}" }}
}

// openClickHouse opens a database of ClickHouse.
func openClickHouse(d alert.Database, url string, limit int) (source, error) {
	opened, err := over(func() dialect { return &clickhouseDialect{} })(d, url, limit)
	if err != nil {
		return nil, err
	}
	return &clickhouseSource{opened}, nil
}

// clickhouseSource knows the columns of a result without rows, which ClickHouse does not
// send over HTTP.
type clickhouseSource struct{ source }

func (c *clickhouseSource) read(ctx context.Context, s statement, most caps) (*alert.Table, error) {
	table, err := c.source.read(ctx, s, most)
	if err != nil || table == nil || len(table.Columns) > 0 {
		return table, err
	}
	s.text = clickhouseDescribed(s.text) // which was run before the query: it is known to read only
	columns, err := c.source.read(ctx, s, most)
	if err != nil {
		return nil, err
	}
	for _, row := range columns.Rows {
		table.Columns = append(table.Columns, row[0].String())
	}
	return table, nil
}

// clickhouseConnector opens sessions in time: the driver does not look at the context while
// it greets a server over its native protocol. A server that does not answer has its
// connection cut.
type clickhouseConnector struct{ options *clickhouse.Options }

// Driver implements driver.Connector.
func (c *clickhouseConnector) Driver() driver.Driver { return clickhouse.Connector(c.options).Driver() }

// Connect implements driver.Connector.
func (c *clickhouseConnector) Connect(ctx context.Context) (driver.Conn, error) {
	undated, stop := withoutDeadline(ctx)
	defer stop()
	options := *c.options
	if options.Protocol == clickhouse.Native {
		options.DialContext = func(_ context.Context, address string) (net.Conn, error) {
			conn, err := clickhouseDial(ctx, address, &options)
			if err == nil {
				context.AfterFunc(undated, func() {
					if ctx.Err() != nil {
						_ = conn.Close()
					}
				})
			}
			return conn, err
		}
	}
	conn, err := clickhouse.Connector(&options).Connect(undated)
	if ctx.Err() != nil {
		if err == nil {
			_ = conn.Close()
		}
		return nil, context.Cause(ctx)
	}
	return conn, err
}

// clickhouseDial connects as the driver does.
func clickhouseDial(ctx context.Context, address string, options *clickhouse.Options) (net.Conn, error) {
	dialer := net.Dialer{Timeout: options.DialTimeout}
	if options.TLS != nil {
		return (&tls.Dialer{NetDialer: &dialer, Config: options.TLS}).DialContext(ctx, "tcp", address)
	}
	return dialer.DialContext(ctx, "tcp", address)
}

// withoutDeadline is a context that ends with ctx, but does not tell when that will be: the
// driver makes a setting of a deadline, which a user whose profile is read-only may not set.
func withoutDeadline(ctx context.Context) (undated context.Context, stop func()) {
	undated, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(ctx, cancel)
	return undated, func() { unhook(); cancel() }
}

func (d *clickhouseDialect) query(ctx context.Context, conn *sql.Conn, s statement, most caps, read func(*sql.Rows) error) (err error) {
	working, stop := withoutDeadline(ctx)
	defer stop() // cancels a query that is not read to its end
	defer func() {
		if ctx.Err() != nil && err != nil {
			err = context.Cause(ctx)
		}
	}()
	settings, err := clickhouseSettings(ctx, working, conn, most)
	if err != nil {
		return err
	}
	values := clickhouse.Parameters{}
	for _, a := range s.args {
		values[a.name] = a.at.Format(time.DateTime)
	}
	limited := clickhouse.Context(working, clickhouse.WithSettings(settings), clickhouse.WithParameters(values))
	if err := d.onlySelects(limited, conn, s.text); err != nil {
		return err
	}
	rows, err := conn.QueryContext(limited, s.text) //nolint:rowserrcheck // read returns it
	if err != nil {
		return err
	}
	if err := read(rows); err != nil {
		stop() // closing would read the rest
		return errors.Join(err, ignored(rows.Close()))
	}
	return rows.Close()
}

// ignored drops what follows from an error that is told.
func ignored(error) error { return nil }

// clickhouseSettings are what a query is sent with. A user whose profile is read-only may
// not set all of it: the server is asked first, each time, for a profile may change.
func clickhouseSettings(ctx, working context.Context, conn *sql.Conn, most caps) (clickhouse.Settings, error) {
	settings := clickhouse.Settings{
		"readonly": 1, "max_result_rows": most.rows, "result_overflow_mode": "break", "cancel_http_readonly_queries_on_client_close": 1,
	}
	if at, ok := ctx.Deadline(); ok {
		settings["max_execution_time"] = int(math.Ceil(time.Until(at).Seconds())) + 1
	}
	level := ""
	if err := conn.QueryRowContext(working, "SELECT value FROM system.settings WHERE name = 'readonly'").Scan(&level); err != nil {
		return nil, fmt.Errorf("ask whether the user is read-only: %w", err)
	}
	switch level {
	case "0":
		return settings, nil
	case "2": // all but readonly itself may be set
		delete(settings, "readonly")
		return settings, nil
	}
	return clickhouse.Settings{}, nil
}

func (*clickhouseDialect) value(column *sql.ColumnType, cell any) alert.Value {
	return clickhouseValue(column.DatabaseTypeName(), cell)
}

// clickhouseNoise is what stands around the server's own words.
var clickhouseNoise = regexp.MustCompile(`^(?:Code: \d+\. )?(?:DB::(?:[A-Za-z]+::)?Exception: )+|\s*\(version [^)]*(?:\([^)]*\))?[^)]*\)|\s*\([A-Z_]{4,}\)\s*$`) //nolint:gochecknoglobals // compiled once

func (*clickhouseDialect) explain(err error, _ string) alert.Failure {
	var failed *clickhouse.Exception
	if !errors.As(err, &failed) {
		return alert.Failure{Code: alert.ErrorQuery, Message: "the query failed: " + clickhouseAdvice(err)}
	}
	text := strings.Join(strings.Fields(failed.Message), " ")
	for before := ""; before != text; {
		before, text = text, clickhouseNoise.ReplaceAllString(text, "")
	}
	if errors.As(err, new(*clickhouseProbeError)) {
		text = clickhouseMoved(text)
	}
	out := alert.Failure{Code: alert.ErrorQuery, Message: fmt.Sprintf("the database refuses the query: %s (error %d)", text, failed.Code)}
	switch failed.Code {
	case 81, 192, 193, 194, 195, 198, 202, 209, 210, 242, 279, 516:
		return unreachable(text)
	case 164:
		out.Code, out.Message = alert.ErrorReadOnly, "the query would write or change a setting, and an alert only reads: "+text
	case 159, 394:
		out.Code, out.Message = alert.ErrorTimeout, "the query was cancelled on the server: "+text
	case 62:
		return clickhouseUnread(err, failed, text)
	}
	return out
}

// clickhouseAdvice tells of the commonest mistake: the port of one protocol in a URL of the other.
func clickhouseAdvice(err error) string {
	text := err.Error()
	if strings.Contains(text, "unexpected packet [72]") || strings.Contains(text, "malformed HTTP") {
		text += "; is this the port of the other protocol? 9000 and 9440 (TLS) are native, 8123 and 8443 (TLS) are HTTP: clickhouse+native:// or clickhouse+http://"
	}
	return text
}
