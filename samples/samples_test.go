package samples_test

import (
	"bytes"
	"context"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/joho/godotenv"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/sqlsentinel/sqlsentinel/samples"
	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/config"
	"github.com/sqlsentinel/sqlsentinel/shared/notify"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
)

// environment is what .env.example says.
func environment(t *testing.T) alert.Lookup {
	values, err := godotenv.Read(".env.example")
	require.NoError(t, err)
	return func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	}
}

// load reads a sample as the program does, with the real channels.
func load(t *testing.T, path string, env alert.Lookup) *config.File {
	senders, err := notify.New(notify.Options{})
	require.NoError(t, err)
	var channels []config.Channel
	for _, c := range senders.Channels() {
		channels = append(channels, c)
	}
	file, err := config.Load(path, config.Options{Channels: channels, CheckDatabase: checkDatabase, CheckQuery: query.CheckQuery, Env: env, NoEnvFile: true})
	require.NoError(t, err)
	return file
}

// checkDatabase is what the program checks; a build without DuckDB checks no more than its URL.
func checkDatabase(d alert.Database, env alert.Lookup) error {
	err := query.CheckDatabase(d, env)
	if err != nil && strings.Contains(err.Error(), "make build-duckdb") {
		return nil
	}
	return err
}

// openShop makes the sample shop as of a day; an empty day is today.
func openShop(t *testing.T, path, day string) *sql.DB {
	shop, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: path}).String())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, shop.Close()) })
	if day != "" {
		_, err = shop.Exec("CREATE TABLE today (day TEXT NOT NULL); INSERT INTO today VALUES (?)", day)
		require.NoError(t, err)
	}
	_, err = shop.Exec(samples.Shop)
	require.NoError(t, err)
	return shop
}

// copyFile copies a sample into a folder of the test.
func copyFile(t *testing.T, name, dir string) string {
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	path := filepath.Join(dir, filepath.Base(name))
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

func sampleFiles(t *testing.T) []string {
	found, err := filepath.Glob("*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, found)
	return append(found, "compose/alerts.yaml")
}

func TestEverySampleIsValidAndWarnsOfNothingUnexpected(t *testing.T) {
	for _, name := range sampleFiles(t) {
		t.Run(name, func(t *testing.T) {
			file := load(t, name, environment(t))
			require.NotEmpty(t, file.Alerts)
			for _, warning := range file.Warnings {
				require.Equal(t, "reference.yaml", name, warning.String())
				require.Contains(t, warning.Message, "recorded only")
			}
		})
	}
}

func TestEveryReferenceOfASampleStandsInTheExampleEnvironment(t *testing.T) {
	env := environment(t)
	files, err := filepath.Glob("webhook-templates/*.json")
	require.NoError(t, err)
	for _, name := range append(files, sampleFiles(t)...) {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		for line := range bytes.Lines(data) {
			if bytes.HasPrefix(bytes.TrimSpace(line), []byte("#")) {
				continue
			}
			for _, variable := range alert.References(string(line)) {
				_, ok := env(variable)
				require.True(t, ok, "%s uses %s, which .env.example lacks", name, variable)
			}
		}
	}
}

func TestTheExampleEnvironmentHasEveryVariableOfTheProgram(t *testing.T) {
	text, err := os.ReadFile(".env.example")
	require.NoError(t, err)
	for _, name := range []string{
		"SLACK_WEBHOOK_URL", "WEBHOOK_URL", "WEBHOOK_AUTH_HEADER", "SMTP_HOST", "SMTP_PORT", "SMTP_USERNAME", "SMTP_USER", "SMTP_PASSWORD",
		"SMTP_FROM_ADDRESS", "SMTP_FROM", "SMTP_USE_TLS", "EMAIL_PROVIDER", "EGRESS_ALLOW", "STATE_DB_URL", "DATABASE_URL", "SQLSENTINEL_CONFIG",
		"LOG_LEVEL", "LOG_FORMAT", "PORT",
	} {
		require.Contains(t, string(text), name)
	}
}

// onSQLite tells whether all databases of a file are SQLite.
func onSQLite(file *config.File) bool {
	for _, database := range file.Databases {
		if !strings.HasPrefix(database.URL, "sqlite:") {
			return false
		}
	}
	return true
}

func TestEverySampleOnSQLiteRuns(t *testing.T) {
	ran := 0
	for _, name := range sampleFiles(t) {
		if !onSQLite(load(t, name, environment(t))) {
			continue
		}
		ran++
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			openShop(t, filepath.Join(dir, "shop.db"), "")
			require.NoError(t, os.CopyFS(filepath.Join(dir, "webhook-templates"), os.DirFS("webhook-templates")))
			file := load(t, copyFile(t, name, dir), environment(t))
			for _, a := range file.Alerts {
				result := ask(t, file, a)
				require.Nil(t, result.Failure, "%s: %+v", a.Name, result.Failure)
			}
		})
	}
	require.GreaterOrEqual(t, ran, 6, "the samples on SQLite")
}

