package alert_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

func parse(t testing.TB, expr, zone string) alert.Schedule {
	t.Helper()
	s, err := alert.ParseSchedule(expr, zone)
	require.NoError(t, err)
	return s
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	out, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return out
}

// nextOnes writes the n ticks after a time, as RFC 3339 in the schedule's zone.
func nextOnes(t testing.TB, s alert.Schedule, after string, n int) []string {
	t.Helper()
	var out []string
	for next := at(t, after); len(out) < n; {
		next = s.Next(next)
		out = append(out, next.Format(time.RFC3339))
	}
	return out
}

func TestATimeThatTheClockSkipsDoesNotFire(t *testing.T) {
	s := parse(t, "30 2 * * *", "Europe/Paris")
	require.Equal(t, []string{"2027-03-27T02:30:00+01:00", "2027-03-29T02:30:00+02:00"}, nextOnes(t, s, "2027-03-26T12:00:00Z", 2))
	require.Equal(t, "2027-03-27T02:30:00+01:00", s.Previous(at(t, "2027-03-28T12:00:00Z")).Format(time.RFC3339))
}

func TestATimeThatTheClockShowsTwiceFiresTheFirstTime(t *testing.T) {
	s := parse(t, "30 2 * * *", "Europe/Paris")
	require.Equal(t, []string{"2027-10-31T02:30:00+02:00", "2027-11-01T02:30:00+01:00"}, nextOnes(t, s, "2027-10-30T12:00:00Z", 2))
	require.Equal(t, "2027-11-01T02:30:00+01:00", s.Next(at(t, "2027-10-31T02:29:00+01:00")).Format(time.RFC3339), "within the second showing")
	require.Equal(t, "2027-10-31T02:30:00+02:00", s.Previous(at(t, "2027-10-31T02:31:00+01:00")).Format(time.RFC3339))
}

func TestAMidnightThatVanishesDoesNotFire(t *testing.T) {
	s := parse(t, "0 0 * * *", "Africa/Cairo")
	require.Equal(t, []string{"2026-04-23T00:00:00+02:00", "2026-04-25T00:00:00+03:00"}, nextOnes(t, s, "2026-04-22T12:00:00Z", 2))
}

func TestAnHourlyScheduleFiresInEveryHourOfRealTime(t *testing.T) {
	s := parse(t, "*/30 * * * *", "Europe/Paris")
	require.True(t, s.InUTC())
	require.Equal(t, []string{
		"2027-10-31T02:30:00+02:00", "2027-10-31T02:00:00+01:00", "2027-10-31T02:30:00+01:00", "2027-10-31T03:00:00+01:00",
	}, nextOnes(t, s, "2027-10-31T02:00:00+02:00", 4))
	require.Equal(t, "2027-10-31T02:00:00+01:00", s.Previous(at(t, "2027-10-31T02:29:59+01:00")).Format(time.RFC3339))
	require.Empty(t, s.ClockChange(at(t, "2026-11-23T00:00:00Z"), 10))

	require.True(t, parse(t, "15 0-23 * * *", "Asia/Kolkata").InUTC())
	require.True(t, parse(t, "15 * 1-31 * MON", "America/Havana").InUTC(), "either day field, and one holds every day")
	require.True(t, parse(t, "*/30 * * * *", "Australia/Lord_Howe").InUTC())
	require.False(t, parse(t, "0 * * * *", "Australia/Lord_Howe").InUTC(), "its clock changes by half an hour")
	require.False(t, parse(t, "0 * 1-31 * *", "Asia/Pyongyang").InUTC(), "its offset was half an hour off until 2018")
	for _, expr := range []string{"0 1-23 * * *", "0 * 1-30 * *", "0 * * 1-11 *", "0 * * * 1-6"} {
		require.False(t, parse(t, expr, "Europe/Paris").InUTC(), expr)
	}
}

func TestTheHourlyMinuteIsThatOfTheZone(t *testing.T) {
	s := parse(t, "10 * * * *", "Asia/Kathmandu")
	require.True(t, s.InUTC())
	require.Equal(t, []string{"2026-03-01T06:10:00+05:45", "2026-03-01T07:10:00+05:45"}, nextOnes(t, s, "2026-03-01T00:00:00Z", 2))
	require.Equal(t, "Asia/Kathmandu", s.Zone().String())
}

