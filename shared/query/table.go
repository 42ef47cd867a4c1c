package query

import (
	"database/sql"
	"fmt"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// table reads rows up to the caps. It copies what it keeps.
func (r *Runner) table(rows *sql.Rows, d dialect) (*alert.Table, error) {
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, fmt.Errorf("read the columns: %w", err)
	}
	t := &alert.Table{Columns: make([]string, len(types))}
	for i, c := range types {
		t.Columns[i] = c.Name()
	}
	cells, into := make([]any, len(types)), make([]any, len(types))
	for i := range cells {
		into[i] = &cells[i]
	}
	size, cut := 0, 0
	for rows.Next() {
		if len(t.Rows) == r.MaxRows {
			return t, guarded(alert.ErrorRowCap, "the query returns more than %d rows; aggregate in SQL, or add a LIMIT", r.MaxRows)
		}
		if err := rows.Scan(into...); err != nil {
			return t, fmt.Errorf("read a row: %w", err)
		}
		row := make([]alert.Value, len(cells))
		kept := 0
		for i, cell := range cells {
			row[i] = d.value(types[i], cell)
			n := len(row[i].String())
			if kept+n > r.MaxContextBytes && contextColumn(t.Columns[i]) {
				row[i] = clipped(row[i], max(r.MaxContextBytes-kept, 0))
				cut++
				n = len(row[i].String())
			}
			kept += n
		}
		if size += kept; size > r.MaxBytes {
			return t, guarded(alert.ErrorSizeCap, "the result is larger than %d KiB; select fewer columns or rows", r.MaxBytes>>10)
		}
		t.Rows = append(t.Rows, row)
	}
	if cut > 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("%d values were cut: the context of a row is kept to %d KiB", cut, r.MaxContextBytes>>10))
	}
	return t, rows.Err()
}

// contextColumn tells whether a column may be cut: status may not.
func contextColumn(name string) bool { return len(name) != len("status") || !equalFold(name, "status") }

// clipped shortens a value, visibly.
func clipped(v alert.Value, n int) alert.Value {
	text := v.String()
	if len(text) > n {
		text = text[:n]
		for len(text) > 0 && text[len(text)-1]&0xC0 == 0x80 {
			text = text[:len(text)-1]
		}
		if len(text) > 0 && text[len(text)-1] >= 0xC0 {
			text = text[:len(text)-1]
		}
	}
	return alert.TextValue(text + "… (cut)")
}
