//go:build duckdb && cgo

package query

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// duckdbDialect reads DuckDB files. A file is opened read-only, without access to other
// files, with locked settings, and for the time of a query only: DuckDB lets one process
// write or several read, and a program that writes must get its turn. The engine's own
// parser takes one statement and tells its kind.
type duckdbDialect struct{}

func (*duckdbDialect) openFile(file duckdbFile) (*sql.DB, error) {
	return sql.OpenDB(&duckdbConnector{file}), nil
}

// duckdbConnector opens a file.
type duckdbConnector struct{ file duckdbFile }

// Driver implements driver.Connector.
func (*duckdbConnector) Driver() driver.Driver { return duckdb.Driver{} }

// Connect implements driver.Connector.
func (c *duckdbConnector) Connect(ctx context.Context) (driver.Conn, error) {
	info, err := os.Stat(c.file.path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", c.file.path)
	}
	settings := url.Values{
		"access_mode": {"READ_ONLY"}, "enable_external_access": {"false"}, "lock_configuration": {"true"},
		"memory_limit": {c.file.memory}, "max_temp_directory_size": {"0KB"}, // no file beside it
		"autoinstall_known_extensions": {"false"}, "autoload_known_extensions": {"false"}, "allow_community_extensions": {"false"},
	}
	database, err := duckdb.NewConnector(c.file.path+"?"+settings.Encode(), nil)
	if err != nil {
		return nil, err
	}
	conn, err := database.Connect(ctx)
	if err != nil {
		return nil, errors.Join(err, database.Close())
	}
	return &duckdbSession{conn.(*duckdb.Conn), database}, nil //nolint:forcetypeassert // the driver's connections are
}

// duckdbSession is a connection that holds the file open.
type duckdbSession struct {
	*duckdb.Conn
	database *duckdb.Connector
}

// IsValid implements driver.Validator: a session is not kept, for it holds the file.
func (*duckdbSession) IsValid() bool { return false }

// Close implements driver.Conn.
func (s *duckdbSession) Close() error { return errors.Join(s.Conn.Close(), s.database.Close()) }

func (d *duckdbDialect) query(ctx context.Context, conn *sql.Conn, s statement, most caps, read func(*sql.Rows) error) error {
	text := ""
	err := conn.Raw(func(c any) (err error) {
		text, err = c.(*duckdbSession).wrap(s.text, len(s.args), most) //nolint:forcetypeassert // the connector made it
		return err
	})
	if err != nil {
		return err
	}
	rows, err := conn.QueryContext(ctx, text, s.values(func(a argument) any { return a.at })...) //nolint:rowserrcheck // read returns it
	if err != nil {
		return &duckdbRunning{err}
	}
	defer func() { _ = rows.Close() }()
	return read(rows)
}

// duckdbRunning is an error of the query around a query, which stands on its second line.
type duckdbRunning struct{ error }

// Unwrap gives the error itself.
func (e *duckdbRunning) Unwrap() error { return e.error }

// wrap makes the engine compile the query as one SELECT, and gives a query around it that
// reads no more rows than the cap and has the engine write its values: the driver's own
// conversions lose digits, the order of fields and dates beyond Go's.
func (s *duckdbSession) wrap(text string, args int, most caps) (string, error) {
	stmt, err := s.compile(text)
	if err != nil {
		return "", err
	}
	defer func() { _ = stmt.Close() }()
	switch kind, err := stmt.StatementType(); {
	case err != nil:
		return "", err
	case kind != duckdb.STATEMENT_TYPE_SELECT:
		return "", guarded(alert.ErrorReadOnly, "the query is no SELECT, and an alert only reads; it was not run")
	case stmt.NumInput() != args:
		return "", guarded(alert.ErrorQuery, "the query has a parameter (? or $1) without a value")
	}
	columns, err := duckdbColumns(stmt, most.bytes+1)
	if err != nil {
		return "", err
	}
	for _, end := range statementEnds(text) {
		around := "SELECT " + columns.expressions + " FROM (\n" + text[:end] + "\n) AS query(" + columns.names + ") LIMIT " + strconv.Itoa(most.rows)
		var outer *duckdb.Stmt
		if outer, err = s.compile(around); err == nil {
			return around, outer.Close()
		}
	}
	return "", err
}

// compile prepares a text that is one statement.
func (s *duckdbSession) compile(text string) (*duckdb.Stmt, error) {
	stmt, err := s.Conn.Prepare(text)
	if err != nil {
		return nil, err
	}
	return stmt.(*duckdb.Stmt), nil //nolint:forcetypeassert // the driver's statements are
}

