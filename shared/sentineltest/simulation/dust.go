package simulation

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// settle lets the dust settle: nothing goes wrong any more, receivers and databases are
// well, every alert fires once more and then is over.
func (w *world) settle() {
	w.tell("the dust settles")
	w.calm = true
	w.receivers = map[string]*receiver{}
	for _, t := range w.tasks {
		t.wake = w.now
	}
	w.until(w.now.Add(30 * time.Minute)) // what is under way and what is tried again ends
	w.must("sync", func(ctx context.Context, s *sentinel.Sentinel) error {
		_, err := s.Sync(ctx, scope, w.file)
		return err
	})
	for _, a := range w.file {
		w.must("unsilence "+a.Name, func(ctx context.Context, s *sentinel.Sentinel) error {
			_, err := s.Unsilence(ctx, a.ID(), nil)
			return err
		})
	}
	for n := range 7 {
		w.database.says = alert.StatusOK
		if n < 3 {
			w.database.says = alert.StatusAlert
		}
		w.allRun()
		if n == 2 {
			w.watch.everyoneKnows(w.file)
		}
	}
	w.drain()
}

// must does something that cannot fail any more.
func (w *world) must(what string, body func(context.Context, *sentinel.Sentinel) error) {
	failed := errDied
	w.spawn(w.processes[0], what, body, func(err error) { failed = err })
	w.until(w.now)
	if failed != nil {
		w.watch.broken("%s fails, although nothing goes wrong any more: %v", what, failed)
	}
}

// allRun runs every alert at its next tick.
func (w *world) allRun() {
	at := w.now.Truncate(step).Add(step)
	w.until(at)
	for _, a := range w.file {
		w.must("run "+a.Name, func(ctx context.Context, s *sentinel.Sentinel) error {
			e, err := s.Evaluate(ctx, a.ID(), at)
			if err == nil && a.Enabled && e.Order != alert.Fresh {
				err = errors.New("it is not a fresh run")
			}
			w.watch.ran(e)
			return err
		})
	}
}

// looks is how often the outbox is looked at until what is left counts as stuck.
const looks = 300

// drain delivers until nothing is left.
func (w *world) drain() {
	for range looks {
		w.tick(w.processes[0])
		if !w.queued {
			w.look(w.processes[1])
		}
		w.until(w.now)
		left := w.watch.unsettled()
		if len(left) == 0 {
			w.until(w.now.Add(time.Hour)) // the queue may hold a message or two
			return
		}
		w.until(w.now.Add(time.Minute))
	}
	x := w.watch.unsettled()[0]
	w.watch.broken("%s is stuck: %s, due at %s, leased until %s", w.short(x.ID), x.Status, x.DueAt.Format("15:04:05"), x.LeaseUntil.Format("15:04:05"))
}

// everyoneKnows checks that no open episode is kept from anyone, now that nothing is silent.
func (o *watch) everyoneKnows(file []alert.Alert) {
	for _, a := range file {
		for _, e := range openIn(o.states[a.ID()].state) {
			for _, t := range a.Notify {
				if a.Enabled && !slices.Contains(e.Told, t.ID) {
					o.broken("the episode %s of %q is open, and nobody has told %s", e.ID, a.Name, t.ID)
				}
			}
		}
	}
}

// finally holds what is stored against the books.
func (o *watch) finally(ctx context.Context, r runtime) {
	o.definitionsMatch(ctx, r)
	o.statesMatch(ctx, r)
	o.historyMatches(ctx, r)
	o.deliveriesMatch(ctx, r)
	for id := range o.open {
		subject := o.about(id)
		if subject == "" { // not of a target, which only the next success ends
			o.broken("the episode %s is open, although all is well; told: %v", id, o.heard[id])
		}
	}
}

// about is the target whose outage an episode is; empty for all others.
func (o *watch) about(episode string) string {
	for subject, x := range o.outages {
		if x.Episode != nil && x.Episode.ID == episode && subject != alert.DatabaseSubject("") && subject != alert.DatabaseSubject("warehouse") {
			return subject
		}
	}
	return ""
}

func (o *watch) check(what string, err error) {
	if err != nil {
		o.broken("%s cannot be read: %v", what, err)
	}
}

func (o *watch) definitionsMatch(ctx context.Context, r runtime) {
	all, err := r.Definitions(ctx, scope)
	o.check("the definitions", err)
	if len(all) != len(o.w.file) {
		o.broken("%d definitions are stored, and the file has %d alerts", len(all), len(o.w.file))
	}
	for _, a := range o.w.file {
		if text(all[a.Name].Alert) != text(a) {
			o.broken("the definition of %q is not that of the file:\n%s\n%s", a.Name, text(all[a.Name].Alert), text(a))
		}
	}
}

func (o *watch) statesMatch(ctx context.Context, r runtime) {
	all, err := r.States(ctx, scope)
	o.check("the states", err)
	for id, want := range o.states {
		if got := text(all[id.Name]); got != want.text {
			o.broken("the state of %q is not what was written last:\n%s\n%s", id.Name, got, want.text)
		}
	}
	if len(all) != len(o.states) {
		o.broken("%d states are stored, and %d were written", len(all), len(o.states))
	}
}

func (o *watch) historyMatches(ctx context.Context, r runtime) {
	all, err := r.History(ctx, sentinel.HistoryFilter{Scope: scope, Limit: 100_000})
	o.check("history", err)
	seen := map[string]bool{}
	for _, got := range all {
		want, known := o.records[got.RunID]
		switch {
		case seen[got.RunID]:
			o.broken("the run %s of %q is in history twice", got.Scheduled.Format("15:04"), got.Alert)
		case !known:
			o.broken("the run %s of %q is in history and was never written", got.Scheduled.Format("15:04"), got.Alert)
		case text(got) != text(want):
			o.broken("the run %s of %q is in history as\n%s\nand was decided as\n%s", got.Scheduled.Format("15:04"), got.Alert, text(got), text(want))
		}
		seen[got.RunID] = true
	}
	for id, r := range o.records {
		if !seen[id] {
			o.broken("the run %s of %q is not in history", r.Scheduled.Format("15:04"), r.Alert)
		}
		for _, d := range r.Deliveries {
			if o.deliveries[d.ID] == nil {
				o.broken("the run %s of %q says that it decided %s, which was never stored", r.Scheduled.Format("15:04"), r.Alert, d.ID)
			}
		}
	}
	for id, name := range o.finished {
		if !seen[id] {
			o.broken("the run %s was reported as recorded and is not in history", name)
		}
	}
}

func (o *watch) deliveriesMatch(ctx context.Context, r runtime) {
	all, err := r.Deliveries(ctx, sentinel.DeliveryFilter{Scope: scope, Limit: 100_000})
	o.check("the deliveries", err)
	if len(all) != len(o.decided) {
		o.broken("%d deliveries are stored, and %d were decided", len(all), len(o.decided))
	}
	slices.SortFunc(all, func(a, b alert.Delivery) int { return cmp.Compare(a.ID, b.ID) })
	for _, d := range all {
		x := o.deliveries[d.ID]
		if x == nil || d.Status != x.Status || d.Try != x.Try {
			o.broken("%s is stored as %s, try %d, and is %s, try %d", o.w.short(d.ID), d.Status, d.Try, x.Status, x.Try)
		}
		if x.Status == alert.Sent && len(x.acceptances) == 0 {
			o.broken("%s counts as sent and never arrived", o.w.short(d.ID))
		}
	}
}
