package alert_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// ticks lists the first n ticks in UTC after a Sunday, 2026-03-01.
func ticks(t *testing.T, expr string, n int) string {
	t.Helper()
	s, err := alert.ParseSchedule(expr, "")
	require.NoError(t, err)
	var out []string
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for range n {
		at = s.Next(at)
		out = append(out, at.Format("Mon 01-02 15:04"))
	}
	return strings.Join(out, ", ")
}

func TestACronExpressionMeansWhatUnixSays(t *testing.T) {
	for expr, want := range map[string]string{
		"0 9 * * MON-FRI":            "Mon 03-02 09:00, Tue 03-03 09:00, Wed 03-04 09:00",
		"0 9 * * 1-5":                "Mon 03-02 09:00, Tue 03-03 09:00, Wed 03-04 09:00",
		"0 9 * * 7":                  "Sun 03-01 09:00, Sun 03-08 09:00, Sun 03-15 09:00",
		"0 9 * * 0":                  "Sun 03-01 09:00, Sun 03-08 09:00, Sun 03-15 09:00",
		"0 9 * * 5-7":                "Sun 03-01 09:00, Fri 03-06 09:00, Sat 03-07 09:00",
		"0 9 * * sat-sun":            "Sun 03-01 09:00, Sat 03-07 09:00, Sun 03-08 09:00",
		"0 9 * * */2":                "Sun 03-01 09:00, Tue 03-03 09:00, Thu 03-05 09:00",
		"0 9 * * 1-7/2":              "Sun 03-01 09:00, Mon 03-02 09:00, Wed 03-04 09:00",
		"*/20 8-9 * * *":             "Sun 03-01 08:00, Sun 03-01 08:20, Sun 03-01 08:40",
		"10-30/10,5 8 * * *":         "Sun 03-01 08:05, Sun 03-01 08:10, Sun 03-01 08:20",
		"0 0 13 * FRI":               "Fri 03-06 00:00, Fri 03-13 00:00, Fri 03-20 00:00",
		"0 0 1-31 * MON":             "Mon 03-02 00:00, Tue 03-03 00:00, Wed 03-04 00:00",
		"0 0 */1 * MON":              "Mon 03-02 00:00, Mon 03-09 00:00, Mon 03-16 00:00",
		"0 0 */10 * *":               "Wed 03-11 00:00, Sat 03-21 00:00, Tue 03-31 00:00",
		"0 0 31 * *":                 "Tue 03-31 00:00, Sun 05-31 00:00, Fri 07-31 00:00",
		"05 09 1 Jan,jul *":          "Wed 07-01 09:05, Fri 01-01 09:05, Thu 07-01 09:05",
		"  0\t12  * * *  ":           "Sun 03-01 12:00, Mon 03-02 12:00, Tue 03-03 12:00",
		"@hourly":                    "Sun 03-01 01:00, Sun 03-01 02:00, Sun 03-01 03:00",
		"@daily":                     "Mon 03-02 00:00, Tue 03-03 00:00, Wed 03-04 00:00",
		"@midnight":                  "Mon 03-02 00:00, Tue 03-03 00:00, Wed 03-04 00:00",
		"@weekly":                    "Sun 03-08 00:00, Sun 03-15 00:00, Sun 03-22 00:00",
		"@Monthly":                   "Wed 04-01 00:00, Fri 05-01 00:00, Mon 06-01 00:00",
		"@yearly":                    "Fri 01-01 00:00, Sat 01-01 00:00, Mon 01-01 00:00",
		"@annually":                  "Fri 01-01 00:00, Sat 01-01 00:00, Mon 01-01 00:00",
		"59 23 28-31 */3 *":          "Tue 04-28 23:59, Wed 04-29 23:59, Thu 04-30 23:59",
		"0 0 29 2 *":                 "Tue 02-29 00:00, Sun 02-29 00:00, Fri 02-29 00:00",
		"0 0 31 2 MON":               "Mon 02-01 00:00, Mon 02-08 00:00, Mon 02-15 00:00",
		"0,30,30 0-23/12 1-7,7 3 * ": "Sun 03-01 00:30, Sun 03-01 12:00, Sun 03-01 12:30",
	} {
		require.Equal(t, want, ticks(t, expr, 3), expr)
	}
}