// duckdbSelection is what is selected around a query.
type duckdbSelection struct{ names, expressions string }

// duckdbColumns says for each column of a query how its value is written, and marks that in
// the name of the column.
func duckdbColumns(stmt *duckdb.Stmt, limit int) (duckdbSelection, error) {
	n, err := stmt.ColumnCount()
	if err != nil {
		return duckdbSelection{}, err
	}
	names, expressions := make([]string, n), make([]string, n)
	for i := range n {
		name, err := stmt.ColumnName(i)
		if err != nil {
			return duckdbSelection{}, err
		}
		kind, err := stmt.ColumnType(i)
		if err != nil {
			return duckdbSelection{}, err
		}
		names[i] = fmt.Sprintf("c%d", i)
		expressions[i] = duckdbExpression(kind, names[i], limit) + ` AS "` + strings.ReplaceAll(name, `"`, `""`) + `"`
	}
	return duckdbSelection{strings.Join(names, ", "), strings.Join(expressions, ", ")}, nil
}

// Values come as text with a letter before it that says what it is.
const (
	duckdbNumber = 'n'
	duckdbText   = 't'
	duckdbTime   = 'z'
	duckdbJSON   = 'j'
	duckdbBytes  = 'b'
)

// duckdbExpression writes a column as text. What is longer than the cap on bytes comes cut,
// but still longer than the cap, so that the result is refused.
func duckdbExpression(kind duckdb.Type, column string, limit int) string {
	letter, text := string(rune(duckdbText)), "CAST("+column+" AS VARCHAR)"
	switch kind {
	case duckdb.TYPE_BOOLEAN, duckdb.TYPE_FLOAT, duckdb.TYPE_DOUBLE, duckdb.TYPE_SQLNULL:
		return column
	case duckdb.TYPE_BLOB:
		letter, text = string(rune(duckdbBytes)), "lower(hex("+column+"))"
	case duckdb.TYPE_TINYINT, duckdb.TYPE_SMALLINT, duckdb.TYPE_INTEGER, duckdb.TYPE_BIGINT, duckdb.TYPE_HUGEINT, duckdb.TYPE_DECIMAL, duckdb.TYPE_BIGNUM,
		duckdb.TYPE_UTINYINT, duckdb.TYPE_USMALLINT, duckdb.TYPE_UINTEGER, duckdb.TYPE_UBIGINT, duckdb.TYPE_UHUGEINT:
		letter = string(rune(duckdbNumber))
	case duckdb.TYPE_TIMESTAMP, duckdb.TYPE_TIMESTAMP_S, duckdb.TYPE_TIMESTAMP_MS, duckdb.TYPE_TIMESTAMP_NS, duckdb.TYPE_TIMESTAMP_TZ:
		letter = string(rune(duckdbTime))
	case duckdb.TYPE_LIST, duckdb.TYPE_ARRAY, duckdb.TYPE_STRUCT, duckdb.TYPE_MAP, duckdb.TYPE_UNION:
		letter = string(rune(duckdbJSON))
		// JSON comes from the engine, but for numbers of which it would lose digits and for
		// structs without names.
		text = "CASE WHEN regexp_matches(typeof(" + column + "), 'DECIMAL|HUGEINT|BIGNUM|STRUCT\\(\\w+[,(\\[)]') THEN " + text + " ELSE CAST(to_json(" + column + ") AS VARCHAR) END"
	case duckdb.TYPE_VARCHAR:
		return "CASE WHEN typeof(" + column + ") = 'JSON' THEN 'j' ELSE 't' END || left(" + text + ", " + strconv.Itoa(limit) + ")"
	}
	return "'" + letter + "' || left(" + text + ", " + strconv.Itoa(limit) + ")"
}

func (*duckdbDialect) value(_ *sql.ColumnType, cell any) alert.Value {
	switch v := cell.(type) {
	case nil:
		return alert.NullValue()
	case bool:
		return alert.BoolValue(v)
	case float32:
		return floatValue(float64(v), 32)
	case float64:
		return floatValue(v, 64)
	case string:
		if v != "" {
			return duckdbWritten(v[0], v[1:])
		}
	}
	return alert.TextValue(fmt.Sprint(cell))
}

func duckdbWritten(letter byte, text string) alert.Value {
	switch letter {
	case duckdbNumber:
		return alert.NumberValue(text)
	case duckdbJSON:
		return alert.JSONValue([]byte(text))
	case duckdbBytes:
		return alert.TextValue(`\x` + text)
	case duckdbTime:
		return alert.TextValue(isoTime(text))
	}
	return alert.TextValue(text)
}

