package alert_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

func TestAnAlertThatStoppedIsOverdue(t *testing.T) {
	tick := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	hourly, err := alert.ParseSchedule("0 * * * *", "UTC")
	require.NoError(t, err)
	a := alert.Alert{Enabled: true, Timeout: alert.Duration(30 * time.Second)}
	ran := alert.State{Last: &alert.Record{Scheduled: tick.Add(-time.Hour)}, Status: alert.StatusOK}
	late, early := tick.Add(3*time.Minute), tick.Add(2*time.Minute)
	overdue := func(a alert.Alert, s alert.State, schedule alert.Schedule, since, now time.Time) bool {
		_, is := alert.Overdue(a, s, schedule, since, now)
		return is
	}
	require.True(t, overdue(a, ran, hourly, time.Time{}, late))
	require.False(t, overdue(a, ran, hourly, time.Time{}, early), "the query may still be running")
	require.False(t, overdue(a, ran, hourly, tick.Add(time.Second), late), "the tick came before the alert was first seen")
	require.False(t, overdue(a, alert.State{Last: &alert.Record{Scheduled: tick.Add(time.Second)}}, hourly, time.Time{}, late), "a manual run came after the tick")
	require.True(t, overdue(a, alert.State{}, hourly, time.Time{}, late))
	require.False(t, overdue(alert.Alert{}, ran, hourly, time.Time{}, late), "disabled")
	often, err := alert.ParseSchedule("* * * * *", "UTC")
	require.NoError(t, err)
	missed, is := alert.Overdue(a, ran, often, time.Time{}, late)
	require.True(t, is, "the next tick comes before the deadline of this one, and that hides nothing")
	require.Equal(t, tick, missed)

	require.Equal(t, alert.StatusOverdue, alert.Standing(a, ran, true))
	require.Equal(t, alert.StatusOverdue, alert.Standing(a, alert.State{}, true))
	require.Equal(t, alert.StatusNeverRun, alert.Standing(a, alert.State{}, false))
	require.Equal(t, alert.StatusDisabled, alert.Standing(alert.Alert{}, ran, true))
	ran.Status = alert.StatusAlert
	require.Equal(t, alert.StatusAlert, alert.Standing(a, ran, true), "overdue hides no alert")
}

func TestOrderTellsFreshRepeatedAndLateRuns(t *testing.T) {
	id := alert.ID{Scope: "shop", Name: "revenue"}
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	run := alert.NewRun(id, at)
	state := alert.State{Last: &alert.Record{RunID: run.ID, Scheduled: at}}
	require.Equal(t, alert.Fresh, alert.Order(alert.State{}, run, at))
	require.Equal(t, alert.Repeat, alert.Order(state, run, at))
	require.Equal(t, alert.Repeat, alert.Order(state, alert.NewRun(id, at.In(time.FixedZone("", 3600))), at), "the same instant in another zone")
	require.Equal(t, alert.Older, alert.Order(state, alert.NewRun(id, at.Add(-time.Minute)), at))
	require.Equal(t, alert.Fresh, alert.Order(state, alert.NewRun(id, at.Add(time.Minute)), at))
	require.Equal(t, alert.Fresh, alert.Order(state, alert.NewRun(id, at.Add(-time.Hour)), at.Add(-time.Hour)), "the last run came from a bad clock")
	require.NotEqual(t, run.ID, alert.NewRun(alert.ID{Scope: "shop", Name: "other"}, at).ID)
}

func TestAnOutageOfATargetIsToldOnceUntilTheNextSuccess(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	target := func(id string) alert.Target { return alert.Target{ID: id, Label: id, Channel: "email"} }
	dead := alert.Delivery{ID: "d1", Scope: "shop", Alert: "revenue", Target: target("team"), Try: 1, Owners: []alert.Target{target("team"), target("owner")}}
	out, told := alert.TargetDied(alert.Outage{}, dead, "HTTP 404", now)
	require.Len(t, told, 1, "not over the target that is dead")
	require.Equal(t, "owner", told[0].Target.ID)
	require.Contains(t, told[0].Message.Reason, "HTTP 404")
	require.Equal(t, "target team", out.Subject)

	again, told := alert.TargetDied(*out, dead, "HTTP 404", now)
	require.Nil(t, again)
	require.Empty(t, told)

	more := dead
	more.ID, more.Owners = "d3", []alert.Target{target("owner"), target("boss")}
	_, told = alert.TargetDied(*out, more, "HTTP 404", now)
	require.Len(t, told, 1, "only who was not told")
	require.Equal(t, "boss", told[0].Target.ID)

	over, told := alert.TargetAnswered(*out, alert.Delivery{ID: "d2", Scope: "shop", Target: target("team"), Try: 1}, now)
	require.Nil(t, over.Episode)
	require.Len(t, told, 1)
	require.Equal(t, alert.EventErrorRecovery, told[0].Message.Event)
	require.Equal(t, out.Episode.ID, told[0].Message.EpisodeID)
	require.NotEmpty(t, told[0].After, "it follows the message about the outage")
	none, told := alert.TargetAnswered(*over, dead, now)
	require.Nil(t, none)
	require.Empty(t, told)

	lonely := dead
	lonely.Owners = nil
	out, told = alert.TargetDied(alert.Outage{}, lonely, "x", now)
	require.NotNil(t, out.Episode, "seen in the status all the same")
	require.Empty(t, told)
	out, _ = alert.TargetDied(*out, lonely, "x", now)
	require.Nil(t, out)
}
