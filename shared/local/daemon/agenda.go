package daemon

import (
	"cmp"
	"slices"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// A tick is a scheduled time of an alert that has come.
type tick struct {
	alert alert.Alert
	at    time.Time
	// missed counts the ticks since the last one that was run or tried, from first to last,
	// at which nothing ran.
	missed      int
	first, last time.Time
}

// An agenda knows the next tick of each alert.
type agenda struct {
	entries map[string]*entry
}

type entry struct {
	alert    alert.Alert
	schedule alert.Schedule
	// seen is the last tick that was handed out, or from when on ticks count.
	seen time.Time
	next time.Time // zero: never again
	// again is when the run of seen, which could not be recorded, is tried once more; zero:
	// not. failed counts these runs one after the other.
	again  time.Time
	failed int
}

// firstRetry is how long after a run that could not be recorded it is tried again; the
// pause doubles until lastRetry.
const firstRetry, lastRetry = time.Minute, time.Hour

// backwards is how far a clock may be set back before its ticks come again; alert.Decide
// takes a last run that lies further in the future for a bad clock.
const backwards = 5 * time.Minute

// set makes the agenda that of these alerts. since tells from when on the ticks of an alert
// that is new here, or has another schedule, count. The error names a schedule that cannot
// be read.
func (g *agenda) set(alerts []alert.Alert, since func(alert.Alert) time.Time, now time.Time) error {
	entries := make(map[string]*entry, len(alerts))
	var schedules alert.Schedules
	for _, a := range alerts {
		if !a.Enabled {
			continue
		}
		old := g.entries[a.Name]
		if old != nil && old.alert.Schedule == a.Schedule && old.alert.Timezone == a.Timezone {
			old.alert = a
			entries[a.Name] = old
			continue
		}
		schedule, err := schedules.Parse(a.Schedule, a.Timezone)
		if err != nil {
			return err
		}
		e := &entry{alert: a, schedule: schedule, seen: since(a)}
		if e.seen.After(now.Add(backwards)) {
			e.seen = now
		}
		e.next = schedule.Next(e.seen)
		entries[a.Name] = e
	}
	g.entries = entries
	return nil
}

// due takes the ticks that have come by now, the oldest first. Of several ticks of one alert
// only the latest is run.
func (g *agenda) due(now time.Time) []tick {
	var out []tick
	for _, e := range g.entries {
		if e.seen.After(now.Add(backwards)) { // the clock was set back
			e.seen = now
			e.next, e.again = e.schedule.Next(now), time.Time{}
		}
		if e.next.IsZero() || e.next.After(now) {
			if !e.again.IsZero() && !e.again.After(now) {
				e.again = time.Time{}
				out = append(out, tick{alert: e.alert, at: e.seen})
			}
			continue
		}
		latest := e.schedule.Previous(now)
		t := tick{alert: e.alert, at: latest, first: e.next}
		for at := e.next; at.Before(latest); at = e.schedule.Next(at) {
			t.missed, t.last = t.missed+1, at
		}
		out = append(out, t)
		e.seen, e.next, e.again = latest, e.schedule.Next(latest), time.Time{}
	}
	slices.SortFunc(out, func(a, b tick) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.alert.Name, b.alert.Name))
	})
	return out
}

// ended notes whether the run of a tick was recorded. One that was not comes again, unless
// a later tick has come by then.
func (g *agenda) ended(name string, at time.Time, recorded bool, now time.Time) {
	e := g.entries[name]
	if e == nil || !e.seen.Equal(at) {
		return
	}
	if recorded {
		e.failed = 0
		return
	}
	e.again = now.Add(min(firstRetry<<min(e.failed, 10), lastRetry))
	e.failed++
}

// next is when the next tick comes; the zero time if none does.
func (g *agenda) next() time.Time {
	var first time.Time
	for _, e := range g.entries {
		for _, at := range []time.Time{e.next, e.again} {
			if !at.IsZero() && (first.IsZero() || at.Before(first)) {
				first = at
			}
		}
	}
	return first
}