func TestNextIsStrictlyAfterAndPreviousIsAtOrBefore(t *testing.T) {
	s, tick := parse(t, "0 9 * * *", "Europe/Paris"), at(t, "2026-03-02T09:00:00+01:00")
	require.True(t, tick.AddDate(0, 0, 1).Equal(s.Next(tick)))
	require.True(t, tick.Equal(s.Next(tick.Add(-time.Nanosecond))))
	require.True(t, tick.Equal(s.Previous(tick)))
	require.True(t, tick.Equal(s.Previous(tick.Add(time.Nanosecond))))
	require.True(t, tick.AddDate(0, 0, -1).Equal(s.Previous(tick.Add(-time.Nanosecond))))
}

func TestAScheduleLooksTenYearsAhead(t *testing.T) {
	s := parse(t, "0 0 29 2 *", "")
	require.Equal(t, []string{"2104-02-29T00:00:00Z"}, nextOnes(t, s, "2096-02-29T00:00:00Z", 1), "2100 is no leap year")
	require.Equal(t, "2096-02-29T00:00:00Z", s.Previous(at(t, "2104-02-28T23:00:00Z")).Format(time.RFC3339))
	require.True(t, alert.Schedule{}.Next(time.Now()).IsZero())
	require.True(t, alert.Schedule{}.Previous(time.Now()).IsZero())
	require.Equal(t, time.UTC, alert.Schedule{}.Zone())
}

func TestAClockChangeThatMattersIsSaid(t *testing.T) {
	for _, c := range []struct{ expr, zone, want string }{
		{"30 2 * * *", "Europe/Paris", "02:30 does not exist on 2027-03-28 in Europe/Paris; that run is skipped"},
		{"0,30 2 * * *", "Europe/Paris", "02:00 and 02:30 do not exist on 2027-03-28 in Europe/Paris; those runs are skipped"},
		{"*/5 2 * * *", "Europe/Paris", "the 12 times from 02:00 to 02:55 do not exist on 2027-03-28 in Europe/Paris; those runs are skipped"},
		{"0 0 * * *", "Africa/Cairo", "00:00 does not exist on 2027-04-30 in Africa/Cairo; that run is skipped"},
		{"0 1-23/2 * * *", "Europe/Paris", "on 2027-03-28 the clock goes forward from 02:00 to 03:00 in Europe/Paris; the runs of 01:00 and 03:00 are then 1h apart instead of 2h"},
		{"0,30 0-1,3-23 * * *", "America/New_York", "on 2027-03-14 the clock goes forward from 02:00 to 03:00 in America/New_York; the runs of 01:30 and 03:00 are then 30m apart instead of 1h30m"},
		{"0 0-1,3-5 * * *", "Australia/Lord_Howe", "on 2027-04-04 the clock goes back from 02:00 to 01:30 in Australia/Lord_Howe; the runs of 01:00 and 03:00 are then 2h30m apart instead of 2h"},
		{"0 9 * * *", "Europe/Paris", ""},
		{"0 */6 * * *", "Europe/Paris", ""},
		{"0 3 * * *", "Europe/Paris", ""},
		{"0 * * * *", "Europe/Paris", ""},
		{"30 2 * * *", "Asia/Tokyo", ""},
		{"30 2 * * *", "", ""},
		{"30 2 * * MON-SAT", "Europe/Paris", ""},
		{"30 2 25-30 6 *", "Europe/Paris", ""},
	} {
		require.Equal(t, c.want, parse(t, c.expr, c.zone).ClockChange(at(t, "2026-11-23T00:00:00Z"), 2), "%s in %s", c.expr, c.zone)
	}
	require.Empty(t, parse(t, "30 2 * * *", "Europe/Paris").ClockChange(at(t, "2026-04-01T00:00:00Z"), 0))
	require.Empty(t, alert.Schedule{}.ClockChange(time.Now(), 5))
}

func TestTheSearchForATickAllocatesNothing(t *testing.T) {
	s, from := parse(t, "30 2 29 2 *", "Europe/Paris"), at(t, "2026-03-01T00:00:00Z")
	require.Zero(t, testing.AllocsPerRun(10, func() { s.Previous(s.Next(from)) }))
}

func BenchmarkNext(b *testing.B) {
	s, from := parse(b, "0 9 * * MON-FRI", "Europe/Paris"), at(b, "2026-11-23T00:00:00Z")
	b.ReportAllocs()
	for b.Loop() {
		s.Next(from)
	}
}

func BenchmarkParseWithKnownZone(b *testing.B) {
	var p alert.Schedules
	for b.Loop() {
		_, err := p.Parse("0 9 * * MON-FRI", "Europe/Paris")
		require.NoError(b, err)
	}
}
