// Package daemon is what runs all day on one machine: it looks at the schedules, sends what
// the outbox holds, follows changes of the alert file, and says by HTTP how it is. What a
// run decides, and what a delivery does, is package sentinel's.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// A Store is what the daemon needs of the state file.
type Store interface {
	sentinel.Store
	sentinel.Outbox
	// DueExcept is Due without the deliveries to some targets, by id.
	DueExcept(ctx context.Context, scope string, now time.Time, max int, targets []string) ([]alert.Delivery, error)
	// Preload reads the states of a scope for the Loads that follow.
	Preload(ctx context.Context, scope string) error
	// Writable writes what is there once more.
	Writable(ctx context.Context) error
}

// A Setup is what one version of the alert file comes to.
type Setup struct {
	Scope  string
	Alerts []alert.Alert
	// Files are the file and those that it names: what is watched.
	Files []string
	// Steps are what the steps are made of: the file's databases and channels over the
	// daemon's store. The daemon itself is the queue.
	Steps sentinel.Options
	// Workers is how many alerts of a database are evaluated at once.
	Workers func(database string) int
	// Retention is how long history is kept; zero: for ever.
	Retention time.Duration
	// Beat asks for the heartbeat's URL, Every so often; nil: there is none.
	Beat  func(ctx context.Context) error
	Every time.Duration
	// Close lets go of databases; it is called when nothing uses them any more.
	Close func() error

	steps *sentinel.Sentinel
	users sync.WaitGroup
}

// Options are what a Daemon needs. Store, Load and Log are required.
type Options struct {
	Store Store
	// Load reads the alert file. Its error says what is wrong with it.
	Load func() (*Setup, error)
	// Path is the alert file: what is watched while it cannot be read.
	Path string
	Log  *slog.Logger
	// Listener is where HTTP is answered; nil: nowhere.
	Listener net.Listener
	// Grace is how long what was begun may go on when ctx ends; zero means 25 s.
	Grace time.Duration
	// Reload receives when somebody asks for the file to be read again.
	Reload <-chan struct{}
	// Clock is for tests; nil means this machine's.
	Clock Clock
	// Version is shown in the metrics.
	Version string
}

// A Daemon runs. It is used once.
type Daemon struct {
	Options
	metrics *metrics
	runs    *runs
	posts   *posts
	started time.Time

	mu      sync.Mutex
	setup   *Setup
	agenda  agenda
	problem string    // of the alert file, as it is now
	loaded  time.Time // when the file in force was read
	beaten  time.Time
	pruned  string   // the day
	gone    []string // the alerts that the last reading did not have; the watching loop's own
	report  sentinel.TickReport
	moved   chan struct{} // the agenda is another
	astray  chan struct{} // the state is no more what the file says
	// accepted outlives the setups: what a receiver took under one is not sent under the next.
	accepted sentinel.Accepted

	ticking, sending turn                   // when the loops last turned
	unread           atomic.Pointer[string] // why the outbox could not be read at the last look; nil: it could
	unrecorded       atomic.Int64           // runs that could not be recorded, since the last that could
}

// A turn is when a loop was last seen alive.
type turn struct{ at atomic.Int64 }

func (t *turn) now(at time.Time) { t.at.Store(at.UnixNano()) }

func (t *turn) last() time.Time { return time.Unix(0, t.at.Load()) }

// defaultGrace is how long what was begun may go on.
const defaultGrace = 25 * time.Second

// New checks the options.
func New(o Options) (*Daemon, error) {
	if o.Store == nil || o.Load == nil || o.Log == nil {
		return nil, errors.New("create the daemon: store, load and log are required")
	}
	if o.Clock == nil {
		o.Clock = wallClock{}
	}
	if o.Grace == 0 {
		o.Grace = defaultGrace
	}
	d := &Daemon{Options: o, moved: make(chan struct{}, 1), astray: make(chan struct{}, 1), started: o.Clock.Now()}
	d.metrics = newMetrics(d)
	d.runs = &runs{do: d.evaluate}
	return d, nil
}

