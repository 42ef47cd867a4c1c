package simulation

import (
	"context"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest"
)

// calls is the runtime as the steps of a task see it: each call is a moment at which
// others go on and at which things go wrong.
type calls struct{ t *task }

var _ sentineltest.Runtime = calls{}

func (c calls) runtime() sentineltest.Runtime {
	var r sentineltest.Runtime = watched{c.t.process.runtime, c.t}
	if c.t.w.Plant != nil {
		r = c.t.w.Plant(r)
	}
	return r
}

func ask[T any](c calls, what string, do func(sentineltest.Runtime) (T, error)) (T, error) {
	var out T
	err := c.t.call(what, func() (err error) {
		out, err = do(c.runtime())
		return err
	})
	if err != nil {
		var nothing T
		return nothing, err
	}
	return out, nil
}

func (c calls) do(what string, do func(sentineltest.Runtime) error) error {
	return c.t.call(what, func() error { return do(c.runtime()) })
}

func (c calls) Load(ctx context.Context, id alert.ID) (sentinel.Snapshot, error) {
	return ask(c, "Load "+id.Name, func(r sentineltest.Runtime) (sentinel.Snapshot, error) { return r.Load(ctx, id) })
}

func (c calls) Commit(ctx context.Context, x sentinel.Commit) error {
	return c.do("Commit "+c.t.w.describeCommit(x), func(r sentineltest.Runtime) error { return r.Commit(ctx, x) })
}

func (c calls) Outage(ctx context.Context, scope, subject string) (alert.Outage, error) {
	return ask(c, "Outage "+subject, func(r sentineltest.Runtime) (alert.Outage, error) { return r.Outage(ctx, scope, subject) })
}

func (c calls) Outages(ctx context.Context, scope string) ([]alert.Outage, error) {
	return ask(c, "Outages", func(r sentineltest.Runtime) ([]alert.Outage, error) { return r.Outages(ctx, scope) })
}

func (c calls) Definitions(ctx context.Context, scope string) (map[string]sentinel.Definition, error) {
	return ask(c, "Definitions", func(r sentineltest.Runtime) (map[string]sentinel.Definition, error) { return r.Definitions(ctx, scope) })
}

func (c calls) Fingerprints(ctx context.Context, scope string) (map[string]sentinel.Fingerprint, error) {
	return ask(c, "Fingerprints", func(r sentineltest.Runtime) (map[string]sentinel.Fingerprint, error) {
		return r.Fingerprints(ctx, scope)
	})
}

func (c calls) PutDefinitions(ctx context.Context, definitions []sentinel.Definition) error {
	return c.do("PutDefinitions "+names(definitions), func(r sentineltest.Runtime) error { return r.PutDefinitions(ctx, definitions) })
}

func (c calls) RemoveDefinitions(ctx context.Context, scope string, removed []string) error {
	return c.do("RemoveDefinitions "+join(removed), func(r sentineltest.Runtime) error { return r.RemoveDefinitions(ctx, scope, removed) })
}

func (c calls) States(ctx context.Context, scope string) (map[string]alert.State, error) {
	return ask(c, "States", func(r sentineltest.Runtime) (map[string]alert.State, error) { return r.States(ctx, scope) })
}

func (c calls) History(ctx context.Context, f sentinel.HistoryFilter) ([]alert.Record, error) {
	return ask(c, "History", func(r sentineltest.Runtime) ([]alert.Record, error) { return r.History(ctx, f) })
}

func (c calls) Record(ctx context.Context, scope, run string) (alert.Record, error) {
	return ask(c, "Record", func(r sentineltest.Runtime) (alert.Record, error) { return r.Record(ctx, scope, run) })
}

func (c calls) Prune(ctx context.Context, scope string, before time.Time) error {
	return c.do("Prune", func(r sentineltest.Runtime) error { return r.Prune(ctx, scope, before) })
}

func (c calls) Claim(ctx context.Context, d alert.Delivery, now, until time.Time) (sentinel.Claim, error) {
	return ask(c, "Claim "+c.t.w.short(d.ID), func(r sentineltest.Runtime) (sentinel.Claim, error) { return r.Claim(ctx, d, now, until) })
}

func (c calls) Settle(ctx context.Context, s sentinel.Settlement) error {
	return c.do("Settle "+c.t.w.short(s.ID)+" "+string(s.Status), func(r sentineltest.Runtime) error { return r.Settle(ctx, s) })
}

func (c calls) Supersede(ctx context.Context, id string, at time.Time) (bool, error) {
	return ask(c, "Supersede "+c.t.w.short(id), func(r sentineltest.Runtime) (bool, error) { return r.Supersede(ctx, id, at) })
}

func (c calls) Due(ctx context.Context, scope string, now time.Time, limit int) ([]alert.Delivery, error) {
	return ask(c, "Due", func(r sentineltest.Runtime) ([]alert.Delivery, error) { return r.Due(ctx, scope, now, limit) })
}

func (c calls) Sweep(ctx context.Context, ref sentinel.Ref, now, until time.Time) error {
	return c.do("Sweep "+c.t.w.short(ref.ID), func(r sentineltest.Runtime) error { return r.Sweep(ctx, ref, now, until) })
}

func (c calls) NextDue(ctx context.Context, scope string) (time.Time, error) {
	return ask(c, "NextDue", func(r sentineltest.Runtime) (time.Time, error) { return r.NextDue(ctx, scope) })
}

func (c calls) Redrive(ctx context.Context, id string, now time.Time) (sentinel.Ref, error) {
	return ask(c, "Redrive "+c.t.w.short(id), func(r sentineltest.Runtime) (sentinel.Ref, error) { return r.Redrive(ctx, id, now) })
}

func (c calls) Delivery(ctx context.Context, id string) (alert.Delivery, error) {
	return ask(c, "Delivery "+c.t.w.short(id), func(r sentineltest.Runtime) (alert.Delivery, error) { return r.Delivery(ctx, id) })
}

func (c calls) Deliveries(ctx context.Context, f sentinel.DeliveryFilter) ([]alert.Delivery, error) {
	return ask(c, "Deliveries", func(r sentineltest.Runtime) ([]alert.Delivery, error) { return r.Deliveries(ctx, f) })
}

func (c calls) Backlog(ctx context.Context, scope string) ([]sentinel.Backlog, error) {
	return ask(c, "Backlog", func(r sentineltest.Runtime) ([]sentinel.Backlog, error) { return r.Backlog(ctx, scope) })
}

func (c calls) Counts(ctx context.Context, scope string) (map[string]sentinel.DeliveryCounts, error) {
	return ask(c, "Counts", func(r sentineltest.Runtime) (map[string]sentinel.DeliveryCounts, error) { return r.Counts(ctx, scope) })
}

func (c calls) Enqueue(ctx context.Context, deliveries []alert.Delivery) error {
	return c.do(c.t.w.describeEnqueue(deliveries), func(r sentineltest.Runtime) error { return r.Enqueue(ctx, deliveries) })
}
