package sentinel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// maxCrashes is how many senders may die over one delivery before it is dead.
const maxCrashes = 3

// A Delivered is what became of one attempt.
type Delivered struct {
	// Delivery is as it stands now.
	Delivery alert.Delivery
	// Tried holds when it was claimed by this call.
	Tried bool
	// Soon holds when the next attempt is a fast one: worth waiting for.
	Soon bool
}

// Deliver reads a delivery and makes one attempt at it. Receiving a Ref twice is harmless. A
// Ref with the next try of a dead delivery opens it again. The error is as Attempt's.
func (s *Sentinel) Deliver(ctx context.Context, ref Ref) (Delivered, error) {
	d, err := s.Outbox.Delivery(ctx, ref.ID)
	switch {
	case errors.Is(err, ErrNotFound):
		s.Log.Warn("drop a message for an unknown delivery", "delivery", ref.ID)
		return Delivered{}, nil
	case err != nil:
		return Delivered{}, fmt.Errorf("deliver %s: %w", ref.ID, err)
	case d.Status == alert.Dead && ref.Try == d.Try+1:
		// The message comes from the dead-letter queue: somebody redrives it there.
		if _, err := s.Outbox.Redrive(ctx, ref.ID, s.Now()); err != nil && !errors.Is(err, ErrNotFound) {
			return Delivered{}, fmt.Errorf("deliver %s: %w", ref.ID, err)
		}
		d.Status, d.DueAt, d.SettledAt = alert.Pending, s.Now(), time.Time{} // as it is now, by this call or another
	case d.Status.Settled() || d.Try != ref.Try:
		return Delivered{Delivery: d}, nil
	}
	d.Try = ref.Try
	return s.Attempt(ctx, d)
}

// Attempt makes one attempt at a delivery that was read a moment ago: claim, send, settle.
// What cannot be claimed (settled, leased, or of another try by now) is no error. The error
// is a failure of the store; the delivery is then found again by its due time or its lease.
func (s *Sentinel) Attempt(ctx context.Context, d alert.Delivery) (Delivered, error) {
	now := s.Now()
	until := now.Add(d.Target.WithDefaults().Timeout.Std() + s.LeaseMargin)
	claim, err := s.Outbox.Claim(ctx, d, now, until)
	if errors.Is(err, ErrUnclaimable) {
		return Delivered{Delivery: d}, nil
	}
	if err != nil {
		return Delivered{}, fmt.Errorf("deliver %s: claim: %w", d.ID, err)
	}
	// What is claimed is finished, whatever becomes of the caller.
	out, err := s.conclude(context.WithoutCancel(ctx), claim)
	if errors.Is(err, ErrUnclaimable) {
		s.Log.Warn("lost the lease before settling; another sender has it", "delivery", d.ID)
		return out, nil
	}
	if err != nil {
		return out, fmt.Errorf("deliver %s: settle: %w", d.ID, err)
	}
	return out, nil
}

// conclude decides what to do with a claimed delivery, does it and settles it.
func (s *Sentinel) conclude(ctx context.Context, c Claim) (Delivered, error) {
	d := c.Delivery
	if s.Accepted.has(d) {
		return s.settle(ctx, c, outcome{status: alert.Sent, attempts: d.Attempts})
	}
	switch waiting, err := s.predecessors(ctx, c); {
	case err != nil:
		return Delivered{Delivery: d}, err
	case len(waiting) > 0:
		return s.untried(s.settle(ctx, c, s.behind(d, waiting)))
	case d.Crashes >= maxCrashes:
		return s.settle(ctx, c, outcome{status: alert.Dead, attempts: d.Attempts, cause: "the sender died or stopped 3 times before it could record an answer"})
	}
	if d.Supersedable && !s.episodeOpen(ctx, d) {
		return s.settle(ctx, c, outcome{status: alert.Superseded, attempts: d.Attempts, cause: "the episode closed before it could be sent"})
	}
	if !s.Now().Before(d.LeaseUntil.Add(-d.Target.WithDefaults().Timeout.Std())) {
		return s.untried(s.settle(ctx, c, outcome{status: alert.Pending, due: s.Now(), attempts: d.Attempts, cause: d.LastError}))
	}
	d.Target = s.target(ctx, d)
	err := s.Send.Send(ctx, d)
	return s.settle(ctx, c, judge(d, err, s.Now(), s.Jitter()))
}

// untried is the result of a claim that came to no attempt.
func (s *Sentinel) untried(out Delivered, err error) (Delivered, error) {
	out.Tried = false
	return out, err
}

// target is where a delivery goes: a target that was decided on a while ago, by today's
// settings where the alert still has it, for who mends an address wants what waits to go
// there; else as it was decided. Its channel stays, and the timeout, which the lease goes by.
func (s *Sentinel) target(ctx context.Context, d alert.Delivery) alert.Target {
	if d.Attempts == 0 && d.Try <= 1 && s.Now().Sub(d.CreatedAt) < time.Minute {
		return d.Target
	}
	snapshot, err := s.Store.Load(ctx, alert.ID{Scope: d.Scope, Name: d.Alert})
	if err != nil {
		return d.Target
	}
	today, ok := snapshot.Definition.Alert.Target(d.Target.ID)
	if !ok || today.Channel != d.Target.Channel {
		return d.Target
	}
	today.Timeout = d.Target.Timeout
	return today
}

