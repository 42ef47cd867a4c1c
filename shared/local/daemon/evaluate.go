package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// handOut starts a run; or records, beside the runs, why it is not.
func (d *Daemon) handOut(ctx context.Context, setup *Setup, t tick) {
	if d.runs.submit(ctx, setup, t) {
		return
	}
	d.metrics.jobs.WithLabelValues("skipped").Inc()
	d.runs.working.Go(func() {
		defer setup.users.Done()
		d.passOver(ctx, setup, t)
		if err := setup.steps.Skip(ctx, t.alert.ID(), t.at); err != nil {
			d.Log.Error("record a skipped tick", "alert_name", t.alert.Name, "error", err)
		}
		d.Log.Warn("the run before has not ended; this tick is skipped", "alert_name", t.alert.Name, "scheduled_time", t.at)
	})
}

// passOver records the ticks before t at which nothing ran.
func (d *Daemon) passOver(ctx context.Context, setup *Setup, t tick) {
	if t.missed == 0 {
		return
	}
	if err := setup.steps.PassOver(ctx, t.alert.ID(), t.first, t.last, t.missed); err != nil {
		d.Log.Error("record missed ticks", "alert_name", t.alert.Name, "error", err)
	}
	d.Log.Warn("nothing ran at some ticks; the latest is run now", "alert_name", t.alert.Name, "missed", t.missed, "first", t.first, "last", t.last)
}

// evaluate runs one alert. Whatever goes wrong stays with it.
func (d *Daemon) evaluate(ctx context.Context, handed *Setup, t tick) {
	setup := d.acquire() // it may have waited, and another file be in force
	handed.users.Done()
	defer setup.users.Done()
	defer func() {
		if cause := recover(); cause != nil {
			d.Log.Error("a run ended in a panic: this is a fault of the program", "alert_name", t.alert.Name, "error", fmt.Sprint(cause))
			if _, err := setup.steps.Missed(ctx, t.alert.ID(), t.at); err != nil { // an ERROR run: its owners hear of it
				d.Log.Error("record a run that ended in a panic", "alert_name", t.alert.Name, "error", err)
			}
		}
	}()
	d.passOver(ctx, setup, t)
	got, err := setup.steps.Evaluate(ctx, t.alert.ID(), t.at)
	switch {
	case errors.Is(err, sentinel.ErrNotFound), err == nil && got.Record.Status == alert.StatusSkipped && !got.Alert.Enabled:
		d.ended(t, false)
		d.strayed(setup, t)
		return
	case errors.Is(context.Cause(ctx), errStopped):
		d.Log.Warn("a run was cut off by the stop; it is done again at the next start", "alert_name", t.alert.Name, "scheduled_time", t.at)
		return
	case err != nil:
		d.ended(t, false)
		d.unrecorded.Add(1)
		d.metrics.jobs.WithLabelValues("failed").Inc()
		d.Log.Error("a run could not be recorded", "alert_name", t.alert.Name, "scheduled_time", t.at, "error", err)
		return
	}
	d.ended(t, true)
	d.unrecorded.Store(0)
	d.metrics.jobs.WithLabelValues("run").Inc()
	if got.Order == alert.Fresh && got.Record.Status != alert.StatusSkipped {
		d.metrics.run(got.Record)
	}
	r := got.Record
	d.Log.Info("evaluated", "alert_name", r.Alert, "run_id", r.RunID, "status", r.Status, "scheduled_time", t.at, "duration_ms", r.DurationMS, "error", r.Error)
}

// ended tells the agenda what became of a run.
func (d *Daemon) ended(t tick, recorded bool) {
	d.mu.Lock()
	d.agenda.ended(t.alert.Name, t.at, recorded, d.Clock.Now())
	d.mu.Unlock()
	if !recorded {
		signal(d.moved)
	}
}

// strayed is for an alert that the state does not have, or has as disabled. If the file in
// force has it, another program has changed the state: the file is read again.
func (d *Daemon) strayed(setup *Setup, t tick) {
	if setup != d.current() || !slices.ContainsFunc(setup.Alerts, func(a alert.Alert) bool { return a.Enabled && a.Name == t.alert.Name }) {
		return // it left the file meanwhile
	}
	d.unrecorded.Add(1)
	d.Log.Warn("the state does not have an alert of the file; the file is read again", "alert_name", t.alert.Name, "scheduled_time", t.at)
	signal(d.astray)
}
