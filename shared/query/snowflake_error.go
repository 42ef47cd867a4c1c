package query

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/snowflakedb/gosnowflake/v2"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// Numbers of Snowflake's errors.
const (
	snowflakeStatements  = 8    // more statements than one
	snowflakeCancelled   = 604  // by a user, or because the client went away
	snowflakeNoWarehouse = 606  // none is chosen, or it cannot be used
	snowflakeTimedOut    = 630  // STATEMENT_TIMEOUT_IN_SECONDS
	snowflakeSyntax      = 1003 // also what stands where only a query may
	snowflakeNoObject    = 2003
	snowflakeNoRight     = 3001
	snowflakeNotStarted  = 90073 // the warehouse cannot be resumed
)

// explain implements dialect.
func (*snowflakeDialect) explain(err error, query string) alert.Failure {
	var failed *gosnowflake.SnowflakeError
	if !errors.As(err, &failed) {
		return alert.Failure{Code: alert.ErrorQuery, Message: "the query failed: " + err.Error()}
	}
	message := strings.Join(strings.Fields(strings.TrimPrefix(snowflakeMessage(failed), "SQL compilation error:")), " ")
	place, line, column := snowflakePlace(message, errors.As(err, new(*probeError)))
	message = place
	switch failed.Number {
	case snowflakeNoWarehouse, snowflakeNotStarted:
		return unreachable("the warehouse does not run, and nothing can be asked without: " + message + " (resume it, grant USAGE on it, or name another with warehouse= in the URL)")
	case snowflakeStatements:
		return alert.Failure{Code: alert.ErrorStatements, Message: "the query has more than one statement; an alert is one SELECT; nothing was run"}
	case snowflakeCancelled, snowflakeTimedOut:
		return alert.Failure{Code: alert.ErrorTimeout, Message: "the query was cancelled on the server: " + message}
	case snowflakeNoObject, snowflakeNoRight:
		message += ". Is the name right, and may the role of the alerts read it?"
	case snowflakeSyntax:
		if code := misplaced(query, line, column); code != "" {
			return alert.Failure{Code: code, Message: "the query is no single SELECT, and an alert only reads; it was not run: " + message}
		}
	}
	if failed.Number >= 390000 && failed.Number < 400000 || failed.Number >= 260000 && failed.Number < 263000 {
		return unreachable(message)
	}
	return alert.Failure{Code: alert.ErrorQuery, Message: fmt.Sprintf("Snowflake refuses the query: %s (error %06d)", message, failed.Number)}
}

// snowflakeMessage is what an error says, without its number.
func snowflakeMessage(failed *gosnowflake.SnowflakeError) string {
	if len(failed.MessageArgs) > 0 {
		return fmt.Sprintf(failed.Message, failed.MessageArgs...)
	}
	return failed.Message
}

var snowflakeAt = regexp.MustCompile(`(?:error )?line (\d+) at position (\d+)`) //nolint:gochecknoglobals // compiled once

// snowflakePlace turns the place that a message names, counted from the line above the
// query if it was wrapped, into one that people count.
func snowflakePlace(message string, wrapped bool) (_ string, line, column int) {
	at := snowflakeAt.FindStringSubmatchIndex(message)
	if at == nil {
		return message, 0, 0
	}
	line, _ = strconv.Atoi(message[at[2]:at[3]]) // the pattern has digits only
	column, _ = strconv.Atoi(message[at[4]:at[5]])
	if column++; wrapped {
		line--
	}
	return fmt.Sprintf("%s(line %d, column %d of the query)%s", message[:at[0]], line, column, message[at[1]:]), line, column
}

// misplaced tells which guard a syntax error speaks of: at the first word stands what is no
// query, behind a semicolon another statement.
func misplaced(query string, line, column int) alert.Code {
	lines := strings.Split(query, "\n")
	if line < 1 || line > len(lines) || column > len(lines[line-1])+1 {
		return ""
	}
	before := strings.Join(lines[:line-1], "\n") + "\n" + lines[line-1][:column-1]
	switch rest := lines[line-1][column-1:]; {
	case strings.TrimSpace(comment.ReplaceAllString(before, "")) == "":
		return alert.ErrorReadOnly
	case strings.HasPrefix(rest, ";"), strings.HasSuffix(strings.TrimSpace(comment.ReplaceAllString(before, "")), ";"):
		return alert.ErrorStatements
	}
	return ""
}

var comment = regexp.MustCompile(`--[^\n]*|//[^\n]*|/\*(?s:.*?)\*/`) //nolint:gochecknoglobals // compiled once
