package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/local"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// A fastClock runs 60 times as fast as the wall, from a start that all processes share.
type fastClock struct{ start time.Time }

const speed = 60

// Now implements daemon.Clock.
func (c fastClock) Now() time.Time { return c.start.Add(time.Since(c.start) * speed) }

// Wait implements daemon.Clock.
func (c fastClock) Wait(ctx context.Context, until time.Time) bool {
	timer := time.NewTimer(min(max(until.Sub(c.Now())/speed, 0), 100*time.Millisecond))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// A told is a message that the receiver accepted.
type told struct {
	Key     string `json:"event_id"`
	Episode string `json:"episode_id"`
	Event   string `json:"event"`
}

// A shaky receiver fails a third of the time, and one message three times in a row at most:
// after more of them the next attempt is an hour away.
type shaky struct {
	*httptest.Server
	mu     sync.Mutex
	got    []told
	failed map[string]int
}

func newShaky(t *testing.T) *shaky {
	s := &shaky{failed: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		var m told
		if json.Unmarshal(body, &m) != nil || rand.N(3) == 0 && s.failed[m.Key] < 3 {
			s.failed[m.Key]++
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		delete(s.failed, m.Key)
		s.got = append(s.got, m)
	}))
	t.Cleanup(s.Close)
	return s
}

const daemonFile = `
database: {url: "sqlite:///shop.db"}
alerts:
  - name: stock
    query: SELECT CASE WHEN n < 5 THEN 'ALERT' ELSE 'OK' END AS status, n AS actual_value FROM stock
    schedule: "* * * * *"
    notify:
      - {channel: webhook, url: "%s", timeout: 2s}
`

// TestAKilledDaemon kills a daemon, or stops it for a while, at random moments while an
// alert opens and recovers again and again and its receiver fails a third of the time.
// SENTINEL_CRASH_ROUNDS is how often.
func TestAKilledDaemon(t *testing.T) {
	rounds := 6
	if text := os.Getenv("SENTINEL_CRASH_ROUNDS"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		rounds = n
	}
	ear := newShaky(t)
	c := crash{dir: t.TempDir(), url: ear.URL}
	require.NoError(t, os.WriteFile(filepath.Join(c.dir, "alerts.yaml"), fmt.Appendf(nil, daemonFile, ear.URL), 0o600))
	require.NoError(t, c.sql("PRAGMA journal_mode = WAL; CREATE TABLE stock (n INTEGER); INSERT INTO stock VALUES (9)"))
	start := time.Now()
	log, err := os.Create(filepath.Join(c.dir, "log"))
	require.NoError(t, err)
	defer func() { _ = log.Close() }()

	low := false
	for range rounds {
		daemon := c.daemon(t, start, log)
		if rand.N(2) == 0 {
			low = !low
			require.NoError(t, c.sql(fmt.Sprintf("UPDATE stock SET n = %d", map[bool]int{true: 1, false: 9}[low])))
		}
		time.Sleep(time.Duration(200+rand.N(1000)) * time.Millisecond)
		if rand.N(4) == 0 {
			require.NoError(t, daemon.Process.Signal(syscall.SIGSTOP))
			time.Sleep(time.Duration(100+rand.N(1000)) * time.Millisecond)
			require.NoError(t, daemon.Process.Signal(syscall.SIGCONT))
			time.Sleep(time.Duration(rand.N(500)) * time.Millisecond)
		}
		require.NoError(t, daemon.Process.Kill())
		require.Error(t, daemon.Wait())
	}
	require.NoError(t, c.sql("UPDATE stock SET n = 9"))
	heard, err := os.Create(filepath.Join(c.dir, "last.log"))
	require.NoError(t, err)
	defer func() { _ = heard.Close() }()
	last := c.daemon(t, start, heard)
	store, err := c.open(t.Context())
	require.NoError(t, err)
	defer func() { _ = store.Close() }()
	text := func() string { b, _ := os.ReadFile(heard.Name()); return string(b) }
	require.Eventually(t, func() bool { return strings.Contains(text(), `"message":"started"`) }, 60*time.Second, 20*time.Millisecond)
	require.Eventually(t, func() bool { return c.quiet(t, store) }, 120*time.Second, 100*time.Millisecond, "everything is delivered in the end")
	require.NoError(t, last.Process.Signal(syscall.SIGTERM))
	require.NoError(t, last.Wait(), "it ends with 0 when it is told to: %s", text())
	c.account(t, store, ear.got)
}

