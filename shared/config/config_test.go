package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/config"
	"github.com/sqlsentinel/sqlsentinel/shared/notify"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
)

// options are those of the command line, over an environment of pairs.
func options(t testing.TB, pairs ...string) config.Options {
	t.Helper()
	senders, err := notify.New(notify.Options{})
	require.NoError(t, err)
	o := config.Options{CheckDatabase: query.CheckDatabase, CheckQuery: query.CheckQuery, NoEnvFile: true}
	for _, c := range senders.Channels() {
		o.Channels = append(o.Channels, c)
	}
	values := map[string]string{"SMTP_HOST": "mail.example.com", "SMTP_FROM_ADDRESS": "sentinel@example.com"}
	for i := 0; i+1 < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	o.Env = func(name string) (string, bool) { v, ok := values[name]; return v, ok }
	return o
}

// write puts files into a folder and returns the path of the first.
func write(t testing.TB, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i+1 < len(files); i += 2 {
		require.NoError(t, os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o600))
	}
	return filepath.Join(dir, files[0])
}

const head = "database: {url: \"sqlite:///shop.db\"}\n"

// one is a file with one plain alert and more lines in it.
func one(lines ...string) string {
	text := head + "alerts:\n  - name: A\n    query: SELECT 'OK' AS status\n    schedule: \"@daily\"\n    notify: [{channel: webhook, url: \"https://example.com/x\"}]\n"
	for _, l := range lines {
		text += "    " + l + "\n"
	}
	return text
}

