package local

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// busyWriter is a store whose writer is held up by a first change, so that all others
// wait for one batch; release lets it go.
func busyWriter(t *testing.T) (s *Store, release func()) {
	t.Helper()
	s, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "state.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	held, begun := make(chan struct{}), make(chan struct{})
	go func() {
		_ = s.change(context.Background(), "hold", func(*txn) error {
			close(begun)
			<-held
			return nil
		})
	}()
	<-begun
	return s, func() { close(held) }
}

// count adds a row to a table, so that a test sees which changes took place.
func count(name string) func(*txn) error {
	return func(t *txn) error {
		_, err := t.exec("INSERT INTO sharing (scope, database, alerts) VALUES ('test', ?, 1)", name)
		return err
	}
}

func (s *Store) counted(t *testing.T) []string {
	t.Helper()
	names := []string{}
	err := s.reads.each(t.Context(), "SELECT database FROM sharing ORDER BY database", nil, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		names = append(names, name)
		return err
	})
	require.NoError(t, err)
	return names
}

func TestOneChangeOfABatchFailsForItselfAlone(t *testing.T) {
	s, release := busyWriter(t)
	broken := errors.New("broken halfway")
	acts := map[string]func(*txn) error{
		"a": count("a"),
		"b": func(t *txn) error { return errors.Join(count("b")(t), broken) },
		"c": count("c"),
		"d": func(*txn) error { return sentinel.ErrConflict },
	}
	results := map[string]chan error{}
	for name, act := range acts {
		result := make(chan error, 1)
		results[name] = result
		go func() { result <- s.change(context.Background(), name, act) }()
	}
	s.waiting(t, len(acts))
	release()
	require.NoError(t, <-results["a"])
	require.ErrorIs(t, <-results["b"], broken)
	require.NoError(t, <-results["c"])
	require.ErrorIs(t, <-results["d"], sentinel.ErrConflict)
	require.Equal(t, []string{"a", "c"}, s.counted(t))
}

func TestAChangeThatBeganIsFinishedForACallerWhoLeft(t *testing.T) {
	s, release := busyWriter(t)
	ctx, cancel := context.WithCancel(t.Context())
	began := make(chan struct{})
	result := make(chan error, 1)
	go func() {
		result <- s.change(ctx, "test", func(t *txn) error {
			close(began)
			<-ctx.Done()
			return count("a")(t)
		})
	}()
	release()
	<-began
	cancel()
	require.NoError(t, <-result, "the caller gets the true result")
	require.Equal(t, []string{"a"}, s.counted(t))
}

func TestAChangeWhoseCallerLeftBeforeItBeganIsDropped(t *testing.T) {
	s, release := busyWriter(t)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- s.change(ctx, "test", count("a")) }()
	s.waiting(t, 1)
	cancel()
	require.ErrorIs(t, <-result, context.Canceled)
	release()
	require.NoError(t, s.change(t.Context(), "test", count("b")))
	require.Equal(t, []string{"b"}, s.counted(t))
}

// waiting returns when n changes wait for the writer.
func (s *Store) waiting(t *testing.T, n int) {
	t.Helper()
	for len(s.write.changes) < n {
		if t.Context().Err() != nil {
			t.Fatal("the changes never came")
		}
	}
}

func TestTimesThatDoNotFitKeepTheirOrder(t *testing.T) {
	for _, years := range [][2]int{{-100, 1970}, {1970, 2026}, {2026, 9999}} {
		early, late := year(years[0]), year(years[1])
		require.Less(t, sortable(early), sortable(late), "%v", years)
	}
}

func year(n int) time.Time { return time.Date(n, 6, 1, 0, 0, 0, 0, time.UTC) }

func TestUrgentChangesGoBeforeTheOthersAndAFewOfThoseGoWithThem(t *testing.T) {
	w := newWriter(nil, time.Second, time.Minute)
	for range 2 * beside {
		w.changes <- &change{}
	}
	urgent := &change{}
	w.urgent <- urgent
	batch, hurry := w.more(nil)
	require.True(t, hurry)
	require.Len(t, batch, 1+beside, "a message waits for few others")
	require.Same(t, urgent, batch[0])
	batch, hurry = w.more(nil)
	require.False(t, hurry)
	require.Len(t, batch, beside, "the others' turn comes")
	w.urgent <- urgent
	began := time.Now()
	batch = w.company([]*change{{}})
	require.Len(t, batch, 2)
	require.Less(t, time.Since(began), w.linger/lull, "what is urgent waits for no company")
}

func TestTheLogIsMovedIntoTheFileWhenNothingIsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s, err := Open(t.Context(), Options{Path: path})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	for n := range worthMoving {
		require.NoError(t, s.change(t.Context(), "test", count(fmt.Sprint(n))))
	}
	require.Eventually(t, func() bool {
		alone, err := sql.Open("sqlite", dsn(path, url.Values{"mode": {"ro"}, "immutable": {"1"}})) // does not see the log
		require.NoError(t, err)
		defer func() { require.NoError(t, alone.Close()) }()
		var n int
		require.NoError(t, alone.QueryRowContext(t.Context(), "SELECT count(*) FROM sharing").Scan(&n))
		return n == worthMoving
	}, 10*time.Second, 10*time.Millisecond)
}
