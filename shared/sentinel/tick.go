package sentinel

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// TickOptions steer Tick.
type TickOptions struct {
	Scope string
	// MissedAfter is how long after a tick, beyond Grace, a run may still be on its way, if
	// that is longer than the alert's own timeout: the timeout of what runs the queries.
	MissedAfter time.Duration
	// Attended holds for a runtime that looks at ticks and at due deliveries itself: what is
	// overdue is counted and not recorded, and nothing is swept.
	Attended bool
	// SweepAfter is how long past its time a delivery may be before it is enqueued again;
	// zero means 2 minutes.
	SweepAfter time.Duration
}

// StuckAfter is how often a delivery is swept, unclaimed, until it counts as stuck.
const StuckAfter = 5

// A TickReport says what Tick found and did.
type TickReport struct {
	// Alerts counts those that are enabled, by their standing.
	Alerts map[alert.Status]int
	// Overdue counts those of them whose latest run is overdue, however they stand; one whose
	// last run never came stays so until one comes.
	Overdue int
	// Missed are the alerts whose run never came; it is recorded now.
	Missed []string
	// Released counts the messages that the end of silences set free, Swept the deliveries
	// that were enqueued again.
	Released, Swept int
	// Backlog is what waits, by channel; Dead counts the dead deliveries.
	Backlog            []Backlog
	Dead               int
	Silences, Episodes int
	// PassedOver counts the ticks, ever, at which nothing ran, where the store counts them.
	PassedOver int
}

// Waiting sums up the backlog of all channels.
func (r TickReport) Waiting() Backlog {
	var sum Backlog
	for _, b := range r.Backlog {
		sum.Pending, sum.Stuck = sum.Pending+b.Pending, sum.Stuck+b.Stuck
		if sum.Oldest.IsZero() || b.Oldest.Before(sum.Oldest) {
			sum.Oldest = b.Oldest
		}
	}
	return sum
}

// Tick does what must be done between runs, once a minute: it records runs that never
// came, tells what ended silences held back, enqueues again what is past due, and counts.
// What fails for one alert is in the error, and keeps nothing else from being done.
func (s *Sentinel) Tick(ctx context.Context, o TickOptions) (TickReport, error) {
	report := TickReport{Alerts: map[alert.Status]int{}}
	definitions, err := s.Store.Definitions(ctx, o.Scope)
	if err != nil {
		return report, fmt.Errorf("tick: %w", err)
	}
	states, err := s.Store.States(ctx, o.Scope)
	if err != nil {
		return report, fmt.Errorf("tick: %w", err)
	}
	var failed []error
	var schedules alert.Schedules
	for _, name := range slices.Sorted(maps.Keys(definitions)) {
		failed = append(failed, s.attend(ctx, definitions[name], states[name], &schedules, o, &report))
	}
	if !o.Attended {
		failed = append(failed, s.sweep(ctx, o, &report))
	}
	failed = append(failed, s.outbox(ctx, o.Scope, &report))
	return report, errors.Join(failed...)
}

// attend does what one alert needs.
func (s *Sentinel) attend(ctx context.Context, d Definition, state alert.State, schedules *alert.Schedules, o TickOptions, report *TickReport) error {
	now := s.Now()
	if state.Releasable(now) {
		released, err := s.Release(ctx, d.Alert.ID())
		if err != nil {
			return err
		}
		report.Released += len(released)
	}
	report.Episodes += state.Open()
	for _, silence := range state.Silences {
		if silence.Active(now) {
			report.Silences++
		}
	}
	if !d.Alert.Enabled {
		return nil
	}
	schedule, err := schedules.Parse(d.Alert.Schedule, d.Alert.Timezone)
	if err != nil {
		return fmt.Errorf("tick: %q: %w", d.Alert.Name, err)
	}
	patient := d.Alert
	patient.Timeout = max(patient.Timeout, alert.Duration(o.MissedAfter))
	tick, overdue := alert.Overdue(patient, state, schedule, d.ScheduledSince, now)
	late := overdue || state.Stopped()
	report.Alerts[alert.Standing(d.Alert, state, late)]++
	if late {
		report.Overdue++
	}
	if !overdue || o.Attended {
		return nil
	}
	missed, err := s.Missed(ctx, d.Alert.ID(), tick)
	if err != nil {
		return err
	}
	if missed.Order == alert.Fresh {
		report.Missed = append(report.Missed, d.Alert.Name)
	}
	return nil
}

// sweep enqueues again what is past its time. It moves that time on first, each time twice
// as far, so that what waits long in a queue is not enqueued over and over.
func (s *Sentinel) sweep(ctx context.Context, o TickOptions, report *TickReport) error {
	if o.SweepAfter == 0 {
		o.SweepAfter = 2 * time.Minute
	}
	now := s.Now()
	due, err := s.Outbox.Due(ctx, o.Scope, now.Add(-o.SweepAfter), 1000)
	if err != nil {
		return fmt.Errorf("tick: sweep: %w", err)
	}
	var again []alert.Delivery
	for _, d := range due {
		until := now.Add(o.SweepAfter << min(d.Swept, 6))
		switch err := s.Outbox.Sweep(ctx, Ref{ID: d.ID, Try: d.Try}, now, until); {
		case errors.Is(err, ErrUnclaimable):
		case err != nil:
			return fmt.Errorf("tick: sweep: %w", err)
		default:
			again = append(again, d)
		}
	}
	report.Swept = len(again)
	s.enqueue(ctx, again)
	return nil
}

// outbox counts what is not settled, and what is dead.
func (s *Sentinel) outbox(ctx context.Context, scope string, report *TickReport) error {
	var err error
	if report.Backlog, err = s.Outbox.Backlog(ctx, scope); err != nil {
		return fmt.Errorf("tick: count deliveries: %w", err)
	}
	counts, err := s.Outbox.Counts(ctx, scope)
	if err != nil {
		return fmt.Errorf("tick: count deliveries: %w", err)
	}
	for _, c := range counts {
		report.Dead += c.Dead
		report.PassedOver += c.Missed
	}
	return nil
}
