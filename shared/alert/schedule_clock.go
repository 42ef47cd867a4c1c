package alert

import (
	"fmt"
	"strings"
	"time"
)

// ClockChange describes what the first clock change that matters does to the schedule, in
// the given number of years after a time; it returns "" if none does. A change matters if
// the clock skips a tick, or if it makes the time between the ticks around it shorter or
// longer by a quarter or more: an hour more or less in a day's distance is no news.
func (s Schedule) ClockChange(from time.Time, years int) string {
	if s.InUTC() {
		return ""
	}
	until := from.AddDate(years, 0, 0).Unix()
	sp := spanAt(from.In(s.runs))
	for sp.end < until {
		next := spanAt(time.Unix(sp.end, 0).In(s.runs))
		if text := s.skipped(sp, next); text != "" {
			return text
		}
		if text := s.stretched(sp, next); text != "" {
			return text
		}
		sp = next
	}
	return ""
}

// skipped names the ticks that fall between the end of a span and the clock after it.
func (s Schedule) skipped(sp, next span) string {
	first, end := sp.end+sp.offset, next.start+next.offset
	var times []string
	for wall, ok := s.cron.nextWall(first, end); ok && wall < end; wall, ok = s.cron.nextWall(wall+60, end) {
		times = append(times, clock(wall))
	}
	if len(times) == 0 {
		return ""
	}
	where := fmt.Sprintf("on %s in %s", time.Unix(first, 0).UTC().Format(time.DateOnly), s.zone)
	switch n := len(times); {
	case n == 1:
		return fmt.Sprintf("%s does not exist %s; that run is skipped", times[0], where)
	case n <= 4:
		return fmt.Sprintf("%s and %s do not exist %s; those runs are skipped", strings.Join(times[:n-1], ", "), times[n-1], where)
	default:
		return fmt.Sprintf("the %d times from %s to %s do not exist %s; those runs are skipped", n, times[0], times[n-1], where)
	}
}

// stretched compares the time between the ticks around a change with what the clock shows.
func (s Schedule) stretched(sp, next span) string {
	change := time.Unix(sp.end, 0)
	before, after := s.Previous(change.Add(-time.Second)), s.Next(change.Add(-time.Second))
	if sp.offset == next.offset || before.IsZero() || after.IsZero() {
		return ""
	}
	apart, shown := after.Sub(before), wallOf(after).Sub(wallOf(before))
	if diff := (apart - shown).Abs(); 4*diff < shown {
		return ""
	}
	goes := "forward"
	if next.offset < sp.offset {
		goes = "back"
	}
	return fmt.Sprintf("on %s the clock goes %s from %s to %s in %s; the runs of %s and %s are then %s apart instead of %s",
		time.Unix(sp.end+sp.offset, 0).UTC().Format(time.DateOnly), goes, clock(sp.end+sp.offset), clock(next.start+next.offset), s.zone,
		before.Format("15:04"), after.Format("15:04"), Duration(apart), Duration(shown))
}

// wallOf is the time in UTC that reads the same as t in its zone.
func wallOf(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

func clock(wall int64) string { return time.Unix(wall, 0).UTC().Format("15:04") }
