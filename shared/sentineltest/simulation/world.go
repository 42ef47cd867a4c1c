package simulation

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest"
)

type runtime = sentineltest.Runtime

// world is all there is in one simulation. Only one goroutine at a time moves in it.
type world struct {
	Options
	random    *rand.Rand
	now       time.Time
	storm     storm
	calm      bool // the dust settles: nothing goes wrong any more
	queued    bool // a queue carries references, as on AWS; otherwise workers ask the outbox
	processes []*process
	tasks     []*task
	agenda    []appointment
	numbered  int
	watch     *watch
	tally     Tally

	file      []alert.Alert
	version   int // of the file
	receivers map[string]*receiver
	database  *database
	retry     bool // ticks whose run failed are fired again
}

// An appointment is something that happens by itself at a time.
type appointment struct {
	at time.Time
	n  int
	do func()
}

// at makes an appointment.
func (w *world) at(when time.Time, do func()) {
	w.numbered++
	a := appointment{when, w.numbered, do}
	i, _ := slices.BinarySearchFunc(w.agenda, a, func(x, y appointment) int {
		if c := x.at.Compare(y.at); c != 0 {
			return c
		}
		return x.n - y.n
	})
	w.agenda = slices.Insert(w.agenda, i, a)
}

// between draws a duration, in milliseconds.
func (w *world) between(from, to time.Duration) time.Duration {
	return (from + time.Duration(w.random.Int64N(int64(to-from)))).Truncate(time.Millisecond)
}

// until plays until a time is reached and nothing is under way but what is stopped.
func (w *world) until(end time.Time) {
	for {
		for len(w.agenda) > 0 && !w.agenda[0].at.After(w.now) {
			do := w.agenda[0].do
			w.agenda = w.agenda[1:]
			do()
		}
		if t := w.pick(); t != nil {
			w.step(t)
			if w.random.IntN(3) == 0 {
				w.now = w.now.Add(w.between(time.Millisecond, 400*time.Millisecond))
			}
			continue
		}
		next := w.nextMoment()
		if next.IsZero() || next.After(end) {
			if w.now.Before(end) {
				w.now = end
			}
			return
		}
		w.now = next
	}
}

// pick draws one of the tasks that can go on.
func (w *world) pick() *task {
	able := make([]*task, 0, len(w.tasks))
	for _, t := range w.tasks {
		if !t.wake.After(w.now) {
			able = append(able, t)
		}
	}
	if len(able) == 0 {
		return nil
	}
	return able[w.random.IntN(len(able))]
}

// nextMoment is when something happens next by itself; zero if nothing does.
func (w *world) nextMoment() time.Time {
	var next time.Time
	if len(w.agenda) > 0 {
		next = w.agenda[0].at
	}
	for _, t := range w.tasks {
		if next.IsZero() || t.wake.Before(next) {
			next = t.wake
		}
	}
	return next
}

func (w *world) process() *process { return w.processes[w.random.IntN(len(w.processes))] }

// reopen gives a process its runtime anew.
func (w *world) reopen(p *process) {
	if c, ok := p.runtime.(io.Closer); ok {
		if err := c.Close(); err != nil {
			panic(fmt.Errorf("close the runtime of %s: %w", p.name, err))
		}
	}
	r, err := w.Open()
	if err != nil {
		panic(fmt.Errorf("open the runtime of %s: %w", p.name, err))
	}
	p.runtime = r
}

// abandon ends every task where it stands.
func (w *world) abandon() {
	for _, t := range w.tasks {
		t.stop()
	}
	w.tasks = nil
}

func (w *world) close() error {
	var all []error
	for _, p := range w.processes {
		if c, ok := p.runtime.(io.Closer); ok {
			all = append(all, c.Close())
		}
	}
	return errors.Join(all...)
}

// tell adds a line to the story.
func (w *world) tell(format string, args ...any) {
	if w.Tell != nil {
		w.Tell(w.now.Format("15:04:05.000 ") + fmt.Sprintf(format, args...))
	}
}

// short is how the story names a delivery: by what it tells whom, and its id.
func (w *world) short(id string) string {
	if w.Tell == nil {
		return ""
	}
	if x := w.watch.deliveries[id]; x != nil {
		return fmt.Sprintf("%s(%s %s→%s)", id[:min(len(id), 9)], x.Alert, x.Message.Event, x.Target.ID)
	}
	return id
}

func (w *world) describeCommit(c sentinel.Commit) string {
	if w.Tell == nil {
		return ""
	}
	text := c.ID.Name
	if c.State != nil {
		text += fmt.Sprintf(" on version %d", c.State.Version)
	}
	if c.Record != nil {
		text += fmt.Sprintf(", %s run of %s", c.Record.Status, c.Record.Scheduled.Format("15:04"))
		for _, reason := range c.Record.Reasons {
			text += " " + string(reason.Code)
		}
	} else if c.State != nil {
		for _, s := range c.State.Silences {
			text += fmt.Sprintf(", silence until %s", s.Until.Format("15:04:05"))
		}
	}
	for _, d := range c.Deliveries {
		text += fmt.Sprintf(", %s(%s→%s)", d.ID[:9], d.Message.Event, d.Target.ID)
	}
	return text
}

func (w *world) describeEnqueue(deliveries []alert.Delivery) string {
	if w.Tell == nil {
		return ""
	}
	var all []string
	for _, d := range deliveries {
		all = append(all, fmt.Sprintf("%s(%s→%s)", d.ID[:9], d.Message.Event, d.Target.ID))
	}
	return "Enqueue " + join(all)
}

func names(definitions []sentinel.Definition) string {
	var all []string
	for _, d := range definitions {
		all = append(all, d.Alert.Name)
	}
	return join(all)
}

func join(all []string) string { return strings.Join(all, ", ") }
