package query_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
)

func TestAQueryGivesOneRowOrOneAnInstance(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		r := w.runner(t, 0)
		one := works(t, r, "SELECT 'alert' AS STATUS, SUM(total) AS Actual_Value, 100 AS threshold, 'x' AS why FROM orders")
		require.Len(t, one.Rows, 1)
		require.Equal(t, alert.StatusAlert, one.Rows[0].Status)
		require.Equal(t, "60.75", one.Rows[0].Actual.String())
		require.Equal(t, "100", one.Rows[0].Threshold.String())
		require.Equal(t, "why=x", one.Rows[0].Context.String())
		require.Positive(t, one.Duration)

		keyed := works(t, r, "SELECT region, 'OK' AS status, count(*) AS actual_value FROM orders GROUP BY region ORDER BY region", "region")
		require.Len(t, keyed.Rows, 2)
		require.Equal(t, "region=US", keyed.Rows[1].Instance.String())

		none := works(t, r, "SELECT 'OK' AS status FROM orders WHERE id > 100")
		require.True(t, none.Empty)
		require.True(t, works(t, r, "SELECT 'OK' AS status, SUM(total) AS actual_value FROM orders WHERE id > 100").Rows[0].NoData)
		require.NoError(t, r.Ping(t.Context(), ""))
	})
}

func TestTheTextReachesTheDatabaseVerbatim(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		text := `SELECT 'OK' AS status, ':word %s %% ? $1 @x #no ${HOME} {y} ;' AS actual_value -- :c ? $2;
			; /* ? ; :d */ -- done`
		require.Equal(t, ":word %s %% ? $1 @x #no ${HOME} {y} ;", works(t, w.runner(t, 1), text).Rows[0].Actual.String())
	})
}

func TestAQueryThatBreaksTheContractSaysHow(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		r := w.runner(t, 0)
		require.Contains(t, fails(t, ask(t, r, "SELECT 1 AS one, 2 AS two"), alert.ErrorNoStatus), "one, two")
		fails(t, ask(t, r, "SELECT NULL AS status"), alert.ErrorBadStatus)
		fails(t, ask(t, r, "SELECT 3 AS status"), alert.ErrorBadStatus)
		result := ask(t, r, "SELECT 'OK' AS status, id FROM orders")
		fails(t, result, alert.ErrorRows)
		require.Len(t, result.Table.Rows, 3, "for a dry run to print")
		fails(t, ask(t, r, "SELECT 'OK' AS status, region FROM orders", "region"), alert.ErrorDuplicateKey)
		fails(t, ask(t, r, "SELECT 'OK' AS status", "region"), alert.ErrorNoKey)
		fails(t, ask(t, r, "SELECT 'OK' AS status FROM nowhere"), alert.ErrorQuery)
		fails(t, ask(t, r, "SELEKT 1"), alert.ErrorQuery, alert.ErrorReadOnly)
		fails(t, ask(t, r, ""), alert.ErrorQuery, alert.ErrorReadOnly)
		fails(t, ask(t, r, "  -- nothing\n"), alert.ErrorQuery, alert.ErrorReadOnly)
		fails(t, ask(t, r, "SELECT 'OK' AS status\x00; DROP TABLE orders"), alert.ErrorQuery, alert.ErrorStatements)
		w.unchanged(t, "bad queries")
		works(t, r, "SELECT 'OK' AS status")
	})
}

func TestABlobIsNoStatus(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		blob := map[string]string{"sqlite": "x'ff00'", "postgres": `'\xff00'::bytea`, "mariadb": "x'ff00'", "duckdb": `'\xff\x00'::BLOB`}[w.name]
		fails(t, ask(t, w.runner(t, 1), "SELECT "+blob+" AS status"), alert.ErrorBadStatus)
	})
}

func TestADeadlineStopsTheQueryOnTheServer(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		r := w.runner(t, 2)
		for _, text := range []string{w.endless, w.trickle} {
			answer := background(t.Context(), r, time.Second, text, "k")
			if w.sleeping != nil {
				soon(t, func() bool { return w.sleeping(t) > 0 }, "it runs: "+text)
			}
			require.Contains(t, fails(t, within(t, answer, 10*time.Second), alert.ErrorTimeout), "1s")
			if w.sleeping != nil {
				soon(t, func() bool { return w.sleeping(t) == 0 }, "it is stopped: "+text)
			}
			works(t, r, "SELECT 'OK' AS status FROM orders WHERE id = 1")
		}
	})
}

func TestAnInterruptedRunStopsTheQueryOnTheServer(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		r := w.runner(t, 1)
		for _, text := range []string{w.endless, w.trickle} {
			ctx, cancel := context.WithCancel(t.Context())
			answer := background(ctx, r, time.Hour, text, "k")
			if w.sleeping != nil {
				soon(t, func() bool { return w.sleeping(t) > 0 }, "it runs: "+text)
			}
			cancel()
			require.NotNil(t, within(t, answer, 10*time.Second).Failure)
			if w.sleeping != nil {
				soon(t, func() bool { return w.sleeping(t) == 0 }, "it is stopped: "+text)
			}
			works(t, r, "SELECT 'OK' AS status FROM orders WHERE id = 1")
		}
	})
}

func TestTenMillionRowsAreStoppedAtTheCap(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		r := w.runner(t, 1)
		result := ask(t, r, w.millions, "k")
		require.Contains(t, fails(t, result, alert.ErrorRowCap), "1000")
		require.NotNil(t, result.Table, "the first rows are there for a dry run")
		if w.sleeping != nil {
			soon(t, func() bool { return w.sleeping(t) == 0 }, "it is stopped")
		}
		fails(t, ask(t, r, w.millions), alert.ErrorRowCap, alert.ErrorRows)
		works(t, r, "SELECT 'OK' AS status FROM orders WHERE id = 1")
	})
}

