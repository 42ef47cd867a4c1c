package query

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// second tells whether the server stumbled over what follows a semicolon. It words a
// failure only: by then the server has refused the statement.
func second(message, query string) bool {
	_, near, found := strings.Cut(message, " near '")
	end := strings.LastIndex(near, "' at line ")
	if !found || end <= 0 {
		return false
	}
	for before := query; ; {
		at := strings.LastIndex(before, near[:end])
		if at < 0 {
			return false
		}
		if before = before[:at]; strings.HasSuffix(strings.TrimRight(before, " \t\r\n"), ";") {
			return true
		}
	}
}

func (*mysqlDialect) explain(err error, query string) alert.Failure {
	var failed *mysql.MySQLError
	if !errors.As(err, &failed) {
		return alert.Failure{Code: alert.ErrorQuery, Message: "the query failed: " + err.Error()}
	}
	switch failed.Number {
	case 1040, 1044, 1045, 1049, 1053, 1129, 1130, 1203, 1226, 1698, 2002, 2003, 2006, 2013, 3118, 4151:
		return unreachable(failed.Message)
	case 1820, 1862:
		return unreachable("the password of the user has expired: " + failed.Message)
	case 1792, 1290:
		return alert.Failure{Code: alert.ErrorReadOnly, Message: "the query would write, and an alert only reads: " + failed.Message}
	case 1317, 1969, 3024:
		return alert.Failure{Code: alert.ErrorTimeout, Message: "the query was cancelled on the server: " + failed.Message}
	case 1064:
		if second(failed.Message, query) {
			return alert.Failure{Code: alert.ErrorStatements, Message: "the query has more than one statement; an alert is one SELECT: " + failed.Message}
		}
		return alert.Failure{Code: alert.ErrorQuery, Message: "the database cannot read the query (one SELECT is allowed): " + failed.Message}
	}
	return alert.Failure{Code: alert.ErrorQuery, Message: fmt.Sprintf("the database refuses the query: %s (error %d)", failed.Message, failed.Number)}
}
