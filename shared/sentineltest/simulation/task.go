package simulation

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// A process is one worker: a daemon, or an environment of a function. It dies with all
// that it is doing, and is started again at once.
type process struct {
	name    string
	runtime runtime
}

// A task is one call of a step: a coroutine that goes on when it is told to.
type task struct {
	w       *world
	process *process
	name    string
	next    func() (struct{}, bool)
	stop    func()
	yield   func(struct{}) bool
	wake    time.Time // until then it is stopped
	err     error
	then    func(error)

	entered time.Time // when the call under way was made: what was decided by then was decided at that time
	loaded  map[alert.ID]sentinel.Snapshot
	result  alert.Result
	queries int
	sent    string // the delivery that was accepted from it, under the lease
	lease   string
}

// errDied is how a task ends whose process dies.
var errDied = errors.New("the process died")

// What a call may be answered in place of the truth.
var (
	errRefused = errors.New("throttled: nothing was done")
	errLost    = errors.New("connection reset: nobody knows whether it was done")
)

// death unwinds a task whose process died. Nothing in the product recovers.
type death struct{}

// spawn begins a task. then is told how it ended: errDied if its process died.
func (w *world) spawn(p *process, name string, body func(context.Context, *sentinel.Sentinel) error, then func(error)) *task {
	t := &task{w: w, process: p, name: name, then: then, wake: w.now, loaded: map[alert.ID]sentinel.Snapshot{}}
	s, err := sentinel.New(sentinel.Options{
		Store: calls{t}, Outbox: calls{t}, Queue: calls{t}, Query: t, Send: t, Now: func() time.Time { return w.now }, Jitter: w.random.Float64,
	})
	if err != nil {
		panic(err)
	}
	t.next, t.stop = iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		defer func() {
			if cause := recover(); cause != nil {
				if _, died := cause.(death); !died {
					panic(cause)
				}
				t.err = errDied
			}
		}()
		t.err = body(context.Background(), s)
	})
	w.tasks = append(w.tasks, t)
	return t
}

// step lets a task go on to its next call, or from there.
func (w *world) step(t *task) {
	if _, more := t.next(); more {
		return
	}
	w.ended(t)
	if errors.Is(t.err, errDied) {
		w.die(t.process)
	}
	if t.then != nil {
		t.then(t.err)
	}
}

func (w *world) ended(t *task) {
	for i, x := range w.tasks {
		if x == t {
			w.tasks = append(w.tasks[:i], w.tasks[i+1:]...)
			return
		}
	}
}

// die ends all that a process does and starts it again.
func (w *world) die(p *process) {
	w.tally.Deaths++
	var gone []*task
	for _, t := range w.tasks {
		if t.process == p {
			gone = append(gone, t)
		}
	}
	for _, t := range gone {
		t.stop()
		w.ended(t)
		w.tell("%s: dies with it", t)
	}
	w.reopen(p)
	for _, t := range gone {
		if t.then != nil {
			t.then(errDied)
		}
	}
}

// pass lets others go on.
func (t *task) pass() {
	if !t.yield(struct{}{}) {
		panic(death{})
	}
}

func (t *task) String() string { return t.process.name + " " + t.name }

// call makes a call of the runtime with what the seed has in store for it.
func (t *task) call(what string, do func() error) error {
	w := t.w
	w.tally.Calls++
	t.entered = w.now
	f := w.fault()
	switch {
	case f == stopBefore:
		t.sleep(what, "before")
	case w.chance(w.storm.slow):
		t.wake = w.now.Add(w.between(500*time.Millisecond, 8*time.Second))
	}
	t.pass()
	switch f {
	case dieBefore:
		w.tell("%s: %s — dies before it", t, what)
		panic(death{})
	case refuse:
		w.tally.Refused++
		w.tell("%s: %s — refused", t, what)
		return errRefused
	}
	err := do()
	switch f {
	case dieAfter:
		w.tell("%s: %s%s — dies after it", t, what, outcome(err))
		panic(death{})
	case lose:
		w.tally.Lost++
		w.tell("%s: %s%s — the answer is lost", t, what, outcome(err))
		err = errLost
	case stopAfter:
		w.tell("%s: %s%s", t, what, outcome(err))
		t.sleep(what, "after")
	default:
		w.tell("%s: %s%s", t, what, outcome(err))
	}
	t.pass()
	return err
}

func outcome(err error) string {
	if err == nil {
		return ""
	}
	return fmt.Sprintf(" (%v)", err)
}

// sleep stops a task for a while, often past a lease.
func (t *task) sleep(what, when string) {
	w := t.w
	d := time.Duration(1+w.random.IntN(150)) * time.Second
	if w.random.IntN(6) == 0 {
		d = time.Duration(3+w.random.IntN(25)) * time.Minute
	}
	w.tally.Stops++
	t.wake = w.now.Add(d)
	w.tell("%s: stopped %s %s for %s", t, when, what, d)
}
