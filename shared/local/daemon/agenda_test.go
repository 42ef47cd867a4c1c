package daemon

import (
	"fmt"
	"slices"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// zones change their clocks in ways that differ: by half an hour, at midnight, twice for
// Ramadan once, on other days of the year, or no more.
var zones = []string{
	"UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Beirut",
	"America/Havana", "Atlantic/Azores", "Pacific/Apia", "America/St_Johns", "Asia/Kolkata", "Africa/Casablanca",
}

// A pattern is a schedule and what it says of a wall clock, written apart from the parser.
type pattern struct {
	cron   string
	fires  func(t time.Time) bool
	steady bool // it names every hour of every day, and runs through clock changes
}

var patterns = []pattern{
	{"*/5 * * * *", func(t time.Time) bool { return t.Minute()%5 == 0 }, true},
	{"30 2 * * *", func(t time.Time) bool { return t.Hour() == 2 && t.Minute() == 30 }, false},
	{"15 0,1,23 * * *", func(t time.Time) bool { return slices.Contains([]int{0, 1, 23}, t.Hour()) && t.Minute() == 15 }, false},
	{"0 9 * * 1-5", func(t time.Time) bool {
		return t.Hour() == 9 && t.Minute() == 0 && t.Weekday() >= time.Monday && t.Weekday() <= time.Friday
	}, false},
	{"*/20 0-3 * * *", func(t time.Time) bool { return t.Hour() <= 3 && t.Minute()%20 == 0 }, false},
}

// scan looks at each minute of real time. A wall time that comes twice counts once, the
// first time; one that never comes, never.
func scan(p pattern, zone *time.Location, from, to time.Time) []time.Time {
	var out []time.Time
	told := map[string]bool{}
	for at := from.Add(time.Minute); !at.After(to); at = at.Add(time.Minute) {
		wall := at.In(zone)
		if !p.fires(wall) {
			continue
		}
		if name := wall.Format("2006-01-02T15:04"); !p.steady && told[name] {
			continue
		} else {
			told[name] = true
		}
		out = append(out, at)
	}
	return out
}

// A year of ticks of 60 alerts, over both clock changes in twelve zones, by a clock that
// jumps from tick to tick, against a scan of every minute.
func TestAYearOfTicks(t *testing.T) {
	from, to := time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 15, 0, 0, 0, 0, time.UTC)
	var alerts []alert.Alert
	want := map[string][]time.Time{}
	for _, zone := range zones {
		location, err := time.LoadLocation(zone)
		require.NoError(t, err)
		for _, p := range patterns {
			name := zone + " " + p.cron
			alerts = append(alerts, alert.Alert{Name: name, Schedule: p.cron, Timezone: zone, Enabled: true})
			want[name] = scan(p, location, from, to)
		}
	}
	var g agenda
	require.NoError(t, g.set(alerts, func(alert.Alert) time.Time { return from }, from))
	got := map[string][]time.Time{}
	for now := g.next(); !now.After(to); now = g.next() {
		for _, tick := range g.due(now) {
			require.Zero(t, tick.missed)
			require.True(t, tick.at.Equal(now), "%s: %s at %s", tick.alert.Name, tick.at, now)
			got[tick.alert.Name] = append(got[tick.alert.Name], tick.at.UTC())
		}
	}
	for name := range want {
		require.Equal(t, want[name], got[name], name)
	}
}

func every(minutes int) alert.Alert {
	return alert.Alert{Name: fmt.Sprint("every ", minutes), Schedule: fmt.Sprintf("*/%d * * * *", minutes), Timezone: "UTC", Enabled: true}
}

func since(at time.Time) func(alert.Alert) time.Time {
	return func(alert.Alert) time.Time { return at }
}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func TestAfterAStopTheLatestTickRunsAndTheOthersAreCounted(t *testing.T) {
	var g agenda
	require.NoError(t, g.set([]alert.Alert{every(5)}, since(noon), noon))
	due := g.due(noon.Add(32 * time.Minute))
	require.Len(t, due, 1)
	require.Equal(t, noon.Add(30*time.Minute), due[0].at)
	require.Equal(t, 5, due[0].missed)
	require.Equal(t, noon.Add(5*time.Minute), due[0].first)
	require.Equal(t, noon.Add(25*time.Minute), due[0].last)
	require.Empty(t, g.due(noon.Add(34*time.Minute)), "it is run once")
	require.Equal(t, noon.Add(35*time.Minute), g.next())
}