func TestEveryProblemIsFoundAtItsPlace(t *testing.T) {
	big := strings.Repeat("x", 100)
	bomb := "x-a: &a [" + strings.Repeat(big+",", 20) + "]\n"
	for i := range 8 {
		bomb += fmt.Sprintf("x-%c: &%c [%s]\n", 'b'+i, 'b'+i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", 'a'+i), 12), ","))
	}
	for _, c := range []struct {
		name, text string
		want       []string // beginnings of "line:column: message", in order
	}{
		{"an unknown key", one("querry: x"), []string{`7:5: alerts[0].querry: this key is not known here; did you mean "query"?`}},
		{"an unknown key at the top", "databse: 1\n" + one(), []string{`1:1: databse: this key is not known here; did you mean "database"?`}},
		{"a key twice", one("name: B"), []string{"7:5: alerts[0].name: this key stands here twice"}},
		{"a name twice", one() + "  - {name: A, query: SELECT 1, schedule: \"@daily\"}\n", []string{"7:12: alerts[1].name: the name is taken by the alert in line 3"}},
		{"a bad cron", one("enabled: true") + "  - {name: B, query: x, schedule: \"61 * * * *\"}\n", []string{"8:35: alerts[1].schedule: "}},
		{"a bad zone", one("timezone: Europe/Pariss"), []string{"7:15: alerts[0].timezone: "}},
		{"a bad severity", one("severity: critcal"), []string{`7:15: alerts[0].severity: must be one of critical, warning, info; did you mean "critical"?`}},
		{"a bad duration", one("remind_every: 4 hours"), []string{"7:19: alerts[0].remind_every: "}},
		{"a bad count", one("for: soon"), []string{"7:10: alerts[0].for: "}},
		{"an empty list", one("key: []"), []string{"7:10: alerts[0].key: the list is empty"}},
		{"a wrong type", one("enabled: perhaps"), []string{"7:14: alerts[0].enabled: must be true or false, not a text"}},
		{"a query that is a number", head + "alerts:\n  - {name: A, query: 5, schedule: \"@daily\"}\n", []string{"3:22: alerts[0].query: must be a text, not a number"}},
		{"no query and no schedule", head + "alerts:\n  - name: A\n", []string{"3:5: alerts[0].query: ", "3:5: alerts[0].schedule: "}},
		{"no name", head + "alerts:\n  - {query: x, schedule: \"@daily\"}\n", []string{"3:5: alerts[0].name: "}},
		{"both queries", one("query_file: q.sql"), []string{"7:17: alerts[0].query_file: "}},
		{"an unset variable", one("description: \"${NOPE}\""), []string{"7:18: alerts[0].description: ${NOPE} is not set"}},
		{"a reserved variable", one("description: \"${AWS_SECRET_ACCESS_KEY}\""), []string{"7:18: alerts[0].description: ${AWS_SECRET_ACCESS_KEY} never resolves"}},
		{"an unset variable in a target", one("escalate: [{after: 1 run, notify: [{channel: slack, webhook_url: \"${NOPE}\"}]}]"), []string{"7:70: alerts[0].escalate[0].notify[0].webhook_url: ${NOPE} is not set"}},
		{"an unknown channel", one("on_error: {notify: [{channel: slak}]}"), []string{`7:35: alerts[0].on_error.notify[0].channel: there is no such channel`}},
		{"a target by an unknown name", "channels: {oncall: {channel: slack, webhook_url: \"https://example.com\"}}\n" + one("on_error: {notify: [onkall]}"), []string{`8:25: alerts[0].on_error.notify[0]: there is no such entry in ` + "`channels`" + `; did you mean "oncall"?`}},
		{"a missing setting", one("on_error: {notify: [{channel: slack}]}"), []string{"7:25: alerts[0].on_error.notify[0].webhook_url: "}},
		{"an unknown setting", one("on_error: {notify: [{channel: slack, webhook_url: \"https://example.com\", icon: x}]}"), []string{"7:78: alerts[0].on_error.notify[0].icon: this setting is not known here"}},
		{"a setting twice", one("on_error: {notify: [{channel: webhook, url: \"https://example.com\", config: {url: \"https://example.com\"}}]}"), []string{"7:81: alerts[0].on_error.notify[0].config.url: this key stands under `config` and beside it"}},
		{"a target twice", one("on_error: {notify: [{channel: webhook, url: \"https://example.com\"}, {channel: webhook, config: {url: \"https://example.com\"}}]}"), []string{"7:73: alerts[0].on_error.notify[1]: this target stands in the list twice"}},
		{"a bad event", one("on_error: {notify: [{channel: webhook, url: \"https://example.com\", events: [recover]}]}"), []string{`7:81: alerts[0].on_error.notify[0].events[0]: must be one of`}},
		{"giving up too late", one("on_error: {notify: [{channel: webhook, url: \"https://example.com\", give_up_after: 30d}]}"), []string{"7:87: alerts[0].on_error.notify[0].give_up_after: must be 7d at most"}},
		{"an unknown database", one("database: warehouse"), []string{"7:15: alerts[0].database: there is no such entry in `databases`"}},
		{"a bad database", "database: {url: \"postgress://x\"}\nalerts:\n  - {name: A, query: x, schedule: \"@daily\"}\n", []string{"1:17: database.url: "}},
		{"a database without url", "database: {timeout: 5s}\nalerts:\n  - {name: A, query: x, schedule: \"@daily\"}\n", []string{"1:11: database.url: "}},
		{"no database", "alerts:\n  - {name: A, query: x, schedule: \"@daily\"}\n", []string{"1:1: database: the file names no database"}},
		{"no alerts", head, []string{"1:1: alerts: the file has no alerts"}},
		{"empty alerts", head + "alerts: []\n", []string{"2:9: alerts: the list is empty"}},
		{"alerts that are no list", head + "alerts: {a: 1}\n", []string{"2:9: alerts: must be a list, not a mapping"}},
		{"a bad heartbeat", "heartbeat: {url: ftp://x}\n" + one(), []string{"1:18: heartbeat.url: "}},
		{"a key column twice", one("key: [a, A]"), []string{"7:14: alerts[0].key[1]: the column stands here twice"}},
		{"a tab", head + "alerts:\n\t- name: A\n", []string{"3:1: the line is indented by a tab"}},
		{"two documents", one() + "---\nx: 1\n", []string{"7:1: the file has more than one document"}},
		{"a byte order mark", "\xef\xbb\xbf" + one(), []string{"1:1: the file begins with a byte order mark"}},
		{"no UTF-8", one("description: \"\xff\""), []string{"1:1: the file is not UTF-8"}},
		{"nothing", " \n", []string{"1:1: the file is empty"}},
		{"only a comment", "# soon\n", []string{"1:1: the file is empty"}},
		{"no YAML", "alerts: [\n", []string{"2:1: this is not YAML"}},
		{"an alias of itself", one("labels: &l {a: *l}"), []string{"7:"}},
		{"an alias bomb", bomb + one("labels: {a: x}", "runbook_url: *i"), []string{""}},
		{"too many targets", one("escalate:", "- after: 1 run", "  notify: ["+manyTargets(50)+"]"), []string{"3:5: alerts[0].notify: the alert has 52 targets; 50 are allowed"}},
		{"a payload that is not there", one("on_error: {notify: [{channel: webhook, url: \"https://example.com\", payload: nope.json}]}"), []string{"7:81: alerts[0].on_error.notify[0].payload: the file cannot be read: no such file"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := config.Parse("alerts.yaml", []byte(c.text), options(t))
			var problems config.Problems
			require.ErrorAs(t, err, &problems)
			var got []string
			for _, p := range problems {
				if p.Severity == "error" {
					text, _ := strings.CutPrefix(p.String(), "alerts.yaml:")
					got = append(got, text)
				}
			}
			require.Len(t, got, len(c.want), "%s", err)
			for i := range got {
				require.True(t, strings.HasPrefix(got[i], c.want[i]), "%q does not begin with %q", got[i], c.want[i])
			}
		})
	}
}

func manyTargets(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("{channel: webhook, url: \"https://example.com/%d\"}", i))
	}
	return strings.Join(all, ", ")
}