// daemon starts one.
func (c crash) daemon(t *testing.T, start time.Time, log io.Writer) *exec.Cmd {
	t.Helper()
	return startDaemon(t, fastClock{start}, log, filepath.Join(c.dir, "alerts.yaml"), "--listen", "none")
}

// startDaemon starts a process that runs the daemon by a clock.
func startDaemon(t *testing.T, clock fastClock, log io.Writer, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestDaemonChild$")
	cmd.Env = append(os.Environ(), "SENTINEL_DAEMON_CHILD="+strings.Join(args, "\n"), fmt.Sprint("SENTINEL_DAEMON_START=", clock.start.UnixNano()))
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended unless the test failed
	return cmd
}

// TestDaemonChild is the daemon; by itself it does nothing.
func TestDaemonChild(t *testing.T) {
	args := os.Getenv("SENTINEL_DAEMON_CHILD")
	if args == "" {
		return
	}
	nanos, err := strconv.ParseInt(os.Getenv("SENTINEL_DAEMON_START"), 10, 64)
	require.NoError(t, err)
	clock := fastClock{time.Unix(0, nanos)}
	a := newApp(strings.NewReader(""), io.Discard, os.Stderr, os.LookupEnv)
	a.now, a.clock = clock.Now, clock
	a.wire = func(o *sentinel.Options) { o.LeaseMargin = time.Minute }
	ctx, cancel := context.WithCancelCause(t.Context())
	stopOnSignal(cancel)
	os.Exit(a.finish(ctx, a.execute(ctx, append([]string{"daemon", "--no-env-file"}, strings.Split(args, "\n")...))))
}

// quiet tells whether the alert has recovered and all is told.
func (c crash) quiet(t *testing.T, store *local.Store) bool {
	states, err := store.States(t.Context(), "alerts")
	require.NoError(t, err)
	state := states["stock"]
	next, err := store.NextDue(t.Context(), "alerts") // after the states: their messages are stored with them
	require.NoError(t, err)
	return next.IsZero() && state.Last != nil && state.Last.Status == alert.StatusOK && state.Open() == 0
}

// account holds what was heard against what was decided: every episode announced, then
// recovered, in order; twice only what a sender died over.
func (c crash) account(t *testing.T, store *local.Store, got []told) {
	history, err := store.History(t.Context(), sentinel.HistoryFilter{Scope: "alerts", Limit: 10_000})
	require.NoError(t, err)
	var decided []string
	for i := len(history) - 1; i >= 0; i-- {
		for _, d := range history[i].Deliveries {
			decided = append(decided, string(d.Event)+" "+d.ID)
		}
	}
	var heard []string
	seen, doubled := map[string]bool{}, 0
	for _, m := range got {
		if seen[m.Key] {
			d, err := store.Delivery(t.Context(), m.Key)
			require.NoError(t, err)
			require.Positive(t, d.Crashes, "%s came twice although nobody died over it", m.Key)
			doubled++
			continue
		}
		seen[m.Key] = true
		heard = append(heard, m.Event+" "+m.Key)
	}
	require.Equal(t, decided, heard, "each message once, in the order of the runs")
	for i, m := range decided {
		require.True(t, strings.HasPrefix(m, []string{"alert ", "recovery "}[i%2]), "%d: %s", i, m)
	}
	counts, err := store.Counts(t.Context(), "alerts")
	require.NoError(t, err)
	t.Logf("%d runs, %d messages, %d of them twice, %d ticks missed", len(history), len(heard), doubled, counts["stock"].Missed)
}
