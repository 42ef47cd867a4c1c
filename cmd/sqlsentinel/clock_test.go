package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// statusOf calls status and returns its first alert.
func statusOf(t *testing.T, c *cli) map[string]any {
	t.Helper()
	code, out, errs := c.call(t.Context(), "status", "--json")
	require.Zero(t, code, errs)
	var got struct{ Alerts []map[string]any }
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	return got.Alerts[0]
}

const hourly = `
alerts:
  - {name: Hourly, query: "SELECT 'OK' AS status", schedule: "@hourly", timeout: 30s}
`

func TestAMissedTickIsOverdue(t *testing.T) {
	c := newCLI(t, hourly)
	at := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	c.now = func() time.Time { return at }
	code, _, errs := c.call(t.Context(), "run")
	require.Zero(t, code, errs)

	at = time.Date(2026, 11, 23, 10, 2, 29, 0, time.UTC)
	require.Equal(t, "OK", statusOf(t, c)["status"])
	at = at.Add(time.Second) // the tick of 10:00 + timeout + 2 minutes
	got := statusOf(t, c)
	require.Equal(t, "OVERDUE", got["status"])
	require.Equal(t, true, got["overdue"])
	require.Equal(t, "2026-11-23T11:00:00Z", got["next_run"])
	_, out, _ := c.call(t.Context(), "status")
	require.Contains(t, out, "no run for the tick of 2026-11-23 10:00 UTC")

	// Another schedule in the file makes nothing run: the tick is missed still.
	c.write(t, "alerts:\n  - {name: Hourly, query: \"SELECT 'OK' AS status\", schedule: \"*/5 * * * *\"}\n")
	require.Equal(t, "OVERDUE", statusOf(t, c)["status"])
}

func TestALastRunInTheFutureIsABadClock(t *testing.T) {
	c := newCLI(t, hourly)
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	c.now = func() time.Time { return at }
	code, _, _ := c.call(t.Context(), "run")
	require.Zero(t, code)
	at = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	require.Equal(t, true, statusOf(t, c)["bad_clock"])
	_, out, _ := c.call(t.Context(), "status")
	require.Contains(t, out, "bad clock")
}

func TestHistoryIsPrunedByTheFirstRunOfADay(t *testing.T) {
	c := newCLI(t, "retention: 2d\n"+hourly[1:])
	at := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	c.now = func() time.Time { return at }
	runs := func() int {
		_, out, _ := c.call(t.Context(), "history", "--json", "--limit", "100")
		var got struct{ Runs []any }
		require.NoError(t, json.Unmarshal([]byte(out), &got))
		return len(got.Runs)
	}
	for range 4 {
		code, _, errs := c.call(t.Context(), "run")
		require.Zero(t, code, errs)
		at = at.Add(24 * time.Hour)
	}
	require.Equal(t, 3, runs(), "days 2, 3 and 4: that of day 1 was pruned on day 4")
}

func TestASilenceEndsOnTheClockOfTheAlertsZone(t *testing.T) {
	c := newCLI(t, "alerts:\n  - {name: A, query: \"SELECT 'OK' AS status\", schedule: \"@daily\", timezone: America/New_York}\n")
	at := time.Date(2026, 3, 7, 12, 0, 0, 0, time.UTC)
	c.now = func() time.Time { return at }
	code, out, errs := c.call(t.Context(), "silence", "--alert", "A", "--until", "2026-03-09 09:00")
	require.Zero(t, code, errs)
	require.Equal(t, "\"A\" is silenced until 2026-03-09 09:00:00 EDT (2d1h)\n", out)
	at = time.Date(2026, 3, 9, 13, 0, 0, 0, time.UTC)
	require.Nil(t, statusOf(t, c)["silence"], "it has ended")
}
