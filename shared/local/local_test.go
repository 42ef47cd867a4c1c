package local_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/local"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest"
)

// open opens a state file that the test closes.
func open(t testing.TB, o local.Options) *local.Store {
	t.Helper()
	if o.Path == "" {
		o.Path = filepath.Join(t.TempDir(), "state.db")
	}
	s, err := local.Open(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// written is the path of a state file with n runs of the alert "a", closed.
func written(t testing.TB, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	s, err := local.Open(t.Context(), local.Options{Path: path})
	require.NoError(t, err)
	for i := range n {
		require.NoError(t, commitRun(s, "a", i))
	}
	require.NoError(t, s.Close())
	return path
}

func TestStoreKeepsTheContract(t *testing.T) {
	sentineltest.TestStore(t, func(t *testing.T) sentineltest.Runtime { return open(t, local.Options{}) })
}

func TestEmptyHasNothingAndTakesNothing(t *testing.T) {
	s, err := local.Empty(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	_, err = s.Load(t.Context(), alert.ID{Scope: "test", Name: "a"})
	require.ErrorIs(t, err, sentinel.ErrNotFound)
	states, err := s.States(t.Context(), "test")
	require.NoError(t, err)
	require.Empty(t, states)
	counts, err := s.Counts(t.Context(), "test")
	require.NoError(t, err)
	require.Empty(t, counts)
	require.ErrorIs(t, commitRun(s, "a", 0), local.ErrReadOnly)
	require.ErrorIs(t, s.Prune(t.Context(), "test", noon), local.ErrReadOnly)
}

func TestAReaderSeesWhatIsWrittenAndChangesNothing(t *testing.T) {
	path := written(t, 2)
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	s := open(t, local.Options{Path: path, ReadOnly: true})
	states, err := s.States(t.Context(), "test")
	require.NoError(t, err)
	require.EqualValues(t, 2, states["a"].Version)
	require.ErrorIs(t, commitRun(s, "a", 2), local.ErrReadOnly)
	writer := open(t, local.Options{Path: path})
	require.NoError(t, commitRun(writer, "a", 2))
	states, err = s.States(t.Context(), "test")
	require.NoError(t, err)
	require.EqualValues(t, 3, states["a"].Version)
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after, "what was written is in the log beside the file; the reader wrote nothing")
}

func TestWhatIsClosedIsWrittenAndTakesNothingMore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s, err := local.Open(t.Context(), local.Options{Path: path})
	require.NoError(t, err)
	results := make(chan error, 20)
	for i := range cap(results) {
		go func() { results <- commitRun(s, string(rune('a'+i)), 0) }()
	}
	require.NoError(t, <-results)
	require.NoError(t, s.Close())
	done := 1
	for range cap(results) - 1 {
		if err := <-results; err == nil {
			done++
		}
	}
	require.Error(t, commitRun(s, "z", 0))
	require.NoError(t, s.Close(), "closing again does nothing")
	states, err := open(t, local.Options{Path: path}).States(t.Context(), "test")
	require.NoError(t, err)
	require.Len(t, states, done, "each commit that was confirmed is there, and no other")
	left, err := filepath.Glob(path + "-*")
	require.NoError(t, err)
	require.NotEmpty(t, left) // of the store that is open now
}

func TestClosingTidiesUpBesideTheFile(t *testing.T) {
	left, err := filepath.Glob(filepath.Join(filepath.Dir(written(t, 3)), "*"))
	require.NoError(t, err)
	require.Len(t, left, 1)
}

func TestEnqueueWakesAWorkerOfTheProcess(t *testing.T) {
	s := open(t, local.Options{})
	require.NoError(t, s.Enqueue(t.Context(), []alert.Delivery{{ID: "a"}}))
	require.NoError(t, s.Enqueue(t.Context(), []alert.Delivery{{ID: "b"}}))
	<-s.Wake()
	select {
	case <-s.Wake():
		t.Fatal("two calls before the worker looked are one signal")
	default:
	}
}

func TestPreloadedStatesAreUsedOnceAndGuarded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s, other := open(t, local.Options{Path: path}), open(t, local.Options{Path: path})
	define(t, s, "a", "b")
	require.NoError(t, s.Commit(t.Context(), steady(load(t, s, "a"), noon)))
	require.NoError(t, s.Preload(t.Context(), "test"))
	require.NoError(t, other.Commit(t.Context(), steady(load(t, other, "a"), noon.Add(time.Minute))))

	stale := load(t, s, "a")
	require.EqualValues(t, 1, stale.State.Version, "it comes from the preload")
	require.ErrorIs(t, s.Commit(t.Context(), steady(stale, noon.Add(2*time.Minute))), sentinel.ErrConflict)
	require.EqualValues(t, 2, load(t, s, "a").State.Version, "after a conflict it comes from the file")
	require.Equal(t, 2, load(t, s, "b").Sharing)
	require.Zero(t, load(t, s, "b").State.Version)
}

func TestAPreloadedStateIsNotTrustedForLong(t *testing.T) {
	path, now := filepath.Join(t.TempDir(), "state.db"), noon
	s, other := open(t, local.Options{Path: path, Now: func() time.Time { return now }}), open(t, local.Options{Path: path})
	define(t, s, "a")
	require.NoError(t, s.Preload(t.Context(), "test"))
	require.NoError(t, other.Commit(t.Context(), steady(load(t, other, "a"), noon)))
	now = now.Add(31 * time.Second)
	require.EqualValues(t, 1, load(t, s, "a").State.Version)
}

