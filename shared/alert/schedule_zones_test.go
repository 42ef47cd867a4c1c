package alert_test

import (
	"archive/zip"
	"go/build"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// oracle reads an expression as simply as can be: for each field, a yes or no per value.
type oracle struct {
	text                          string
	minute, hour, day, month, dow []bool
	everyHour, either             bool
}

func newOracle(expr string) *oracle {
	f := strings.Fields(expr)
	return &oracle{
		text: expr, minute: values(f[0], 60), hour: values(f[1], 24), day: values(f[2], 32), month: values(f[3], 13), dow: values(f[4], 7),
		everyHour: strings.HasSuffix(expr, " * * * *"), either: f[2] != "*" && f[4] != "*",
	}
}

// values knows `*`, `*/n`, `a` and `a-b` in lists of numbers, which is all that is used here.
func values(text string, n int) []bool {
	out := make([]bool, n)
	for item := range strings.SplitSeq(text, ",") {
		lo, hi, step := 0, n-1, 1
		if every, ok := strings.CutPrefix(item, "*/"); ok {
			step, _ = strconv.Atoi(every)
		} else if item != "*" {
			from, to, ranged := strings.Cut(item, "-")
			lo, _ = strconv.Atoi(from)
			if hi = lo; ranged {
				hi, _ = strconv.Atoi(to)
			}
		}
		for i := lo; i <= hi; i += step {
			out[i] = true
		}
	}
	return out
}

func (o *oracle) matches(m *reading) bool {
	onDay := o.day[m.day] && o.dow[m.dow]
	if o.either {
		onDay = o.day[m.day] || o.dow[m.dow]
	}
	return o.minute[m.minute] && o.hour[m.hour] && o.month[m.month] && onDay
}

// steady tells whether the minutes that o names are the same in UTC at all offsets.
func (o *oracle) steady(offsets []int) bool {
	for m := range 60 {
		for _, offset := range offsets {
			if offset%60 != 0 || o.minute[m] != o.minute[((m+(offset-offsets[0])/60)%60+60)%60] {
				return false
			}
		}
	}
	return o.everyHour
}

// A reading is what the zone's clock shows at one minute of real time.
type reading struct {
	unix                          int64
	minute, hour, day, month, dow int
	again                         bool // the clock has shown this before
}

// readings reads the clock minute by minute.
func readings(zone *time.Location, from, to int64) []reading {
	out := make([]reading, 0, (to-from)/60)
	seen := map[int64]bool{}
	for unix := from; unix < to; unix += 60 {
		t := time.Unix(unix, 0).In(zone)
		hour, minute, _ := t.Clock()
		_, month, day := t.Date()
		_, offset := t.Zone()
		out = append(out, reading{unix, minute, hour, day, int(month), int(t.Weekday()), seen[unix+int64(offset)]})
		seen[unix+int64(offset)] = true
	}
	return out
}

// changes finds the instants at which the offset changes, and all offsets, by asking each
// day and halving the days whose ends differ.
func changes(zone *time.Location) (instants []int64, offsets []int) {
	offsetAt := func(unix int64) int {
		_, offset := time.Unix(unix, 0).In(zone).Zone()
		return offset
	}
	for t := at0(2015); t < at0(2036); t += day {
		before, after := offsetAt(t-day), offsetAt(t)
		if !slices.Contains(offsets, after) {
			offsets = append(offsets, after)
		}
		if before != after {
			n := sort.Search(day, func(i int) bool { return offsetAt(t-day+int64(i)) != before })
			instants = append(instants, t-day+int64(n))
		}
	}
	return instants, offsets
}

const day = 24 * 3600

func at0(year int) int64 { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Unix() }

// check compares the schedule with the oracle around one change.
func check(t *testing.T, s alert.Schedule, o *oracle, clock []reading, steady bool) {
	var want []int64
	for i := range clock {
		m := &clock[i]
		if o.matches(m) && (steady || !m.again) {
			want = append(want, m.unix)
		}
	}
	first, end := clock[0].unix, clock[len(clock)-1].unix
	var got []int64
	for tick := s.Next(time.Unix(first-1, 0)); !tick.IsZero() && tick.Unix() <= end && len(got) <= len(want); tick = s.Next(tick) {
		got = append(got, tick.Unix())
	}
	if !slices.Equal(want, got) {
		t.Fatalf("%q in %s: got %v, want %v", o.text, s.Zone(), stamps(s, got), stamps(s, want))
	}
	// From within, the double hour included: what comes next, and what came last.
	for i := 0; i < len(clock) && len(want) > 0; i += 23 {
		now := clock[i].unix
		n := sort.Search(len(want), func(i int) bool { return want[i] > now })
		if n > 0 {
			if tick := s.Previous(time.Unix(now, 59)); tick.Unix() != want[n-1] {
				t.Fatalf("%q in %s: previous of %s is %s", o.text, s.Zone(), stamps(s, []int64{now}), tick)
			}
		}
		if n < len(want) {
			if tick := s.Next(time.Unix(now, 59)); tick.Unix() != want[n] {
				t.Fatalf("%q in %s: next of %s is %s", o.text, s.Zone(), stamps(s, []int64{now}), tick)
			}
		}
	}
}

func stamps(s alert.Schedule, unix []int64) (out []string) {
	for _, u := range unix {
		out = append(out, time.Unix(u, 0).In(s.Zone()).Format(time.RFC3339))
	}
	return out
}

// allZones lists the zones that come with Go; those of one content are grouped.
func allZones(t *testing.T) map[uint32][]string {
	z, err := zip.OpenReader(filepath.Join(build.Default.GOROOT, "lib", "time", "zoneinfo.zip"))
	require.NoError(t, err, "the zone file of the Go toolchain")
	defer func() { require.NoError(t, z.Close()) }()
	out := map[uint32][]string{}
	n := 0
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, "/") {
			out[f.CRC32] = append(out[f.CRC32], f.Name)
			n++
		}
	}
	require.Greater(t, n, 550)
	return out
}

func TestEveryZoneOfTheWorldIsReadAsItsClockShows(t *testing.T) {
	var oracles []*oracle
	for _, expr := range []string{
		"0 0 * * *", "30 2 * * *", "*/15 * * * *", "0 * * * *", "0 */2 * * *", "*/20 0-5 * * *", "59 23 1,15,28-31 * 6", "0 1,3,23 * 3,4,9-11 0", "30 0-1 * * *",
	} {
		oracles = append(oracles, newOracle(expr))
	}
	for _, names := range allZones(t) {
		t.Run(names[0], func(t *testing.T) {
			t.Parallel()
			for _, name := range names[1:] {
				require.Equal(t, name, parse(t, "@daily", name).Zone().String())
			}
			zone, err := time.LoadLocation(names[0])
			require.NoError(t, err)
			checkZone(t, zone, oracles)
		})
	}
}

// checkZone compares all expressions in 14 hours on each side of every change, and on
// ordinary days.
func checkZone(t *testing.T, zone *time.Location, oracles []*oracle) {
	instants, offsets := changes(zone)
	clocks := [][]reading{readings(zone, at0(2026), at0(2026)+2*day)}
	for _, instant := range instants {
		clocks = append(clocks, readings(zone, instant-14*3600, instant+14*3600))
	}
	for _, o := range oracles {
		s, steady := parse(t, o.text, zone.String()), o.steady(offsets)
		for _, clock := range clocks {
			check(t, s, o, clock, steady)
		}
	}
}
