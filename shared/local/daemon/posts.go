package daemon

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// posts sends what is due: what was decided here a moment ago, for it is the queue of the
// daemon's steps, and what the outbox holds besides. Messages of one alert to one target go one after
// the other; those to a target go several at once, and no target waits for another.
type posts struct {
	store Store
	clock Clock
	scope string
	// send makes one attempt; its error is a failure of the store.
	send func(ctx context.Context, d alert.Delivery) (alert.Delivery, error)
	// looked is told what a look at the outbox came to: a failure of the store, or nil.
	looked func(error)

	mu      sync.Mutex
	fresh   []alert.Delivery // that were decided in this process, and are not started yet
	held    map[string]bool  // deliveries that were taken from the outbox and not tried yet
	lanes   map[laneKey][]alert.Delivery
	targets map[string]*target
	rested  time.Time     // until when nothing is tried, for the store failed
	came    chan struct{} // something is fresh
	again   chan struct{} // a slot is free, or something is due at another time
	working sync.WaitGroup
}

type laneKey struct{ alert, target string }

// A target is what is under way to one.
type target struct {
	held int
	full bool // so many that some may be left in the outbox
	slot chan struct{}
	free time.Time // of one that takes so many a second
}

const (
	// batch is how many deliveries are read at once; a target of which so many wait is
	// left out until some are sent.
	batch = 500
	// most is how many enqueued deliveries are kept in mind.
	most = 10_000
	// pause is how often the outbox is looked at for what other processes put there.
	pause = time.Second
	// rest is how long nothing is tried after the store failed: a disk that is full is not
	// asked, and not written about in the log, thousands of times a second.
	rest = 10 * time.Second
)

// slots is how many messages are under way to one target at once, by channel.
func slots(channel string) int {
	switch channel {
	case "slack":
		return 1
	case "email":
		return 4
	default:
		return 32
	}
}

// pace is the least time between two messages to one target, by channel.
// Source: https://docs.slack.dev/apis/web-api/rate-limits (one message a second for each webhook)
func pace(channel string) time.Duration {
	if channel == "slack" {
		return time.Second
	}
	return 0
}

// begin makes ready what run needs.
func (p *posts) begin() *posts {
	p.held, p.lanes, p.targets = map[string]bool{}, map[laneKey][]alert.Delivery{}, map[string]*target{}
	p.came, p.again = make(chan struct{}, 1), make(chan struct{}, 1)
	return p
}

// run sends until ctx ends, and returns when what was begun is finished. turned is called
// at each look.
func (p *posts) run(ctx context.Context, turned func()) {
	for ctx.Err() == nil {
		turned()
		next, err := p.take(ctx)
		if ctx.Err() == nil {
			p.looked(err)
		}
		p.await(ctx, next)
	}
	p.working.Wait()
}

// Enqueue implements sentinel.Queue. What cannot be started is found in the outbox later.
func (p *posts) Enqueue(_ context.Context, deliveries []alert.Delivery) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fresh = append(p.fresh, deliveries[:min(len(deliveries), most-len(p.fresh))]...)
	signal(p.came)
	return nil
}

// startFresh starts what was enqueued, as far as it is due and its target has room.
func (p *posts) startFresh(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	if left := p.rested.Sub(now); left > 0 && left <= rest {
		p.fresh = nil // the outbox has them
		return
	}
	for _, d := range p.fresh {
		if t := p.targets[d.Target.ID]; d.DueAt.After(now) || t != nil && t.held >= batch {
			signal(p.again)
			continue
		}
		p.start(ctx, d)
	}
	p.fresh = nil
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take starts what is due and returns when to look again.
func (p *posts) take(ctx context.Context) (time.Time, error) {
	now := p.clock.Now()
	latest := now.Add(pause)
	if p.resting() {
		return latest, nil
	}
	p.mu.Lock()
	known := len(p.held) // they are among what is due, before what is new
	p.mu.Unlock()
	due, err := p.store.DueExcept(ctx, p.scope, now, known+batch, p.full())
	if err != nil {
		return latest, err
	}
	p.mu.Lock()
	for _, d := range due {
		p.start(ctx, d)
	}
	p.mu.Unlock()
	next, err := p.store.NextDue(ctx, p.scope)
	if err != nil || next.IsZero() || next.After(latest) || !next.After(now) {
		return latest, err // what is due by now wakes us when it is done
	}
	return next, nil
}

// full are the targets of which enough wait already.
func (p *posts) full() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for id, t := range p.targets {
		if t.held >= batch {
			out = append(out, id)
		}
	}
	return out
}

