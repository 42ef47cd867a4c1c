package samples_test

import (
	"database/sql"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/notify"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest"
)

// A call is a request that an incident tool got.
type call struct {
	method, path, query, authorization string
	body                               map[string]any
}

// A tool plays a sample against a server in the place of an incident tool.
type tool struct {
	t     *testing.T
	shop  *sql.DB
	steps *sentinel.Sentinel
	scope string
	name  string

	mu    sync.Mutex
	calls []call
	now   time.Time
}

// openTool loads a sample whose receiver is replaced by a server of the test.
func openTool(t *testing.T, sample, host string) *tool {
	x := &tool{t: t, now: time.Now().UTC().Truncate(time.Minute)}
	server := httptest.NewServer(http.HandlerFunc(x.serve))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	x.shop = openShop(t, filepath.Join(dir, "shop.db"), "")
	require.NoError(t, os.CopyFS(filepath.Join(dir, "webhook-templates"), os.DirFS("webhook-templates")))
	text, err := os.ReadFile(sample)
	require.NoError(t, err)
	require.Contains(t, string(text), host)
	path := filepath.Join(dir, sample)
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(text), host, server.URL)), 0o600))
	file := load(t, path, environment(t))
	x.scope, x.name = file.Scope, file.Alerts[0].Name

	runner, err := query.New(query.Options{Databases: file.Databases, Secrets: file.Secrets})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, runner.Close()) })
	senders, err := notify.New(notify.Options{Secrets: file.Secrets})
	require.NoError(t, err)
	store := sentineltest.NewMemory()
	x.steps, err = sentinel.New(sentinel.Options{
		Store: store, Outbox: store, Queue: store, Query: runner, Send: senders, Now: func() time.Time { return x.now },
	})
	require.NoError(t, err)
	_, err = x.steps.Sync(t.Context(), file.Scope, file.Alerts)
	require.NoError(t, err)
	return x
}

func (x *tool) serve(w http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(r.Body)
	c := call{method: r.Method, path: r.URL.Path, query: r.URL.RawQuery, authorization: r.Header.Get("Authorization")}
	if err := json.Unmarshal(text, &c.body); err != nil {
		http.Error(w, "no JSON object", http.StatusBadRequest)
		return
	}
	x.mu.Lock()
	x.calls = append(x.calls, c)
	x.mu.Unlock()
	w.WriteHeader(http.StatusAccepted)
}

// run changes the shop, lets time pass, runs the sample's alert and returns what the tool got.
func (x *tool) run(change string, later time.Duration) []call {
	if change != "" {
		_, err := x.shop.Exec(change)
		require.NoError(x.t, err)
	}
	x.now = x.now.Add(later)
	evaluation, err := x.steps.Evaluate(x.t.Context(), alert.ID{Scope: x.scope, Name: x.name}, x.now)
	require.NoError(x.t, err)
	require.Empty(x.t, evaluation.Record.Error)
	require.NoError(x.t, x.steps.Drain(x.t.Context(), sentinel.DrainOptions{Scope: x.scope}))
	x.mu.Lock()
	defer x.mu.Unlock()
	calls := x.calls
	x.calls = nil
	return calls
}

// text is a field of a body that must be a text of at most n characters, and not empty.
func text(t *testing.T, body map[string]any, name string, n int) string {
	value, ok := body[name].(string)
	require.True(t, ok, "%s is %T", name, body[name])
	require.NotEmpty(t, value, name)
	require.LessOrEqual(t, len([]rune(value)), n, name)
	return value
}

// The fields and limits are those of PagerDuty's Events API v2.
func TestThePagerDutySampleTriggersRemindsAndResolves(t *testing.T) {
	x := openTool(t, "webhook-pagerduty.yaml", "https://events.pagerduty.com")
	check := func(calls []call, action string) string {
		require.Len(t, calls, 1)
		c := calls[0]
		require.Equal(t, []string{"POST", "/v2/enqueue"}, []string{c.method, c.path})
		require.Len(t, text(t, c.body, "routing_key", 32), 32)
		require.Equal(t, action, c.body["event_action"])
		payload, ok := c.body["payload"].(map[string]any)
		require.True(t, ok, "payload is %T", c.body["payload"])
		require.Contains(t, text(t, payload, "summary", 1024), "Revenue yesterday")
		text(t, payload, "source", 1024)
		require.Contains(t, []string{"critical", "error", "warning", "info"}, payload["severity"])
		_, err := time.Parse(time.RFC3339Nano, text(t, payload, "timestamp", 64))
		require.NoError(t, err)
		return text(t, c.body, "dedup_key", 255)
	}
	require.Empty(t, x.run("", 0))
	require.Empty(t, x.run("UPDATE orders SET total = total - 170", 15*time.Minute), "for: 2 runs")
	incident := check(x.run("", 15*time.Minute), "trigger")
	require.Empty(t, x.run("", 15*time.Minute))
	require.Equal(t, incident, check(x.run("", time.Hour), "trigger"), "the reminder is of the same incident")
	require.Equal(t, incident, check(x.run("UPDATE orders SET total = total + 170", 15*time.Minute), "resolve"))
}

// The fields and limits are those of Opsgenie's Alert API.
func TestTheOpsgenieSampleCreatesRemindsAndCloses(t *testing.T) {
	x := openTool(t, "webhook-opsgenie.yaml", "https://api.opsgenie.com")
	created := func(calls []call, region string) string {
		require.Len(t, calls, 1)
		c := calls[0]
		require.Equal(t, []string{"POST", "/v2/alerts", ""}, []string{c.method, c.path, c.query})
		require.Equal(t, "GenieKey change-me", c.authorization)
		require.Contains(t, text(t, c.body, "message", 130), "Failed payments")
		if priority, ok := c.body["priority"]; ok {
			require.Contains(t, []string{"P1", "P2", "P3", "P4", "P5"}, priority)
		}
		if details, ok := c.body["details"]; ok {
			for name, value := range details.(map[string]any) {
				require.IsType(t, "", value, "details.%s", name)
			}
		}
		whole, err := json.Marshal(c.body)
		require.NoError(t, err)
		require.Contains(t, string(whole), region, "it says which instance")
		return text(t, c.body, "alias", 512)
	}
	require.Empty(t, x.run("", 0))
	alias := created(x.run("UPDATE payments SET state = 'failed' WHERE region = 'EU'", 10*time.Minute), "EU")
	require.Equal(t, alias, created(x.run("", time.Hour), "EU"), "the reminder is of the same alert")
	calls := x.run("UPDATE payments SET state = 'paid'", 10*time.Minute)
	require.Len(t, calls, 1)
	require.Equal(t, []string{"POST", "/v2/alerts/" + alias + "/close", "identifierType=alias"}, []string{calls[0].method, calls[0].path, calls[0].query})
	require.Equal(t, "GenieKey change-me", calls[0].authorization)
	text(t, calls[0].body, "note", 25000)
	text(t, calls[0].body, "source", 100)
}
