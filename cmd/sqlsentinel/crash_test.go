package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/local"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// boundaries are the calls of a run before and after which it is killed.
var boundaries = []string{"PutDefinitions", "Query", "Commit", "Claim", "Send", "Settle"}

// A crash is one round: an alert opens and recovers, and one of its two runs is killed.
type crash struct {
	point  string // "before Commit", or "after 12ms" of the run's life
	killed int    // which of the two runs
	dir    string
	url    string
}

// TestKilledRuns kills `run` over its lifetime and at every boundary of store, send and
// settle, and counts what a webhook receiver hears. SENTINEL_CRASH_ROUNDS is how often.
func TestKilledRuns(t *testing.T) {
	rounds := 28
	if text := os.Getenv("SENTINEL_CRASH_ROUNDS"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		rounds = n
	}
	ear := newEar(t)
	all := drawCrashes(t, rounds, ear.URL)
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(8)
	var survived atomic.Int64
	for _, c := range all {
		group.Go(func() error { return c.play(ctx, &survived) })
	}
	require.NoError(t, group.Wait())
	count, doubled := map[string]int{}, 0
	for _, c := range all {
		kind, _, _ := strings.Cut(c.point, ":")
		count[kind]++
		doubled += ear.check(t, c)
	}
	for _, kind := range slices.Sorted(keys(count)) {
		t.Logf("%-24s killed %d times", kind, count[kind])
	}
	t.Logf("%d rounds, %d of them killed too late; nothing lost, %d messages twice", len(all), survived.Load(), doubled)
}

func keys(m map[string]int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// drawCrashes spreads the rounds: three in five over the boundaries, the rest over the
// lifetime of a run, which is measured first.
func drawCrashes(t *testing.T, rounds int, url string) []crash {
	var all []crash
	add := func(point string) {
		n := len(all)
		killed := rand.N(2)
		if strings.HasSuffix(point, "PutDefinitions") {
			killed = 0 // the second run finds them as they are
		}
		all = append(all, crash{point: point, killed: killed, dir: t.TempDir(), url: fmt.Sprintf("%s/%d", url, n)})
	}
	each := max(rounds*3/5/(2*len(boundaries)), 1)
	for range each {
		for _, b := range boundaries {
			add("before " + b)
			add("after " + b)
		}
	}
	probe := crash{dir: t.TempDir(), url: url + "/probe"}
	require.NoError(t, probe.prepare())
	start := time.Now()
	require.NoError(t, probe.run(t.Context(), ""))
	life := time.Since(start)
	for len(all) < rounds {
		add("during its life:" + rand.N(life).String())
	}
	return all
}

const crashFile = `
database: {url: "sqlite:///shop.db"}
alerts:
  - name: stock
    query: SELECT CASE WHEN n < 5 THEN 'ALERT' ELSE 'OK' END AS status, n AS actual_value FROM stock
    schedule: "@hourly"
    notify:
      - {channel: webhook, url: "%s", timeout: 2s}
`

func (c crash) prepare() error {
	if err := os.WriteFile(filepath.Join(c.dir, "alerts.yaml"), fmt.Appendf(nil, crashFile, c.url), 0o600); err != nil {
		return err
	}
	return c.sql("CREATE TABLE stock (n INTEGER); INSERT INTO stock VALUES (1)")
}

func (c crash) sql(text string) error {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(c.dir, "shop.db")+"?_pragma=busy_timeout(30000)")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(context.Background(), text)
	return err
}

// play lets the alert open and recover; the run that is killed is followed by others
// until nothing is left to deliver.
func (c crash) play(ctx context.Context, survived *atomic.Int64) error {
	if err := c.prepare(); err != nil {
		return err
	}
	for phase, change := range []string{"UPDATE stock SET n = 1", "UPDATE stock SET n = 9"} {
		if err := c.sql(change); err != nil {
			return err
		}
		if phase == c.killed {
			err := c.run(ctx, c.point)
			if err == nil && !strings.HasPrefix(c.point, "during") {
				return fmt.Errorf("%s: the run was not killed", c.point)
			}
			if err == nil {
				survived.Add(1)
			}
		}
		if err := c.finish(ctx); err != nil {
			return fmt.Errorf("%s: %w", c.point, err)
		}
	}
	return nil
}

