// Package docs_test holds the documentation to the program.
//
// Blocks marked yaml are loaded as alert files. A block with `alerts:` is a whole file. Any
// other says by the comment in its first line where it belongs, `# in an alert`, `# in
// notify` or `# in the file`, and is put there. References resolve by samples/.env.example.
//
// Blocks marked sh are run: every line that begins with `sqlsentinel`, in order, in one
// scratch folder a page, by a shell that has the program in its PATH. The folder holds the
// page's block `# file: alerts.yaml`, else samples/shop.yaml, beside the sample shop, and one
// run is behind it. Servers of the test receive what is sent. A line succeeds, or ends with
// the exit code that its last comment names: `# exit 2`. A block that begins with the comment
// `# in an empty folder` gets one. Blocks marked console or text are not run.
package docs_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/joho/godotenv"
	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/config"
	"github.com/sqlsentinel/sqlsentinel/shared/notify"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
)

func exampleEnvironment(t *testing.T) alert.Lookup {
	values, err := godotenv.Read("../samples/.env.example")
	require.NoError(t, err)
	return func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	}
}

func TestEveryYAMLBlockIsAValidAlertFile(t *testing.T) {
	dir := t.TempDir()
	for _, folder := range []string{"webhook-templates", "queries"} {
		require.NoError(t, os.CopyFS(filepath.Join(dir, folder), os.DirFS("../samples/"+folder)))
	}
	senders, err := notify.New(notify.Options{})
	require.NoError(t, err)
	options := config.Options{CheckDatabase: query.CheckDatabase, CheckQuery: query.CheckQuery, Env: exampleEnvironment(t), NoEnvFile: true}
	for _, c := range senders.Channels() {
		options.Channels = append(options.Channels, c)
	}
	for _, page := range pages(t) {
		for _, b := range blocks(t, page, "yaml") {
			file, err := config.Parse(filepath.Join(dir, "alerts.yaml"), []byte(whole(t, b)), options)
			require.NoError(t, err, "%s is not valid", b.where())
			require.NotEmpty(t, file.Alerts, b.where())
		}
	}
}

// whole makes an alert file of a block.
func whole(t *testing.T, b block) string {
	if strings.Contains("\n"+b.text, "\nalerts:") {
		return b.text
	}
	fields := map[string]string{
		"name": "documented", "query": "SELECT 'OK' AS status", "schedule": `"@hourly"`, "notify": "[team]",
	}
	head := "database: {url: 'sqlite:///shop.db'}\nchannels:\n"
	for _, name := range []string{"team", "sales", "oncall", "management"} {
		head += "  " + name + ": {channel: webhook, url: 'https://example.com/" + name + "'}\n"
	}
	switch b.mark() {
	case "in an alert":
	case "in notify":
		delete(fields, "notify")
		b.text = "notify:\n" + indent(b.text, "  ")
	case "in the file":
		head += b.text
		b.text = ""
	default:
		require.Fail(t, "the block is no alert file and does not say where it belongs", b.where())
	}
	for _, name := range []string{"name", "query", "schedule", "notify"} {
		if value, ok := fields[name]; ok && !strings.Contains("\n"+b.text, "\n"+name+":") {
			b.text += name + ": " + value + "\n"
		}
	}
	return head + "alerts:\n  -\n" + indent(b.text, "    ")
}

func indent(text, by string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(by + line)
	}
	return out.String()
}

func TestTheDocumentedPayloadHasTheFieldsOfTheMessage(t *testing.T) {
	examples := blocks(t, "webhook.md", "json")
	require.Len(t, examples, 1)
	require.Equal(t, keys(t, mustJSON(t, alert.Message{})), keys(t, []byte(examples[0].text)))
}

func mustJSON(t *testing.T, v any) []byte {
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return text
}

// keys lists the keys of a JSON object in their order.
func keys(t *testing.T, text []byte) []string {
	decoder := json.NewDecoder(bytes.NewReader(text))
	_, err := decoder.Token()
	require.NoError(t, err)
	var out []string
	for decoder.More() {
		key, err := decoder.Token()
		require.NoError(t, err)
		out = append(out, key.(string))
		var value json.RawMessage
		require.NoError(t, decoder.Decode(&value))
	}
	return out
}

func TestEverySettingIsDocumentedAndStandsInTheReference(t *testing.T) {
	senders, err := notify.New(notify.Options{})
	require.NoError(t, err)
	var options config.Options
	for _, c := range senders.Channels() {
		options.Channels = append(options.Channels, c)
	}
	schema, err := config.Schema(options)
	require.NoError(t, err)
	settings := map[string]bool{}
	collect(t, schema, settings)
	require.Greater(t, len(settings), 40)

	var text string
	for _, page := range []string{"configuration.md", "email.md", "slack.md", "webhook.md", "databases.md"} {
		data, err := os.ReadFile(page)
		require.NoError(t, err)
		text += string(data)
	}
	reference, err := os.ReadFile("../samples/reference.yaml")
	require.NoError(t, err)
	for name := range settings {
		documented := regexp.MustCompile("`[^`\n]*\\b" + name + "\\b[^`\n]*`").MatchString(text)
		require.True(t, documented, "no page documents the setting %s", name)
		shown := regexp.MustCompile(`(?m)(^|[ {#` + "`" + `])` + name + `[:` + "`" + `]`).MatchString(string(reference))
		require.True(t, shown, "samples/reference.yaml lacks the setting %s", name)
	}
}

// collect notes the name of every property in a JSON Schema.
func collect(t *testing.T, schema json.RawMessage, names map[string]bool) {
	var object map[string]json.RawMessage
	if json.Unmarshal(schema, &object) == nil {
		var properties map[string]json.RawMessage
		if raw, ok := object["properties"]; ok {
			require.NoError(t, json.Unmarshal(raw, &properties))
			for name, inner := range properties {
				names[name] = true
				collect(t, inner, names)
			}
		}
		for key, inner := range object {
			if key != "properties" {
				collect(t, inner, names)
			}
		}
		return
	}
	var list []json.RawMessage
	if json.Unmarshal(schema, &list) == nil {
		for _, inner := range list {
			collect(t, inner, names)
		}
	}
}
