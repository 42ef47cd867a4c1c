package functions_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// crashConfig alerts at once, over two channels.
const crashConfig = `
database: {url: "${SHOP_URL}"}
channels:
  hook: {channel: webhook, url: "${HOOK_URL}", timeout: 1s}
  mail: {channel: email, recipients: [team@example.com], timeout: 1s}
alerts:
  - name: "Revenue"
    query: "SELECT 'ALERT' AS status, 1 AS actual_value"
    schedule: "*/5 * * * *"
    remind_every: 5m
    notify: [hook, mail]
`

// through puts a proxy between the functions and AWS.
func (w *world) through() *proxy {
	p := newProxy(w, w.env["AWS_ENDPOINT_URL"])
	w.env["AWS_ENDPOINT_URL"] = p.url
	w.env["SENTINEL_LEASE_MARGIN"] = "1"
	return p
}

func TestTheQueryFunctionKilledAtEachCallLosesNothing(t *testing.T) {
	w := newWorld(t)
	p := w.through()
	require.Empty(t, w.upload(crashConfig).Problem)
	at := time.Now().UTC().Truncate(5 * time.Minute).Add(-10 * time.Hour)
	w.tickUntilDone(p, at, 0, false) // the state and the process are warm
	w.deliverAll(t)
	runs := 1
	for n := 1; ; n++ {
		killed := false
		for _, before := range []bool{true, false} {
			at = at.Add(5 * time.Minute)
			runs++
			killed = w.tickUntilDone(p, at, n, before) || killed
			w.deliverAll(t) // a reminder that waits would give way to the next
		}
		if !killed {
			break
		}
	}
	t.Logf("killed at each of the calls of %d runs", runs)
	history, err := w.store.History(t.Context(), sentinel.HistoryFilter{Scope: w.stack, Limit: 1000})
	require.NoError(t, err)
	require.Len(t, history, runs, "every run is in history once")
	deliveries, err := w.store.Deliveries(t.Context(), sentinel.DeliveryFilter{Scope: w.stack, Limit: 1000})
	require.NoError(t, err)
	require.Len(t, deliveries, 2*runs, "every run decided one message for each target")
	require.Len(t, w.web.take(), runs, "and each arrived once")
}

// tickUntilDone sends a tick, kills the function at its nth call, and sends the tick again,
// as Lambda does with an event that was not handled. It reports whether there was an nth call.
func (w *world) tickUntilDone(p *proxy, at time.Time, n int, before bool) bool {
	w.Helper()
	tick := cloud.Tick{Alert: "Revenue", ScheduledTime: at.Format(time.RFC3339)}
	f := w.function("query")
	killed := false
	p.kill(n, before, func() { killed = true; f.Kill() })
	answer := f.Invoke(tick, 30*time.Second)
	if killed {
		require.Error(w, answer.Err)
	}
	p.kill(0, false, nil)
	w.invoke("query", tick)
	return killed
}

// deliverAll plays SQS, and the tick that sweeps, until nothing is open.
func (w *world) deliverAll(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, channel := range []string{"webhook", "email"} {
			for w.deliver(channel) > 0 {
			}
		}
		open, err := w.store.Deliveries(t.Context(), sentinel.DeliveryFilter{Scope: w.stack, Statuses: []alert.DeliveryStatus{alert.Pending, alert.Sending}})
		require.NoError(t, err)
		return len(open) == 0
	}, 60*time.Second, 100*time.Millisecond, "deliveries are still open")
}

func TestASenderKilledAtEachCallLosesNothingAndDoublesOnlyWhereItMust(t *testing.T) {
	w := newWorld(t)
	p := w.through()
	for n, killed := 1, true; killed; n++ {
		killed = false
		for _, before := range []bool{true, false} {
			w.web.take()
			d := w.pending(1, func(d *alert.Delivery) { d.Target.Timeout = alert.Duration(time.Second) })[0]
			event := batch([]alert.Delivery{d})
			f := w.function("webhook")
			p.kill(n, before, func() { killed = true; f.Kill() })
			f.Invoke(event, 30*time.Second)
			call := ""
			if seen := p.seen(); len(seen) >= n {
				call = seen[n-1]
			}
			p.kill(0, false, nil)
			event.Records[0].Attributes["ApproximateReceiveCount"] = "2"
			require.Eventually(t, func() bool {
				w.again("webhook", event)
				return w.read(d.ID).Status == alert.Sent
			}, 60*time.Second, 200*time.Millisecond, "killed before=%v %s", before, call)
			posts := w.web.take()
			require.NotEmpty(t, posts)
			if len(posts) > 1 {
				require.Equal(t, "UpdateItem", call, "only settling may come too late")
				require.True(t, before, "what was settled is not sent again")
				require.Equal(t, posts[0].key, posts[1].key)
			}
			require.LessOrEqual(t, len(posts), 2)
		}
	}
}

func TestTheSyncFunctionKilledAtEachCallComesToTheSameEnd(t *testing.T) {
	w := newWorld(t)
	p := w.through()
	step := 1
	if os.Getenv("SENTINEL_CRASH_ROUNDS") == "" {
		step = 4
	}
	for n, killed := 1, true; killed; n += step {
		killed = false
		names := []string{fmt.Sprint("kept ", n), fmt.Sprint("new ", n)}
		_, err := w.configs.Write(t.Context(), []byte(plain(names...)), true)
		require.NoError(t, err)
		f := w.function("sync")
		p.kill(n, n%2 == 0, func() { killed = true; f.Kill() })
		f.Invoke(eventFile(t, "sync-s3-created.json"), 30*time.Second)
		p.kill(0, false, nil)
		require.NoError(t, w.unlock())
		w.invoke("sync", eventFile(t, "sync.json"))
		status, err := w.store.SyncStatus(t.Context(), w.stack)
		require.NoError(t, err)
		require.Empty(t, status.Problem)
		ticks := w.ticks(time.Now())
		require.Len(t, ticks, 2)
		require.Contains(t, ticks, names[0])
		definitions, err := w.store.Definitions(t.Context(), w.stack)
		require.NoError(t, err)
		require.Len(t, definitions, 2)
	}
}

func TestASteadyRunIsThreeCallsAndTwoItems(t *testing.T) {
	w := newWorld(t)
	p := w.through()
	require.Empty(t, w.upload(strings.ReplaceAll(plain("steady"), "SELECT 'OK' AS status", "SELECT 'OK' AS status, 42.5 AS actual_value, 100 AS threshold, 'eu' AS region")).Problem)
	at := time.Now().UTC().Truncate(5 * time.Minute)
	for n := range 3 {
		p.kill(0, false, nil)
		var answer cloud.Answer
		require.NoError(t, json.Unmarshal(w.invoke("query", cloud.Tick{Alert: "steady", ScheduledTime: at.Add(time.Duration(n) * 5 * time.Minute).Format(time.RFC3339)}), &answer))
		require.Equal(t, alert.StatusOK, answer.Run.Status, answer.Run.Error)
	}
	require.Equal(t, []string{"BatchGetItem", "PutItem", "PutItem"}, p.seen())
}
