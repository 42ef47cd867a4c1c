package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// watch stands at the store and sees what is really written, whatever its caller learns of
// it. It keeps its own books by the promises, and holds the store and the steps to them.
type watch struct {
	w          *world
	violations []string

	states      map[alert.ID]stored
	records     map[string]alert.Record
	deliveries  map[string]*tracked
	decided     []*tracked
	lanes       map[string][]*tracked
	open        map[string]bool                // episodes
	heard       map[string]map[string][]string // by episode and target: the kinds of what was decided
	outages     map[string]alert.Outage
	definitions map[string]sentinel.Definition
	leases      map[string]bool
	buried      map[string]bool   // deliveries on the dead-letter queue
	finished    map[string]string // runs whose caller was told that they are recorded
}

// stored is a state as it was written.
type stored struct {
	state alert.State
	text  string
}

func newWatch(w *world) *watch {
	return &watch{
		w: w, states: map[alert.ID]stored{}, records: map[string]alert.Record{}, deliveries: map[string]*tracked{}, lanes: map[string][]*tracked{},
		open: map[string]bool{}, heard: map[string]map[string][]string{}, outages: map[string]alert.Outage{}, definitions: map[string]sentinel.Definition{},
		leases: map[string]bool{}, buried: map[string]bool{}, finished: map[string]string{},
	}
}

// broken ends the simulation: a promise is broken.
func (o *watch) broken(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	o.violations = append(o.violations, text)
	o.w.tell("BROKEN: %s", text)
	panic(errBroken)
}

// watched is a runtime under watch, in the hands of a task.
type watched struct {
	runtime
	t *task
}

func (r watched) Load(ctx context.Context, id alert.ID) (sentinel.Snapshot, error) {
	s, err := r.runtime.Load(ctx, id)
	if err == nil {
		r.t.loaded[id] = s
	}
	return s, err
}

func (r watched) Commit(ctx context.Context, c sentinel.Commit) error {
	err := r.runtime.Commit(ctx, c)
	if errors.Is(err, sentinel.ErrConflict) {
		r.t.w.tally.Conflicts++
	}
	if err == nil {
		r.t.w.watch.committed(r.t, c)
	}
	return err
}

func (r watched) PutDefinitions(ctx context.Context, definitions []sentinel.Definition) error {
	err := r.runtime.PutDefinitions(ctx, definitions)
	if err == nil {
		for _, d := range definitions {
			r.t.w.watch.definitions[d.Alert.Name] = d
		}
	}
	return err
}

func (r watched) RemoveDefinitions(ctx context.Context, scope string, names []string) error {
	err := r.runtime.RemoveDefinitions(ctx, scope, names)
	if err == nil {
		for _, name := range names {
			delete(r.t.w.watch.definitions, name)
		}
	}
	return err
}

func (r watched) Claim(ctx context.Context, d alert.Delivery, now, until time.Time) (sentinel.Claim, error) {
	claim, err := r.runtime.Claim(ctx, d, now, until)
	if err == nil {
		r.t.w.watch.claimed(claim)
	}
	return claim, err
}

func (r watched) Settle(ctx context.Context, s sentinel.Settlement) error {
	err := r.runtime.Settle(ctx, s)
	if err == nil {
		r.t.w.watch.settled(s)
	}
	return err
}

func (r watched) Supersede(ctx context.Context, id string, at time.Time) (bool, error) {
	done, err := r.runtime.Supersede(ctx, id, at)
	if err == nil && done {
		r.t.w.watch.superseded(id)
	}
	return done, err
}

func (r watched) Redrive(ctx context.Context, id string, now time.Time) (sentinel.Ref, error) {
	ref, err := r.runtime.Redrive(ctx, id, now)
	if err == nil {
		r.t.w.watch.redriven(id, ref.Try)
	}
	return ref, err
}

func (r watched) Enqueue(ctx context.Context, deliveries []alert.Delivery) error {
	for _, d := range deliveries {
		if r.t.w.watch.deliveries[d.ID] == nil {
			r.t.w.watch.broken("%s is enqueued and was never stored", d.ID)
		}
	}
	r.t.w.announce(deliveries)
	return r.runtime.Enqueue(ctx, deliveries)
}

// asked checks that a query is worth sending: once a call, and only for a run that is
// newer than the last one known.
func (o *watch) asked(t *task, a alert.Alert, run alert.Run) {
	if t.queries > 1 {
		o.broken("%s sends its query %d times", t, t.queries)
	}
	if last := t.loaded[a.ID()].State.Last; last != nil && !run.Scheduled.After(last.Scheduled) {
		o.broken("%s sends its query, although it knows the run of %s", t, last.Scheduled.Format("15:04"))
	}
}

// ran notes that a caller was told that a run is recorded.
func (o *watch) ran(e sentinel.Evaluation) {
	if r := e.Record; len(r.Reasons) > 0 && r.Reasons[0].Code != alert.Disabled {
		o.finished[r.RunID] = r.Alert + " " + r.Scheduled.Format("15:04")
	}
}

// committed checks a commit that was written.
func (o *watch) committed(t *task, c sentinel.Commit) {
	opened, closed := map[string]bool{}, map[string][]string{}
	if c.State != nil {
		before, after := o.states[c.ID], *c.State
		o.guarded(t, c, before)
		o.replayed(t, c, before)
		o.episodes(before.state, after, opened, closed)
		after.Version++
		o.states[c.ID] = stored{after, text(after)}
	}
	for _, x := range c.Outages {
		o.outage(x, opened, closed)
	}
	o.silent(t, c)
	o.messages(c.Deliveries, opened, closed)
	if c.Record != nil {
		o.record(*c.Record, c.State != nil)
	}
}

// isRun tells whether a record is one of a run that was decided.
func isRun(r *alert.Record) bool {
	return r != nil && !slices.Contains([]alert.Status{alert.StatusClosed, alert.StatusReleased, alert.StatusSkipped}, r.Status)
}

// guarded checks that a decision stands on what was stored, and runs in their order.
func (o *watch) guarded(t *task, c sentinel.Commit, before stored) {
	if c.State.Version != before.state.Version {
		o.broken("%s replaces version %d of %q by what it decided on version %d", t, before.state.Version, c.ID.Name, c.State.Version)
	}
	if last := before.state.Last; isRun(c.Record) && last != nil && !c.Record.Scheduled.After(last.Scheduled) {
		o.broken("%s decides the run of %s of %q after the run of %s", t, c.Record.Scheduled.Format("15:04"), c.ID.Name, last.Scheduled.Format("15:04"))
	}
	if before.state.Version > 0 && text(t.loaded[c.ID].State) != before.text {
		o.broken("%s read another state of %q than is stored:\n%s\n%s", t, c.ID.Name, text(t.loaded[c.ID].State), before.text)
	}
}

// record keeps the books of history: a run that was decided is in it as it was decided.
func (o *watch) record(r alert.Record, decided bool) {
	if known, twice := o.records[r.RunID]; twice {
		switch {
		case isRun(&known) && isRun(&r) && decided:
			o.broken("the run %s of %q is decided twice", r.Scheduled.Format("15:04"), r.Alert)
		case !decided:
			return
		}
	}
	o.records[r.RunID] = r
}

// text is the form in which things are compared.
func text(v any) string {
	out, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(out)
}
