package daemon

import (
	"context"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// between is how often silences that ended, overdue alerts and the heartbeat are looked at.
const between = 30 * time.Second

// minutes does what must be done between runs, until ctx ends.
func (d *Daemon) minutes(ctx context.Context) {
	for ctx.Err() == nil {
		d.minute(ctx)
		until := d.Clock.Now().Add(between)
		for ctx.Err() == nil && d.Clock.Now().Before(until) {
			d.Clock.Wait(ctx, until)
		}
	}
}

// minute is one look. What fails is logged, and looked at again.
func (d *Daemon) minute(ctx context.Context) {
	setup := d.acquire()
	defer setup.users.Done()
	report, err := setup.steps.Tick(ctx, sentinel.TickOptions{Scope: setup.Scope, Attended: true})
	if err != nil {
		if ctx.Err() == nil {
			d.Log.Error("look after silences, overdue alerts and deliveries", "error", err)
		}
		return // what was counted last stays: nothing is well for not being seen
	}
	d.mu.Lock()
	d.report = report
	d.mu.Unlock()
	if n := report.Overdue; n > 0 {
		d.Log.Warn("alerts did not run when they should have", "count", n)
	}
	d.metrics.waiting(report.Backlog, d.Clock.Now())
	d.prune(ctx, setup)
	d.beat(ctx, setup, report)
}

// prune deletes old history, once a day.
func (d *Daemon) prune(ctx context.Context, setup *Setup) {
	now := d.Clock.Now()
	day := now.UTC().Format(time.DateOnly)
	if setup.Retention == 0 || day == d.pruned {
		return
	}
	if err := d.Store.Prune(ctx, setup.Scope, now.Add(-setup.Retention)); err != nil {
		d.Log.Error("delete old history", "error", err)
		return
	}
	d.pruned = day
}

// beat asks for the heartbeat's URL if it is time and all is well with the watching itself.
func (d *Daemon) beat(ctx context.Context, setup *Setup, report sentinel.TickReport) {
	now := d.Clock.Now()
	if setup.Beat == nil || now.Sub(d.beaten) < setup.Every-between/2 {
		return
	}
	d.mu.Lock()
	invalid := d.problem != ""
	d.mu.Unlock()
	unclaimed := d.posts.resting() // messages wait, and the state does not take what becomes of them
	still := !d.alive("deliveries", &d.sending).OK || !d.alive("schedules", &d.ticking).OK
	if invalid || still || unclaimed || report.Dead > 0 || report.Overdue > 0 || d.unrecorded.Load() > 0 {
		d.Log.Warn("the heartbeat is not sent: the watching itself is ill", "invalid_config", invalid, "dead", report.Dead,
			"overdue", report.Overdue, "unrecorded", d.unrecorded.Load(), "still", still, "unclaimed", unclaimed)
		return
	}
	if err := setup.Beat(ctx); err != nil {
		d.Log.Warn("the heartbeat failed", "error", err)
		return
	}
	d.beaten = now
}
