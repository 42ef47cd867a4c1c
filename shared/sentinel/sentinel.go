// Package sentinel holds the three steps of SQL Sentinel, Sync, Evaluate and Deliver,
// and every interface that a runtime must provide for them. The steps are the same on
// one machine and on AWS.
package sentinel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// Options are what a Sentinel needs. Store is required; Evaluate needs Query and Queue
// too, Deliver needs Outbox, Send and Queue.
type Options struct {
	Store  Store
	Outbox Outbox
	Queue  Queue
	Query  Querier
	// Schedules follow the definitions at each Sync; nil: nothing does.
	Schedules Schedules
	Send      Sender

	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// LeaseMargin is how much longer than the target's timeout a claim lasts; zero means
	// 30 s. The time a message may be late after its sender died.
	LeaseMargin time.Duration
	// Jitter gives numbers from 0 to 1 that spread retries; nil means math/rand.
	Jitter func() float64
	// Pause waits while Drain has nothing due; it reports false if ctx ended first. Nil
	// means a timer. A virtual clock moves itself on here.
	Pause func(ctx context.Context, d time.Duration) bool
	// Accepted is what receivers took and the store could not record: one that outlives this
	// Sentinel, where another takes its place. Nil means its own.
	Accepted *Accepted
	// Log takes what a caller cannot be told by an error; nil discards it.
	Log *slog.Logger
}

// Sentinel runs the steps. It is safe for concurrent use.
type Sentinel struct {
	Options
}

// New checks the options and fills in their defaults.
func New(o Options) (*Sentinel, error) {
	if o.Store == nil {
		return nil, errors.New("create the sentinel: a store is required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.LeaseMargin == 0 {
		o.LeaseMargin = 30 * time.Second
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	if o.Pause == nil {
		o.Pause = pause
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Accepted == nil {
		o.Accepted = new(Accepted)
	}
	return &Sentinel{Options: o}, nil
}

// retries is how often a decision is made again because the state changed meanwhile.
const retries = 5

// onConflict repeats act while it reports ErrConflict.
func onConflict(ctx context.Context, what string, act func() error) error {
	for range retries {
		err := act()
		if !errors.Is(err, ErrConflict) {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s: %w, %d times in a row", what, ErrConflict, retries)
}

// outages is the part of a Commit that replaces an outage record, if it changed.
func outages(o *alert.Outage) []alert.Outage {
	if o == nil {
		return nil
	}
	return []alert.Outage{*o}
}

// enqueue announces committed deliveries. A failure is no failure of the caller: they are
// durable, and the sweeper enqueues what is past due.
func (s *Sentinel) enqueue(ctx context.Context, deliveries []alert.Delivery) {
	if len(deliveries) == 0 || s.Queue == nil {
		return
	}
	if err := s.Queue.Enqueue(ctx, deliveries); err != nil {
		s.Log.Error("enqueue deliveries; the sweeper will", "error", err, "count", len(deliveries))
	}
}
