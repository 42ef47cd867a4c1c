package alert

import (
	"fmt"
	"iter"
	"time"
)

// Input is everything a decision depends on.
type Input struct {
	Alert Alert
	State State
	// Database is the outage record of the alert's database; Sharing counts the alerts
	// that use that database.
	Database Outage
	Sharing  int
	Result   Result
	Run      Run
	Started  time.Time // wall clock, when the query began
	Now      time.Time // wall clock; silences go by it, counting goes by Run.Scheduled
}

// Decision is what a run leads to. All of it must be stored together.
type Decision struct {
	State      State
	Record     Record
	Deliveries []Delivery
	// Database replaces the outage record of the alert's database; nil: unchanged.
	Database *Outage
}

// Decide turns a result into the next state, the messages and the reasons. It is pure:
// the same input always gives the same decision, with the same ids.
// The run must be newer than the last (see Order).
func Decide(in Input) Decision {
	d := newDecider(in)
	d.checkClock()
	switch failure := d.noData(); {
	case in.Result.Failure != nil:
		d.failed(*in.Result.Failure)
	case failure != nil:
		d.failed(*failure)
	case d.kept:
		d.succeeded()
		d.record.Status = StatusNoData
	default:
		d.succeeded()
		d.count()
	}
	if d.overflow() {
		failed := Fail(ErrorInstances, "more than %d instances are not plainly OK; narrow the query, or widen the key", MaxInstances)
		failed.Duration = in.Result.Duration
		in.Result = failed
		return Decide(in)
	}
	d.answered()
	d.release()
	return d.finish()
}

// answered remembers where the next run's interval begins.
func (d *decider) answered() {
	switch {
	case !d.a.Params:
		d.s.Answered = time.Time{}
	case d.record.Status != StatusError:
		d.s.Answered = d.in.Run.Scheduled
	case !d.s.Answered.Before(d.in.Run.Scheduled), d.s.Answered.IsZero():
		d.s.Answered = d.in.Run.Previous
	}
}

// RunOrder is how a run stands to the last one.
type RunOrder int

// The orders.
const (
	Fresh  RunOrder = iota // newer than the last: to be evaluated
	Repeat                 // the last run again: only what it stored is to be enqueued again
	Older                  // older than the last: to be recorded as late
)

// badClock is how far in the future the last run may lie before its clock is disbelieved.
const badClock = 5 * time.Minute

// Order tells how a run stands to the last one in the state. A last run more than five
// minutes in the future came from a bad clock and makes no run late.
func Order(s State, run Run, now time.Time) RunOrder {
	switch {
	case s.Last == nil:
		return Fresh
	case s.Last.RunID == run.ID:
		return Repeat
	case s.Last.Scheduled.After(now.Add(badClock)):
		return Fresh
	case !run.Scheduled.After(s.Last.Scheduled):
		return Older
	}
	return Fresh
}

// LateRecord is the record of a run that came after a newer one.
func LateRecord(a Alert, s State, run Run, now time.Time) Record {
	return Record{
		RunID: run.ID, Scope: a.Scope, Alert: a.Name, Scheduled: run.Scheduled, Started: now, Status: StatusSkipped,
		Reasons: []Reason{{Late, fmt.Sprintf("this run is older than the last one, of %s; it changes nothing", stamp(s.Last.Scheduled))}},
	}
}

// SkipRecord is the record of a tick that one process did not run, for a reason. It has an
// id of its own, for another process may run that tick.
func SkipRecord(id ID, tick time.Time, why Reason, now time.Time) Record {
	run := NewRun(id, tick)
	return Record{RunID: "run_" + digest(run.ID, string(why.Code)), Scope: id.Scope, Alert: id.Name, Scheduled: run.Scheduled, Started: now, Status: StatusSkipped, Reasons: []Reason{why}}
}

// decider carries one decision. Its methods stand in the files decide_*.go, in the order
// in which they are called.
type decider struct {
	in     Input
	a      *Alert
	s      State
	record Record
	rows   map[string]Row // by instance id, the counted ones
	ids    []string       // of rows, in result order
	keptID map[string]bool
	kept   bool // the whole run is kept no-data
	keyed  bool
	remind bool

	current map[string]Target // today's targets by id
	order   []string          // their ids as the file has them
	news    map[string][]news
	errors  []errorNews
	held    int // messages held back by a silence
	reasons reasons
	outage  *Outage
	between bool   // decided between two runs
	closed  string // why the alert is being closed; empty otherwise
}

func newDecider(in Input) *decider {
	d := &decider{in: in, a: &in.Alert, s: in.State.clone(), keyed: len(in.Alert.Key) > 0}
	d.record = Record{
		RunID: in.Run.ID, Scope: in.Alert.Scope, Alert: in.Alert.Name, Scheduled: in.Run.Scheduled, Started: in.Started,
		DurationMS: in.Result.Duration.Milliseconds(), Rows: len(in.Result.Rows),
		Context: Fields{}, Usage: in.Result.Usage,
	}
	d.indexTargets()
	return d
}

// indexTargets lists today's targets: notify, then escalation steps, then errors and owners.
func (d *decider) indexTargets() {
	d.current = make(map[string]Target, len(d.a.Notify))
	for t := range d.a.targets() {
		if _, known := d.current[t.ID]; !known {
			d.current[t.ID] = t
			d.order = append(d.order, t.ID)
		}
	}
}

// targets are all targets of the alert: of notify, of its escalation, of its errors, and its
// owners. One may come several times.
func (a Alert) targets() iter.Seq[Target] {
	return func(yield func(Target) bool) {
		lists := [][]Target{a.Notify}
		for _, step := range a.Escalate {
			lists = append(lists, step.Notify)
		}
		for _, list := range append(lists, a.OnError.Notify, a.Owners) {
			for _, t := range list {
				if !yield(t) {
					return
				}
			}
		}
	}
}

// Target finds a target of the alert by its id.
func (a Alert) Target(id string) (Target, bool) {
	for t := range a.targets() {
		if t.ID == id {
			return t, true
		}
	}
	return Target{}, false
}

// checkClock restarts every duration if the last run lies in the future.
func (d *decider) checkClock() {
	last, at := d.s.Last, d.in.Run.Scheduled
	d.s.BadClock = last != nil && last.Scheduled.After(d.in.Now.Add(badClock))
	if !d.s.BadClock {
		return
	}
	d.reasons.add(BadClock, fmt.Sprintf("the last run is dated %s, in the future; its clock was wrong. This run counts, durations restart", stamp(last.Scheduled)))
	for _, streak := range []*Streak{&d.s.Errors, &d.s.Unreachable} {
		streak.Since = at
	}
	if !d.s.LastMessage.IsZero() {
		d.s.LastMessage = at
	}
	for _, episode := range []*Episode{d.s.ErrorEpisode, d.s.Umbrella} {
		if episode != nil {
			episode.Opened = at
		}
	}
	for _, i := range d.s.Instances {
		i.Alerts.Since, i.OKs.Since = at, at
		if i.Episode != nil {
			i.Episode.Opened = at
		}
	}
}

// remindDue tells whether remind_every has passed since the last message.
func (d *decider) remindDue() bool {
	every := d.a.RemindEvery.Std()
	return every > 0 && !d.s.LastMessage.IsZero() && minutesBetween(d.s.LastMessage, d.in.Run.Scheduled) >= every
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }
