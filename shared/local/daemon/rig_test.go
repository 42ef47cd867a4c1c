package daemon

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/local"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// A rig is a daemon over a real state file, in a bubble whose clock stands still while
// anything works. Its queries and receivers are functions of the test.
type rig struct {
	t     *testing.T
	dir   string
	store *local.Store
	log   lines

	mu     sync.Mutex
	answer func(ctx context.Context, a alert.Alert, run alert.Run) alert.Result
	send   func(ctx context.Context, d alert.Delivery) error
	alerts []alert.Alert // what the file says
	broken error         // what is wrong with it
	heard  []said
	asked  []string     // queries that were sent
	closed atomic.Int64 // setups that were let go
	beats  atomic.Int64
	worker int // how many runs of a database at once
	begun  time.Time
}

// A said is a message that a receiver took.
type said struct {
	after         time.Duration // since the rig began
	event         alert.Event
	alert, target string
}

func (s said) String() string {
	return fmt.Sprintf("%v %s %s→%s", s.after, s.event, s.alert, s.target)
}

// lines is a log that tests read.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// play runs a test in a bubble.
func play(t *testing.T, test func(r *rig)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, dir: dir, worker: 8, begun: time.Now()}
		time.Sleep(10 * time.Second) // the first tick is that of 00:01
		r.answer = func(context.Context, alert.Alert, alert.Run) alert.Result { return status(alert.StatusOK) }
		r.send = func(context.Context, alert.Delivery) error { return nil }
		r.store = r.open()
		require.NoError(t, os.WriteFile(r.path(), []byte("1"), 0o600))
		test(r)
	})
}

func (r *rig) open() *local.Store {
	store, err := local.Open(r.t.Context(), local.Options{Path: filepath.Join(r.dir, "state.db")})
	require.NoError(r.t, err)
	r.t.Cleanup(func() { require.NoError(r.t, store.Close()) })
	return store
}

// path is the alert file. What it says is in the rig; on disk it only changes.
func (r *rig) path() string { return filepath.Join(r.dir, "alerts.yaml") }

func status(s alert.Status) alert.Result { return alert.Result{Rows: []alert.Row{{Status: s}}} }

// lasting is a query that takes so long; its end, if that comes first, ends it.
func lasting(ctx context.Context, long time.Duration) alert.Result {
	select {
	case <-time.After(long):
		return status(alert.StatusOK)
	case <-ctx.Done():
		return alert.Fail(alert.ErrorTimeout, "cancelled")
	}
}

// Query implements sentinel.Querier.
func (r *rig) Query(ctx context.Context, a alert.Alert, run alert.Run) alert.Result {
	r.mu.Lock()
	r.asked = append(r.asked, a.Name+" "+run.Scheduled.UTC().Format("15:04"))
	answer := r.answer
	r.mu.Unlock()
	return answer(ctx, a, run)
}

// Send implements sentinel.Sender.
func (r *rig) Send(ctx context.Context, d alert.Delivery) error {
	r.mu.Lock()
	send := r.send
	r.mu.Unlock()
	if err := send(ctx, d); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = append(r.heard, said{time.Since(r.begun), d.Message.Event, d.Alert, d.Target.ID})
	return nil
}

// load is the file read.
func (r *rig) load(store *local.Store) (*Setup, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken != nil {
		return nil, r.broken
	}
	steps := sentinel.Options{Store: store, Outbox: store, Query: r, Send: r, Jitter: func() float64 { return 0 }, Log: slog.New(slog.NewTextHandler(&r.log, nil))}
	workers := r.worker
	return &Setup{
		Scope: "shop", Alerts: r.alerts, Steps: steps, Workers: func(string) int { return workers }, Every: time.Minute,
		Beat:  func(context.Context) error { r.beats.Add(1); return nil },
		Close: func() error { r.closed.Add(1); return nil },
	}, nil
}

