package local_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/local"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

func TestALockIsWaitedForAndThenSaid(t *testing.T) {
	path := written(t, 1)
	s := open(t, local.Options{Path: path, BusyTimeout: 100 * time.Millisecond})
	holder := start(t, "hold", path)
	require.Equal(t, "locked", holder.line())

	err := commitRun(s, "a", 1)
	require.ErrorContains(t, err, "locked by another process")
	require.ErrorContains(t, err, "waited 100ms")
	_, err = local.Open(t.Context(), local.Options{Path: path, BusyTimeout: 100 * time.Millisecond})
	require.ErrorContains(t, err, "locked by another process")

	states, err := s.States(t.Context(), "test")
	require.NoError(t, err, "reading does not wait")
	require.EqualValues(t, 1, states["a"].Version)

	patient := open2(t, path, holder)
	require.NoError(t, commitRun(patient, "a", 1))
	require.NoError(t, commitRun(s, "a", 2), "the error before broke nothing")
}

// open2 opens the store while the holder has the lock, which it gives up meanwhile.
func open2(t *testing.T, path string, holder *child) *local.Store {
	t.Helper()
	opened := make(chan *local.Store)
	go func() {
		s, err := local.Open(context.Background(), local.Options{Path: path})
		if err != nil {
			t.Error(err)
		}
		opened <- s
	}()
	require.NoError(t, holder.in.Close())
	s := <-opened
	require.NotNil(t, s)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestABusyProcessLetsOthersIn(t *testing.T) {
	path := written(t, 1)
	for range 2 {
		require.Equal(t, "hammering", start(t, "hammer", path).line())
	}
	s := open(t, local.Options{Path: path, BusyTimeout: 5 * time.Second})
	for n := range 10 {
		require.NoError(t, commitRun(s, "a", n+1))
	}
}

func TestOpeningEndsWithItsContext(t *testing.T) {
	path := written(t, 1)
	require.Equal(t, "locked", start(t, "hold", path).line())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := local.Open(ctx, local.Options{Path: path})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestACallerWhoLeavesWhileALockIsWaitedForWritesNothing(t *testing.T) {
	path := written(t, 1)
	s := open(t, local.Options{Path: path})
	holder := start(t, "hold", path)
	require.Equal(t, "locked", holder.line())

	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the user pressed Ctrl-C")
	result := make(chan error)
	record := alert.Record{RunID: "run_left", Scope: "test", Alert: "a", Scheduled: noon}
	go func() {
		result <- s.Commit(ctx, sentinel.Commit{ID: alert.ID{Scope: "test", Name: "a"}, Record: &record})
	}()
	staying := make(chan error)
	go func() { staying <- commitRun(s, "b", 0) }()
	cancel(gone)
	require.ErrorIs(t, <-result, gone)

	opening, cancelOpening := context.WithCancel(t.Context())
	cancelOpening()
	_, err := local.Open(opening, local.Options{Path: path})
	require.ErrorIs(t, err, context.Canceled)

	require.NoError(t, holder.in.Close())
	require.NoError(t, <-staying)
	_, err = s.Record(t.Context(), "test", "run_left")
	require.ErrorIs(t, err, sentinel.ErrNotFound)
}

func TestAFullDiskIsSaidAndLosesNothing(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Getuid() == 0, "a full disk: only root can mount a small one")
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m")
	must(t, err == nil, fmt.Sprintf("a full disk: cannot mount a small one: %v", err))
	t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	path := filepath.Join(dir, "state.db")
	s, err := local.Open(t.Context(), local.Options{Path: path})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })

	written := 0
	for ; err == nil && written < 100_000; written++ {
		err = commitRun(s, "a", written)
	}
	written--
	require.ErrorContains(t, err, "full")
	states, err := s.States(t.Context(), "test")
	require.NoError(t, err)
	require.EqualValues(t, written, states["a"].Version, "every commit that was confirmed, and no other")

	require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=32m"))
	require.NoError(t, commitRun(s, "a", written), "with room again it goes on")
	requireWhole(t, path)
}

func TestKillingAWriterLosesNothingThatWasConfirmed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	confirmed := -1
	for round := range 10 {
		writer := start(t, "write", path)
		for range 1 + round*7 {
			n, err := strconv.Atoi(writer.line())
			require.NoError(t, err)
			confirmed = max(confirmed, n)
		}
		require.NoError(t, writer.Process.Kill())
		for { // what it printed before it died was confirmed too
			n, err := strconv.Atoi(writer.line())
			if err != nil {
				break
			}
			confirmed = max(confirmed, n)
		}
		requireWhole(t, path)
		s, err := local.Open(t.Context(), local.Options{Path: path})
		require.NoError(t, err)
		states, err := s.States(t.Context(), "test")
		require.NoError(t, err)
		last := states["killed"].Last
		for n := range confirmed + 1 {
			at := noon.Add(time.Duration(n) * time.Minute)
			_, err := s.Record(t.Context(), "test", alert.RunID(alert.ID{Scope: "test", Name: "killed"}, at))
			require.NoError(t, err, "run %d was confirmed", n)
			_, err = s.Delivery(t.Context(), fmt.Sprintf("dlv_killed_%d", n))
			require.NoError(t, err, "the delivery of run %d was confirmed", n)
		}
		_, err = s.Record(t.Context(), "test", last.RunID)
		require.NoError(t, err, "the state names no run that is not there")
		require.NoError(t, s.Close())
	}
}

func TestKillingAProcessThatCreatesTheFileLeavesOneThatOpens(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "state.db")
		creator := start(t, "write", path)
		for t.Context().Err() == nil {
			if _, err := os.Stat(path); err == nil {
				break
			}
		}
		require.NoError(t, creator.Process.Kill())
		creator.line()
		s, err := local.Open(t.Context(), local.Options{Path: path})
		require.NoError(t, err)
		require.NoError(t, commitRun(s, "a", 0))
		require.NoError(t, s.Close())
		requireWhole(t, path)
	}
}

// TestProcessesShareAFileWithoutEverFindingItLocked runs four processes on one file: for a second, or for as many as
// SENTINEL_TEST_SHARE_SECONDS says.
func TestProcessesShareAFileWithoutEverFindingItLocked(t *testing.T) {
	span := time.Second
	if text := os.Getenv("SENTINEL_TEST_SHARE_SECONDS"); text != "" {
		seconds, err := strconv.Atoi(text)
		require.NoError(t, err)
		span = time.Duration(seconds) * time.Second
	}
	path := filepath.Join(t.TempDir(), "state.db")
	var children []*child
	for range 4 { // they also create it at the same time
		children = append(children, start(t, "share", path))
	}
	for _, c := range children {
		require.Equal(t, "sharing", c.line())
	}
	<-time.After(span)
	for _, c := range children {
		require.NoError(t, c.in.Close())
	}
	total := 0
	for _, c := range children {
		line := c.line()
		n, err := strconv.Atoi(line)
		require.NoError(t, err, line)
		require.Positive(t, n, "each gets its turn")
		total += n
	}
	states, err := open(t, local.Options{Path: path}).States(t.Context(), "shared")
	require.NoError(t, err)
	require.Equal(t, total, states["counter"].Escalations, "no update is lost")
	requireWhole(t, path)
	t.Logf("%d commits of four processes in %s", 2*total, span)
}

// requireWhole checks the file as SQLite does.
func requireWhole(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	var result string
	require.NoError(t, db.QueryRow("PRAGMA integrity_check").Scan(&result))
	require.Equal(t, "ok", result)
	require.NoError(t, db.Close())
}