// duckdbTimestamp is a time as DuckDB writes it, with an offset or without.
var duckdbTimestamp = regexp.MustCompile(`^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)([+-]\d\d)?(:\d\d)?((?::\d\d)?)$`) //nolint:gochecknoglobals // compiled once

// isoTime writes a time as ISO 8601 does; what has no such form, such as infinity, stays.
func isoTime(text string) string {
	part := duckdbTimestamp.FindStringSubmatch(text)
	switch {
	case part == nil:
		return text
	case part[3] == "":
		return part[1] + "T" + part[2]
	case part[3] == "+00" && part[4] == "" && part[5] == "":
		return part[1] + "T" + part[2] + "Z"
	case part[4] == "":
		part[4] = ":00"
	}
	return part[1] + "T" + part[2] + part[3] + part[4] + part[5]
}

func (*duckdbDialect) explain(err error, query string) alert.Failure {
	var failed *duckdb.Error
	switch {
	case errors.Is(err, os.ErrNotExist):
		return unreachable("the file does not exist: " + err.Error())
	case errors.Is(err, os.ErrPermission):
		return unreachable("the file cannot be read: " + err.Error())
	case strings.Contains(err.Error(), "multi-statement"):
		return alert.Failure{Code: alert.ErrorStatements, Message: "the query has more than one statement (so has PIVOT without IN); an alert is one SELECT; nothing was run"}
	case strings.HasSuffix(err.Error(), "empty query"):
		return alert.Failure{Code: alert.ErrorQuery, Message: "the query is empty"}
	case !errors.As(err, &failed):
		return alert.Failure{Code: alert.ErrorQuery, Message: "the query failed: " + err.Error()}
	}
	shift := 0
	if errors.As(err, new(*duckdbRunning)) {
		shift = 1
	}
	text := duckdbWords(failed.Msg, query, shift)
	out := alert.Failure{Code: alert.ErrorQuery, Message: "the database refuses the query: " + text}
	switch {
	case strings.Contains(text, "Could not set lock"):
		return unreachable("another program has the file open for writing; DuckDB lets one program write or several read: " + text)
	case failed.Type == duckdb.ErrorTypeIO, failed.Type == duckdb.ErrorTypeFatal, failed.Type == duckdb.ErrorTypeSerialization:
		return unreachable("the file cannot be read: " + text)
	case failed.Type == duckdb.ErrorTypeOutOfMemory:
		out.Message = "the query needs more memory than memory_limit in the URL allows: " + text
	case failed.Type == duckdb.ErrorTypeInterrupt:
		out.Code, out.Message = alert.ErrorTimeout, "the query was interrupted: "+text
	case failed.Type == duckdb.ErrorTypePermission:
		out.Code, out.Message = alert.ErrorReadOnly, "the query is refused, for an alert only reads its database (no other file, no extension, no setting): "+text
	case strings.Contains(text, "read-only"):
		out.Code, out.Message = alert.ErrorReadOnly, "the query would write, and an alert only reads: "+text
	}
	return out
}

// duckdbPlace is where DuckDB points with a caret below a line of the query.
var duckdbPlace = regexp.MustCompile(`(?s)^(.*?)\n+LINE (\d+): (.*?)\n( *)\^`) //nolint:gochecknoglobals // compiled once

// duckdbWords is a message on one line, with the place in the query as people count.
func duckdbWords(message, query string, shift int) string {
	part := duckdbPlace.FindStringSubmatch(message)
	if part == nil {
		return strings.Join(strings.Fields(message), " ")
	}
	n, _ := strconv.Atoi(part[2])
	n -= shift
	place := "line " + strconv.Itoa(n)
	column := len(part[4]) - len("LINE : ") - len(part[2]) + 1
	if n >= 1 && column >= 1 && n <= strings.Count(query, "\n")+1 && utf8.ValidString(part[3]) && strings.Split(query, "\n")[n-1] == part[3] {
		place += ", column " + strconv.Itoa(column) // it is not told for a long line, of which DuckDB shows a part
	}
	return strings.Join(strings.Fields(part[1]), " ") + " (" + place + " of the query)"
}

// statementEnds are where a statement may end: at its end, or before one of its last
// semicolons, behind which only comments stand.
func statementEnds(text string) []int {
	ends := []int{len(strings.TrimRight(text, "; \t\r\n"))}
	for end := strings.LastIndexByte(text, ';'); end >= 0 && len(ends) < 10; end = strings.LastIndexByte(text[:end], ';') {
		ends = append(ends, end)
	}
	return ends
}