func TestProblemsAreReportedTogetherByPosition(t *testing.T) {
	_, err := config.Parse("a.yaml", []byte(one("zz: 1", "severity: x", "timezone: y", "key: []", "labels: 5")), options(t))
	var problems config.Problems
	require.ErrorAs(t, err, &problems)
	require.GreaterOrEqual(t, len(problems), 5)
	for i := 1; i < len(problems); i++ {
		require.LessOrEqual(t, problems[i-1].Line, problems[i].Line)
	}
}

func TestNoSecretIsEchoed(t *testing.T) {
	const canary = "c4nary-s3cret"
	file := write(t, "alerts.yaml", one("description: \"${SECRET}\"", "timezone: \"${SECRET}\"", "severity: \"${SECRET}\"",
		"for: \"${SECRET}\"", "database: \"${SECRET}\"", "query_file: \"${SECRET}\"", "remind_every: \"${SECRET}\"",
		"on_error: {notify: [{channel: webhook, url: \"${SECRET}\"}, {channel: email, recipients: [\"${SECRET}\"]}, {channel: slack, webhook_url: \"x://${SECRET}\"}]}"),
		".env", "SECRET="+canary+"\n")
	o := options(t)
	o.NoEnvFile = false
	_, err := config.Load(file, o)
	require.Error(t, err)
	require.NotContains(t, err.Error(), canary)
	_, err = config.Parse("a.yaml", []byte("database: {url: \"postgresql://u:"+canary+"@ho st/x\"}\nalerts:\n  - {name: A, query: x, schedule: \"@daily\"}\n"), options(t))
	require.Error(t, err)
	require.NotContains(t, err.Error(), canary)
}

const whole = `
name: shop
database:
  url: "postgresql://reader:${DB_PASSWORD}@db.internal:5432/shop"
databases:
  warehouse: {url: "bigquery://shop/w", timeout: 60s, max_bytes_billed: 10GB, price_per_tib: 7.5, max_connections: 2}
channels:
  oncall: {channel: slack, webhook_url: "${ONCALL_SLACK_URL}"}
defaults:
  timezone: Europe/Paris
  labels: {team: data}
owners:
  - {channel: email, recipients: [data-team@example.com]}
heartbeat: {url: "https://hc.example.com/x", every: 1m}
retention: 30d
x-anchors: &quiet {remind_every: 4h}
alerts:
  - name: "Daily revenue"
    description: "Revenue in ${CITY:-Paris} costs $$5"
    severity: warning
    runbook_url: "https://wiki/revenue"
    labels: {team: sales, port: 80}
    query: |
      SELECT '${NOT_A_REFERENCE}' AS status
    schedule: "0 9 * * MON-FRI"
    enabled: false
    for: 3 runs
    recover_after: 2 runs
    <<: *quiet
    on_no_data: keep
    on_error: {after: 4 runs, notify: owners}
    key: [region]
    escalate:
      - {after: 15m, notify: [oncall]}
    timeout: 45s
    notify:
      - channel: email
        config: {recipients: ["team@example.com"], subject: "Critical: {alert_name}"}
      - channel: slack
        webhook_url: "${SLACK_WEBHOOK_URL}"
      - channel: webhook
        config:
          url: "https://api.example.com/alerts"
          headers: {Authorization: "Bearer ${WEBHOOK_TOKEN}"}
          payload: templates.json
          events: [alert, recovery]
          per_instance: true
          attempts: 5
          per_event: {recovery: {method: PUT, url: "https://api.example.com/resolve"}}
  - {name: plain, query_file: q.sql, schedule: "@hourly", database: warehouse}
`

