package query

import (
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

func (*mssqlDialect) value(column *sql.ColumnType, cell any) alert.Value {
	kind := column.DatabaseTypeName()
	switch v := cell.(type) {
	case nil:
		return alert.NullValue()
	case bool:
		return alert.BoolValue(v)
	case int64:
		return alert.IntValue(v)
	case float64:
		if kind == "REAL" {
			return floatValue(v, 32)
		}
		return floatValue(v, 64)
	case time.Time:
		return mssqlTime(kind, v)
	case string:
		return alert.TextValue(v)
	case []byte:
		return mssqlBytes(kind, v)
	}
	return alert.TextValue(fmt.Sprint(cell))
}

// mssqlTime is an instant for what has an offset. The rest has none.
func mssqlTime(kind string, t time.Time) alert.Value {
	switch kind {
	case "DATETIMEOFFSET":
		return alert.TimeValue(t)
	case "DATE":
		return alert.TextValue(t.Format(time.DateOnly))
	case "TIME":
		return alert.TextValue(t.Format("15:04:05.999999999"))
	}
	return alert.TextValue(t.Format("2006-01-02T15:04:05.999999999"))
}

// mssqlNumber is how the driver writes a DECIMAL, whose kind a SQL_VARIANT does not tell.
var mssqlNumber = regexp.MustCompile(`^-?\d+(\.\d+)?$`) //nolint:gochecknoglobals // compiled once

func mssqlBytes(kind string, v []byte) alert.Value {
	switch kind {
	case "DECIMAL", "MONEY", "SMALLMONEY":
		return alert.NumberValue(string(v))
	case "SQL_VARIANT":
		if mssqlNumber.Match(v) {
			return alert.NumberValue(string(v))
		}
	case "UNIQUEIDENTIFIER":
		var id mssql.UniqueIdentifier
		if err := id.Scan(v); err == nil {
			return alert.TextValue(id.String())
		}
	}
	return alert.BytesValue(v)
}

func (*mssqlDialect) explain(err error, _ string) alert.Failure {
	var failed mssql.Error
	if !errors.As(err, &failed) {
		return alert.Failure{Code: alert.ErrorQuery, Message: "the query failed: " + err.Error()}
	}
	if len(failed.All) > 0 {
		failed = failed.All[0] // the cause; what follows is that a batch was not run
	}
	if mssqlGone(failed.Number) {
		return unreachable(failed.Message)
	}
	where := fmt.Sprintf("error %d", failed.Number)
	if failed.LineNo > 0 && failed.ProcName == "" {
		where = fmt.Sprintf("line %d of the query, error %d", failed.LineNo, failed.Number)
	}
	out := alert.Failure{Code: alert.ErrorQuery, Message: fmt.Sprintf("the database refuses the query: %s (%s)", failed.Message, where)}
	switch failed.Number {
	case 102, 103, 105, 113, 156, 170, 319:
		out.Message = fmt.Sprintf("the database cannot read the query: %s (%s)", failed.Message, where)
	case 229, 230, 262, 297, 300:
		out.Message = fmt.Sprintf("the user lacks a permission, such as GRANT SELECT: %s (%s)", failed.Message, where)
	case 1205:
		out.Message = "the database ended the query to resolve a deadlock; the next run asks again: " + failed.Message
	case 1222:
		out.Code, out.Message = alert.ErrorTimeout, "a lock was not given until the deadline: "+failed.Message
	case 3906, 3908, 3930, 3998:
		out.Code, out.Message = alert.ErrorReadOnly, "the query would write, and an alert only reads: "+failed.Message
	}
	return out
}

// mssqlGone tells whether an error is about the login, the database as a whole, or a server
// that is going down or has too much to do.
func mssqlGone(number int32) bool {
	return slices.Contains([]int32{64, 233, 904, 911, 916, 921, 922, 924, 927, 942, 945, 976, 978, 983, 4060, 4064, 6002, 6005,
		10928, 10929, 17142, 17188, 17809, 17892, 18401, 18451, 18452, 18456, 18461, 18470, 18486, 18487, 18488, 40197, 40501, 40532, 40544, 40613, 40615, 49918, 49919, 49920}, number)
}
