package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/faults"
)

// A fault begins and ends at some time of its round.
type fault struct {
	kind       string
	cause      string // of what came twice
	text       string
	begin, end time.Duration
	do, undo   func()
	process    bool // it is the daemon or its disk that fails
	// doubles are the targets whose answer to a message may be lost, or its sender.
	doubles []string
}

// A tally counts over all worlds.
type tally struct {
	mu      sync.Mutex
	rounds  int
	faults  map[string]int
	told    int
	doubles map[string]int
	redrive int
	refused int
}

// TestFaultsInRounds runs worlds through rounds of faults: in each the data changes, and up
// to three things break at random moments, and mend. Then every message must be there.
// SENTINEL_FAULT_ROUNDS is how many rounds; SENTINEL_FAULT_SEED repeats what was chosen,
// though not the moments at which processes and networks act.
func TestFaultsInRounds(t *testing.T) {
	t.Parallel()
	rounds, worlds := 4, 2
	if text := os.Getenv("SENTINEL_FAULT_ROUNDS"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		rounds, worlds = n, 4
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("SENTINEL_FAULT_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		seed = n
	}
	t.Logf("SENTINEL_FAULT_SEED=%d", seed)
	sum := &tally{faults: map[string]int{}, doubles: map[string]int{}}
	t.Run("worlds", func(t *testing.T) {
		for i := range worlds {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				r := rand.New(rand.NewPCG(seed, uint64(i)))
				for n := i; n < rounds; n += worlds {
					w.round(r, n/worlds, sum)
				}
				w.stop()
				sum.add(w)
			})
		}
	})
	t.Logf("%d rounds, %d messages, 0 lost, %d given up after three dead senders and sent by hand, %d starts refused on a full disk", sum.rounds, sum.told, sum.redrive, sum.refused)
	for _, kind := range slices.Sorted(maps.Keys(sum.faults)) {
		t.Logf("%-20s %d times", kind, sum.faults[kind])
	}
	for _, where := range slices.Sorted(maps.Keys(sum.doubles)) {
		t.Logf("twice: %-20s %d times", where, sum.doubles[where])
	}
}

// round plays one round, and then holds what was heard against what happened.
func (w *world) round(r *rand.Rand, n int, sum *tally) {
	w.t.Helper()
	chosen := w.draw(r)
	var texts []string
	admit := map[string][]string{} // by target, the faults over which an answer may be lost
	for _, f := range chosen {
		texts = append(texts, fmt.Sprintf("%s %s from %s to %s", f.kind, f.text, f.begin, f.end))
		for _, target := range f.doubles {
			admit[target] = append(admit[target], f.cause)
		}
	}
	what := fmt.Sprintf("round %d: %s", n, strings.Join(texts, "; "))
	defer func() {
		if w.t.Failed() {
			w.t.Log(what)
		}
	}()
	before := w.twice()
	start := time.Now()
	w.flip()
	w.play(chosen, start)
	redriven := w.settle()
	twice := w.account()
	for target, count := range twice {
		if len(admit[target]) == 0 {
			require.Equal(w.t, before[target], count, "no message to %s came twice, for none of its answers could be lost", target)
		}
	}
	sum.mu.Lock()
	defer sum.mu.Unlock()
	sum.rounds++
	sum.redrive += redriven
	for _, f := range chosen {
		sum.faults[f.kind]++
	}
	for target, count := range twice {
		if count > before[target] {
			slices.Sort(admit[target])
			sum.doubles[target+", "+strings.Join(slices.Compact(admit[target]), " and ")] += count - before[target]
		}
	}
}

// twice counts what came twice so far.
func (w *world) twice() map[string]int {
	copies, twice := map[string]int{}, map[string]int{}
	for _, m := range w.told() {
		if copies[m.target+" "+m.key]++; copies[m.target+" "+m.key] > 1 {
			twice[m.target]++
		}
	}
	return twice
}

func (s *tally) add(w *world) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := map[string]bool{}
	for _, m := range w.told() {
		keys[m.target+m.key] = true
	}
	s.told += len(keys)
	s.refused += w.refused
}

// An act is the beginning or the end of a fault.
type act struct {
	at time.Duration
	do func()
}

// play lets the faults begin and end when they are due.
func (w *world) play(chosen []fault, start time.Time) {
	var acts []act
	for _, f := range chosen {
		acts = append(acts, act{f.begin, f.do}, act{f.end, f.undo})
	}
	slices.SortStableFunc(acts, func(a, b act) int { return int(a.at - b.at) })
	for _, a := range acts {
		<-time.After(time.Until(start.Add(a.at)))
		a.do()
	}
}

// draw chooses one to three faults for a round, and when they begin and end.
func (w *world) draw(r *rand.Rand) []fault {
	kinds := []string{"postgres", "mariadb", "http", "smtp", "kill", "stop", "disk"}
	r.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	var out []fault
	armed := false // one fault of a round at most waits for a message
	for _, kind := range kinds[:1+r.IntN(3)] {
		f := w.fault(r, kind)
		f.begin = time.Duration(r.IntN(800)) * time.Millisecond
		f.end = f.begin + time.Duration(200+r.IntN(1800))*time.Millisecond
		if f.process && !armed && r.IntN(2) == 0 {
			armed = true
			f = w.atReceipt(f)
			f.begin, f.end = 0, f.end+time.Second
		}
		out = append(out, f)
	}
	return out
}

// atReceipt has a fault begin when a receiver has accepted a message and not answered yet.
func (w *world) atReceipt(f fault) fault {
	do, undo := f.do, f.undo
	f.kind += " at receipt"
	f.do = func() { w.arm(do) }
	f.undo = func() { w.fire(); undo() } // if there was no message, it happens now
	return f
}

// fault makes one of a kind.
func (w *world) fault(r *rand.Rand, kind string) fault {
	must := func(do func() error) func() {
		return func() {
			if err := do(); err != nil {
				w.t.Error(err)
			}
		}
	}
	everybody := []string{"/team", "/owner", "mail"}
	switch kind {
	case "kill":
		return fault{kind: "kill -9", cause: "the daemon was killed", process: true, do: w.kill, undo: w.start, doubles: everybody}
	case "stop":
		return fault{kind: "SIGSTOP", cause: "it was stopped", process: true, do: func() { w.signal(syscall.SIGSTOP) }, undo: func() { w.signal(syscall.SIGCONT) }, doubles: everybody}
	case "disk":
		return fault{kind: "full disk", process: true, do: must(w.disk.Fill), undo: must(w.disk.Free)}
	}
	wire, receives := w.wires[kind], map[string][]string{"http": {"/team", "/owner"}, "smtp": {"mail"}}
	if r.IntN(5) == 0 {
		return fault{cause: "its connections were spoiled", kind: kind + " cut", do: wire.Cut, undo: must(wire.Restore), doubles: receives[kind]}
	}
	toxic := faults.Draw(r, impatience)
	return fault{cause: "its connections were spoiled", kind: kind + " " + toxic.Type, text: toxic.String(), do: must(func() error { return wire.Spoil(toxic) }), undo: must(wire.Mend), doubles: receives[kind]}
}