// Run runs with a first setup until ctx ends, and then lets what was begun finish. The error
// is a failure to begin.
func (d *Daemon) Run(ctx context.Context, first *Setup) error {
	d.posts = (&posts{store: d.Store, clock: d.Clock, scope: first.Scope, send: d.send, looked: d.looked}).begin()
	if err := d.apply(ctx, first, true); err != nil {
		return err
	}
	d.ticking.now(d.Clock.Now())
	d.sending.now(d.Clock.Now())
	stop := d.serve()
	defer stop()
	// A run that is under way when ctx ends has the grace to end; so has a message.
	working, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	var loops sync.WaitGroup
	loops.Go(func() { d.posts.run(ctx, func() { d.sending.now(d.Clock.Now()) }) })
	loops.Go(func() { d.watch(ctx) })
	loops.Go(func() { d.minutes(ctx) })
	d.Log.Info("started", "alerts", len(first.Alerts), "version", d.Version)
	d.tick(ctx, working)
	d.finish(&loops, end)
	return nil
}

// errStopped is why a query is cancelled when the daemon ends.
var errStopped = errors.New("the daemon is stopped")

// finish waits for what was begun. Queries are cancelled a little before the grace ends, so
// that the servers hear of it.
func (d *Daemon) finish(loops *sync.WaitGroup, end context.CancelCauseFunc) {
	d.Log.Info("stopping", "runs", d.runs.depth())
	done := make(chan struct{})
	go func() {
		d.runs.working.Wait()
		loops.Wait()
		close(done)
	}()
	cancel := time.AfterFunc(d.Grace*4/5, func() { end(errStopped) })
	defer cancel.Stop()
	select {
	case <-done:
		d.Log.Info("stopped")
	case <-time.After(d.Grace):
		d.Log.Warn("stopped before all was finished; what is not recorded is done again at the next start")
	}
}

// tick hands out what is due, until ctx ends.
func (d *Daemon) tick(ctx, working context.Context) {
	for ctx.Err() == nil {
		now := d.Clock.Now()
		d.ticking.now(now)
		d.mu.Lock()
		setup, due, next := d.setup, d.agenda.due(now), d.agenda.next()
		setup.users.Add(len(due))
		d.mu.Unlock()
		d.preload(ctx, setup.Scope, len(due))
		for _, t := range due {
			d.handOut(working, setup, t)
		}
		if next.IsZero() {
			next = now.Add(time.Hour)
		}
		d.await(ctx, next)
	}
}

// crowd is so many alerts at one tick that reading all states at once is cheaper than
// reading each.
const crowd = 50

// preload reads the states of a crowded tick at once. Without them each run reads its own.
func (d *Daemon) preload(ctx context.Context, scope string, due int) {
	if due < crowd {
		return
	}
	if err := d.Store.Preload(ctx, scope); err != nil && ctx.Err() == nil {
		d.Log.Warn("read the states of many alerts at once", "error", err)
	}
}

// await waits for the next tick, or for another agenda.
func (d *Daemon) await(ctx context.Context, until time.Time) {
	timed, cancel := context.WithCancel(ctx)
	defer cancel()
	come := make(chan struct{})
	go func() {
		d.Clock.Wait(timed, until)
		close(come)
	}()
	select {
	case <-ctx.Done():
	case <-come:
	case <-d.moved:
	}
}

