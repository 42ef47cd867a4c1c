package estimate

import (
	"fmt"
	"slices"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// Days is how long the month is that is reckoned.
const Days = 30

const minutes = Days * 24 * 60

// A Timetable is when a schedule fires in the month.
type Timetable struct {
	// Runs are the ticks. Invocations are more where Unix cron says "or" between the two day
	// fields: EventBridge needs two schedules for it, and both name some ticks.
	Runs, Invocations int
	// Schedules is how many there are in EventBridge.
	Schedules int
	ticks     []int // minutes since the month began
	alerts    int   // that share it
}

// A calendar knows timetables by schedule and zone: many alerts share one.
type calendar struct {
	from      time.Time
	schedules alert.Schedules
	known     map[[2]string]*Timetable
}

func newCalendar(from time.Time) *calendar {
	return &calendar{from: from.UTC().Truncate(time.Minute), known: map[[2]string]*Timetable{}}
}

// timetable counts the ticks of a schedule from the beginning of the month on.
func (c *calendar) timetable(a alert.Alert) (*Timetable, error) {
	key := [2]string{a.Schedule, a.Timezone}
	if t := c.known[key]; t != nil {
		return t, nil
	}
	schedule, err := c.schedules.Parse(a.Schedule, a.Timezone)
	if err != nil {
		return nil, fmt.Errorf("read the schedule of %q: %w", a.Name, err)
	}
	out := &Timetable{Schedules: 1}
	fields := schedule.Fields()
	double := fields.Either && fields.Days != nil && fields.Weekdays != nil
	if double {
		out.Schedules = 2
	}
	until := c.from.Add(minutes * time.Minute)
	for at := schedule.Next(c.from.Add(-time.Second)); !at.IsZero() && at.Before(until); at = schedule.Next(at) {
		out.ticks = append(out.ticks, int(at.Sub(c.from)/time.Minute))
		out.Runs++
		out.Invocations++
		if double && slices.Contains(fields.Days, at.Day()) && slices.Contains(fields.Weekdays, int(at.Weekday())) {
			out.Invocations++
		}
	}
	c.known[key] = out
	return out, nil
}

// load is how many runs each minute of the month has.
type load []int

func (c *calendar) load() load {
	out := make(load, minutes)
	for _, t := range c.known {
		for _, minute := range t.ticks {
			out[minute] += t.alerts
		}
	}
	return out
}

// peak is the first minute of those with the most runs.
func (l load) peak() int {
	most := 0
	for minute, n := range l {
		if n > l[most] {
			most = minute
		}
	}
	return most
}

// around are the minutes of the hour that begins with one.
func (l load) around(minute int) []int {
	return l[minute:min(minute+60, len(l))]
}
