package alert_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// clockTime is a time of one day.
func clockTime(hour, minute int) time.Time {
	return time.Date(2026, 11, 23, hour, minute, 0, 0, time.UTC)
}

func TestTheIntervalsOfAnAlertWithParamsLeaveNoGap(t *testing.T) {
	a := alert.Alert{Scope: "s", Name: "a", Schedule: "*/10 * * * *", Timezone: "UTC", Params: true, Enabled: true}
	ok := alert.Read(alert.Table{Columns: []string{"status"}, Rows: [][]alert.Value{{alert.TextValue("OK")}}}, nil)
	failed := alert.Fail(alert.ErrorQuery, "broken")
	var state alert.State
	for _, step := range []struct {
		why            string
		at, previous   time.Time
		result         alert.Result
		withoutParams  bool
		scheduleChange string
	}{
		{why: "the first run begins at the tick before", at: clockTime(9, 0), previous: clockTime(8, 50), result: failed},
		{why: "what failed first is looked at again", at: clockTime(9, 10), previous: clockTime(8, 50), result: failed},
		{why: "and again", at: clockTime(9, 20), previous: clockTime(8, 50), result: ok},
		{why: "one interval follows the other", at: clockTime(9, 30), previous: clockTime(9, 20), result: ok},
		{why: "a run between two ticks shares theirs", at: clockTime(9, 33), previous: clockTime(9, 30), result: ok},
		{why: "the rest of it", at: clockTime(9, 40), previous: clockTime(9, 33), result: failed},
		{why: "ticks were missed", at: clockTime(11, 0), previous: clockTime(9, 33), result: ok},
		{why: "another schedule", at: clockTime(13, 0), previous: clockTime(11, 0), result: ok, scheduleChange: "0 * * * *"},
		{why: "params are gone for a run", at: clockTime(14, 0), result: ok, withoutParams: true},
		{why: "params are back", at: clockTime(15, 0), previous: clockTime(14, 0), result: ok},
	} {
		a.Params = !step.withoutParams
		if step.scheduleChange != "" {
			a.Schedule = step.scheduleChange
		}
		run, err := alert.NextRun(a, state, step.at)
		require.NoError(t, err)
		require.Equal(t, step.previous, run.Previous, step.why)
		again, err := alert.NextRun(a, state, step.at)
		require.NoError(t, err)
		require.Equal(t, run, again, "a run that is tried again asks the same")
		require.Equal(t, alert.NewRun(a.ID(), step.at).ID, run.ID)
		state = alert.Decide(alert.Input{Alert: a, State: state, Result: step.result, Run: run, Started: step.at, Now: step.at}).State
	}
	// A look at a time before the last run, as `run --dry-run --at` takes.
	run, err := alert.NextRun(a, state, clockTime(9, 5))
	require.NoError(t, err)
	require.Equal(t, clockTime(9, 0), run.Previous)
	_, err = alert.NextRun(alert.Alert{Params: true, Schedule: "nonsense"}, alert.State{}, clockTime(9, 5))
	require.Error(t, err)
}

func TestTheIntervalOfTheFirstRunBeginsAtTheTickBeforeInItsZone(t *testing.T) {
	a := alert.Alert{Scope: "s", Name: "a", Schedule: "0 9 * * MON-FRI", Timezone: "Europe/Paris", Params: true}
	run, err := alert.NextRun(a, alert.State{}, time.Date(2026, 3, 30, 7, 0, 0, 0, time.UTC)) // Monday after the clock change
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 3, 27, 8, 0, 0, 0, time.UTC), run.Previous)
}
