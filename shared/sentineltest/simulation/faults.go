package simulation

// A fault is what happens around one call.
type fault int

const (
	none       fault = iota
	dieBefore        // the process dies, and nothing was done
	dieAfter         // it was done, and the process dies
	refuse           // throttled: an error, and nothing was done
	lose             // done, and the caller sees an error
	stopBefore       // the worker stops for a while
	stopAfter
)

// A storm says how likely each trouble is, in a thousand. Each seed draws its own, so that
// some are calm but for one kind of trouble.
type storm struct {
	die, refuse, lose, stop int // a call
	slow                    int // a call that takes seconds
	twice, late, missed     int // a tick
	again, strayed          int // a message of the queue: received twice; lost on its way
	unheard                 int // a send: accepted, and the sender sees a timeout
}

func (w *world) drawStorm() storm {
	level := func(levels ...int) int { return levels[w.random.IntN(len(levels))] }
	return storm{
		die: level(0, 0, 4, 15, 40), refuse: level(0, 0, 5, 30), lose: level(0, 0, 5, 30), stop: level(0, 0, 5, 20), slow: level(0, 30, 150),
		twice: level(0, 50, 300), late: level(0, 50, 250), missed: level(0, 0, 100),
		again: level(0, 100, 400), strayed: level(0, 0, 100, 300), unheard: level(0, 0, 60, 250),
	}
}

// chance holds n times in a thousand, never once the dust settles.
func (w *world) chance(n int) bool { return !w.calm && n > 0 && w.random.IntN(1000) < n }

// fault draws what happens around the next call.
func (w *world) fault() fault {
	if w.calm {
		return none
	}
	s, n := w.storm, w.random.IntN(1000)
	for _, kind := range []struct {
		share         int
		before, after fault
	}{{s.die, dieBefore, dieAfter}, {s.refuse, refuse, refuse}, {s.lose, lose, lose}, {s.stop, stopBefore, stopAfter}} {
		if n < kind.share {
			if w.random.IntN(2) == 0 {
				return kind.before
			}
			return kind.after
		}
		n -= kind.share
	}
	return none
}