// predecessors are the deliveries that must be settled first. One that is not worth
// sending any more is settled as superseded here, so that it holds nothing up.
func (s *Sentinel) predecessors(ctx context.Context, c Claim) ([]alert.Delivery, error) {
	var waiting []alert.Delivery
	for _, w := range c.Waiting {
		stale := w.Message.Event == alert.EventReminder && w.Supersedable || w.Supersedable && !s.episodeOpen(ctx, w)
		if stale && w.Status == alert.Pending {
			done, err := s.Outbox.Supersede(ctx, w.ID, s.Now())
			if err != nil {
				return nil, fmt.Errorf("supersede %s: %w", w.ID, err)
			}
			if done {
				more, err := s.unsettled(ctx, w.After)
				if err != nil {
					return nil, err
				}
				waiting = append(waiting, more...)
				continue
			}
		}
		waiting = append(waiting, w)
	}
	return waiting, nil
}

// unsettled reads which of the deliveries are not settled: what stands before a superseded
// one stands before its follower.
func (s *Sentinel) unsettled(ctx context.Context, ids []string) ([]alert.Delivery, error) {
	var out []alert.Delivery
	for _, id := range ids {
		d, err := s.Outbox.Delivery(ctx, id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", id, err)
		}
		switch {
		case d.Status == alert.Superseded:
			before, err := s.unsettled(ctx, d.After)
			if err != nil {
				return nil, err
			}
			out = append(out, before...)
		case !d.Status.Settled():
			out = append(out, d)
		}
	}
	return out, nil
}

// episodeOpen tells whether the delivery's episode is still open; a removed alert's is not.
func (s *Sentinel) episodeOpen(ctx context.Context, d alert.Delivery) bool {
	snapshot, err := s.Store.Load(ctx, alert.ID{Scope: d.Scope, Name: d.Alert})
	if err != nil {
		return !errors.Is(err, ErrNotFound)
	}
	return snapshot.State.OpenEpisode(d.Message.EpisodeID)
}

// moment is how long to wait for a predecessor that is due, but that another sender has
// not claimed yet.
const moment = 250 * time.Millisecond

// behind puts a delivery back until its predecessors have been tried.
func (s *Sentinel) behind(d alert.Delivery, waiting []alert.Delivery) outcome {
	out := outcome{status: alert.Pending, due: afterAll(waiting), attempts: d.Attempts, cause: d.LastError}
	if now := s.Now(); !out.due.After(now) {
		out.due, out.soon = now.Add(moment), true
	}
	return out
}

// afterAll is the time by which the waiting deliveries have been tried.
func afterAll(waiting []alert.Delivery) time.Time {
	var due time.Time
	for _, w := range waiting {
		at := w.DueAt
		if w.Status == alert.Sending {
			at = w.LeaseUntil
		}
		if at.After(due) {
			due = at
		}
	}
	return due
}

// settle writes an outcome, together with what follows from it for the target's outage.
func (s *Sentinel) settle(ctx context.Context, c Claim, o outcome) (Delivered, error) {
	d := c.Delivery
	out := Delivered{Delivery: d, Tried: true, Soon: o.soon}
	out.Delivery.Status, out.Delivery.DueAt, out.Delivery.Attempts, out.Delivery.LastError = o.status, o.due, o.attempts, o.cause
	var told []alert.Delivery
	err := onConflict(ctx, "settle the delivery", func() error {
		settlement := Settlement{
			ID: d.ID, Lease: c.Lease, Status: o.status, DueAt: o.due, At: s.Now(),
			Attempts: o.attempts, Crashes: d.Crashes, LastError: o.cause,
		}
		settlement.Outage, told = consequence(c.Outage, d, o, s.Now())
		settlement.Deliveries = told
		err := s.Outbox.Settle(ctx, settlement)
		if errors.Is(err, ErrConflict) {
			fresh, readErr := s.Store.Outage(ctx, d.Scope, alert.TargetSubject(d.Target.ID))
			if readErr != nil {
				return fmt.Errorf("read the outage again: %w", readErr)
			}
			c.Outage = fresh
		}
		return err
	})
	if o.status == alert.Sent {
		s.Accepted.note(d, err)
	}
	if err == nil {
		s.enqueue(ctx, told)
	}
	return out, err
}

// consequence is what an outcome means for the outage of the delivery's target.
func consequence(o alert.Outage, d alert.Delivery, out outcome, now time.Time) (*alert.Outage, []alert.Delivery) {
	switch out.status {
	case alert.Dead:
		return alert.TargetDied(o, d, out.cause, now)
	case alert.Sent:
		return alert.TargetAnswered(o, d, now)
	}
	return nil, nil
}