func TestAPreloadFollowsWhatThisProcessWrites(t *testing.T) {
	s := open(t, local.Options{})
	define(t, s, "a", "b", "c")
	require.NoError(t, s.Commit(t.Context(), sentinel.Commit{Outages: []alert.Outage{{Scope: "test", Subject: "database", Cause: "over"}}}))
	require.NoError(t, s.Preload(t.Context(), "test"))
	commit := steady(load(t, s, "a"), noon)
	require.Equal(t, "over", load(t, s, "c").Database.Cause, "closed outages are preloaded too")
	require.NoError(t, s.Preload(t.Context(), "test"))
	commit.Outages = []alert.Outage{{Scope: "test", Subject: "database", Version: 1, Cause: "down", Episode: &alert.Episode{ID: "ep"}}}
	require.NoError(t, s.Commit(t.Context(), commit))
	require.Equal(t, "down", load(t, s, "b").Database.Cause)
	require.EqualValues(t, 1, load(t, s, "a").State.Version)
	require.NoError(t, s.Commit(t.Context(), sentinel.Commit{ID: commit.ID, Outages: []alert.Outage{load(t, s, "c").Database}}))
	require.NoError(t, s.RemoveDefinitions(t.Context(), "test", []string{"b"}))
	_, err := s.Load(t.Context(), alert.ID{Scope: "test", Name: "b"})
	require.ErrorIs(t, err, sentinel.ErrNotFound)
}

func TestADefinitionThatAnotherProcessChangedIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s, other := open(t, local.Options{Path: path}), open(t, local.Options{Path: path})
	define(t, s, "a")
	load(t, s, "a")
	changed := definition("a")
	changed.Alert.Query, changed.Fingerprint = "SELECT 2", "another"
	require.NoError(t, other.PutDefinitions(t.Context(), []sentinel.Definition{changed}))
	require.Equal(t, "SELECT 2", load(t, s, "a").Definition.Alert.Query)
	require.NoError(t, s.Preload(t.Context(), "test"))
	changed.Alert.Query, changed.Fingerprint = "SELECT 3", "a third"
	require.NoError(t, other.PutDefinitions(t.Context(), []sentinel.Definition{changed}))
	require.NoError(t, s.Preload(t.Context(), "test"))
	require.Equal(t, "SELECT 3", load(t, s, "a").Definition.Alert.Query, "what was preloaded belongs to a definition not known here")
}

func TestARememberedDefinitionIsUsedOnlyForItsFingerprint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	define(t, open(t, local.Options{Path: path}), "a")
	s := open(t, local.Options{Path: path})
	told := definition("a")
	told.Alert.Description = "as the caller has it"
	s.Remember([]sentinel.Definition{told})
	require.Equal(t, told.Alert.Description, load(t, s, "a").Definition.Alert.Description)
	told.Fingerprint = "of something else"
	s.Remember([]sentinel.Definition{told})
	require.Empty(t, load(t, s, "a").Definition.Alert.Description)
}

// A clock that is set back leaves deliveries whose time will not come for long.
func TestADeliveryThatWaitsForAClockThatWasSetBackIsDueAtOnce(t *testing.T) {
	s, later := open(t, local.Options{}), noon.Add(24*time.Hour)
	define(t, s, "a")
	enqueue := func(id string, due time.Time) alert.Delivery {
		d := alert.Delivery{
			ID: id, Scope: "test", Alert: "a", Target: alert.Target{ID: "t", Channel: "webhook", Label: "t"},
			Message: alert.Message{EventID: id, Event: alert.EventAlert}, CreatedAt: later, DueAt: due, Status: alert.Pending, Try: 1,
		}
		require.NoError(t, s.Commit(t.Context(), sentinel.Commit{ID: alert.ID{Scope: "test", Name: "a"}, Deliveries: []alert.Delivery{d}}))
		return d
	}
	astray, soon := enqueue("astray", later), enqueue("soon", noon.Add(sentinel.LongestPause))
	ids := func(now time.Time, limit int, except ...string) (ids []string) {
		due, err := s.DueExcept(t.Context(), "test", now, limit, except)
		require.NoError(t, err)
		for _, d := range due {
			ids = append(ids, d.ID)
		}
		return ids
	}
	require.Equal(t, []string{"astray"}, ids(noon, 0))
	require.Empty(t, ids(noon, 0, "t"))
	require.Equal(t, []string{"soon"}, ids(soon.DueAt, 1))
	_, err := s.Claim(t.Context(), soon, noon, noon.Add(time.Minute))
	require.ErrorIs(t, err, sentinel.ErrUnclaimable, "its time comes")
	_, err = s.Claim(t.Context(), astray, noon, noon.Add(time.Minute))
	require.NoError(t, err)
	require.Empty(t, ids(noon, 0), "it is leased")
}

func definition(name string) sentinel.Definition {
	return sentinel.Definition{Alert: alert.Alert{Scope: "test", Name: name, Enabled: true}, Fingerprint: "of " + name}
}

func define(t testing.TB, s *local.Store, names ...string) {
	t.Helper()
	var all []sentinel.Definition
	for _, name := range names {
		all = append(all, definition(name))
	}
	require.NoError(t, s.PutDefinitions(t.Context(), all))
}

func load(t testing.TB, s *local.Store, name string) sentinel.Snapshot {
	t.Helper()
	snapshot, err := s.Load(context.Background(), alert.ID{Scope: "test", Name: name})
	require.NoError(t, err)
	return snapshot
}
