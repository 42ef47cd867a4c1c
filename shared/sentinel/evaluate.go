package sentinel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// An Evaluation is what became of a run.
type Evaluation struct {
	Alert alert.Alert
	// Order tells whether the run was evaluated, or was a repeat or late.
	Order      alert.RunOrder
	Record     alert.Record
	Deliveries []alert.Delivery
	// Result is what the query gave; its zero value if it was not sent.
	Result alert.Result
}

// Evaluate runs an alert for a scheduled time: load, query, decide, commit, enqueue.
// A repeat of the last run sends no query and enqueues again what that run stored; a run
// older than the last is recorded as late. A failing query is a run like any other.
// The error is ErrNotFound for an unknown alert, ctx's if it ended before the result was
// there (nothing is recorded then), or a failure of the store.
func (s *Sentinel) Evaluate(ctx context.Context, id alert.ID, scheduled time.Time) (Evaluation, error) {
	run := alert.NewRun(id, scheduled)
	snapshot, err := s.Store.Load(ctx, id)
	if err != nil {
		return Evaluation{}, fmt.Errorf("evaluate %q: load: %w", id.Name, err)
	}
	if done, evaluation, err := s.notFresh(ctx, run, snapshot); done {
		return evaluation, err
	}
	if run, err = alert.NextRun(snapshot.Definition.Alert, snapshot.State, scheduled); err != nil {
		return Evaluation{}, fmt.Errorf("evaluate %q: %w", id.Name, err)
	}
	started := s.Now()
	result := s.Query.Query(ctx, snapshot.Definition.Alert, run)
	if result.Failure != nil && ctx.Err() != nil {
		return Evaluation{}, fmt.Errorf("evaluate %q: %w", id.Name, context.Cause(ctx))
	}
	evaluation, err := s.record(context.WithoutCancel(ctx), run, snapshot, result, started)
	if err != nil {
		return Evaluation{}, fmt.Errorf("evaluate %q: %w", id.Name, err)
	}
	return evaluation, nil
}

// Missed records a run that never came as an ERROR run, without a query: what keeps an
// alert from being evaluated reaches its owners too. A run that came meanwhile stands.
func (s *Sentinel) Missed(ctx context.Context, id alert.ID, scheduled time.Time) (Evaluation, error) {
	run := alert.NewRun(id, scheduled)
	snapshot, err := s.Store.Load(ctx, id)
	if err != nil {
		return Evaluation{}, fmt.Errorf("record the missed run of %q: load: %w", id.Name, err)
	}
	if alert.Order(snapshot.State, run, s.Now()) != alert.Fresh || !snapshot.Definition.Alert.Enabled {
		return Evaluation{Alert: snapshot.Definition.Alert, Order: alert.Repeat}, nil
	}
	if run, err = alert.NextRun(snapshot.Definition.Alert, snapshot.State, scheduled); err != nil {
		return Evaluation{}, fmt.Errorf("record the missed run of %q: %w", id.Name, err)
	}
	result := alert.Fail(alert.ErrorMissed, "the run of %s did not take place or did not end; see the logs of what runs the queries", run.Scheduled.Format(time.RFC3339))
	evaluation, err := s.record(context.WithoutCancel(ctx), run, snapshot, result, s.Now())
	if err != nil {
		return Evaluation{}, fmt.Errorf("record the missed run of %q: %w", id.Name, err)
	}
	return evaluation, nil
}

// Skip records a tick that is not run, because the run before has not ended: Overlapped.
func (s *Sentinel) Skip(ctx context.Context, id alert.ID, scheduled time.Time) error {
	why := alert.Reason{Code: alert.Overlapped, Text: "the run before this tick had not ended; the tick is not run"}
	return s.passOver(ctx, id, scheduled, why, Commit{Skipped: 1})
}

// PassOver records ticks at which nothing ran, from the first to the last, when a later
// one is run: PassedOver.
func (s *Sentinel) PassOver(ctx context.Context, id alert.ID, first, last time.Time, ticks int) error {
	text := fmt.Sprintf("nothing ran at the tick of %s", first.UTC().Format(time.RFC3339))
	if ticks > 1 {
		text = fmt.Sprintf("nothing ran at %d ticks, from %s to %s", ticks, first.UTC().Format(time.RFC3339), last.UTC().Format(time.RFC3339))
	}
	return s.passOver(ctx, id, last, alert.Reason{Code: alert.PassedOver, Text: text}, Commit{Missed: ticks})
}

func (s *Sentinel) passOver(ctx context.Context, id alert.ID, scheduled time.Time, why alert.Reason, c Commit) error {
	record := alert.SkipRecord(id, scheduled, why, s.Now())
	c.ID, c.Record = id, &record
	if err := s.Store.Commit(ctx, c); err != nil {
		return fmt.Errorf("record that %q was not run: %w", id.Name, err)
	}
	return nil
}

