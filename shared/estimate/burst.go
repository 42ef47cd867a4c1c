package estimate

import "math"

// A Burst is a model of what Scheduler and Lambda do with many runs at the same minutes: two
// queues in the order of arrival. Scheduler hands over so many runs a second; Lambda has so
// many places, starts so many new environments in 10 seconds, and keeps a run that finds no
// place until it is too old. A free place is taken at once: Lambda's own pauses between
// attempts come on top, so that the model is the best case.
type Burst struct {
	// PerMinute is how many runs each minute begins.
	PerMinute []int
	// Even: they begin evenly over their minute; else in its first instant.
	Even bool
	// Rate is Scheduler's, in runs a second.
	Rate float64
	// Concurrency is how many runs Lambda has under way at most, Environments how many new
	// ones it starts in 10 seconds.
	Concurrency  int
	Environments float64
	// RunSeconds is how long a run takes, StaleSeconds one whose query is not sent any more,
	// for sync has recorded it as missed.
	RunSeconds, StaleSeconds float64
	// LateAfter, MissedAfter and DropAfter are seconds from the minute to the begin of the
	// query: later it is late, recorded as missed, or dropped by Lambda.
	LateAfter, MissedAfter, DropAfter float64
}

// An Outcome is what became of the runs of a burst.
type Outcome struct {
	Runs int `json:"runs"`
	// OnTime began within LateAfter, Late thereafter; the query of Missed was never sent,
	// which the alert's owners are told.
	OnTime int `json:"on_time"`
	Late   int `json:"late"`
	Missed int `json:"missed"`
	// LastSeconds is how long after its minute the last query was sent.
	LastSeconds float64 `json:"last_seconds"`
	// Places is how many runs were under way at most.
	Places int `json:"places"`
}

// steps is how many steps of the simulation a second has.
const steps = 20

// A cohort is the runs of one minute that are at the same point.
type cohort struct {
	minute float64 // in seconds
	n      int
}

// A simulation is a burst under way.
type simulation struct {
	Burst
	now       float64
	scheduler []cohort // decided, and not handed over
	lambda    []cohort // handed over, and without a place
	ends      map[int]int
	busy      int
	started   float64 // environments
	tokens    float64 // environments that may be started now
	allowance float64 // runs that may be handed over now
	out       Outcome
}

// Simulate plays the burst until nothing waits any more.
func (b Burst) Simulate() Outcome {
	s := &simulation{Burst: b, ends: map[int]int{}, tokens: b.Environments}
	last := len(b.PerMinute) * 60 * steps
	for step := 0; step < last || len(s.scheduler)+len(s.lambda) > 0; step++ {
		s.now = float64(step) / steps
		s.busy -= s.ends[step]
		delete(s.ends, step)
		s.arrive(step)
		s.handOver()
		s.tokens = math.Min(s.tokens+b.Environments/10/steps, b.Environments)
		s.serve(step)
	}
	return s.out
}

// arrive takes the runs that begin in this step.
func (s *simulation) arrive(step int) {
	minute, within := step/(60*steps), step%(60*steps)
	if minute >= len(s.PerMinute) {
		return
	}
	n := s.PerMinute[minute]
	switch {
	case s.Even:
		n = n*(within+1)/(60*steps) - n*within/(60*steps)
	case within > 0:
		return
	}
	if n > 0 {
		s.out.Runs += n
		s.scheduler = append(s.scheduler, cohort{float64(minute * 60), n})
	}
}

// handOver is Scheduler at work.
func (s *simulation) handOver() {
	s.allowance = math.Min(s.allowance+s.Rate/steps, s.Rate/steps+1)
	for len(s.scheduler) > 0 && s.allowance >= 1 {
		head := &s.scheduler[0]
		n := min(head.n, int(s.allowance))
		s.allowance -= float64(n)
		s.lambda = append(s.lambda, cohort{head.minute, n})
		if head.n -= n; head.n == 0 {
			s.scheduler = s.scheduler[1:]
		}
	}
}

// serve is Lambda at work: it gives the free places to who waits longest.
func (s *simulation) serve(step int) {
	for len(s.lambda) > 0 {
		head := &s.lambda[0]
		age := s.now - head.minute
		if age > s.DropAfter {
			s.out.Missed += head.n
			s.lambda = s.lambda[1:]
			continue
		}
		n := min(head.n, s.free(head.n))
		if n == 0 {
			return
		}
		s.begin(step, n, age)
		if head.n -= n; head.n == 0 {
			s.lambda = s.lambda[1:]
		}
	}
}

// free is how many of the wanted places there are, new environments included.
func (s *simulation) free(wanted int) int {
	idle := int(s.started) - s.busy
	if fresh := min(wanted-idle, int(s.tokens), s.Concurrency-int(s.started)); fresh > 0 {
		s.started += float64(fresh)
		s.tokens -= float64(fresh)
		idle += fresh
	}
	return idle
}

// begin puts runs into places.
func (s *simulation) begin(step, n int, age float64) {
	seconds := s.RunSeconds
	switch {
	case age > s.MissedAfter:
		s.out.Missed += n
		seconds = s.StaleSeconds
	case age > s.LateAfter:
		s.out.Late += n
	default:
		s.out.OnTime += n
	}
	if age <= s.MissedAfter {
		s.out.LastSeconds = math.Max(s.out.LastSeconds, age)
	}
	s.busy += n
	s.out.Places = max(s.out.Places, s.busy)
	s.ends[step+max(int(math.Round(seconds*steps)), 1)] += n
}
