package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/config"
)

func TestAFileThatStandsAloneMeansTheSame(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"q.sql":  "SELECT 'OK' AS status -- it's \"quoted\"\n  , 1.50 AS actual_value\n",
		"p.json": `{"n": 1.50, "text": "{alert_name}: yes", "list": [1, "2", null], "payload": "x.json"}`,
		"alerts.yaml": "name: shop\ndatabase: {url: \"sqlite:///x.db\"}\nchannels:\n  hook: {channel: webhook, url: \"https://example.com\", payload: p.json}\n" +
			"alerts:\n  - name: A # the first\n    query_file: q.sql\n    schedule: \"@daily\"\n    notify: [hook]\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	path := filepath.Join(dir, "alerts.yaml")
	before, err := config.Load(path, options(t))
	require.NoError(t, err)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	alone, err := config.Inline(data, dir)
	require.NoError(t, err)
	require.Contains(t, string(alone), "# the first")
	after, err := config.Parse(filepath.Join(t.TempDir(), "alerts.yaml"), alone, options(t))
	require.NoError(t, err)
	require.Equal(t, before.Alerts[0].Query, after.Alerts[0].Query)
	require.JSONEq(t, string(before.Alerts[0].Notify[0].Settings), string(after.Alerts[0].Notify[0].Settings))

	again, err := config.Inline(alone, dir)
	require.NoError(t, err)
	require.Equal(t, string(alone), string(again))
	_, err = config.Inline([]byte("alerts: [{query_file: none.sql}]"), dir)
	require.ErrorContains(t, err, "none.sql")
}

func TestASecretThatExistsElsewhereNeedNotBeKnown(t *testing.T) {
	text := `
database: {url: "postgresql://reader:${DB_PASSWORD}@db:5432/shop"}
channels:
  mail: {channel: email, recipients: ["${TEAM}"]}
  hook: {channel: webhook, url: "${HOOK}", headers: {X-Key: "${KEY}"}}
heartbeat: {url: "${BEAT}"}
alerts:
  - {name: A, query: "SELECT 1", schedule: "@daily", notify: [mail, hook]}
`
	there := map[string]bool{"query/DB_PASSWORD": true, "email/TEAM": true, "email/SMTP_HOST": true, "email/SMTP_FROM": true, "webhook/HOOK": true, "webhook/KEY": true, "sync/BEAT": true}
	o := options(t)
	o.Env, o.Exists, o.Scope = nil, func(user, name string) bool { return there[user+"/"+name] }, "stack"
	f, err := config.Parse("a.yaml", []byte(text), o)
	require.NoError(t, err)
	require.Equal(t, "stack", f.Alerts[0].Scope)
	require.Contains(t, string(f.Alerts[0].Notify[1].Settings), "${HOOK}", "it stays a reference")
	for name := range there {
		if name == "email/SMTP_FROM" {
			continue
		}
		there[name] = false
		_, err := config.Parse("a.yaml", []byte(text), o)
		require.Error(t, err, name)
		there[name] = true
	}
}
