package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// stalled is how long a loop may not have turned until the daemon counts as ill.
const stalled = time.Minute

// serve answers HTTP until the function that it returns is called.
func (d *Daemon) serve() (stop func()) {
	if d.Listener == nil {
		return func() {}
	}
	server := &http.Server{Handler: d.handler(), ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10}
	go func() { _ = server.Serve(d.Listener) }() // until it is closed
	return func() { _ = server.Close() }
}

func (d *Daemon) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", d.health)
	mux.HandleFunc("GET /ready", d.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(d.metrics.registry, promhttp.HandlerOpts{}))
	return mux
}

// A check is one thing that must be so.
type check struct {
	Name    string  `json:"name"`
	OK      bool    `json:"ok"`
	Detail  string  `json:"detail,omitempty"`
	Seconds float64 `json:"latency_seconds"`

	told bool // what is wrong is told, and makes nothing fail
}

// health says whether the daemon does what it is for: its loops turn, and what runs come to
// can be recorded. What a restart would not mend is for ready.
func (d *Daemon) health(w http.ResponseWriter, _ *http.Request) {
	d.answer(w, []check{d.alive("schedules", &d.ticking), d.alive("deliveries", &d.sending), d.recording()})
}

// ready says whether all is well.
func (d *Daemon) ready(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	config := check{Name: "config", OK: d.problem == "", Detail: d.problem}
	jobs := len(d.agenda.entries)
	d.mu.Unlock()
	schedules := d.alive("schedules", &d.ticking)
	if schedules.OK {
		schedules.Detail = fmt.Sprintf("%d alerts", jobs)
	}
	if !config.OK {
		config.Detail = "the last good file stays in force: " + config.Detail
		config.told = true // and the alerts go on
	}
	deliveries := d.alive("deliveries", &d.sending)
	if why := d.unread.Load(); why != nil {
		deliveries.OK, deliveries.Detail = false, *why // the state may be damaged, and take a change all the same
	}
	d.answer(w, []check{d.state(r.Context()), schedules, deliveries, d.recording(), config})
}

// state tries a change of the state.
func (d *Daemon) state(ctx context.Context) check {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := d.Store.Writable(ctx)
	c := check{Name: "state", OK: err == nil, Seconds: time.Since(began).Seconds()}
	if err != nil {
		c.Detail = err.Error()
	}
	return c
}

func (d *Daemon) alive(name string, t *turn) check {
	since := d.Clock.Now().Sub(t.last())
	c := check{Name: name, OK: since < stalled}
	if !c.OK {
		c.Detail = fmt.Sprintf("stands still for %s", since.Round(time.Second))
	}
	return c
}

func (d *Daemon) recording() check {
	n := d.unrecorded.Load()
	c := check{Name: "recording", OK: n < 3}
	if n > 0 {
		c.Detail = fmt.Sprintf("the last %d runs could not be recorded; see the log", n)
	}
	return c
}

func (d *Daemon) answer(w http.ResponseWriter, checks []check) {
	status := "ok"
	for _, c := range checks {
		if !c.OK && !c.told {
			status = "failing"
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if status != "ok" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "checks": checks, "uptime_seconds": d.Clock.Now().Sub(d.started).Seconds()})
}