func TestAWrongExpressionIsRefusedWithAdvice(t *testing.T) {
	for expr, want := range map[string]string{
		"":                                    "the schedule is empty; write five fields",
		" \n":                                 "the schedule is empty",
		"60 * * * *":                          `the minute field "60" has 60, which is out of range; allowed are 0-59, for example 0, 30, 0-29 or */15`,
		"-1 * * * *":                          `the minute field "-1" lacks a value`,
		"+1 * * * *":                          `has "+1", which is not a number`,
		"1.5 * * * *":                         "is not a number",
		"٣ * * * *":                           "is not a number",
		"99999999999999999999 * * * *":        "is not a number",
		"* 24 * * *":                          `the hour field "24" has 24, which is out of range; allowed are 0-23`,
		"* * 0 * *":                           `the day of month field "0" has 0, which is out of range; allowed are 1-31`,
		"* * * 13 *":                          `the month field "13"`,
		"* * * FOO *":                         "one of JAN FEB",
		"* * * * 8":                           `the day of week field "8" has 8, which is out of range; allowed are 0-7`,
		"* * * * MONDAY":                      `has "MONDAY", which is neither a number nor one of SUN MON`,
		"MON * * * *":                         `the minute field "MON" has "MON", which is not a number`,
		", * * * *":                           `the minute field "," has a comma with nothing beside it`,
		"1,,2 * * * *":                        "has a comma with nothing beside it",
		"1, * * * *":                          "has a comma with nothing beside it",
		"*,5 * * * *":                         "which already means all of them",
		"** * * * *":                          "is not a number",
		"*-5 * * * *":                         "is not a number",
		"5- * * * *":                          "lacks a value",
		"1-2-3 * * * *":                       "is not a number",
		"30-10 * * * *":                       "ends before it starts; write `30-59,0-10`",
		"* 22-0 * * *":                        "write `22-23,0`",
		"* * * * FRI-MON":                     "write `5-7,0-1`",
		"*/0 * * * *":                         "has the step 0; a step is from 1 to 59",
		"*/60 * * * *":                        "has the step 60; a step starts again each hour",
		"*/90 * * * *":                        "each second hour `*/2` in the hour field",
		"* */24 * * *":                        "has the step 24; a step is from 1 to 23",
		"*/ * * * *":                          `has the step "", which is not a number`,
		"*/1/2 * * * *":                       `has the step "1/2"`,
		"5/15 * * * *":                        "name the end of the range: `5-59/15`",
		"/5 * * * *":                          "lacks a value",
		"0 9 * *":                             `the schedule "0 9 * *" has 4 fields; write five fields`,
		"daily":                               `the schedule "daily" has 1 field`,
		"0 0 9 * * *":                         "has 6 fields; seconds are not supported",
		"0 0 9 ? * MON 2026":                  "has 7 fields; seconds are not supported, nor are years",
		"0 9 ? * MON":                         "Quartz's `?`; write `*` instead",
		"0 9 L * *":                           "run on 28-31",
		"0 9 L-3 * *":                         "Quartz's `L`",
		"0 9 LW * *":                          "Quartz's `L`",
		"0 9 * * 5L":                          "Quartz's `L`",
		"0 9 15W * *":                         "Quartz's `W`",
		"0 9 * * MON#1":                       "Quartz's `#`",
		"H 9 * * *":                           "Jenkins",
		"H/15 9 * * *":                        "Jenkins",
		"0~30 9 * * *":                        "random",
		"TZ=UTC":                              "write the zone under `timezone`",
		"CRON_TZ=UTC 0 9 * * *":               "write the zone under `timezone`",
		"cron(0 9 ? * MON-FRI *)":             "written for EventBridge",
		"rate(5 minutes)":                     "written for EventBridge",
		"@reboot":                             "names no time",
		"@every 5m":                           "write `*/5 * * * *`",
		"@every 1m":                           "write `* * * * *`",
		"@every 1h":                           "write `0 * * * *`",
		"@every 4h":                           "write `0 */4 * * *`",
		"@every 24h":                          "write `0 0 * * *`",
		"@every 7m":                           "write five fields",
		"@every 10s":                          "exact to the minute",
		"@every":                              "write five fields",
		"@fortnightly":                        `the schedule "@fortnightly" is unknown; use @hourly`,
		"@daily 5":                            "is unknown",
		"0 0 31 2 *":                          `can never fire: month "2" has no day "31"`,
		"0 0 30,31 FEB *":                     "can never fire",
		"0 0 31 4,6,9,11 *":                   "can never fire",
		"0 0 */2 * MON":                       "both restricted",
		"0 0 1 * */2":                         "both restricted",
		"0 0 */2 * */2":                       "both restricted",
		"0 0 */10,5 * MON":                    "both restricted",
		strings.Repeat("1,", 5000):            "has 10000 characters",
		strings.Repeat("9", 500) + " * * * *": "999…\"",
	} {
		_, err := alert.ParseSchedule(expr, "UTC")
		require.ErrorContains(t, err, want, expr)
		require.Less(t, len(err.Error()), 500)
	}
}