// send makes one attempt at a delivery, with the settings of the file in force. The error,
// which is logged, is a failure of the store.
func (d *Daemon) send(ctx context.Context, x alert.Delivery) (out alert.Delivery, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			d.Log.Error("a delivery ended in a panic: this is a fault of the program", "delivery", x.ID, "error", fmt.Sprint(cause))
		}
	}()
	setup := d.acquire()
	defer setup.users.Done()
	began := time.Now()
	got, err := setup.steps.Attempt(ctx, x)
	if err != nil {
		d.Log.Error("deliver", "delivery", x.ID, "channel", x.Target.Channel, "error", err)
		return x, err
	}
	if got.Tried {
		d.metrics.notification(got.Delivery, time.Since(began))
		level := slog.LevelInfo
		if got.Delivery.Status == alert.Dead {
			level = slog.LevelError
		}
		d.Log.Log(ctx, level, "delivered", "alert_name", x.Alert, "run_id", x.Message.RunID, "delivery", x.ID, "channel", x.Target.Channel, "target", x.Target.Label,
			"status", got.Delivery.Status, "error", got.Delivery.LastError, "duration_ms", time.Since(began).Milliseconds())
	}
	return got.Delivery, nil
}

// looked notes whether the outbox could be read at the last look.
func (d *Daemon) looked(err error) {
	if err == nil {
		d.unread.Store(nil)
		return
	}
	text := err.Error()
	d.unread.Store(&text)
	d.Log.Error("look for messages that are due", "error", err)
}

// acquire is the setup in force; the caller calls users.Done.
func (d *Daemon) acquire() *Setup {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.setup.users.Add(1)
	return d.setup
}

// apply puts a setup in force. Alerts that it lacks are removed if that is agreed; else they
// stay defined, and do not run, until another reading of the file says the same.
func (d *Daemon) apply(ctx context.Context, setup *Setup, agreed bool) error {
	setup.Steps.Queue, setup.Steps.Accepted = d.posts, &d.accepted
	var err error
	if setup.steps, err = sentinel.New(setup.Steps); err != nil {
		return err
	}
	definitions, err := d.Store.Definitions(ctx, setup.Scope)
	if err != nil {
		return err
	}
	alerts := setup.Alerts
	if !agreed {
		alerts = slices.Concat(alerts, missing(definitions, setup.Alerts))
	}
	report, err := setup.steps.Sync(ctx, setup.Scope, alerts)
	if err != nil {
		return err
	}
	states, err := d.Store.States(ctx, setup.Scope)
	if err != nil {
		return err
	}
	since := counting(report.Definitions, states)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.agenda.set(setup.Alerts, func(a alert.Alert) time.Time { return since[a.Name] }, d.Clock.Now()); err != nil {
		return err
	}
	old := d.setup
	d.setup, d.problem, d.loaded = setup, "", d.Clock.Now()
	d.metrics.forget(definitions, setup.Alerts)
	if old != nil && old != setup {
		go func() {
			old.users.Wait()
			if err := old.Close(); err != nil {
				d.Log.Warn("let go of the databases of the file before", "error", err)
			}
		}()
	}
	select {
	case d.moved <- struct{}{}:
	default:
	}
	if old != nil {
		d.Log.Info("the alert file is read again", "alerts", len(setup.Alerts), "added", report.Added, "changed", report.Changed, "removed", report.Removed, "closed", report.Closed)
	}
	return nil
}

// counting tells from when on the ticks of each alert count: since its schedule was first
// seen, or after its last run.
func counting(definitions []sentinel.Definition, states map[string]alert.State) map[string]time.Time {
	since := map[string]time.Time{}
	for _, x := range definitions {
		since[x.Alert.Name] = x.ScheduledSince.Add(-time.Nanosecond) // a tick at that time counts
		if last := states[x.Alert.Name].Last; last != nil && last.Scheduled.After(since[x.Alert.Name]) {
			since[x.Alert.Name] = last.Scheduled
		}
	}
	return since
}

// missing are the stored alerts that a file does not have.
func missing(stored map[string]sentinel.Definition, alerts []alert.Alert) []alert.Alert {
	here := map[string]bool{}
	for _, a := range alerts {
		here[a.Name] = true
	}
	var out []alert.Alert
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		if !here[name] {
			out = append(out, stored[name].Alert)
		}
	}
	return out
}
