package query

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// Whatever bytes a database sends for a column of any type are a value that is valid JSON
// and comes back as the same text.
func FuzzColumn(f *testing.F) {
	for _, kind := range []string{"_INT4", "_TEXT", "_JSONB", "NUMERIC", "JSON", "BIT", "BLOB", "DECIMAL", "YEAR", "TEXT"} {
		for _, text := range []string{`{1,NULL,"a \"b\" c"}`, `[0:1]={{1,2},{3,4}}`, `{`, `{"`, `{{},{}}`, "NaN", "-.5", "\x01\x02\xff", `{"a":"\ud800"}`, "101010101010"} {
			f.Add(kind, []byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		for _, v := range []alert.Value{postgresText(kind, string(data)), mysqlText(kind, data)} {
			raw, err := json.Marshal(v)
			require.NoError(t, err)
			require.True(t, json.Valid(raw) && utf8.Valid(raw), "%q gives %q", data, raw)
			var back alert.Value
			require.NoError(t, json.Unmarshal(raw, &back))
			if v.Kind() != alert.JSON || raw[0] == '[' || raw[0] == '{' { // a lone JSON value is read as a plain one
				require.Equal(t, meaning(t, v), meaning(t, back))
			}
		}
	})
}

// meaning is what a value says: of JSON the value, whose text may escape a character or not.
func meaning(t *testing.T, v alert.Value) any {
	t.Helper()
	if v.Kind() != alert.JSON {
		return v.String()
	}
	decoder := json.NewDecoder(strings.NewReader(v.String()))
	decoder.UseNumber()
	var out any
	require.NoError(t, decoder.Decode(&out))
	return out
}
