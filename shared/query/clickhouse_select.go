package query

import (
	"context"
	"database/sql"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// clickhouseAround stands before a query to have it compiled where nothing but a SELECT can
// stand: no INTO OUTFILE, no FORMAT, no KILL, no second statement. It is on the first line
// of the query, so that a line in an error is the query's own.
const clickhouseAround = "DESCRIBE TABLE ("

// clickhouseDescribed asks for the columns of a query.
func clickhouseDescribed(text string) string {
	end, _ := extent(clickhouseGrammar(), text)
	return clickhouseAround + text[:end] + "\n)"
}

// extent tells where a query ends, without the semicolons and comments behind it, and
// whether it closes no bracket that it did not open: then it stays inside of one.
func extent(g grammar, text string) (end int, inside bool) {
	depth := 0
	inside = true
	for i := 0; i < len(text); {
		n := max(g.skip(text, i), 1)
		switch c := text[i]; {
		case strings.IndexByte(" \t\r\n\f;", c) >= 0, n > 1 && (c == '-' || c == '/'):
		default:
			end = i + n
		}
		switch text[i] {
		case '(':
			depth++
		case ')':
			depth--
			inside = inside && depth >= 0
		}
		i += n
	}
	return end, inside
}

// onlySelects has the server compile the query inside of another, and runs nothing of it.
func (d *clickhouseDialect) onlySelects(ctx context.Context, conn *sql.Conn, text string) error {
	if _, known := d.selects.Load(text); known {
		return nil
	}
	switch first := firstWord(clickhouseGrammar(), text); {
	case first == "":
		return guarded(alert.ErrorQuery, "the query is empty")
	case !strings.EqualFold(first, "SELECT") && !strings.EqualFold(first, "WITH") && !strings.EqualFold(first, "FROM"):
		return guarded(alert.ErrorReadOnly, "the query begins with %s and is no SELECT, and an alert only reads; it was not run", first)
	}
	if _, inside := extent(clickhouseGrammar(), text); !inside {
		return guarded(alert.ErrorQuery, "the query closes a bracket that it does not open; it was not run")
	}
	described := clickhouseDescribed(text)
	rows, err := conn.QueryContext(ctx, described)
	if err != nil {
		return &clickhouseProbeError{err}
	}
	for rows.Next() { // the columns, which the query itself will tell
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return &clickhouseProbeError{err}
	}
	d.selects.Store(described, true)
	d.selects.Store(text, true)
	return nil
}

// clickhouseProbeError is an error of the query around a query.
type clickhouseProbeError struct{ error }

// Unwrap gives the error itself.
func (e *clickhouseProbeError) Unwrap() error { return e.error }

// clickhousePlace is how ClickHouse names a place; a column counts on its line only.
var clickhousePlace = regexp.MustCompile(`position (\d+)|line 1, col (\d+)`) //nolint:gochecknoglobals // compiled once

// clickhouseSecond is what the server says of a semicolon, which ends a query for it.
var clickhouseSecond = regexp.MustCompile(`\((?:;|end of query)\)(?: \([^)]*\))?: ;`) //nolint:gochecknoglobals // compiled once

// clickhouseMoved counts places from the beginning of the query itself.
func clickhouseMoved(text string) string {
	return clickhousePlace.ReplaceAllStringFunc(text, func(place string) string {
		at := strings.LastIndexByte(place, ' ') + 1
		n, err := strconv.Atoi(place[at:])
		if err != nil || n <= len(clickhouseAround) {
			return place
		}
		return place[:at] + strconv.Itoa(n-len(clickhouseAround))
	})
}

// clickhouseUnread words what the server could not read.
func clickhouseUnread(err error, failed *clickhouse.Exception, text string) alert.Failure {
	switch {
	case strings.Contains(failed.Message, "Multi-statements"), clickhouseSecond.MatchString(text):
		return alert.Failure{Code: alert.ErrorStatements, Message: "the query has more than one statement; an alert is one SELECT: " + text}
	case errors.As(err, new(*clickhouseProbeError)):
		return alert.Failure{Code: alert.ErrorQuery, Message: "the database cannot read the query as one SELECT, without FORMAT and INTO OUTFILE: " + text}
	}
	return alert.Failure{Code: alert.ErrorQuery, Message: "the database cannot read the query: " + text}
}
