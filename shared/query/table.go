package query

import (
	"database/sql"
	"fmt"
	"unicode/utf8"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// table reads rows up to the caps. It copies what it keeps.
func table(rows *sql.Rows, d dialect, most caps) (*alert.Table, error) {
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
	size := 0
	for rows.Next() {
		if len(t.Rows) == most.rows {
			return t, guarded(alert.ErrorRowCap, "the query returns more than %d rows; aggregate in SQL, or add a LIMIT", most.rows)
		}
		if err := rows.Scan(into...); err != nil {
			return t, fmt.Errorf("read a row: %w", err)
		}
		row := make([]alert.Value, len(cells))
		for i, cell := range cells {
			row[i] = d.value(types[i], cell)
			if size += len(row[i].String()); size > most.bytes {
				return t, tooLarge(most.bytes)
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t, rows.Err()
}

func tooLarge(limit int) error {
	return guarded(alert.ErrorSizeCap, "the result is larger than %d KiB; select fewer columns or rows", limit>>10)
}

// cutContext shortens the context of each row to limit bytes, visibly.
func cutContext(result *alert.Result, limit int) {
	cut := 0
	for _, row := range result.Rows {
		left := limit
		for i, field := range row.Context {
			text := field.Value.String()
			if left -= len(field.Name) + len(text); left >= 0 {
				continue
			}
			row.Context[i].Value = clipped(text, len(text)+left)
			left = 0
			cut++
		}
	}
	if cut > 0 {
		result.Notes = append(result.Notes, fmt.Sprintf("%d values were cut: the context of a row is kept to %d KiB", cut, limit>>10))
	}
}

// clipped is the beginning of a text, at most n bytes and whole characters.
func clipped(text string, n int) alert.Value {
	n = max(n, 0)
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return alert.TextValue(text[:n] + "… (cut)")
}
