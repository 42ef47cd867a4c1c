package sentineltest

import (
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

var historyTests = []contractTest{
	{"every field of a record comes back, by Record and by History", func(b *bench) {
		want := fill[alert.Record](b.T, b.now)
		want.Scope, want.Alert, want.RunID = b.scope, "a", alert.RunID(b.id("a"), want.Scheduled)
		require.NoError(b, b.Commit(b.ctx, sentinel.Commit{ID: b.id("a"), Record: &want}))
		got, err := b.Record(b.ctx, b.scope, want.RunID)
		require.NoError(b, err)
		equal(b, want, got)
		equal(b, []alert.Record{want}, b.history(sentinel.HistoryFilter{}))
	}},
	{"an unknown run, or one of another scope, is not found", func(b *bench) {
		b.ran("a", 0)
		_, err := b.Record(b.ctx, b.scope, "run_unknown")
		require.ErrorIs(b, err, sentinel.ErrNotFound)
		_, err = b.Record(b.ctx, b.scope+" other", alert.RunID(b.id("a"), b.now))
		require.ErrorIs(b, err, sentinel.ErrNotFound)
	}},
	{"history is newest first by scheduled time, whatever the order of writing", func(b *bench) {
		b.ran("a", 2)
		b.ran("b", 3)
		b.ran("a", 1)
		require.Equal(b, []string{"b 3", "a 2", "a 1"}, b.runs(sentinel.HistoryFilter{}))
	}},
	{"history is filtered by alerts, time, channel and limit", func(b *bench) {
		for n, name := range []string{"a", "b", "c", "a"} {
			b.ran(name, n)
		}
		record := b.record("b", b.at(9))
		record.Deliveries = []alert.DeliveryRef{{ID: "1", Channel: "email"}, {ID: "2", Channel: "slack"}, {ID: "3", Channel: "email"}}
		require.NoError(b, b.Commit(b.ctx, sentinel.Commit{ID: b.id("b"), Record: record}))
		require.Equal(b, []string{"a 3", "a 0"}, b.runs(sentinel.HistoryFilter{Alerts: []string{"a"}}))
		require.Equal(b, []string{"b 9", "c 2", "b 1"}, b.runs(sentinel.HistoryFilter{Alerts: []string{"b", "c", "nobody"}}))
		require.Equal(b, []string{"b 9", "a 3", "c 2"}, b.runs(sentinel.HistoryFilter{Since: b.at(2)}))
		require.Equal(b, []string{"b 9", "a 3"}, b.runs(sentinel.HistoryFilter{Limit: 2}))
		require.Equal(b, []string{"b 9"}, b.runs(sentinel.HistoryFilter{Channel: "slack"}))
		require.Equal(b, []string{"b 9"}, b.runs(sentinel.HistoryFilter{Channel: "email", Alerts: []string{"b"}, Since: b.at(1), Limit: 5}))
		require.Empty(b, b.runs(sentinel.HistoryFilter{Channel: "mail"}))
	}},
	{"a zero limit is 100", func(b *bench) {
		for n := range 101 {
			b.ran("a", n)
		}
		runs := b.runs(sentinel.HistoryFilter{})
		require.Len(b, runs, 100)
		require.Equal(b, "a 100", runs[0])
	}},
	{"Prune deletes history before a time, of its scope only", func(b *bench) {
		other := newBench(b.T, b.Runtime)
		other.scope, other.now = b.scope+" other", b.now
		for n := range 4 {
			b.ran("a", n)
			other.ran("a", n)
		}
		require.NoError(b, b.Prune(b.ctx, b.scope, b.at(2)))
		require.Equal(b, []string{"a 3", "a 2"}, b.runs(sentinel.HistoryFilter{}))
		require.Len(b, other.runs(sentinel.HistoryFilter{}), 4)
	}},
	{"Prune deletes settled deliveries, never a dead or an open one", func(b *bench) {
		end := map[string]alert.DeliveryStatus{"sent": alert.Sent, "dead": alert.Dead, "superseded": alert.Superseded, "pending": alert.Pending}
		for name, status := range end {
			d := b.delivery("a", name, b.now)
			b.enqueue(d)
			b.settle(b.claim(d, b.now), status, b.at(1))
		}
		claimed := b.delivery("a", "sending", b.now)
		b.enqueue(claimed)
		b.claim(claimed, b.now)
		recent := b.delivery("a", "recent", b.now)
		b.enqueue(recent)
		b.settle(b.claim(recent, b.now), alert.Sent, b.at(30))
		require.NoError(b, b.Prune(b.ctx, b.scope, b.at(20)))
		all, err := b.Deliveries(b.ctx, sentinel.DeliveryFilter{Scope: b.scope})
		require.NoError(b, err)
		left := []string{}
		for _, d := range all {
			left = append(left, d.Target.ID)
		}
		require.ElementsMatch(b, []string{"dead", "pending", "sending", "recent"}, left)
	}},
	{"Prune deletes much", func(b *bench) {
		c := sentinel.Commit{ID: b.id("a")}
		for n := range 2500 {
			c.Record = b.record("a", b.at(n))
			require.NoError(b, b.Commit(b.ctx, c))
		}
		require.NoError(b, b.Prune(b.ctx, b.scope, b.at(2499)))
		require.Equal(b, []string{"a 2499"}, b.runs(sentinel.HistoryFilter{}))
	}},
	{"Prune leaves the state, and so the last run", func(b *bench) {
		b.define("a")
		require.NoError(b, b.Commit(b.ctx, b.next("a", b.now)))
		require.NoError(b, b.Prune(b.ctx, b.scope, b.at(60)))
		require.Equal(b, alert.RunID(b.id("a"), b.now), b.load("a").State.Last.RunID)
	}},
}

// ran adds the record of a run at a minute to history.
func (b *bench) ran(name string, minute int) {
	b.Helper()
	require.NoError(b, b.Commit(b.ctx, sentinel.Commit{ID: b.id(name), Record: b.record(name, b.at(minute))}))
}

func (b *bench) history(f sentinel.HistoryFilter) []alert.Record {
	b.Helper()
	f.Scope = b.scope
	all, err := b.History(b.ctx, f)
	require.NoError(b, err)
	return all
}

// runs is history in short: alert and minute.
func (b *bench) runs(f sentinel.HistoryFilter) []string {
	b.Helper()
	out := []string{}
	for _, r := range b.history(f) {
		out = append(out, fmt.Sprintf("%s %.0f", r.Alert, r.Scheduled.Sub(b.now).Minutes()))
	}
	return out
}
