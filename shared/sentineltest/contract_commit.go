package sentineltest

import (
	"context"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

var commitTests = []contractTest{
	{"every field of a state and its last run comes back, by Load and by States", func(b *bench) {
		b.define("a")
		want := fill[alert.State](b.T, b.now)
		want.Version = 0
		given := text(b, want)
		require.NoError(b, b.Commit(b.ctx, sentinel.Commit{ID: b.id("a"), State: &want}))
		require.Equal(b, given, text(b, want), "the caller's state is left alone")
		want.Version = 1
		equal(b, want, b.load("a").State)
		states, err := b.States(b.ctx, b.scope)
		require.NoError(b, err)
		equal(b, map[string]alert.State{"a": want}, states)
	}},
	{"every digit of a value survives in the state", func(b *bench) {
		b.define("a")
		for i, value := range awkward() {
			c := b.next("a", b.at(i))
			c.Record.Actual = value
			require.NoError(b, b.Commit(b.ctx, c))
			got := b.load("a").State.Last.Actual
			require.Equal(b, value.String(), got.String())
			require.Equal(b, value.IsNull(), got.IsNull())
		}
	}},
	{"each commit raises the version by one", func(b *bench) {
		b.define("a")
		for i := range 3 {
			require.EqualValues(b, i, b.load("a").State.Version)
			require.NoError(b, b.Commit(b.ctx, b.next("a", b.at(i))))
		}
		require.EqualValues(b, 3, b.load("a").State.Version)
		require.Equal(b, 3, b.load("a").State.ConsecutiveOKs)
	}},
	{"a commit on an old version is a conflict and writes nothing", func(b *bench) {
		b.define("a")
		late := b.next("a", b.at(1))
		late.Deliveries = []alert.Delivery{b.delivery("a", "t", b.now)}
		late.Outages = []alert.Outage{{Scope: b.scope, Subject: "database", Episode: &alert.Episode{ID: "ep"}}}
		require.NoError(b, b.Commit(b.ctx, b.next("a", b.now)))
		before := text(b, b.load("a"))
		require.ErrorIs(b, b.Commit(b.ctx, late), sentinel.ErrConflict)
		b.wroteNothing(late)
		require.Equal(b, before, text(b, b.load("a")))
	}},
	{"a commit on a version that never was is a conflict", func(b *bench) {
		b.define("a")
		c := b.next("a", b.now)
		c.State.Version = 5
		require.ErrorIs(b, b.Commit(b.ctx, c), sentinel.ErrConflict)
		b.wroteNothing(c)
	}},
	{"an outage that changed meanwhile is a conflict and writes nothing", func(b *bench) {
		b.define("a")
		outage := alert.Outage{Scope: b.scope, Subject: alert.DatabaseSubject(""), Episode: &alert.Episode{ID: "ep"}}
		require.NoError(b, b.Commit(b.ctx, sentinel.Commit{ID: b.id("a"), Outages: []alert.Outage{outage}}))
		late := b.next("a", b.now)
		late.Deliveries = []alert.Delivery{b.delivery("a", "t", b.now)}
		other := outage
		other.Subject = alert.DatabaseSubject("other")
		late.Outages = []alert.Outage{other, outage}
		require.ErrorIs(b, b.Commit(b.ctx, late), sentinel.ErrConflict)
		b.wroteNothing(late)
		read, err := b.Outage(b.ctx, b.scope, other.Subject)
		require.NoError(b, err)
		require.Zero(b, read.Version)
	}},
	{"after a conflict, Load gives what is stored now", func(b *bench) {
		b.define("a")
		late := b.next("a", b.at(1))
		require.NoError(b, b.Commit(b.ctx, b.next("a", b.now)))
		require.ErrorIs(b, b.Commit(b.ctx, late), sentinel.ErrConflict)
		require.NoError(b, b.Commit(b.ctx, b.next("a", b.at(1))))
		require.Equal(b, late.Record.RunID, b.load("a").State.Last.RunID)
	}},
	{"a record without a state is only history", func(b *bench) {
		b.define("a")
		require.NoError(b, b.Commit(b.ctx, b.next("a", b.at(5))))
		late := b.record("a", b.now)
		require.NoError(b, b.Commit(b.ctx, sentinel.Commit{ID: b.id("a"), Record: late}))
		require.EqualValues(b, 1, b.load("a").State.Version)
		got, err := b.Record(b.ctx, b.scope, late.RunID)
		require.NoError(b, err)
		equal(b, late, got)
	}},
	{"a state without a record leaves history alone", func(b *bench) {
		b.define("a")
		require.NoError(b, b.Commit(b.ctx, b.next("a", b.now)))
		state := b.load("a").State.WithSilence(alert.Silence{Created: b.now, Until: b.at(60), Author: "me"})
		require.NoError(b, b.Commit(b.ctx, sentinel.Commit{ID: b.id("a"), State: &state}))
		history, err := b.History(b.ctx, sentinel.HistoryFilter{Scope: b.scope})
		require.NoError(b, err)
		require.Len(b, history, 1)
		require.Len(b, b.load("a").State.Silences, 1)
	}},
	{"a run that history has is kept as it is", func(b *bench) {
		b.define("a")
		first := b.next("a", b.now)
		require.NoError(b, b.Commit(b.ctx, first))
		again := b.next("a", b.now)
		again.Record.Error = "another text"
		require.NoError(b, b.Commit(b.ctx, again))
		history, err := b.History(b.ctx, sentinel.HistoryFilter{Scope: b.scope})
		require.NoError(b, err)
		require.Len(b, history, 1)
		require.Empty(b, history[0].Error)
	}},
	{"a delivery that is there already is left as it is", func(b *bench) {
		b.define("a")
		d := b.delivery("a", "t", b.now)
		b.enqueue(d)
		b.settle(b.claim(d, b.now), alert.Sent, b.at(1))
		b.enqueue(d)
		require.Equal(b, alert.Sent, b.read(d.ID).Status)
		all, err := b.Deliveries(b.ctx, sentinel.DeliveryFilter{Scope: b.scope})
		require.NoError(b, err)
		require.Len(b, all, 1)
	}},
	{"an outage is guarded by its version like a state", func(b *bench) {
		b.define("a")
		want := fill[alert.Outage](b.T, b.now)
		want.Scope, want.Subject = b.scope, alert.DatabaseSubject("")
		for version := range int64(3) {
			want.Version = version
			require.NoError(b, b.Commit(b.ctx, sentinel.Commit{ID: b.id("a"), Outages: []alert.Outage{want}}))
			want.Version = version + 1
			got, err := b.Outage(b.ctx, b.scope, want.Subject)
			require.NoError(b, err)
			equal(b, want, got)
			equal(b, want, b.load("a").Database)
		}
	}},
	{"Outages lists only open ones", func(b *bench) {
		closed := alert.Outage{Scope: b.scope, Subject: "database a", Closed: b.now}
		open := alert.Outage{Scope: b.scope, Subject: "target b", Episode: &alert.Episode{ID: "ep"}}
		require.NoError(b, b.Commit(b.ctx, sentinel.Commit{ID: b.id("a"), Outages: []alert.Outage{closed, open}}))
		all, err := b.Outages(b.ctx, b.scope)
		require.NoError(b, err)
		open.Version = 1
		equal(b, []alert.Outage{open}, all)
	}},
	{"a snapshot has the outage of the alert's own database", func(b *bench) {
		d := b.definition("a")
		d.Alert.Database = "warehouse"
		require.NoError(b, b.PutDefinitions(b.ctx, []sentinel.Definition{d}))
		outages := []alert.Outage{
			{Scope: b.scope, Subject: alert.DatabaseSubject("warehouse"), Cause: "mine"},
			{Scope: b.scope, Subject: alert.DatabaseSubject(""), Cause: "not mine"},
		}
		require.NoError(b, b.Commit(b.ctx, sentinel.Commit{ID: b.id("a"), Outages: outages}))
		require.Equal(b, "mine", b.load("a").Database.Cause)
	}},
	{"a commit whose caller has gone before it began writes nothing", func(b *bench) {
		b.define("a")
		gone, cancel := context.WithCancel(b.ctx)
		cancel()
		c := b.next("a", b.now)
		require.ErrorIs(b, b.Commit(gone, c), context.Canceled)
		b.wroteNothing(c)
		require.NoError(b, b.Commit(b.ctx, c))
	}},
	{"a commit of everything is seen as a whole", func(b *bench) {
		b.define("a")
		c := b.next("a", b.now)
		c.Deliveries = []alert.Delivery{b.delivery("a", "t", b.now), b.delivery("a", "u", b.now)}
		c.Outages = []alert.Outage{{Scope: b.scope, Subject: alert.DatabaseSubject(""), Cause: "down"}}
		require.NoError(b, b.Commit(b.ctx, c))
		require.Equal(b, c.Record.RunID, b.load("a").State.Last.RunID)
		require.Equal(b, "down", b.load("a").Database.Cause)
		equal(b, c.Deliveries[1], b.read(c.Deliveries[1].ID))
	}},
	{"a large state comes back whole", func(b *bench) {
		b.define("a")
		c := b.next("a", b.now)
		c.State.Instances = map[string]*alert.Instance{}
		for i := range alert.MaxInstances {
			key := alert.Fields{{Name: "region", Value: alert.IntValue(int64(i))}}
			c.State.Instances[alert.InstanceID(key)] = &alert.Instance{Key: key, Status: alert.StatusAlert}
		}
		require.NoError(b, b.Commit(b.ctx, c))
		c.State.Version++
		equal(b, c.State, b.load("a").State)
	}},
}

// wroteNothing checks that no part of a refused commit is stored.
func (b *bench) wroteNothing(c sentinel.Commit) {
	b.Helper()
	_, err := b.Record(b.ctx, b.scope, c.Record.RunID)
	require.ErrorIs(b, err, sentinel.ErrNotFound)
	for _, d := range c.Deliveries {
		_, err := b.Delivery(b.ctx, d.ID)
		require.ErrorIs(b, err, sentinel.ErrNotFound)
	}
	if last := b.load(c.ID.Name).State.Last; last != nil {
		require.NotEqual(b, c.Record.RunID, last.RunID)
	}
}
