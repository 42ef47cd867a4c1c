package sentineltest

import (
	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

var definitionTests = []contractTest{
	{"an unknown alert is not found", func(b *bench) {
		_, err := b.Load(b.ctx, b.id("nobody"))
		require.ErrorIs(b, err, sentinel.ErrNotFound)
	}},
	{"an alert that never ran has the zero state", func(b *bench) {
		b.define("a")
		snapshot := b.load("a")
		require.Equal(b, alert.State{}, snapshot.State)
		require.Equal(b, alert.Outage{Scope: b.scope, Subject: alert.DatabaseSubject("")}, snapshot.Database)
	}},
	{"every field of a definition comes back, by Load and by Definitions", func(b *bench) {
		want := fill[sentinel.Definition](b.T, b.now)
		want.Alert.Scope, want.Alert.Name = b.scope, `a "name": Ümläut/% '` // any characters
		require.NoError(b, b.PutDefinitions(b.ctx, []sentinel.Definition{want}))
		equal(b, want, b.load(want.Alert.Name).Definition)
		all, err := b.Definitions(b.ctx, b.scope)
		require.NoError(b, err)
		equal(b, map[string]sentinel.Definition{want.Alert.Name: want}, all)
	}},
	{"fingerprints are those of the definitions", func(b *bench) {
		b.define("a", "b")
		all, err := b.Fingerprints(b.ctx, b.scope)
		require.NoError(b, err)
		require.Len(b, all, 2)
		require.Equal(b, "fingerprint of a", all["a"].Hash)
		require.True(b, all["a"].ScheduledSince.Equal(b.now))
	}},
	{"a definition is replaced, and Load sees it at once", func(b *bench) {
		b.define("a")
		b.load("a")
		d := b.definition("a")
		d.Fingerprint, d.Alert.Query, d.ScheduledSince = "another", "SELECT 2", b.at(5)
		require.NoError(b, b.PutDefinitions(b.ctx, []sentinel.Definition{d}))
		equal(b, d, b.load("a").Definition)
	}},
	{"a schedule that was seen since another time is told even if the fingerprint is equal", func(b *bench) {
		b.define("a")
		d := b.definition("a")
		d.ScheduledSince = b.at(7)
		require.NoError(b, b.PutDefinitions(b.ctx, []sentinel.Definition{d}))
		require.True(b, b.load("a").Definition.ScheduledSince.Equal(b.at(7)))
	}},
	{"a removed definition is gone and leaves its state and history", func(b *bench) {
		b.define("a", "b")
		require.NoError(b, b.Commit(b.ctx, b.next("a", b.now)))
		require.NoError(b, b.RemoveDefinitions(b.ctx, b.scope, []string{"a", "never was"}))
		_, err := b.Load(b.ctx, b.id("a"))
		require.ErrorIs(b, err, sentinel.ErrNotFound)
		states, err := b.States(b.ctx, b.scope)
		require.NoError(b, err)
		require.Contains(b, states, "a")
		history, err := b.History(b.ctx, sentinel.HistoryFilter{Scope: b.scope})
		require.NoError(b, err)
		require.Len(b, history, 1)
		all, err := b.Definitions(b.ctx, b.scope)
		require.NoError(b, err)
		require.Len(b, all, 1)
	}},
	{"sharing counts the enabled alerts of the scope on the same database", func(b *bench) {
		put := func(name, database string, enabled bool) {
			d := b.definition(name)
			d.Alert.Database, d.Alert.Enabled, d.Fingerprint = database, enabled, name+database
			require.NoError(b, b.PutDefinitions(b.ctx, []sentinel.Definition{d}))
		}
		put("a", "x", true)
		put("b", "x", true)
		put("c", "x", false)
		put("d", "y", true)
		require.Equal(b, 2, b.load("a").Sharing)
		require.Equal(b, 2, b.load("c").Sharing)
		put("b", "y", true)
		require.Equal(b, 1, b.load("a").Sharing)
		require.Equal(b, 2, b.load("d").Sharing)
		require.NoError(b, b.RemoveDefinitions(b.ctx, b.scope, []string{"d"}))
		require.Equal(b, 1, b.load("b").Sharing)
	}},
	{"scopes do not see each other", func(b *bench) {
		b.define("a")
		other := newBench(b.T, b.Runtime)
		other.scope = b.scope + " other"
		_, err := other.Load(b.ctx, other.id("a"))
		require.ErrorIs(b, err, sentinel.ErrNotFound)
		other.define("a")
		require.NoError(b, other.Commit(b.ctx, other.next("a", b.now)))
		require.Nil(b, b.load("a").State.Last)
		states, err := b.States(b.ctx, b.scope)
		require.NoError(b, err)
		require.Empty(b, states)
	}},
	{"putting and removing nothing is fine", func(b *bench) {
		require.NoError(b, b.PutDefinitions(b.ctx, nil))
		require.NoError(b, b.RemoveDefinitions(b.ctx, b.scope, nil))
	}},
}
