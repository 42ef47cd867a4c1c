package sentinel

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// DrainOptions steer Drain.
type DrainOptions struct {
	Scope string
	// Concurrency is how many targets are served at once; zero means 16.
	Concurrency int
	// Report is told of every attempt; it may be called concurrently. Nil: nobody is.
	Report func(alert.Delivery)
}

// Drain delivers what is due in the outbox of a scope, and waits for fast retries. What
// the receiver asked to wait for, and slow retries, are left for the next call. It returns
// when nothing is due or ctx ends; what was claimed by then is finished.
func (s *Sentinel) Drain(ctx context.Context, o DrainOptions) error {
	if o.Concurrency == 0 {
		o.Concurrency = 16
	}
	drain := drainer{s: s, DrainOptions: o, soon: map[string]time.Time{}}
	for ctx.Err() == nil {
		due, err := s.Outbox.Due(ctx, o.Scope, s.Now(), 0)
		if err != nil {
			return fmt.Errorf("read due deliveries: %w", err)
		}
		if len(due) > 0 {
			if err := drain.round(ctx, due); err != nil {
				return err
			}
			continue
		}
		next, more := drain.next()
		if !more {
			return nil
		}
		if !s.Pause(ctx, next.Sub(s.Now())) {
			break
		}
	}
	return context.Cause(ctx)
}

type drainer struct {
	s *Sentinel
	DrainOptions
	mu   sync.Mutex
	soon map[string]time.Time // deliveries whose next attempt is a fast one
}

// round makes one attempt at each delivery: those of one alert to one target one after
// the other in the order of their decision, the rest at once.
func (d *drainer) round(ctx context.Context, due []alert.Delivery) error {
	type lane struct{ alert, target string }
	lanes := map[lane][]alert.Delivery{}
	for _, x := range due {
		key := lane{x.Alert, x.Target.ID}
		lanes[key] = append(lanes[key], x)
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(d.Concurrency)
	for _, deliveries := range lanes {
		slices.SortStableFunc(deliveries, func(a, b alert.Delivery) int {
			if slices.Contains(b.After, a.ID) {
				return -1
			}
			if slices.Contains(a.After, b.ID) {
				return 1
			}
			return cmp.Compare(a.CreatedAt.UnixNano(), b.CreatedAt.UnixNano())
		})
		group.Go(func() error { return d.lane(groupCtx, deliveries) })
	}
	return group.Wait()
}

func (d *drainer) lane(ctx context.Context, deliveries []alert.Delivery) error {
	for _, x := range deliveries {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // Drain says why it ended
		}
		out, err := d.s.Attempt(ctx, x)
		if err != nil {
			return err
		}
		d.mu.Lock()
		delete(d.soon, x.ID)
		if out.Soon {
			d.soon[x.ID] = out.Delivery.DueAt
		}
		d.mu.Unlock()
		if d.Report != nil {
			d.Report(out.Delivery)
		}
	}
	return nil
}

// next is when the first fast retry is due.
func (d *drainer) next() (time.Time, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var first time.Time
	for _, at := range d.soon {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first, len(d.soon) > 0
}

// pause waits for d, or less if ctx ends; it reports whether it waited all of it.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(max(d, time.Millisecond))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