func TestATickBeforeTheAlertWasSeenOrAtItsLastRunIsNotMissed(t *testing.T) {
	var g agenda
	require.NoError(t, g.set([]alert.Alert{every(5)}, since(noon.Add(7*time.Minute)), noon.Add(9*time.Minute)))
	require.Empty(t, g.due(noon.Add(9*time.Minute)))
	require.NoError(t, g.set([]alert.Alert{every(10)}, since(noon.Add(10*time.Minute)), noon.Add(15*time.Minute)))
	require.Empty(t, g.due(noon.Add(19*time.Minute)), "its last run was of 12:10")
}

func TestReloadingLosesNoTickAndDoublesNone(t *testing.T) {
	var g agenda
	got := 0
	require.NoError(t, g.set([]alert.Alert{every(1)}, since(noon), noon))
	for second := range 600 {
		now := noon.Add(time.Duration(second+1) * time.Second)
		require.NoError(t, g.set([]alert.Alert{every(1)}, since(noon), now)) // the file is read again each second
		for _, tick := range g.due(now) {
			require.Zero(t, tick.missed)
			got++
		}
	}
	require.Equal(t, 10, got)
}

func TestAScheduleThatChangedCountsFromTheChange(t *testing.T) {
	var g agenda
	require.NoError(t, g.set([]alert.Alert{every(5)}, since(noon), noon))
	changed := every(5)
	changed.Schedule = "*/2 * * * *"
	now := noon.Add(9 * time.Minute)
	require.NoError(t, g.set([]alert.Alert{changed}, since(now), now))
	require.Empty(t, g.due(now))
	require.Equal(t, noon.Add(10*time.Minute), g.next())
}

func TestAClockThatIsSetBackADayDoesNotStopTheAlerts(t *testing.T) {
	var g agenda
	require.NoError(t, g.set([]alert.Alert{every(5)}, since(noon), noon))
	require.Len(t, g.due(noon.Add(5*time.Minute)), 1)
	back := noon.Add(-24 * time.Hour)
	require.Empty(t, g.due(back))
	require.Len(t, g.due(back.Add(5*time.Minute)), 1)
	var later agenda // a daemon that starts on such a clock
	require.NoError(t, later.set([]alert.Alert{every(5)}, since(noon), back))
	require.Len(t, later.due(back.Add(5*time.Minute)), 1)
}

func TestARunThatCouldNotBeRecordedComesAgain(t *testing.T) {
	var g agenda
	hourly := every(5)
	hourly.Schedule = "@hourly"
	require.NoError(t, g.set([]alert.Alert{hourly}, since(noon.Add(-time.Minute)), noon))
	require.Len(t, g.due(noon), 1)
	now := noon
	for _, pause := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
		g.ended(hourly.Name, noon, false, now)
		require.Equal(t, now.Add(pause), g.next())
		require.Empty(t, g.due(now.Add(pause-time.Second)))
		now = now.Add(pause)
		again := g.due(now)
		require.Len(t, again, 1)
		require.Equal(t, noon, again[0].at)
		require.Zero(t, again[0].missed)
		require.Empty(t, g.due(now), "once")
	}
	g.ended(hourly.Name, noon, false, now)
	require.Equal(t, noon.Add(time.Hour), g.due(noon.Add(time.Hour))[0].at, "a later tick takes its place")
	require.Empty(t, g.due(noon.Add(61*time.Minute)))
	g.ended(hourly.Name, noon, false, now)
	require.Equal(t, noon.Add(2*time.Hour), g.next(), "it is of the past")
	g.ended(hourly.Name, noon.Add(time.Hour), true, now)
	require.Equal(t, noon.Add(2*time.Hour), g.next())
	g.ended("gone", noon, false, now)
}
