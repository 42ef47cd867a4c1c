package alert

import (
	"math"
	"math/bits"
	"time"
)

// Local clocks are reckoned here as "wall" seconds: the seconds since 1970 that a UTC
// clock would show if it read the same. Between two clock changes, wall time is real time
// plus a fixed offset, so that the search for a tick is plain arithmetic in one span and
// never asks what a skipped or doubled local time might mean.

const day = 24 * 60 * 60

// A span is the time between two clock changes.
type span struct {
	start, end int64 // real seconds, [start, end); the extreme values mean always
	offset     int64 // wall minus real
}

// spanAt returns the span that holds t, in t's zone.
func spanAt(t time.Time) span {
	from, to := t.ZoneBounds()
	_, offset := t.Zone()
	sp := span{start: math.MinInt64, end: math.MaxInt64, offset: int64(offset)}
	if !from.IsZero() {
		sp.start = from.Unix()
	}
	if !to.IsZero() {
		sp.end = to.Unix()
	}
	return sp
}

// firstWall is where a span's fresh wall times begin: before it lie those that the span
// before has shown already.
func (sp span) firstWall(zone *time.Location) int64 {
	if sp.start == math.MinInt64 {
		return math.MinInt64
	}
	before := spanAt(time.Unix(sp.start-1, 0).In(zone))
	return sp.start + max(before.offset, sp.offset)
}

// horizon bounds the search for a tick, in years. The rarest, 29 February across a year
// such as 2100, is eight years away.
const horizon = 10

// Next returns the first tick strictly after a time, in the schedule's zone. It returns
// the zero time if there is none within ten years.
func (s Schedule) Next(after time.Time) time.Time {
	if s.runs == nil {
		return time.Time{}
	}
	limit := after.AddDate(horizon, 0, 0).Unix()
	sp := spanAt(after.In(s.runs))
	wall, found := s.cron.nextWall(max(after.Unix()+1+sp.offset, sp.firstWall(s.runs)), limit+day)
	for found && sp.end <= wall-sp.offset { // the clock changes before that
		sp = spanAt(time.Unix(sp.end, 0).In(s.runs))
		if first := sp.firstWall(s.runs); wall < first {
			wall, found = s.cron.nextWall(first, limit+day)
		}
	}
	if !found || wall-sp.offset > limit {
		return time.Time{}
	}
	return time.Unix(wall-sp.offset, 0).In(s.zone)
}

// Previous returns the latest tick at or before a time, in the schedule's zone: for the
// time of a tick it returns that tick. It returns the zero time if there is none within
// ten years.
func (s Schedule) Previous(at time.Time) time.Time {
	if s.runs == nil {
		return time.Time{}
	}
	limit := at.AddDate(-horizon, 0, 0).Unix()
	sp := spanAt(at.In(s.runs))
	wall := at.Unix() + sp.offset
	for {
		var found bool
		if wall, found = s.cron.previousWall(wall, limit-day); !found {
			return time.Time{}
		}
		if wall >= sp.firstWall(s.runs) {
			break
		}
		sp = spanAt(time.Unix(sp.start-1, 0).In(s.runs))
		wall = sp.end - 1 + sp.offset
	}
	if wall-sp.offset < limit {
		return time.Time{}
	}
	return time.Unix(wall-sp.offset, 0).In(s.zone)
}

// nextWall returns the first wall time from `from` to limit that c names.
func (c cron) nextWall(from, limit int64) (int64, bool) {
	from += (60 - from%60) % 60 // the full minute at or after
	date, second := floorDay(from)
	for ; date <= limit; date, second = date+day, 0 {
		y, m, d := time.Unix(date, 0).UTC().Date()
		if !c.months.has(int(m)) {
			date = time.Date(y, m+1, 0, 0, 0, 0, 0, time.UTC).Unix()
			continue
		}
		if !c.matchesDay(d, date) {
			continue
		}
		if minute, ok := c.minuteFrom(int(second / 60)); ok {
			return date + int64(minute)*60, true
		}
	}
	return 0, false
}

// previousWall returns the last wall time from limit to `from` that c names.
func (c cron) previousWall(from, limit int64) (int64, bool) {
	date, second := floorDay(from)
	for ; date >= limit; date, second = date-day, day-1 {
		y, m, d := time.Unix(date, 0).UTC().Date()
		if !c.months.has(int(m)) {
			date = time.Date(y, m, 1, 0, 0, 0, 0, time.UTC).Unix()
			continue
		}
		if !c.matchesDay(d, date) {
			continue
		}
		if minute, ok := c.minuteUpTo(int(second / 60)); ok {
			return date + int64(minute)*60, true
		}
	}
	return 0, false
}

// floorDay splits a wall time into its midnight and the seconds since.
func floorDay(wall int64) (date, second int64) {
	second = ((wall % day) + day) % day
	return wall - second, second
}

// matchesDay tells whether c names the day d of a month, whose midnight is date.
func (c cron) matchesDay(d int, date int64) bool {
	weekday := int(((date/day+4)%7 + 7) % 7) // 1970-01-01 was a Thursday
	if c.either {
		return c.days.has(d) || c.weekdays.has(weekday)
	}
	return c.days.has(d) && c.weekdays.has(weekday)
}

// minuteFrom returns the first minute of the day, at or after one, that c names.
func (c cron) minuteFrom(minute int) (int, bool) {
	h, m := minute/60, minute%60
	if rest := c.minutes >> m << m; c.hours.has(h) && rest != 0 {
		return h*60 + bits.TrailingZeros64(uint64(rest)), true
	}
	rest := c.hours >> (h + 1) << (h + 1)
	if rest == 0 || c.minutes == 0 {
		return 0, false
	}
	return bits.TrailingZeros64(uint64(rest))*60 + bits.TrailingZeros64(uint64(c.minutes)), true
}

// minuteUpTo returns the last minute of the day, at or before one, that c names.
func (c cron) minuteUpTo(minute int) (int, bool) {
	h, m := minute/60, minute%60
	if rest := c.minutes & (1<<(m+1) - 1); c.hours.has(h) && rest != 0 {
		return h*60 + bits.Len64(uint64(rest)) - 1, true
	}
	rest := c.hours & (1<<h - 1)
	if rest == 0 || c.minutes == 0 {
		return 0, false
	}
	return (bits.Len64(uint64(rest))-1)*60 + bits.Len64(uint64(c.minutes)) - 1, true
}
