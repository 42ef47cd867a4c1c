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
}

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
			e.next = e.schedule.Next(now)
		}
		if e.next.IsZero() || e.next.After(now) {
			continue
		}
		latest := e.schedule.Previous(now)
		t := tick{alert: e.alert, at: latest, first: e.next}
		for at := e.next; at.Before(latest); at = e.schedule.Next(at) {
			t.missed, t.last = t.missed+1, at
		}
		out = append(out, t)
		e.seen, e.next = latest, e.schedule.Next(latest)
	}
	slices.SortFunc(out, func(a, b tick) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.alert.Name, b.alert.Name))
	})
	return out
}

// next is when the next tick comes; the zero time if none does.
func (g *agenda) next() time.Time {
	var first time.Time
	for _, e := range g.entries {
		if !e.next.IsZero() && (first.IsZero() || e.next.Before(first)) {
			first = e.next
		}
	}
	return first
}