// Preview decides a run without storing or sending anything.
func (s *Sentinel) Preview(ctx context.Context, snapshot Snapshot, scheduled time.Time) Evaluation {
	a := snapshot.Definition.Alert
	started := s.Now()
	run, err := alert.NextRun(a, snapshot.State, scheduled)
	result := alert.Fail(alert.ErrorQuery, "%v", err)
	if err == nil {
		result = s.Query.Query(ctx, a, run)
	}
	decision := alert.Decide(s.input(run, snapshot, result, started))
	return Evaluation{Alert: a, Record: decision.Record, Deliveries: decision.Deliveries, Result: result}
}

func (s *Sentinel) input(run alert.Run, snapshot Snapshot, result alert.Result, started time.Time) alert.Input {
	return alert.Input{
		Alert: snapshot.Definition.Alert, State: snapshot.State, Database: snapshot.Database, Sharing: snapshot.Sharing,
		Result: result, Run: run, Started: started, Now: s.Now(),
	}
}

// notFresh handles what needs no query: repeats, late runs, disabled alerts.
func (s *Sentinel) notFresh(ctx context.Context, run alert.Run, snapshot Snapshot) (bool, Evaluation, error) {
	a := snapshot.Definition.Alert
	out := Evaluation{Alert: a, Order: alert.Order(snapshot.State, run, s.Now())}
	switch {
	case out.Order == alert.Repeat:
		return true, s.repeat(ctx, out, snapshot), nil
	case out.Order == alert.Older:
		out.Record = alert.LateRecord(a, snapshot.State, run, s.Now())
		err := s.Store.Commit(ctx, Commit{ID: a.ID(), Record: &out.Record})
		if err != nil {
			err = fmt.Errorf("evaluate %q: record a late run: %w", a.Name, err)
		}
		return true, out, err
	case !a.Enabled:
		out.Record = alert.Record{
			RunID: run.ID, Scope: a.Scope, Alert: a.Name, Scheduled: run.Scheduled, Started: s.Now(), Status: alert.StatusSkipped,
			Reasons: []alert.Reason{{Code: alert.Disabled, Text: "the alert is disabled; it was not evaluated"}},
		}
		return true, out, nil
	}
	return false, out, nil
}

// repeat answers with what the last run stored and enqueues its open deliveries again.
func (s *Sentinel) repeat(ctx context.Context, out Evaluation, snapshot Snapshot) Evaluation {
	out.Record = *snapshot.State.Last
	for _, ref := range out.Record.Deliveries {
		d, err := s.Outbox.Delivery(ctx, ref.ID)
		if err != nil {
			s.Log.Error("read a delivery of a repeated run", "delivery", ref.ID, "error", err)
			continue
		}
		if !d.Status.Settled() {
			out.Deliveries = append(out.Deliveries, d)
		}
	}
	s.enqueue(ctx, out.Deliveries)
	return out
}

// record decides and commits. If the state changed meanwhile, it decides again on the
// fresh state with the same result; the query is never sent twice. If what is decided is
// larger than the store takes, the run is an ERROR.
func (s *Sentinel) record(ctx context.Context, run alert.Run, snapshot Snapshot, result alert.Result, started time.Time) (Evaluation, error) {
	var out Evaluation
	first := true
	err := onConflict(ctx, "commit the run", func() error {
		if !first {
			fresh, err := s.Store.Load(ctx, snapshot.Definition.Alert.ID())
			if err != nil {
				return fmt.Errorf("load again: %w", err)
			}
			was := snapshot.Definition.Alert.Key
			snapshot = fresh
			if done, evaluation, err := s.notFresh(ctx, run, fresh); done {
				out = evaluation
				return err
			}
			if !slices.EqualFunc(fresh.Definition.Alert.Key, was, strings.EqualFold) {
				return errors.New("the alert got another key while its query ran, and the result is of the old one: nothing follows from it, and it must run again")
			}
		}
		first = false
		decision := alert.Decide(s.input(run, snapshot, result, started))
		out = Evaluation{Alert: snapshot.Definition.Alert, Record: decision.Record, Deliveries: decision.Deliveries, Result: result}
		err := s.Store.Commit(ctx, Commit{
			ID: out.Alert.ID(), State: &decision.State, Record: &decision.Record,
			Deliveries: decision.Deliveries, Outages: outages(decision.Database),
		})
		if errors.Is(err, ErrTooLarge) && result.Failure == nil {
			result = alert.Fail(alert.ErrorInstances, "the result is larger than can be kept: %v; narrow the query, or widen the key", err)
			return fmt.Errorf("%w, decided again: %w", ErrConflict, err)
		}
		return err
	})
	if err != nil {
		return Evaluation{}, err
	}
	if out.Order == alert.Fresh {
		s.enqueue(ctx, out.Deliveries)
	}
	return out, nil
}
