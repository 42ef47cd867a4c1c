package alert

import (
	"fmt"
	"strings"
	"time"
)

// MaxInstances is how many rows, and how many instances that are not plainly OK, one
// alert may have.
const MaxInstances = 1000

// Table is what a query gave: its columns and at most the capped number of rows.
type Table struct {
	Columns []string
	Rows    [][]Value
	// Notes say what was cut, for the record.
	Notes []string
	// Usage is what the query used, of a database that says so.
	Usage *Usage
}

// Result is what a run found out, ready to be decided: rows that keep the contract, or a
// failure.
type Result struct {
	Failure *Failure
	Rows    []Row
	// Empty holds when the query gave no row at all.
	Empty    bool
	Notes    []string
	Duration time.Duration
	// Table is what came, for a dry run to print; nil when no row was read.
	Table *Table
	// Usage is what the query used, of a database that says so; of a failed run too.
	Usage *Usage
}

// Row is one instance's part of a result.
type Row struct {
	Instance  Fields
	Status    Status // OK or ALERT
	NoData    bool   // OK beside a selected actual_value that is NULL
	Actual    Value
	Threshold Value
	Context   Fields
}

// Failure is why a run has no result.
type Failure struct {
	Code    Code
	Message string
	// Unreachable holds when no session with the database came about: nobody listens,
	// TLS or the password failed. Such failures are one outage for all its alerts.
	Unreachable bool
}

// Fail makes the result of a run that failed.
func Fail(code Code, format string, args ...any) Result {
	return Result{Failure: &Failure{Code: code, Message: fmt.Sprintf(format, args...)}}
}

// Unreachable makes the result of a run whose database gave no session.
func Unreachable(format string, args ...any) Result {
	return Result{Failure: &Failure{Code: ErrorUnreachable, Message: fmt.Sprintf(format, args...), Unreachable: true}}
}

// Read holds a table against the query contract: a status column of ALERT or OK; without
// a key exactly one row (none is no data); with a key one row an instance.
func Read(table Table, key []string) Result {
	r := reader{table: table, key: key, status: -1, actual: -1, threshold: -1}
	result := r.read()
	result.Notes = append(result.Notes, table.Notes...)
	result.Table, result.Usage = &table, table.Usage
	return result
}

type reader struct {
	table                     Table
	key                       []string
	status, actual, threshold int
	keys, context             []int
}

func (r *reader) read() Result {
	if failure := r.columns(); failure != nil {
		return Result{Failure: failure}
	}
	rows := r.table.Rows
	switch {
	case len(rows) == 0:
		return Result{Empty: true}
	case len(r.key) == 0 && len(rows) > 1:
		return Fail(ErrorRows, "the query returned more than one row; return exactly one, or name the columns that tell the rows apart with `key: [column]`")
	}
	seen := make(map[string]int, len(rows))
	out := make([]Row, 0, len(rows))
	for n, cells := range rows {
		row, failure := r.row(n, cells)
		if failure != nil {
			return Result{Failure: failure}
		}
		id := InstanceID(row.Instance)
		if first, twice := seen[id]; twice {
			return Fail(ErrorDuplicateKey, "rows %d and %d have the same key (%s); GROUP BY the key, or add a column to `key`", first, n+1, row.Instance)
		}
		seen[id] = n + 1
		out = append(out, row)
	}
	return Result{Rows: out}
}

// columns finds the columns of the contract, regardless of case.
func (r *reader) columns() *Failure {
	keyAt := make([]int, len(r.key))
	for i := range keyAt {
		keyAt[i] = -1
	}
	for i, name := range r.table.Columns {
		switch {
		case strings.EqualFold(name, "status") && r.status < 0:
			r.status = i
		case strings.EqualFold(name, "actual_value") && r.actual < 0:
			r.actual = i
		case strings.EqualFold(name, "threshold") && r.threshold < 0:
			r.threshold = i
		case !r.takeKey(keyAt, name, i):
			r.context = append(r.context, i)
		}
	}
	if r.status < 0 {
		return &Failure{Code: ErrorNoStatus, Message: fmt.Sprintf(
			"the query returned no column named status; it returned %s. Select 'ALERT' or 'OK' AS status", columnList(r.table.Columns))}
	}
	for i, at := range keyAt {
		if at < 0 {
			return &Failure{Code: ErrorNoKey, Message: fmt.Sprintf(
				"the key column %q is not in the result; it returned %s", r.key[i], columnList(r.table.Columns))}
		}
	}
	r.keys = keyAt
	return nil
}

func (r *reader) takeKey(keyAt []int, name string, column int) bool {
	for i, wanted := range r.key {
		if keyAt[i] < 0 && strings.EqualFold(wanted, name) {
			keyAt[i] = column
			return true
		}
	}
	return false
}

func (r *reader) row(n int, cells []Value) (Row, *Failure) {
	row := Row{Actual: NullValue(), Threshold: NullValue()}
	switch text := strings.ToUpper(strings.TrimSpace(cells[r.status].String())); {
	case cells[r.status].IsNull():
		return row, badStatus(n, "NULL")
	case text == "ALERT" || text == "OK":
		row.Status = Status(text)
	default:
		return row, badStatus(n, fmt.Sprintf("%q", clip(cells[r.status].String(), 60)))
	}
	for i, at := range r.keys {
		row.Instance = append(row.Instance, Field{r.key[i], cells[at]})
	}
	if r.actual >= 0 {
		row.Actual = cells[r.actual]
		row.NoData = row.Status == StatusOK && row.Actual.IsNull()
	}
	if r.threshold >= 0 {
		row.Threshold = cells[r.threshold]
	}
	taken := map[string]int{}
	for _, at := range r.context {
		name := r.table.Columns[at]
		if taken[name]++; taken[name] > 1 {
			name = fmt.Sprintf("%s_%d", name, taken[name])
		}
		row.Context = append(row.Context, Field{name, cells[at]})
	}
	return row, nil
}

func badStatus(n int, got string) *Failure {
	return &Failure{Code: ErrorBadStatus, Message: fmt.Sprintf("status in row %d is %s; it must be ALERT or OK", n+1, got)}
}

func columnList(names []string) string {
	if len(names) == 0 {
		return "no columns"
	}
	if len(names) > 20 {
		return strings.Join(names[:20], ", ") + fmt.Sprintf(" and %d more", len(names)-20)
	}
	return strings.Join(names, ", ")
}

// clip shortens text to n runes, visibly.
func clip(text string, n int) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	return string(runes[:n]) + "…"
}
