package sentineltest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

func TestAnEmptyFileRemovesNothing(t *testing.T) {
	b := newRig(t)
	_, err := b.Sync(t.Context(), "shop", nil)
	require.ErrorContains(t, err, "nothing is removed")
	definitions, err := b.memory.Definitions(t.Context(), "shop")
	require.NoError(t, err)
	require.Len(t, definitions, 1)
}

func TestSyncSaysWhatChangedAndKeepsTheAgeOfASchedule(t *testing.T) {
	b := newRig(t)
	since := b.now
	b.now = b.now.Add(time.Hour)
	edited, added := plainAlert("revenue"), plainAlert("new")
	edited.Description = "other words"
	report, err := b.Sync(t.Context(), "shop", []alert.Alert{edited, added})
	require.NoError(t, err)
	require.Equal(t, []string{"new"}, report.Added)
	require.Equal(t, []string{"revenue"}, report.Changed)
	snapshot, err := b.memory.Load(t.Context(), edited.ID())
	require.NoError(t, err)
	require.Equal(t, since, snapshot.Definition.ScheduledSince)
	require.Equal(t, 2, snapshot.Sharing)

	edited.Schedule = "@daily"
	report, err = b.Sync(t.Context(), "shop", []alert.Alert{edited})
	require.NoError(t, err)
	require.Equal(t, []string{"new"}, report.Removed)
	snapshot, err = b.memory.Load(t.Context(), edited.ID())
	require.NoError(t, err)
	require.Equal(t, b.now, snapshot.Definition.ScheduledSince)
	_, err = b.Evaluate(t.Context(), added.ID(), b.now)
	require.ErrorIs(t, err, sentinel.ErrNotFound)
}

// busy is a memory in which something happens before each change of definitions.
type busy struct {
	*Memory
	meanwhile func()
}

func (b busy) PutDefinitions(ctx context.Context, definitions []sentinel.Definition) error {
	b.meanwhile()
	return b.Memory.PutDefinitions(ctx, definitions)
}

func (b busy) RemoveDefinitions(ctx context.Context, scope string, names []string) error {
	b.meanwhile()
	return b.Memory.RemoveDefinitions(ctx, scope, names)
}

func TestARunDuringASyncOpensNoEpisodeThatNobodyCloses(t *testing.T) {
	off := plainAlert("revenue")
	off.Enabled = false
	for name, file := range map[string][]alert.Alert{"disabled": {off, plainAlert("other")}, "removed": {plainAlert("other")}} {
		t.Run(name, func(t *testing.T) {
			b := newRig(t)
			_, err := b.Sync(t.Context(), "shop", []alert.Alert{plainAlert("revenue"), plainAlert("other")})
			require.NoError(t, err)
			b.Store = busy{b.memory, func() {
				b.now = b.now.Add(time.Minute)
				_, err := b.Evaluate(t.Context(), off.ID(), b.now)
				require.NoError(t, err)
			}}
			_, err = b.Sync(t.Context(), "shop", file)
			require.NoError(t, err)
			states, err := b.memory.States(t.Context(), "shop")
			require.NoError(t, err)
			require.Zero(t, states["revenue"].Open())
			require.NoError(t, b.Drain(t.Context(), sentinel.DrainOptions{Scope: "shop"}))
			require.Len(t, b.sent, 2, "the announcement and its end")
		})
	}
}

func TestASyncThatDiedWhileItRetiredBeginsAgain(t *testing.T) {
	b := newRig(t)
	b.run(t)
	off := plainAlert("revenue")
	off.Enabled = false
	for range 3 {
		calls := 0
		b.Store = busy{b.memory, func() {
			if calls++; calls > 1 {
				panic("killed")
			}
		}}
		require.Panics(t, func() { _, _ = b.Sync(t.Context(), "shop", []alert.Alert{off}) })
	}
	b.Store = b.memory
	report, err := b.Sync(t.Context(), "shop", []alert.Alert{off})
	require.NoError(t, err)
	require.Equal(t, []string{"revenue"}, report.Changed)
	definitions, err := b.memory.Definitions(t.Context(), "shop")
	require.NoError(t, err)
	hash, err := sentinel.Hash(off)
	require.NoError(t, err)
	require.Equal(t, hash, definitions["revenue"].Fingerprint)
	require.NoError(t, b.Drain(t.Context(), sentinel.DrainOptions{Scope: "shop"}))
	require.Len(t, b.sent, 2, "the announcement and one end")
}