// finish runs until the outbox is empty.
func (c crash) finish(ctx context.Context) error {
	for range 10 {
		if err := c.run(ctx, ""); err != nil {
			return err
		}
		next, err := c.nextDue(ctx)
		if err != nil || next.IsZero() {
			return err
		}
		select {
		case <-time.After(time.Until(next) + 10*time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fmt.Errorf("the outbox is not empty after ten runs")
}

func (c crash) open(ctx context.Context) (*local.Store, error) {
	return local.Open(ctx, local.Options{Path: filepath.Join(c.dir, stateName)})
}

func (c crash) nextDue(ctx context.Context) (time.Time, error) {
	store, err := c.open(ctx)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { _ = store.Close() }()
	return store.NextDue(ctx, "alerts")
}

// run executes `sqlsentinel run` in a process of its own; it is killed at the point.
func (c crash) run(ctx context.Context, point string) error {
	_, life, timed := strings.Cut(point, ":")
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestCrashChild$")
	cmd.Env = append(os.Environ(), "SENTINEL_CRASH_CHILD="+filepath.Join(c.dir, "alerts.yaml"))
	if point != "" && !timed {
		cmd.Env = append(cmd.Env, "SENTINEL_CRASH_POINT="+point)
	}
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return err
	}
	if timed {
		d, err := time.ParseDuration(life)
		if err != nil {
			return err
		}
		time.AfterFunc(d, func() { _ = cmd.Process.Kill() })
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("run: %w: %s", err, output.String())
	}
	return nil
}

// TestCrashChild is the process that is killed; by itself it does nothing.
func TestCrashChild(t *testing.T) {
	config := os.Getenv("SENTINEL_CRASH_CHILD")
	if config == "" {
		return
	}
	a := newApp(strings.NewReader(""), io.Discard, os.Stderr, os.LookupEnv)
	a.wire = func(o *sentinel.Options) {
		o.LeaseMargin = 200 * time.Millisecond
		k := &killer{point: os.Getenv("SENTINEL_CRASH_POINT"), Store: o.Store, Outbox: o.Outbox, query: o.Query, send: o.Send}
		o.Store, o.Outbox, o.Query, o.Send = k, k, k, k
	}
	os.Exit(a.finish(t.Context(), a.execute(t.Context(), []string{"run", config, "--no-env-file"})))
}

// killer kills its own process before or after a call.
type killer struct {
	point string
	sentinel.Store
	sentinel.Outbox
	query sentinel.Querier
	send  sentinel.Sender
}

func (k *killer) at(when, call string) {
	if k.point == when+" "+call {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (k *killer) PutDefinitions(ctx context.Context, d []sentinel.Definition) error {
	k.at("before", "PutDefinitions")
	defer k.at("after", "PutDefinitions")
	return k.Store.PutDefinitions(ctx, d)
}

func (k *killer) Commit(ctx context.Context, c sentinel.Commit) error {
	k.at("before", "Commit")
	defer k.at("after", "Commit")
	return k.Store.Commit(ctx, c)
}

func (k *killer) Claim(ctx context.Context, d alert.Delivery, now, until time.Time) (sentinel.Claim, error) {
	k.at("before", "Claim")
	defer k.at("after", "Claim")
	return k.Outbox.Claim(ctx, d, now, until)
}

func (k *killer) Settle(ctx context.Context, s sentinel.Settlement) error {
	k.at("before", "Settle")
	defer k.at("after", "Settle")
	return k.Outbox.Settle(ctx, s)
}

func (k *killer) Query(ctx context.Context, a alert.Alert, run alert.Run) alert.Result {
	k.at("before", "Query")
	defer k.at("after", "Query")
	return k.query.Query(ctx, a, run)
}

func (k *killer) Send(ctx context.Context, d alert.Delivery) error {
	k.at("before", "Send")
	defer k.at("after", "Send")
	return k.send.Send(ctx, d)
}

// ear is the receiver: it notes event and idempotency key by round.
type ear struct {
	*httptest.Server
	mu    sync.Mutex
	heard map[string][][2]string
}

func newEar(t *testing.T) *ear {
	e := &ear{heard: map[string][][2]string{}}
	e.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, rest, _ := strings.Cut(string(body), `"event":"`)
		event, _, _ := strings.Cut(rest, `"`)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.heard[e.URL+r.URL.Path] = append(e.heard[e.URL+r.URL.Path], [2]string{event, r.Header.Get("Idempotency-Key")})
	}))
	t.Cleanup(e.Close)
	return e
}

// check holds what was heard of a round against what must be: one announcement, then one
// recovery, each once, or again under the same key where its sender died before it
// recorded the answer. It returns how many were heard again.
func (e *ear) check(t *testing.T, c crash) int {
	store, err := c.open(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	e.mu.Lock()
	heard := e.heard[c.url]
	e.mu.Unlock()
	var events []string
	seen, doubled := map[string]int{}, 0
	for _, h := range heard {
		if seen[h[1]]++; seen[h[1]] > 1 {
			d, err := store.Delivery(t.Context(), h[1])
			require.NoError(t, err)
			require.Positive(t, d.Crashes, "%s: %s came twice although no sender died over it", c.point, h[0])
			t.Logf("%s: the %s came twice under the key %s", c.point, h[0], h[1])
			doubled++
			continue
		}
		events = append(events, h[0])
	}
	require.Equal(t, []string{"alert", "recovery"}, events, "%s of run %d", c.point, c.killed+1)
	return doubled
}