func TestAZoneIsAnIANAName(t *testing.T) {
	for _, zone := range []string{"Local", "local", "Mars/Olympus", "localtime", "posixrules", "right/Europe/Paris", "../UTC", "/etc/localtime", "Europe", " ", "Europe/Paris ", "+02:00"} {
		_, err := alert.ParseSchedule("@daily", zone)
		var unknown *alert.ZoneError
		require.ErrorAs(t, err, &unknown, zone)
		require.Equal(t, zone, unknown.Zone)
		require.ErrorContains(t, err, "use a name such as Europe/Paris")
	}
	s, err := alert.ParseSchedule("@daily", "")
	require.NoError(t, err)
	require.Equal(t, time.UTC, s.Zone())
}

// anyField draws the text of one field that both parsers know.
func anyField(minimum, maximum int, names ...string) *rapid.Generator[string] {
	value := rapid.IntRange(minimum, maximum)
	number := func(t *rapid.T, n int) string {
		if n-minimum < len(names) && rapid.Bool().Draw(t, "named") {
			return names[n-minimum]
		}
		return strconv.Itoa(n)
	}
	item := rapid.Custom(func(t *rapid.T) string {
		lo := value.Draw(t, "lo")
		hi := rapid.IntRange(lo, maximum).Draw(t, "hi")
		step := strconv.Itoa(rapid.IntRange(1, maximum-minimum).Draw(t, "step"))
		switch rapid.IntRange(0, 2).Draw(t, "form") {
		case 0:
			return number(t, lo)
		case 1:
			return number(t, lo) + "-" + number(t, hi)
		}
		return number(t, lo) + "-" + number(t, hi) + "/" + step
	})
	return rapid.Custom(func(t *rapid.T) string {
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			return "*"
		case 1:
			return "*/" + strconv.Itoa(rapid.IntRange(1, maximum-minimum).Draw(t, "every"))
		}
		return strings.Join(rapid.SliceOfN(item, 1, 3).Draw(t, "list"), ",")
	})
}

// The other parser is right in UTC, for expressions that both accept.
func TestInUTCScheduleAgreesWithAnIndependentProgram(t *testing.T) {
	minute, hour := anyField(0, 59), anyField(0, 23)
	days, months := anyField(1, 31), anyField(1, 12, "JAN", "FEB", "mar", "APR")
	weekdays := anyField(0, 6, "SUN", "MON", "tue", "WED", "THU", "FRI", "SAT")
	rapid.Check(t, func(t *rapid.T) {
		expr := strings.Join([]string{minute.Draw(t, "minute"), hour.Draw(t, "hour"), days.Draw(t, "day"), months.Draw(t, "month"), weekdays.Draw(t, "weekday")}, " ")
		at := time.Unix(rapid.Int64Range(0, 2000000000).Draw(t, "from"), 0).UTC()
		ours, err := alert.ParseSchedule(expr, "UTC")
		if err != nil {
			require.Regexp(t, "both restricted|can never fire", err)
			t.Skip("refused on purpose")
		}
		oracle, err := cron.ParseStandard(expr)
		require.NoError(t, err)
		for range 10 {
			want, got := oracle.Next(at), ours.Next(at)
			if want.IsZero() { // it looks five years ahead only
				require.True(t, got.IsZero() || got.Year() >= at.Year()+5, "%s after %s: %s", expr, at, got)
				break
			}
			require.Equal(t, want, got, "%s after %s", expr, at)
			require.Equal(t, want, ours.Previous(want))
			if at.Equal(ours.Previous(at)) {
				require.Equal(t, at, ours.Previous(want.Add(-time.Nanosecond)))
			}
			at = want
		}
	})
}
