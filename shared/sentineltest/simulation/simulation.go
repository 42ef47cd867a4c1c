// Package simulation plays the real steps of SQL Sentinel in a world that obeys a seed:
// its clock, its database, its receivers, its queue and every failure between two calls.
// Workers are coroutines that stop before and after each call of a store until the seed
// says who goes on, so that the same seed always tells the same story. While it plays,
// and after the dust has settled, it is held against what product and documentation
// promise; see docs/reliability.md.
package simulation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest"
)

// Open opens the runtime for one process: at its start, and again after each of its
// deaths. What it returned before is closed then if it is an io.Closer. All that it
// returns keeps its things in the same place, which is empty at first.
type Open func() (sentineltest.Runtime, error)

// A Bug breaks a guard of a runtime on purpose, to prove that the simulation finds it.
type Bug func(sentineltest.Runtime) sentineltest.Runtime

// Options say what is played.
type Options struct {
	Seed uint64
	Open Open
	// Plant puts a bug between the steps and the store; nil: none.
	Plant Bug
	// Tell takes the story line by line; nil: it is not told.
	Tell func(line string)
}

// A Report is what came of a seed.
type Report struct {
	// Violations are the promises that were broken; none is how it should be.
	Violations []string
	Tally
}

// A Tally counts what happened, so that a simulation in which nothing happens is noticed.
type Tally struct {
	Calls, Runs, Decided, Accepted, Doubles, Deaths, Refused, Lost, Stops, Conflicts, Edits, Silences, Dead, Redriven, Closed int
}

// add sums up.
func (t *Tally) add(o Tally) {
	for _, x := range []struct{ sum, more *int }{
		{&t.Calls, &o.Calls}, {&t.Runs, &o.Runs}, {&t.Decided, &o.Decided}, {&t.Accepted, &o.Accepted}, {&t.Doubles, &o.Doubles},
		{&t.Deaths, &o.Deaths}, {&t.Refused, &o.Refused}, {&t.Lost, &o.Lost}, {&t.Stops, &o.Stops}, {&t.Conflicts, &o.Conflicts},
		{&t.Edits, &o.Edits}, {&t.Silences, &o.Silences}, {&t.Dead, &o.Dead}, {&t.Redriven, &o.Redriven}, {&t.Closed, &o.Closed},
	} {
		*x.sum += *x.more
	}
}

// beginning is when every simulation begins.
func beginning() time.Time { return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) }

// scope is the file's.
const scope = "shop"

// errBroken ends a simulation at the first promise that is broken.
var errBroken = errors.New("a promise is broken")

// Run plays one seed. The error is one of the simulation itself, such as a runtime that
// does not open.
func Run(o Options) (report Report, err error) {
	w := &world{Options: o, random: rand.New(rand.NewPCG(o.Seed, 0x5e9711e1)), now: beginning()}
	w.watch = newWatch(w)
	defer func() {
		switch cause := recover(); {
		case cause == nil:
		case errors.Is(asError(cause), errBroken):
			w.abandon()
		default:
			panic(cause)
		}
		report = Report{Violations: w.watch.violations, Tally: w.tally}
		err = errors.Join(err, w.close())
	}()
	if err := w.begin(); err != nil {
		return report, err
	}
	w.play()
	w.settle()
	w.watch.finally(context.Background(), w.processes[0].runtime)
	return report, nil
}

func asError(cause any) error {
	if err, ok := cause.(error); ok {
		return err
	}
	return fmt.Errorf("%v", cause)
}