// A running daemon is ended by stop, or with its test.
type running struct {
	*Daemon
	stop func()
}

// start runs a daemon on a store. more changes its options.
func (r *rig) start(store *local.Store, more ...func(*Options)) running {
	r.t.Helper()
	o := Options{
		Store: store, Load: func() (*Setup, error) { return r.load(store) }, Path: r.path(),
		Log: slog.New(slog.NewTextHandler(io.MultiWriter(&r.log), nil)),
	}
	for _, change := range more {
		change(&o)
	}
	d, err := New(o)
	require.NoError(r.t, err)
	first, err := r.load(store)
	require.NoError(r.t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx, first) }()
	stop := sync.OnceFunc(func() {
		cancel()
		require.NoError(r.t, <-done)
	})
	r.t.Cleanup(stop)
	synctest.Wait()
	return running{d, stop}
}

// edit changes the file: what it says, and its bytes.
func (r *rig) edit(alerts ...alert.Alert) {
	r.mu.Lock()
	r.alerts, r.broken = alerts, nil
	r.mu.Unlock()
	r.touch()
}

// touch changes the file in place.
func (r *rig) touch() {
	f, err := os.OpenFile(r.path(), os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(r.t, err)
	_, err = f.WriteString("x")
	require.NoError(r.t, err)
	require.NoError(r.t, f.Close())
}

// answers makes every query answer so from now on.
func (r *rig) answers(answer func(ctx context.Context, a alert.Alert, run alert.Run) alert.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// says makes every query say so from now on.
func (r *rig) says(s alert.Status) {
	r.answers(func(context.Context, alert.Alert, alert.Run) alert.Result { return status(s) })
}

func (r *rig) sends(send func(ctx context.Context, d alert.Delivery) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.send = send
}

// told is what receivers heard so far.
func (r *rig) told() []said {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]said(nil), r.heard...)
}

func (r *rig) queries() []string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.asked...)
}

// sorted are lines in order, for what happens at one time comes in any.
func sorted(lines []string) []string {
	slices.SortStableFunc(lines, func(a, b string) int {
		return strings.Compare(a[strings.LastIndex(a, " "):]+a, b[strings.LastIndex(b, " "):]+b)
	})
	return lines
}

// history is every run, oldest first.
func (r *rig) history() []alert.Record {
	synctest.Wait()
	records, err := r.store.History(r.t.Context(), sentinel.HistoryFilter{Scope: "shop", Limit: 100_000})
	require.NoError(r.t, err)
	for i, j := 0, len(records)-1; i < j; i, j = i+1, j-1 {
		records[i], records[j] = records[j], records[i]
	}
	return records
}

func (r *rig) counts(name string) sentinel.DeliveryCounts {
	synctest.Wait()
	counts, err := r.store.Counts(r.t.Context(), "shop")
	require.NoError(r.t, err)
	return counts[name]
}

// get asks a daemon by HTTP.
func (d running) get(path string) (int, string) {
	synctest.Wait()
	w := httptest.NewRecorder()
	d.handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Body.String()
}

// metric is a line of the metrics, by its name and labels.
func (d running) metric(name string) string {
	_, text := d.get("/metrics")
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// minutely is an alert that runs each minute and tells targets.
func minutely(name string, targets ...string) alert.Alert {
	a := alert.Alert{
		Scope: "shop", Name: name, Severity: alert.Critical, Query: "SELECT 'OK' AS status", Database: "main", Schedule: "* * * * *", Timezone: "UTC", Enabled: true,
		OnNoData: alert.NoDataError, Timeout: alert.Duration(30 * time.Second), OnError: alert.ErrorPolicy{After: alert.Count{Runs: 2}},
	}
	for _, target := range targets {
		channel, _, _ := strings.Cut(target, "-")
		a.Notify = append(a.Notify, alert.Target{ID: target, Channel: channel, Label: target, Settings: []byte(`{}`)})
	}
	return a
}