// ask runs an alert's query as the program does.
func ask(t *testing.T, file *config.File, a alert.Alert) alert.Result {
	runner, err := query.New(query.Options{Databases: file.Databases, Secrets: file.Secrets})
	require.NoError(t, err)
	defer func() { require.NoError(t, runner.Close()) }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return runner.Query(ctx, a, alert.NewRun(a.ID(), time.Now()))
}

func TestTheShopFollowsFromItsDay(t *testing.T) {
	dir := t.TempDir()
	shop := openShop(t, filepath.Join(dir, "shop.db"), "2026-03-08")
	var days, orders int
	var first, last string
	var total float64
	require.NoError(t, shop.QueryRow("SELECT COUNT(DISTINCT day), COUNT(*), MIN(day), MAX(day), SUM(total) FROM orders").Scan(&days, &orders, &first, &last, &total))
	require.Equal(t, []any{7, 280, "2026-03-02", "2026-03-08"}, []any{days, orders, first, last})
	require.InDelta(t, 77120, total, 0)
}

func TestTheShopsAlertsSayWhatIsInTheShop(t *testing.T) {
	dir := t.TempDir()
	shop := openShop(t, filepath.Join(dir, "shop.db"), "2026-03-08")
	file := load(t, copyFile(t, "shop.yaml", dir), environment(t))
	say := func() map[string]string {
		said := map[string]string{}
		for _, a := range file.Alerts {
			result := ask(t, file, a)
			require.Nil(t, result.Failure, a.Name)
			for _, row := range result.Rows {
				said[strings.TrimSpace(a.Name+" "+row.Instance.String())] = string(row.Status) + " " + row.Actual.String()
			}
			if result.Empty {
				said[a.Name] = "empty"
			}
		}
		return said
	}
	require.Equal(t, map[string]string{
		"Revenue yesterday": "OK 10960", "Failed payments region=EU": "OK 1", "Failed payments region=US": "OK 0",
		"Failed payments region=APAC": "OK 0", "Low stock": "ALERT 8", "Nightly import": "OK 1280", "Returns": "OK NULL",
	}, say())
	_, err := shop.Exec("UPDATE orders SET total = total * 0.5; UPDATE payments SET state = 'failed' WHERE region = 'US'; UPDATE stock SET quantity = 50; DELETE FROM imports")
	require.NoError(t, err)
	require.Equal(t, map[string]string{
		"Revenue yesterday": "ALERT 5480", "Failed payments region=EU": "OK 1", "Failed payments region=US": "ALERT 13",
		"Failed payments region=APAC": "OK 0", "Low stock": "OK 50", "Nightly import": "empty", "Returns": "OK NULL",
	}, say())
}