func TestTheWholeFileIsRead(t *testing.T) {
	path := write(t, "alerts.yaml", whole, "q.sql", "SELECT 1", "templates.json", `{"key":"${WEBHOOK_TOKEN}","name":"{alert_name}"}`,
		".env", "SLACK_WEBHOOK_URL=https://hooks.slack.com/services/T/B/x\nDB_PASSWORD=from-file\n")
	o := options(t, "DB_PASSWORD", "pa$$word", "ONCALL_SLACK_URL", "https://hooks.slack.com/services/T/B/y", "WEBHOOK_TOKEN", "t0ken")
	o.NoEnvFile = false
	f, err := config.Load(path, o)
	require.NoError(t, err)
	require.Equal(t, "shop", f.Scope)
	require.Equal(t, "postgresql://reader:${DB_PASSWORD}@db.internal:5432/shop", f.Databases[""].URL, "secrets stay references")
	price := 7.5
	require.Equal(t, alert.Database{Name: "warehouse", URL: "bigquery://shop/w", Timeout: alert.Duration(time.Minute), MaxConnections: 2, MaxBytesBilled: 10e9, PricePerTiB: &price, Dir: filepath.Dir(path)}, f.Databases["warehouse"])
	require.Equal(t, &config.Heartbeat{URL: "https://hc.example.com/x", Every: alert.Duration(time.Minute)}, f.Heartbeat)
	require.Equal(t, "30d", f.Retention.String())
	password, _ := f.Secrets.Lookup("DB_PASSWORD")
	require.Equal(t, "pa$$word", password, "the environment wins over .env")
	require.Len(t, f.Owners, 1)

	a := f.Alerts[0]
	require.Equal(t, alert.ID{Scope: "shop", Name: "Daily revenue"}, a.ID())
	require.Equal(t, "Revenue in Paris costs $5", a.Description)
	require.Equal(t, alert.Warning, a.Severity)
	require.Equal(t, map[string]string{"team": "sales", "port": "80"}, a.Labels)
	require.Equal(t, "SELECT '${NOT_A_REFERENCE}' AS status\n", a.Query, "a query is sent verbatim")
	require.Equal(t, "Europe/Paris", a.Timezone)
	require.False(t, a.Enabled)
	require.Equal(t, alert.Count{Runs: 3}, a.For)
	require.Equal(t, alert.Count{Runs: 2}, a.RecoverAfter)
	require.Equal(t, "4h", a.RemindEvery.String())
	require.Equal(t, alert.NoDataKeep, a.OnNoData)
	require.Equal(t, alert.Count{Runs: 4}, a.OnError.After)
	require.Equal(t, f.Owners, a.OnError.Notify)
	require.Equal(t, []string{"region"}, a.Key)
	require.Equal(t, "oncall", a.Escalate[0].Notify[0].ID)
	require.Equal(t, "45s", a.Timeout.String())
	require.Len(t, a.Notify, 3)
	hook := a.Notify[2]
	require.Equal(t, []alert.Event{alert.EventAlert, alert.EventRecovery}, hook.Events)
	require.True(t, hook.PerInstance)
	require.Equal(t, 5, hook.Attempts)
	require.Contains(t, string(hook.Settings), `"Bearer ${WEBHOOK_TOKEN}"`)
	require.Contains(t, string(hook.Settings), `"key":"${WEBHOOK_TOKEN}"`, "a payload file is inlined as written")

	plain := f.Alerts[1]
	require.Equal(t, "SELECT 1", plain.Query)
	require.Equal(t, "1m", plain.Timeout.String(), "its database's")
	require.True(t, plain.Enabled)
	require.Equal(t, map[string]string{"team": "data"}, plain.Labels)
	require.Equal(t, alert.NoDataError, plain.OnNoData)
	require.NotEmpty(t, f.Warnings, "it tells nobody")
}

func TestFlatAndNestedSettingsAreTheSameTarget(t *testing.T) {
	for _, pair := range [][2]string{
		{`{channel: slack, webhook_url: "https://example.com/a", slack_channel: "#x"}`, `{channel: slack, config: {webhook: "https://example.com/a", channel: "#x"}}`},
		{`{channel: webhook, url: "https://example.com/a", events: [alert]}`, `{channel: webhook, config: {url: "https://example.com/a", events: [alert]}}`},
		{`{channel: email, recipients: [a@example.com]}`, `{channel: email, config: {recipients: [a@example.com]}}`},
	} {
		var found [2]alert.Target
		for i, text := range pair {
			f, err := config.Parse("a.yaml", []byte(one("escalate: [{after: 1 run, notify: ["+text+"]}]")), options(t))
			require.NoError(t, err)
			found[i] = f.Alerts[0].Escalate[0].Notify[0]
		}
		require.Equal(t, found[0].ID, found[1].ID)
		require.JSONEq(t, string(found[0].Settings), string(found[1].Settings))
		require.Equal(t, found[0].Events, found[1].Events)
	}
}

