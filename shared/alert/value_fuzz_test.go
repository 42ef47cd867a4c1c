package alert_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// Whatever a database gives is valid JSON, and the same text when it is read back.
func FuzzValue(f *testing.F) {
	for _, text := range []string{"9500.00", "1e400", "-0", "+.5e-3", "NaN", "\xff\x00", `{"a":[1,null,"\ud800"]}`, `{"a":1,"a":2}`, "\u2028<b>", "9007199254740993", "0x1p3", "1_000", strings.Repeat("[", 300)} {
		f.Add(text, "name")
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		values := []alert.Value{alert.NumberValue(text), alert.TextValue(text), alert.BytesValue([]byte(text)), alert.JSONValue([]byte(text))}
		for _, v := range values {
			raw, err := json.Marshal(v)
			require.NoError(t, err)
			require.True(t, json.Valid(raw) && utf8.Valid(raw), "%q gives %q", text, raw)
			require.True(t, utf8.ValidString(v.String()))
			var back alert.Value
			require.NoError(t, json.Unmarshal(raw, &back))
			if v.Kind() != alert.JSON || structured(raw) {
				require.Equal(t, v.String(), back.String(), "%q came back from %s", text, raw)
			}
		}
		if !utf8.ValidString(name) {
			return // columns with such names are none that a driver gives
		}
		fields := alert.Fields{{Name: name, Value: values[1]}, {Name: "n", Value: values[0]}}
		if raw, err := json.Marshal(values[3]); err == nil && structured(raw) {
			fields = append(fields, alert.Field{Name: "j", Value: values[3]})
		}
		raw, err := json.Marshal(fields)
		require.NoError(t, err)
		var back alert.Fields
		require.NoError(t, json.Unmarshal(raw, &back))
		require.Equal(t, fields.String(), back.String())
		require.Equal(t, alert.InstanceID(fields), alert.InstanceID(back), "an instance is the same one after it was stored")
	})
}

// structured tells an array or an object from a lone JSON value, which is read as a plain one.
func structured(raw []byte) bool { return raw[0] == '[' || raw[0] == '{' }

// Any table is a result that keeps the contract, or a failure that says why.
func FuzzRead(f *testing.F) {
	f.Add("status|actual_value|threshold|region", "ALERT|5|10|EU\nok|4|\x00|US", "region")
	f.Add("STATUS|Status", "ALERT|OK", "")
	f.Add("region", "x", "region|region")
	f.Add("status|k|K", "OK|a|b\nOK|a|c", "k")
	f.Fuzz(func(t *testing.T, columns, cells, key string) {
		table := alert.Table{Columns: strings.Split(columns, "|")}
		for _, line := range strings.Split(cells, "\n") {
			row := make([]alert.Value, len(table.Columns))
			for i, cell := range strings.Split(line, "|") {
				if i < len(row) && cell != "\x00" {
					row[i] = alert.NumberValue(cell)
				}
			}
			table.Rows = append(table.Rows, row)
		}
		var keys []string
		if key != "" {
			keys = strings.Split(key, "|")
		}
		result := alert.Read(table, keys)
		if result.Failure != nil {
			require.NotEmpty(t, result.Failure.Code)
			require.NotEmpty(t, result.Failure.Message)
			require.Empty(t, result.Rows)
			return
		}
		require.Len(t, result.Rows, len(table.Rows))
		seen := map[string]bool{}
		for _, row := range result.Rows {
			require.Contains(t, []alert.Status{alert.StatusOK, alert.StatusAlert}, row.Status)
			require.Len(t, row.Instance, len(keys))
			require.False(t, seen[alert.InstanceID(row.Instance)])
			seen[alert.InstanceID(row.Instance)] = true
		}
	})
}

// What is read as a duration or a count is written as it is read, and is never negative.
func FuzzDuration(f *testing.F) {
	for _, text := range []string{"90s", "1h30m", "7d", "250ms", " 2m ", "3 runs", "1 run", "2", "99999999999999999999d", "9223372036854775807ms", "1m1m", "-5m", "１５m", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := alert.ParseDuration(text); err == nil {
			require.GreaterOrEqual(t, d, alert.Duration(0))
			require.LessOrEqual(t, d.Std(), 3660*24*time.Hour)
			again, err := alert.ParseDuration(d.String())
			require.NoError(t, err)
			require.Equal(t, d, again)
		}
		if c, err := alert.ParseCount(text); err == nil {
			require.False(t, c.IsZero())
			again, err := alert.ParseCount(c.String())
			require.NoError(t, err)
			require.Equal(t, c, again)
		}
	})
}

// A hidden value is in no cleaned text, and no part of a URL that may be secret is shown.
func FuzzSecrets(f *testing.F) {
	f.Add("postgresql://u:${K}@h/db?x=${K:-d}", `p@ss/"w%zz`, "before ", " after")
	f.Add("$$${K}$", "****", "*", "*")
	f.Add("https://h/${K", "aaaa", "a", "a")
	f.Fuzz(func(t *testing.T, template, value, before, after string) {
		secrets := alert.NewSecrets(func(name string) (string, bool) { return value, name == "K" })
		if text, err := secrets.Expand(template); err == nil && len(alert.References(template)) == 0 {
			require.Equal(t, strings.ReplaceAll(template, "$$", "$"), text)
		}
		if len(value) < 4 {
			return
		}
		secrets.Hide(value)
		for _, form := range []string{value, url.QueryEscape(value), url.PathEscape(value)} {
			if strings.ContainsRune(form, '*') {
				continue // what stands in its place looks like a part of it
			}
			require.NotContains(t, secrets.Clean(before+form+after), form)
		}
		const mark = "c4n4ry"
		shown := alert.RedactURL("https://user:"+mark+value+"@host.example/path?k="+mark+before+"#"+mark+after, false)
		require.NotContains(t, shown, mark)
		require.NotContains(t, alert.RedactURL("https://host.example/"+mark+value, true), mark)
	})
}
