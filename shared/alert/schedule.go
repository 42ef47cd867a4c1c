package alert

import (
	"fmt"
	"sync"
	"time"
)

// A Schedule tells when an alert runs: the minutes that a Unix cron expression names on
// the clock of a time zone. A time that the clock skips does not fire; a time that it
// shows twice fires the first time.
//
// A schedule that names every hour of every day, and whose minutes are the same at every
// offset of its zone, is not touched by clock changes at all: it fires in every hour of
// real time. The zero Schedule never fires. A Schedule is a value and safe to share.
type Schedule struct {
	cron cron
	zone *time.Location // in which times are shown
	runs *time.Location // in which cron is read: zone, or UTC where the clock does not matter
}

// A ZoneError says that a time zone is not known.
type ZoneError struct {
	Zone string // as written
	Err  error  // why it could not be loaded; may be nil
}

// Error names the zone and how zones are written.
func (e *ZoneError) Error() string {
	if e.Zone == "Local" {
		return `the timezone "Local" depends on the machine; use a name such as Europe/Paris or UTC`
	}
	return fmt.Sprintf("the timezone %s is unknown; use a name such as Europe/Paris or UTC", quoted(e.Zone))
}

// Unwrap returns the cause.
func (e *ZoneError) Unwrap() error { return e.Err }

// ParseSchedule reads a cron expression of five Unix fields (minute, hour, day of month,
// month, day of week) with lists, ranges, steps and names, or @hourly, @daily, @midnight,
// @weekly, @monthly, @yearly, @annually. Sunday is 0 or 7. Where both day fields are
// restricted, a day that matches either counts. zone is an IANA name; empty means UTC.
// An unknown zone is a *ZoneError.
func ParseSchedule(expr, zone string) (Schedule, error) {
	return new(Schedules).Parse(expr, zone)
}

// Schedules parses many schedules and loads each time zone once. The zero value is ready;
// it is safe for concurrent use.
type Schedules struct {
	mu    sync.Mutex
	zones map[string]*time.Location
}

// Parse is ParseSchedule with the zones that p has loaded before.
func (p *Schedules) Parse(expr, zone string) (Schedule, error) {
	parsed, err := parseCron(expr)
	if err != nil {
		return Schedule{}, err
	}
	loc, err := p.load(zone)
	if err != nil {
		return Schedule{}, err
	}
	s := Schedule{cron: parsed, zone: loc, runs: loc}
	if minutes, ok := parsed.sameInUTC(loc); ok {
		s.cron.minutes, s.runs = minutes, time.UTC
	}
	return s, nil
}

func (p *Schedules) load(zone string) (*time.Location, error) {
	if zone == "" || zone == "UTC" {
		return time.UTC, nil
	}
	// Every IANA name begins with a capital. What does not is a file of the machine's
	// zone folder that means something else: localtime, posixrules, right/….
	if zone == "Local" || zone[0] < 'A' || zone[0] > 'Z' {
		return nil, &ZoneError{Zone: zone}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if loc := p.zones[zone]; loc != nil {
		return loc, nil
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return nil, &ZoneError{Zone: zone, Err: err}
	}
	if p.zones == nil {
		p.zones = map[string]*time.Location{}
	}
	p.zones[zone] = loc
	return loc, nil
}

// Zone is the time zone of the schedule, in which its times are shown.
func (s Schedule) Zone() *time.Location {
	if s.zone == nil {
		return time.UTC
	}
	return s.zone
}

// InUTC tells whether the schedule is run in UTC, because its zone is UTC or makes no
// difference.
func (s Schedule) InUTC() bool { return s.runs == nil || s.runs == time.UTC }

// The span in which a zone's offsets are looked at. It is fixed, so that a schedule means
// the same whenever it is parsed; beyond its end, zones repeat their rules each year.
const (
	offsetsFrom  = 1420070400 // 2015-01-01
	offsetsUntil = 2208988800 // 2040-01-01
)

// sameInUTC returns the minutes of c in UTC, if c names every hour of every day and its
// minutes are the same at every offset of the zone.
func (c cron) sameInUTC(zone *time.Location) (bitset, bool) {
	if !c.everyHour() {
		return 0, false
	}
	current := spanAt(time.Unix(offsetsFrom, 0).In(zone))
	minutes, ok := c.minutes.shifted(current.offset)
	for ok && current.end < offsetsUntil {
		current = spanAt(time.Unix(current.end, 0).In(zone))
		more, whole := c.minutes.shifted(current.offset)
		ok = whole && more == minutes
	}
	return minutes, ok
}

// everyHour tells whether c names every hour of every day.
func (c cron) everyHour() bool {
	fields := cronFields()
	days, weekdays := c.days == fields[2].full(), c.weekdays == rangeOf(0, 6, 1)
	everyDay := days && weekdays || c.either && (days || weekdays)
	return everyDay && c.hours == fields[1].full() && c.months == fields[3].full()
}

// shifted turns minutes of a local clock into those of UTC, offset seconds behind it. It
// fails for an offset that is no whole minute.
func (b bitset) shifted(offset int64) (bitset, bool) {
	const hour = 1<<60 - 1
	n := ((offset/60)%60 + 60) % 60
	return (b>>n | b<<(60-n)) & hour, offset%60 == 0
}