// await returns when there may be something due.
func (p *posts) await(ctx context.Context, until time.Time) {
	timed, cancel := context.WithCancel(ctx)
	defer cancel()
	come := make(chan struct{})
	go func() {
		p.clock.Wait(timed, until)
		close(come)
	}()
	for {
		select {
		case <-p.came:
			p.startFresh(ctx)
			continue
		case <-ctx.Done():
		case <-come:
		case <-p.again:
		}
		return
	}
}

// start puts a delivery into its lane. The caller holds mu.
func (p *posts) start(ctx context.Context, d alert.Delivery) {
	if p.held[d.ID] {
		return
	}
	p.held[d.ID] = true
	t := p.targets[d.Target.ID]
	if t == nil {
		t = &target{slot: make(chan struct{}, slots(d.Target.Channel))}
		p.targets[d.Target.ID] = t
	}
	t.held++
	key := laneKey{d.Alert, d.Target.ID}
	_, runs := p.lanes[key]
	p.lanes[key] = append(p.lanes[key], d)
	if !runs {
		p.working.Go(func() { p.lane(ctx, key, t) })
	}
}

// lane sends the messages of one alert to one target in order, until none waits.
func (p *posts) lane(ctx context.Context, key laneKey, t *target) {
	for {
		d, ok := p.first(key)
		if !ok {
			return
		}
		var out alert.Delivery
		if p.enter(ctx, t, d.Target.Channel) {
			var err error
			if out, err = p.send(ctx, d); err != nil && !errors.Is(err, sentinel.ErrConflict) {
				p.halt() // a conflict says that the store works
			}
			<-t.slot
		}
		p.done(t, d, out)
	}
}

// first takes the next delivery of a lane: what stands before another by its After comes
// first. The lane ends if there is none.
func (p *posts) first(key laneKey) (alert.Delivery, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	waiting := p.lanes[key]
	if len(waiting) == 0 {
		delete(p.lanes, key)
		return alert.Delivery{}, false
	}
	at := 0
	for i := range waiting {
		if slices.Contains(waiting[at].After, waiting[i].ID) {
			at = i
		}
	}
	d := waiting[at]
	p.lanes[key] = slices.Delete(waiting, at, at+1)
	return d, true
}

// halt lets nothing be tried for a while.
func (p *posts) halt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rested = p.clock.Now().Add(rest)
}

// resting tells whether nothing is to be tried. A clock that was set back ends it.
func (p *posts) resting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := p.rested.Sub(p.clock.Now())
	return left > 0 && left <= rest
}

// enter waits for a slot of the target, and for its pace; false if ctx ended, or nothing is
// to be tried.
func (p *posts) enter(ctx context.Context, t *target, channel string) bool {
	select {
	case t.slot <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	if p.resting() {
		<-t.slot
		return false
	}
	for wait := pace(channel); wait > 0; {
		p.mu.Lock()
		now, free := p.clock.Now(), t.free
		if !free.After(now) {
			t.free = now.Add(wait)
			p.mu.Unlock()
			break
		}
		p.mu.Unlock()
		if !p.clock.Wait(ctx, free) {
			<-t.slot
			return false
		}
	}
	return true
}

// done lets go of a delivery. One that is due again has a time of its own, and one of a
// full target may have followers: the outbox is looked at again.
func (p *posts) done(t *target, d, out alert.Delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.held, d.ID)
	t.held--
	t.full = t.full || t.held >= batch-1
	if more := t.full && t.held <= batch/2; more {
		t.full = false
		signal(p.again)
	}
	if !out.Status.Settled() {
		signal(p.again)
	}
}
