package daemon

import (
	"context"
	"sync"
)

// runs starts what is due: for each database as many at once as it takes, in the order in
// which they came due, so that no database waits for another.
type runs struct {
	// do runs one alert.
	do func(ctx context.Context, setup *Setup, t tick)

	mu      sync.Mutex
	lanes   map[string]*lane
	busy    map[string]bool // alerts that wait or run
	working sync.WaitGroup
}

// A lane is the queue of one database.
type lane struct {
	waiting []job
	running int
}

type job struct {
	setup *Setup
	tick  tick
}

// submit queues a run; false if the alert's run before has not ended.
func (r *runs) submit(ctx context.Context, setup *Setup, t tick) (accepted bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy[t.alert.Name] {
		return false
	}
	if r.lanes == nil {
		r.lanes, r.busy = map[string]*lane{}, map[string]bool{}
	}
	r.busy[t.alert.Name] = true
	l := r.lanes[t.alert.Database]
	if l == nil {
		l = &lane{}
		r.lanes[t.alert.Database] = l
	}
	l.waiting = append(l.waiting, job{setup, t})
	if l.running < max(1, setup.Workers(t.alert.Database)) {
		l.running++
		r.working.Go(func() { r.work(ctx, l) })
	}
	return true
}

// work runs what waits in a lane until nothing does.
func (r *runs) work(ctx context.Context, l *lane) {
	for {
		r.mu.Lock()
		if len(l.waiting) == 0 || ctx.Err() != nil {
			for _, j := range l.waiting {
				delete(r.busy, j.tick.alert.Name)
			}
			l.waiting = nil
			l.running--
			r.mu.Unlock()
			return
		}
		j := l.waiting[0]
		l.waiting = l.waiting[1:]
		r.mu.Unlock()
		r.do(ctx, j.setup, j.tick)
		r.mu.Lock()
		delete(r.busy, j.tick.alert.Name)
		r.mu.Unlock()
	}
}

// depth counts the runs that wait or run.
func (r *runs) depth() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.busy)
}
