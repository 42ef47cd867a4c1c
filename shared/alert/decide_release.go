package alert

import (
	"fmt"
	"slices"
	"sort"
	"time"
)

// release ends the silences that are over: what is still open and was held back is told
// now, `alert` to those never told of it, `reminder` to the others.
func (d *decider) release() {
	var ended, kept []Silence
	for _, silence := range d.s.Silences {
		if silence.Active(d.in.Now) {
			kept = append(kept, silence)
		} else {
			ended = append(ended, silence)
		}
	}
	if len(ended) == 0 {
		return
	}
	d.s.Silences = kept
	for _, id := range d.openIDs() {
		i := d.s.Instances[id]
		if slices.ContainsFunc(ended, func(s Silence) bool { return s.covers(id) && s.heldBack(*i.Episode) }) {
			d.releaseInstance(id, i)
		}
	}
	if e := d.s.ErrorEpisode; e != nil && slices.ContainsFunc(ended, func(s Silence) bool { return s.Instance == nil && s.heldBack(*e) }) {
		d.tellError("the query fails since " + stamp(d.s.ErrorEpisode.Opened))
	}
}

func (d *decider) releaseInstance(id string, i *Instance) {
	before := slices.Clone(i.Episode.Told)
	for _, t := range d.a.Notify {
		if !i.Episode.told(t.ID) {
			d.tell(t, id, i, EventAlert)
		}
	}
	for _, step := range d.a.Escalate {
		if slices.Contains(i.Episode.Steps, stepID(step)) {
			d.escalateHeld(step, id, i)
		}
	}
	for _, target := range before {
		d.tell(d.target(target), id, i, EventReminder)
	}
	d.reasons.addFor(SilenceEnded, i.Key.String(), "a silence ended over an episode that is open since "+stamp(i.Episode.Opened))
}

// openIDs lists the instances with an open episode, in a fixed order.
func (d *decider) openIDs() []string {
	var ids []string
	for id, i := range d.s.Instances {
		if i.Episode != nil {
			ids = append(ids, id)
		}
	}
	sort.Strings(ids)
	return ids
}

// Releasable tells whether a silence has ended whose end was not told yet.
func (s State) Releasable(now time.Time) bool {
	return slices.ContainsFunc(s.Silences, func(x Silence) bool { return !x.Active(now) })
}

// Release decides the end of silences between two runs. Its ids are derived from the
// state's version, for there is no run.
func Release(a Alert, s State, now time.Time) Decision {
	d := newBetween(a, s, "release", StatusReleased, now)
	d.release()
	return d.finish()
}

// newBetween begins a decision between two runs; its id is derived from the state's version.
func newBetween(a Alert, s State, what string, status Status, now time.Time) *decider {
	run := Run{ID: "run_" + digest(a.Scope, a.Name, what, fmt.Sprint(s.Version)), Scheduled: now.UTC().Truncate(time.Millisecond)}
	d := newDecider(Input{Alert: a, State: s, Run: run, Started: now, Now: now})
	d.between, d.record.Status, d.rows = true, status, map[string]Row{}
	return d
}

// Close ends every open episode of an alert that leaves, is disabled or changed its key.
// The recoveries say that the condition was not seen to clear. The code is one of
// ClosedDisabled, ClosedRemoved, ClosedKey; a is the alert as last defined.
func Close(a Alert, s State, code Code, now time.Time) Decision {
	d := newBetween(a, s, "close", StatusClosed, now)
	d.closed = closedText[code]
	for _, id := range d.openIDs() {
		i := d.s.Instances[id]
		d.reasons.addFor(code, i.Key.String(), d.closed)
		d.recover(id, i)
	}
	if d.s.ErrorEpisode != nil {
		d.endError(d.closed)
	}
	for id, i := range d.s.Instances {
		i.Status, i.Alerts, i.OKs = StatusOK, Streak{}, Streak{}
		d.s.Instances[id] = i
	}
	d.s.ConsecutiveAlerts, d.s.ConsecutiveOKs, d.s.Errors, d.s.Unreachable = 0, 0, Streak{}, Streak{}
	d.s.Silences = slices.DeleteFunc(d.s.Silences, func(x Silence) bool { return code == ClosedRemoved || !x.Active(now) })
	return d.finish()
}

var closedText = map[Code]string{
	ClosedDisabled: "closed because the alert was disabled; the condition was not seen to clear",
	ClosedRemoved:  "closed because the alert was removed from the file; the condition was not seen to clear",
	ClosedKey:      "closed because the alert's key changed; the condition was not seen to clear",
}