func TestTheReferenceSaysWhatItSays(t *testing.T) {
	file := load(t, "reference.yaml", environment(t))
	require.Equal(t, "reference", file.Scope)
	require.Equal(t, alert.Duration(30*24*time.Hour), file.Retention)
	require.Equal(t, &config.Heartbeat{URL: "https://hc.example.com/${HEARTBEAT_ID}", Every: alert.Duration(time.Minute)}, file.Heartbeat)
	require.Equal(t, []string{"email data-team@example.com"}, labels(file.Owners))
	require.Len(t, file.Databases, 3)
	require.Equal(t, alert.Duration(20*time.Second), file.Databases[""].Timeout)
	require.Equal(t, 2, file.Databases[""].MaxConnections)
	require.Len(t, file.Alerts, 3)

	a := file.Alerts[0]
	require.Equal(t, "Daily revenue", a.Name)
	require.Equal(t, alert.Warning, a.Severity)
	require.Equal(t, "https://wiki.example.com/revenue", a.RunbookURL)
	require.Equal(t, map[string]string{"team": "sales", "tier": "1"}, a.Labels)
	require.Equal(t, "0 9 * * MON-FRI", a.Schedule)
	require.Equal(t, "America/New_York", a.Timezone)
	require.True(t, a.Enabled)
	require.Equal(t, alert.Count{Runs: 3}, a.For)
	require.Equal(t, alert.Count{Runs: 2}, a.RecoverAfter)
	require.Equal(t, alert.Duration(4*time.Hour), a.RemindEvery)
	require.Equal(t, alert.NoDataKeep, a.OnNoData)
	require.Equal(t, alert.Count{Runs: 3}, a.OnError.After)
	require.Equal(t, []string{"sales"}, labels(a.OnError.Notify))
	require.Equal(t, alert.Duration(45*time.Second), a.Timeout)
	require.Len(t, a.Escalate, 2)
	require.Equal(t, alert.Count{Span: alert.Duration(2 * time.Hour)}, a.Escalate[1].After)
	require.Equal(t, []string{"oncall", "sales"}, labels(a.Escalate[1].Notify))
	require.Len(t, a.Notify, 3)
	require.Equal(t, "team", a.Notify[0].Label)

	oncall := a.Escalate[0].Notify[0]
	require.Equal(t, []alert.Event{alert.EventAlert, alert.EventEscalation, alert.EventRecovery}, oncall.Events)
	require.True(t, oncall.PerInstance)
	require.Equal(t, 5, oncall.Attempts)
	require.Equal(t, alert.Duration(2*time.Second), oncall.Backoff)
	require.Equal(t, alert.Duration(20*time.Second), oncall.Timeout)
	require.Equal(t, alert.Duration(6*time.Hour), oncall.GiveUpAfter)
	require.Contains(t, string(oncall.Settings), "Bearer ${WEBHOOK_TOKEN}", "secrets stay references")

	keyed := file.Alerts[1]
	require.Equal(t, []string{"region"}, keyed.Key)
	require.Equal(t, "crm", keyed.Database)
	require.Contains(t, keyed.Query, "GROUP BY region")
	require.Equal(t, "*/10 * * * *", keyed.Schedule, "by the anchor")
	require.Equal(t, "Europe/Paris", keyed.Timezone, "by defaults")
	require.Equal(t, []string{"team"}, labels(keyed.Notify), "by defaults")
	require.Equal(t, alert.NoDataOK, keyed.OnNoData, "the default with a key")
	require.Equal(t, alert.Count{Runs: 2}, keyed.OnError.After, "the default")
	require.Equal(t, alert.Duration(30*time.Second), keyed.Timeout, "the default")
	require.Equal(t, alert.Critical, keyed.Severity, "the default")

	require.False(t, file.Alerts[2].Enabled)
	require.Empty(t, file.Alerts[2].Notify)
}

func labels(targets []alert.Target) []string {
	var out []string
	for _, target := range targets {
		out = append(out, target.Label)
	}
	return out
}
