package simulation

import (
	"context"
	"fmt"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// What the triggers of both runtimes do: a tick fires a run, an edit a sync, a minute a
// tick; a message of the queue, or a look into the outbox, a delivery.

// fire begins a run of an alert. What fires on AWS tries again; the daemon does not.
func (w *world) fire(name string, at time.Time, tries int) {
	id := alert.ID{Scope: scope, Name: name}
	var came sentinel.Evaluation
	w.spawn(w.process(), fmt.Sprintf("run %s %s", name, at.Format("15:04")), func(ctx context.Context, s *sentinel.Sentinel) (err error) {
		came, err = s.Evaluate(ctx, id, at)
		return err
	}, func(err error) {
		switch {
		case err == nil:
			w.tally.Runs++
			w.watch.ran(came)
		case tries > 0:
			w.at(w.now.Add(w.between(time.Second, 2*time.Minute)), func() { w.fire(name, at, tries-1) })
		}
	})
}

// skip records that a tick is not run, because the run before has not ended.
func (w *world) skip(name string, at time.Time) {
	w.spawn(w.process(), fmt.Sprintf("skip %s %s", name, at.Format("15:04")), func(ctx context.Context, s *sentinel.Sentinel) error {
		return s.Skip(ctx, alert.ID{Scope: scope, Name: name}, at)
	}, nil)
}

// sync makes the definitions those of the file as it is when the sync begins. Until one
// succeeds it is tried again.
func (w *world) sync(p *process) {
	file, version := w.file, w.version
	w.spawn(p, fmt.Sprintf("sync of file %d", version), func(ctx context.Context, s *sentinel.Sentinel) error {
		_, err := s.Sync(ctx, scope, file)
		return err
	}, func(err error) {
		if err != nil {
			w.at(w.now.Add(w.between(time.Second, time.Minute)), func() { w.sync(w.process()) })
		}
	})
}

// tick does what is done each minute.
func (w *world) tick(p *process) {
	o := sentinel.TickOptions{Scope: scope, Attended: !w.queued}
	w.spawn(p, "tick", func(ctx context.Context, s *sentinel.Sentinel) error {
		_, err := s.Tick(ctx, o)
		return err
	}, nil)
}

// look asks the outbox what is due and begins it.
func (w *world) look(p *process) {
	var due []alert.Delivery
	w.spawn(p, "look", func(ctx context.Context, s *sentinel.Sentinel) (err error) {
		due, err = s.Outbox.Due(ctx, scope, w.now, 0)
		return err
	}, func(err error) {
		if err != nil {
			return
		}
		for _, d := range due {
			w.deliver(p, d.ID, func(ctx context.Context, s *sentinel.Sentinel) (sentinel.Delivered, error) { return s.Attempt(ctx, d) }, nil)
		}
	})
}

// deliver makes one attempt, as told.
func (w *world) deliver(p *process, id string, attempt func(context.Context, *sentinel.Sentinel) (sentinel.Delivered, error), then func(sentinel.Delivered, error)) {
	var out sentinel.Delivered
	var t *task
	t = w.spawn(p, "deliver "+w.short(id), func(ctx context.Context, s *sentinel.Sentinel) (err error) {
		out, err = attempt(ctx, s)
		return err
	}, func(err error) {
		if err == nil {
			w.watch.leaves(t)
		}
		if then != nil {
			then(out, err)
		}
	})
}

// visibility is after how long a message that was received and not deleted comes again.
const visibility = 2 * time.Minute

// receive is what a sender's function does with a message of the queue.
func (w *world) receive(ref sentinel.Ref) {
	attempt := func(ctx context.Context, s *sentinel.Sentinel) (sentinel.Delivered, error) {
		return s.Deliver(ctx, ref)
	}
	w.deliver(w.process(), ref.ID, attempt, func(out sentinel.Delivered, err error) {
		d, again := out.Delivery, func(at time.Time) { w.at(at, func() { w.receive(ref) }) }
		switch {
		case err != nil:
			again(w.now.Add(visibility))
		case w.chance(w.storm.die): // it died before it could delete the message
			again(w.now.Add(visibility))
		case d.Status == alert.Dead && d.Try == ref.Try:
			w.watch.buried[ref.ID] = true
		case !d.Status.Settled() && d.Try == ref.Try && d.ID != "":
			at := d.DueAt
			if d.Status == alert.Sending {
				at = d.LeaseUntil
			}
			again(later(at, w.now.Add(time.Second)))
		}
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// announce is the queue: it takes messages at least once, late, out of order, or loses
// them. Where the outbox is the queue, it wakes somebody.
func (w *world) announce(deliveries []alert.Delivery) {
	for _, d := range deliveries {
		ref := sentinel.Ref{ID: d.ID, Try: d.Try}
		if w.chance(w.storm.strayed) {
			w.tell("the queue loses %s", w.short(d.ID))
			continue
		}
		if !w.queued {
			p := w.process()
			w.at(w.now.Add(w.between(time.Millisecond, time.Second)), func() { w.look(p) })
			return
		}
		for copies := 1; copies > 0; copies-- {
			if w.chance(w.storm.again) {
				copies++
			}
			at := later(d.DueAt, w.now.Add(w.between(time.Millisecond, 3*time.Second)))
			if w.chance(w.storm.late) {
				at = at.Add(w.between(time.Second, 10*time.Minute))
			}
			w.at(at, func() { w.receive(ref) })
		}
	}
}

// redrive opens a dead delivery again: by the command, or by the dead-letter queue's own
// redrive.
func (w *world) redrive() {
	dead := w.watch.dead()
	if len(dead) == 0 {
		return
	}
	d := dead[w.random.IntN(len(dead))]
	if w.queued && w.watch.buried[d.ID] && w.random.IntN(2) == 0 {
		w.tell("the dead letter of %s goes back to its queue", w.short(d.ID))
		w.receive(sentinel.Ref{ID: d.ID, Try: d.Try + 1})
		return
	}
	w.spawn(w.process(), "redrive "+w.short(d.ID), func(ctx context.Context, s *sentinel.Sentinel) error {
		ref, err := s.Outbox.Redrive(ctx, d.ID, w.now)
		if err != nil {
			return err
		}
		d.Try, d.DueAt = ref.Try, w.now
		return s.Queue.Enqueue(ctx, []alert.Delivery{d})
	}, nil)
}