func TestWarnings(t *testing.T) {
	for _, c := range [][2]string{
		{one("for: 15m", "timezone: UTC") + "", "for"},
		{strings.Replace(one("timezone: Europe/Paris"), `"@daily"`, `"30 2 * * *"`, 1), "does not exist"},
		{strings.Replace(one(), "sqlite:///shop.db", "postgresql://u:secretpw@h/x", 1), "password stands in the file"},
		{head + "alerts:\n  - {name: A, query: x, schedule: \"@daily\"}\n", "recorded only"},
	} {
		f, err := config.Parse("a.yaml", []byte(c[0]), options(t))
		require.NoError(t, err)
		require.NotEmpty(t, f.Warnings, c[1])
		require.Contains(t, f.Warnings[0].String(), c[1])
		require.Equal(t, "warning", f.Warnings[0].Severity)
		require.NotContains(t, f.Warnings[0].String(), "secretpw")
	}
}

func TestTheEnvironmentFile(t *testing.T) {
	o := options(t)
	o.NoEnvFile = false
	o.EnvFile = write(t, "other.env", "# a comment\nexport NAME='quo ted'\nDOLLAR=a$b${c}\nHASH=\"x # y\"\n")
	f, err := config.Parse("a.yaml", []byte(one("labels: {a: \"${NAME}\", b: \"${DOLLAR}\", c: \"${HASH}\"}")), o)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "quo ted", "b": "a$b${c}", "c": "x # y"}, f.Alerts[0].Labels)

	o.EnvFile = filepath.Join(t.TempDir(), "missing.env")
	_, err = config.Parse("a.yaml", []byte(one()), o)
	require.ErrorContains(t, err, "missing.env")
	o.EnvFile = write(t, "bad.env", "SECRET VALUE s3cr3t\n=x\n")
	_, err = config.Parse("a.yaml", []byte(one()), o)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "s3cr3t")
}

func TestAFileThatIsTooLargeOrMissing(t *testing.T) {
	_, err := config.Load(filepath.Join(t.TempDir(), "none.yaml"), options(t))
	require.ErrorIs(t, err, os.ErrNotExist)
	path := write(t, "alerts.yaml", "x")
	require.NoError(t, os.Truncate(path, 33<<20))
	_, err = config.Load(path, options(t))
	require.ErrorContains(t, err, "are allowed")
}

func TestTheDatabaseOfTheEnvironment(t *testing.T) {
	text := []byte("alerts:\n  - {name: A, query: x, schedule: \"@daily\"}\n")
	f, err := config.Parse("dir/shop.yaml", text, options(t, "DATABASE_URL", "sqlite:///x.db"))
	require.NoError(t, err)
	require.Equal(t, "${DATABASE_URL}", f.Databases[""].URL)
	require.Equal(t, "shop", f.Scope)
	_, err = config.Parse("shop.yaml", text, options(t, "DATABASE_URL", "nope"))
	require.ErrorContains(t, err, "DATABASE_URL")
}

// lineBreaks are what YAML 1.1 ends a line with.
var lineBreaks = regexp.MustCompile("\r\n|[\r\n\u0085\u2028\u2029]")

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(one("for: 15m", "key: [a]")))
	f.Add([]byte("a: &a [*a]\nalerts: *a\n"))
	o := options(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := config.Parse("a.yaml", data, o)
		problems, ok := err.(config.Problems) //nolint:errorlint // Parse returns it bare
		if err == nil {
			return
		}
		require.True(t, ok, "%v", err)
		lines := len(lineBreaks.FindAll(data, -1)) + 2
		for _, p := range problems {
			require.True(t, p.Line >= 1 && p.Line <= lines && p.Column >= 1, "%s in %d lines", p, lines)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	var text strings.Builder
	text.WriteString(head + "alerts:\n")
	for i := range 10_000 {
		fmt.Fprintf(&text, "  - name: \"alert %d\"\n    query: SELECT 'OK' AS status\n    schedule: \"*/5 * * * *\"\n    notify: [{channel: webhook, url: \"https://example.com/x\"}]\n", i)
	}
	o, data := options(b), []byte(text.String())
	for b.Loop() {
		if _, err := config.Parse("a.yaml", data, o); err != nil {
			b.Fatal(err)
		}
	}
}
