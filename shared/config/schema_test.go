package config_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/sqlsentinel/sqlsentinel/shared/config"
)

// compile returns the file's schema, compiled by a library that is not ours.
func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := config.Schema(options(t))
	require.NoError(t, err)
	var document any
	require.NoError(t, json.Unmarshal(text, &document))
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("alerts.schema.json", document))
	schema, err := compiler.Compile("alerts.schema.json")
	require.NoError(t, err)
	return schema
}

// plain turns YAML into what JSON would hold.
func plain(t *testing.T, text string) any {
	t.Helper()
	var value, out any
	require.NoError(t, yaml.Unmarshal([]byte(text), &value))
	encoded, err := json.Marshal(value)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(encoded, &out))
	return out
}

func TestTheSchemaAcceptsWhatTheParserAccepts(t *testing.T) {
	schema := compile(t)
	require.NoError(t, schema.Validate(plain(t, whole)))
	require.NoError(t, schema.Validate(plain(t, one())))
	samples, err := filepath.Glob("../../samples/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, samples)
	for _, path := range samples {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, schema.Validate(plain(t, string(text))), path)
	}
}

func TestTheSchemaRefusesWhatTheParserRefuses(t *testing.T) {
	schema := compile(t)
	for _, text := range []string{
		one("querry: x"), one("severity: crit"), one("key: []"), one("enabled: perhaps"), one("on_no_data: maybe"),
		one("on_error: {nobody: 1}"), one("escalate: [{after: 1 run}]"), one("labels: [a]"),
		one("on_error: {notify: [{channel: slak}]}"), one("on_error: {notify: [{channel: slack, icon: x}]}"),
		one("on_error: {notify: [{channel: webhook, events: [recover]}]}"), "databse: 1\n" + one(), head,
	} {
		require.Error(t, schema.Validate(plain(t, text)), text)
		_, err := config.Parse("a.yaml", []byte(text), options(t))
		require.Error(t, err, text)
	}
}

func TestTheSchemaAndTheParserKnowTheSameKeys(t *testing.T) {
	text, err := config.Schema(options(t))
	require.NoError(t, err)
	var root struct {
		Properties map[string]any `json:"properties"`
		Defs       map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal(text, &root))
	known := func(prefix string, keys map[string]any, wrap func(key string) string) {
		require.NotEmpty(t, keys)
		for key := range keys {
			_, err := config.Parse("a.yaml", []byte(wrap(key)), options(t))
			if err != nil {
				require.NotContains(t, err.Error(), prefix+key+": this key is not known", "the schema knows a key that the parser does not")
			}
		}
	}
	known("", root.Properties, func(key string) string { return key + ": 1\n" })
	known("alerts[0].", root.Defs["alert"].Properties, func(key string) string { return "alerts:\n  - {" + key + ": 1}\n" })
	known("database.", root.Defs["database"].Properties, func(key string) string { return "database: {" + key + ": 1}\n" })
}
