package functions_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/estimate"
)

// toggle is an alert over two channels, one of them to two targets, that does what the shop says.
const toggle = `
database: {url: "${SHOP_URL}"}
channels:
  hook: {channel: webhook, url: "${HOOK_URL}"}
  other: {channel: webhook, url: "${HOOK_URL}/other"}
  mail: {channel: email, recipients: [team@example.com]}
alerts:
  - name: "Orders"
    query: "SELECT CASE WHEN count(*) > 0 THEN 'ALERT' ELSE 'OK' END AS status, count(*) AS actual_value, 0 AS threshold FROM orders"
    schedule: "*/5 * * * *"
    notify: [hook, other, mail]
`

// ofAWS leaves of calls those to DynamoDB and SQS: a function asks Parameter Store when it
// starts, and every five minutes.
func ofAWS(calls []string) []string {
	var out []string
	for _, call := range calls {
		if call != "GetParametersByPath" {
			out = append(out, call)
		}
	}
	return out
}

func TestTheFunctionsMakeTheCallsThatTheEstimateReckonsWith(t *testing.T) {
	w := newWorld(t)
	p := w.through()
	require.Empty(t, w.upload(toggle).Problem)
	at := time.Now().UTC().Truncate(5 * time.Minute).Add(-time.Hour)
	runs := 0
	run := func(status alert.Status) []string {
		p.kill(0, false, nil)
		at = at.Add(5 * time.Minute)
		var answer cloud.Answer
		require.NoError(t, json.Unmarshal(w.invoke("query", cloud.Tick{Alert: "Orders", ScheduledTime: at.Format(time.RFC3339)}), &answer))
		require.Equal(t, status, answer.Run.Status, answer.Run.Error)
		runs++
		logged := func() bool { return strings.Count(w.function("query").Log(), `"alert_duration_seconds":`) == runs }
		require.Eventually(t, logged, 60*time.Second, 10*time.Millisecond, "its last line, which may come after the answer")
		return ofAWS(p.seen())
	}
	run(alert.StatusOK)
	before := len(w.function("query").Log())
	require.Equal(t, estimate.Steady(1000).Calls, run(alert.StatusOK))
	require.LessOrEqual(t, len(w.function("query").Log())-before, estimate.RunLogBytes-estimate.PlatformLogBytes, "what a steady run logs")
	_, err := w.shop.Exec("INSERT INTO orders VALUES (1)")
	require.NoError(t, err)
	require.Equal(t, estimate.Announcing(1000, 3, 2).Calls, run(alert.StatusAlert), "three messages over two channels")
	require.Equal(t, estimate.Steady(1000).Calls, run(alert.StatusAlert), "while the episode is open")

	p.kill(0, false, nil)
	require.Equal(t, 1, w.deliver("email"))
	require.Equal(t, estimate.Delivering().Calls, ofAWS(p.seen()))
	require.LessOrEqual(t, len(w.function("email").Log()), estimate.MessageLogBytes-estimate.PlatformLogBytes, "what a message logs")

	require.Equal(t, 2, w.deliver("webhook"), "so that nothing is open")
	p.kill(0, false, nil)
	w.invoke("sync", eventFile(t, "sync.json"))
	var calls []string
	for _, call := range p.seen() {
		if !strings.HasPrefix(call, "HEAD ") { // S3's
			calls = append(calls, call)
		}
	}
	require.Len(t, calls, estimate.TickCalls, "%v", calls)
}
