package query

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	bigquery "google.golang.org/api/bigquery/v2"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// bigQueryReader reads pages of rows up to the caps.
type bigQueryReader struct {
	most   caps
	table  alert.Table
	fields []*bigquery.TableFieldSchema
	size   int
}

func (r *bigQueryReader) take(page *bigquery.GetQueryResultsResponse) error {
	if r.fields == nil && page.Schema != nil {
		r.fields = page.Schema.Fields
		for _, f := range r.fields {
			r.table.Columns = append(r.table.Columns, f.Name)
		}
	}
	for _, cells := range page.Rows {
		if len(r.table.Rows) == r.most.rows {
			return guarded(alert.ErrorRowCap, "the query returns more than %d rows; aggregate in SQL, or add a LIMIT", r.most.rows)
		}
		if len(cells.F) != len(r.fields) {
			return fmt.Errorf("a row of %d values came for %d columns", len(cells.F), len(r.fields))
		}
		row := make([]alert.Value, len(r.fields))
		for i, f := range r.fields {
			row[i] = bigQueryValue(f, cells.F[i].V)
			r.size += len(row[i].String())
		}
		if r.size > r.most.bytes {
			return tooLarge(r.most.bytes)
		}
		r.table.Rows = append(r.table.Rows, row)
	}
	return nil
}

// bigQueryValue maps a value as the service writes it: a string, null, an array of values,
// or a record of fields.
func bigQueryValue(f *bigquery.TableFieldSchema, cell any) alert.Value {
	switch v := cell.(type) {
	case nil:
		return alert.NullValue()
	case string:
		return bigQueryText(f, v)
	case []any, map[string]any:
		var out bytes.Buffer
		if writeBigQuery(&out, f, v) {
			return alert.JSONValue(out.Bytes())
		}
	}
	plain, err := json.Marshal(cell)
	if err != nil {
		return alert.TextValue(fmt.Sprint(cell))
	}
	return alert.TextValue(string(plain))
}

// writeBigQuery writes arrays and structs as JSON, and tells whether they have the form of
// their type.
func writeBigQuery(out *bytes.Buffer, f *bigquery.TableFieldSchema, cell any) bool {
	switch v := cell.(type) {
	case []any:
		element := *f
		element.Mode = ""
		return f.Mode == "REPEATED" && writeList(out, '[', ']', len(v), func(i int) bool {
			wrapped, ok := v[i].(map[string]any)
			return ok && writeBigQuery(out, &element, wrapped["v"])
		})
	case map[string]any:
		fields, ok := v["f"].([]any)
		return ok && len(fields) == len(f.Fields) && writeList(out, '{', '}', len(fields), func(i int) bool {
			name, err := json.Marshal(f.Fields[i].Name)
			wrapped, ok := fields[i].(map[string]any)
			out.Write(append(name, ':'))
			return ok && err == nil && writeBigQuery(out, f.Fields[i], wrapped["v"])
		})
	}
	encoded, err := bigQueryValue(f, cell).MarshalJSON()
	out.Write(encoded)
	return err == nil
}

func writeList(out *bytes.Buffer, left, right byte, n int, item func(i int) bool) bool {
	out.WriteByte(left)
	for i := range n {
		if i > 0 {
			out.WriteByte(',')
		}
		if !item(i) {
			return false
		}
	}
	out.WriteByte(right)
	return true
}

// bigQueryText maps a value of a simple type. What no mapping knows is shown as text.
func bigQueryText(f *bigquery.TableFieldSchema, text string) alert.Value {
	switch f.Type {
	case "INTEGER", "INT64", "NUMERIC", "BIGNUMERIC":
		return alert.NumberValue(text)
	case "FLOAT", "FLOAT64":
		if number, err := strconv.ParseFloat(text, 64); err == nil {
			return floatValue(number, 64)
		}
	case "BOOLEAN", "BOOL":
		if yes, err := strconv.ParseBool(text); err == nil {
			return alert.BoolValue(yes)
		}
	case "BYTES":
		if raw, err := base64.StdEncoding.DecodeString(text); err == nil {
			return alert.BytesValue(raw)
		}
	case "JSON":
		return alert.JSONValue([]byte(text))
	case "TIMESTAMP":
		return alert.TextValue(microseconds(text))
	case "RANGE":
		if f.RangeElementType != nil && f.RangeElementType.Type == "TIMESTAMP" {
			if from, to, ok := strings.Cut(strings.Trim(text, "[)"), ", "); ok {
				return alert.TextValue("[" + microseconds(from) + ", " + microseconds(to) + ")")
			}
		}
	}
	return alert.TextValue(text)
}

// microseconds writes a count of them since 1970 as the time that it is.
func microseconds(text string) string {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return text
	}
	return time.UnixMicro(n).UTC().Format(time.RFC3339Nano)
}