func TestTheCapsCanBeSetAndCutVisibly(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		r := w.runnerWith(t, query.Options{
			Databases: map[string]alert.Database{"": w.database(1)}, MaxRows: 2, MaxBytes: 200, MaxContextBytes: 20,
		})
		works(t, r, "SELECT 'OK' AS status, id FROM orders WHERE id < 3", "id")
		fails(t, ask(t, r, "SELECT 'OK' AS status, id FROM orders", "id"), alert.ErrorRowCap)
		long := strings.Repeat("é", 60)
		cut := works(t, r, "SELECT 'OK' AS status, '"+long+"' AS note, 'y' AS other, 7 AS actual_value")
		note, _ := cut.Rows[0].Context.Get("note")
		require.NotEqual(t, long, note.String())
		require.Contains(t, note.String(), "é")
		require.Contains(t, note.String(), "cut")
		require.NotContains(t, note.String(), `\x`)
		require.NotEmpty(t, cut.Notes)
		require.Equal(t, "7", cut.Rows[0].Actual.String())
		fails(t, ask(t, r, "SELECT 'OK' AS status, '"+strings.Repeat("x", 300)+"' AS actual_value"), alert.ErrorSizeCap)
	})
}

func TestADeadConnectionInThePoolCostsNoRun(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		if w.cut == nil {
			t.Skip("a file has no server")
		}
		r := w.runner(t, 3)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { ask(t, r, "SELECT 'OK' AS status FROM orders WHERE id = 1") })
		}
		all.Wait()
		for range 4 {
			w.cut(t)
			works(t, r, "SELECT 'OK' AS status FROM orders WHERE id = 1")
		}
	})
}

func TestAConnectionLostInTheMiddleIsUnreachable(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		if w.cut == nil {
			t.Skip("a file has no server")
		}
		r := w.runner(t, 1)
		answer := background(t.Context(), r, time.Minute, w.endless)
		soon(t, func() bool { // the first loss may be repeated over a fresh connection
			if len(answer) == 0 && w.sleeping(t) > 0 {
				w.cut(t)
			}
			return len(answer) > 0
		}, "it gives up")
		fails(t, within(t, answer, 10*time.Second), alert.ErrorUnreachable)
		works(t, r, "SELECT 'OK' AS status")
	})
}

func TestAsManyQueriesRunAtOnceAsThereAreConnections(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		r := w.runner(t, 2)
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() {
				result := ask(t, r, fmt.Sprintf("SELECT 'OK' AS status, count(*) AS actual_value, %d AS threshold FROM orders", i))
				if result.Failure != nil || result.Rows[0].Threshold.String() != fmt.Sprint(i) {
					t.Errorf("query %d: %+v", i, result)
				}
			})
		}
		all.Wait()
	})
}

func TestWaitingForAConnectionIsNoPartOfTheDeadline(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		r := w.runner(t, 1)
		slow := background(t.Context(), r, time.Second, w.endless)
		if w.sleeping != nil {
			soon(t, func() bool { return w.sleeping(t) > 0 }, "it runs")
		}
		require.Nil(t, askWithin(t, r, 900*time.Millisecond, "SELECT 'OK' AS status").Failure)
		fails(t, within(t, slow, 10*time.Second), alert.ErrorTimeout)
	})
}

func TestNamesWithOneURLShareThePoolAndItsSmallestLimit(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		if w.sleeping == nil {
			t.Skip("nobody sees the sessions of a file")
		}
		r := w.runnerWith(t, query.Options{Databases: map[string]alert.Database{"a": w.database(3), "b": w.database(1)}})
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for _, name := range []string{"a", "a", "b"} {
			all.Go(func() {
				r.Query(ctx, alert.Alert{Database: name, Query: w.endless, Timeout: alert.Duration(time.Minute)}, alert.Run{})
			})
		}
		soon(t, func() bool { return w.sleeping(t) > 0 }, "one runs")
		for range 20 {
			require.LessOrEqual(t, w.sleeping(t), 1)
		}
		cancel()
		all.Wait()
	})
}

func TestTheSchemaMayChangeBetweenTwoRuns(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		r := w.runner(t, 1)
		const text = "SELECT 'OK' AS status, o.* FROM orders o WHERE id = 1"
		require.Len(t, works(t, r, text).Rows[0].Context, 3)
		for n := range 4 {
			w.exec(t, fmt.Sprintf("ALTER TABLE orders ADD COLUMN extra%d INTEGER", n))
			require.Len(t, works(t, r, text).Rows[0].Context, 4+n)
		}
	})
}

func TestARunnerThatIsClosedOrHasNoSuchDatabaseSaysSo(t *testing.T) {
	_, err := query.New(query.Options{})
	require.Error(t, err)
	r, err := query.New(query.Options{Databases: map[string]alert.Database{"a": {URL: "sqlite:///x.db", Dir: t.TempDir()}, "b": {URL: "sqlite:///${NOT_SET}"}}})
	require.NoError(t, err)
	result := r.Query(t.Context(), alert.Alert{Database: "other", Query: "SELECT 1"}, alert.Run{})
	require.Contains(t, result.Failure.Message, `"other"`)
	result = r.Query(t.Context(), alert.Alert{Database: "b", Query: "SELECT 1"}, alert.Run{})
	require.Contains(t, result.Failure.Message, "NOT_SET")
	require.Error(t, r.Ping(t.Context(), "a"))
	require.NoError(t, r.Close())
}
