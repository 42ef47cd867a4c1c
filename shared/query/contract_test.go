package query_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
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
		blob := map[string]string{"sqlite": "x'ff00'", "postgres": `'\xff00'::bytea`, "mariadb": "x'ff00'"}[w.name]
		fails(t, ask(t, w.runner(t, 1), "SELECT "+blob+" AS status"), alert.ErrorBadStatus)
	})
}

// hostile are statements that no dialect may let change anything.
func hostile(w *world, folder string) []string {
	common := []string{
		"DELETE FROM orders",
		"delete from orders where 1=1;",
		"INSERT INTO orders VALUES (4, 'EU', 1)",
		"UPDATE orders SET total = 0",
		"DROP TABLE orders",
		"CREATE TABLE stolen (x INTEGER)",
		"CREATE TABLE stolen AS SELECT * FROM orders",
		"ALTER TABLE orders ADD COLUMN x INTEGER",
		"SELECT 'OK' AS status; DROP TABLE orders",
		"SELECT 'OK' AS status; DELETE FROM orders; SELECT 'OK' AS status",
		"SELECT 'OK' AS status -- x\n; DELETE FROM orders",
		"COMMIT; DELETE FROM orders; SELECT 'OK' AS status",
		"ROLLBACK; DELETE FROM orders; BEGIN",
		"COMMIT",
		"BEGIN",
		"ROLLBACK",
	}
	switch w.name {
	case "sqlite":
		return append(common,
			"DELETE FROM orders RETURNING 'OK' AS status", "WITH x AS (SELECT 1) DELETE FROM orders",
			"PRAGMA query_only=0", "PRAGMA query_only(0)", "PRAGMA writable_schema=1", "PRAGMA journal_mode=WAL", "PRAGMA user_version=7",
			"SELECT * FROM pragma_user_version(7)", "SELECT 'OK' AS status; PRAGMA query_only=0",
			"ATTACH '"+filepath.Join(folder, "new.db")+"' AS x", "VACUUM", "VACUUM INTO '"+filepath.Join(folder, "new.db")+"'",
			"DETACH main", "ANALYZE", "REINDEX", "SAVEPOINT x", "CREATE TEMP TABLE stolen AS SELECT 1", "EXPLAIN DELETE FROM orders",
			"SELECT load_extension('x.so')", "REPLACE INTO orders VALUES (1, 'x', 0)",
		)
	case "postgres":
		return append(common,
			"DELETE FROM orders RETURNING 'OK' AS status", "WITH d AS (DELETE FROM orders RETURNING 1) SELECT 'OK' AS status FROM d",
			"SELECT 'OK' AS status INTO stolen FROM orders", "TRUNCATE orders", "SET transaction_read_only = off", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
			"SET TRANSACTION READ WRITE", "COPY orders TO PROGRAM 'cat > "+filepath.Join(folder, "new.db")+"'", "COPY orders FROM PROGRAM 'echo 9,x,1'",
			"copy (SELECT 1) to program 'touch "+filepath.Join(folder, "new.db")+"'; COMMIT; DELETE FROM orders",
			"/* x */ COPY orders FROM STDIN; COMMIT; DELETE FROM orders", "-- x\nCOPY orders TO STDOUT; COMMIT; DELETE FROM orders",
			"COPY orders TO '"+filepath.Join(folder, "new.db")+"'", "DO $$ BEGIN DELETE FROM orders; END $$", "CALL spoil()", "SELECT spoil_function() AS status",
			"PREPARE evil AS DELETE FROM orders", "EXECUTE evil", "LISTEN x", "NOTIFY x", "LOCK TABLE orders", "VACUUM", "EXPLAIN ANALYZE DELETE FROM orders",
			"SELECT 'OK' AS status FROM orders FOR UPDATE", "VALUES ('OK'); DELETE FROM orders", "SELECT 'OK' AS status, setval('numbers', 99)",
			"SELECT 'OK' AS status, set_config('transaction_read_only', 'off', false), spoil_function()",
			"SELECT 1; CLOSE sqlsentinel; DECLARE sqlsentinel CURSOR FOR SELECT 1", "MERGE INTO orders USING orders o ON true WHEN MATCHED THEN DELETE",
		)
	}
	return append(common,
		"REPLACE INTO orders VALUES (1, 'x', 0)", "TRUNCATE TABLE orders", "CALL spoil()", "SELECT spoil_function() AS status",
		"SELECT * FROM orders INTO OUTFILE '"+filepath.Join(folder, "new.db")+"'", "SELECT 'OK' AS status INTO OUTFILE '"+filepath.Join(folder, "new.db")+"'",
		"SELECT 'x' INTO DUMPFILE '"+filepath.Join(folder, "new.db")+"'", "SELECT 'OK' INTO @x", "SELECT 'OK' /*! INTO OUTFILE '"+filepath.Join(folder, "new.db")+"' */",
		"SET SESSION TRANSACTION READ WRITE", "SET GLOBAL max_connections = 11", "START TRANSACTION READ WRITE", "FLUSH TABLES", "KILL 1",
		"DELETE FROM orders RETURNING 'OK' AS status", "LOCK TABLES orders WRITE", "SET STATEMENT tx_read_only=0 FOR DELETE FROM orders",
		"SELECT 1); DELETE FROM orders; SELECT (1", "SELECT 'OK' AS status) UNION (SELECT 'OK' INTO OUTFILE '"+filepath.Join(folder, "new.db")+"'",
		"LOAD DATA INFILE '/etc/hostname' INTO TABLE orders", "BEGIN NOT ATOMIC DELETE FROM orders; END", "EXECUTE IMMEDIATE 'DELETE FROM orders'",
		"ANALYZE DELETE FROM orders", "SHUTDOWN",
	)
}

// spoil gives the servers routines that write.
func spoil(t *testing.T, w *world) {
	switch w.name {
	case "postgres":
		w.exec(t, "CREATE SEQUENCE numbers",
			"CREATE FUNCTION spoil_function() RETURNS text LANGUAGE plpgsql AS $$ BEGIN DELETE FROM orders; RETURN 'OK'; END $$",
			"CREATE PROCEDURE spoil() LANGUAGE plpgsql AS $$ BEGIN DELETE FROM orders; COMMIT; END $$")
	case "mariadb":
		w.exec(t, "CREATE FUNCTION spoil_function() RETURNS varchar(5) MODIFIES SQL DATA BEGIN DELETE FROM orders; RETURN 'OK'; END",
			"CREATE PROCEDURE spoil() BEGIN DELETE FROM orders; COMMIT; END")
	}
}

func TestNothingThatWritesGetsThrough(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		spoil(t, w)
		folder := t.TempDir()
		require.NoError(t, os.Chmod(folder, 0o777)) //nolint:gosec // the servers run as other users
		r := w.runner(t, 1)
		for _, text := range hostile(w, folder) {
			result := ask(t, r, text)
			require.NotNil(t, result.Failure, text)
			require.False(t, result.Failure.Unreachable, "%s: %s", text, result.Failure.Message)
			w.unchanged(t, text)
			files, err := os.ReadDir(folder)
			require.NoError(t, err)
			require.Empty(t, files, text)
			works(t, r, "SELECT 'OK' AS status FROM orders WHERE id = 1")
		}
	})
}

func TestTheMessageNamesTheGuard(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		r := w.runner(t, 1)
		fails(t, ask(t, r, "DELETE FROM orders"), alert.ErrorReadOnly)
		fails(t, ask(t, r, "SELECT 'OK' AS status; DROP TABLE orders"), alert.ErrorStatements)
		fails(t, ask(t, r, "SELECT 'OK' AS status; SELECT 'OK' AS status"), alert.ErrorStatements)
		w.unchanged(t, "refused statements")
	})
}

func TestASettingOfOneAlertDoesNotReachTheNext(t *testing.T) {
	settings := map[string][]string{
		"postgres": {
			"SELECT 'OK' AS status, set_config('transaction_read_only', 'off', false)",
			"SELECT 'OK' AS status, set_config('default_transaction_read_only', 'off', false)",
			"SELECT 'OK' AS status, set_config('search_path', 'nowhere', false)",
			"SELECT 'OK' AS status, set_config('statement_timeout', '1', false)",
			"SELECT 'OK' AS status, set_config('role', 'pg_monitor', false)",
			"SELECT 'OK' AS status FROM pg_advisory_lock(42)",
			"SELECT 'OK' AS status, hidden_lock()",
		},
		"mariadb": {
			"SELECT 'OK' AS status, @mine := 5", "SELECT 'OK' AS status, GET_LOCK('mine', 1)",
			"SELECT 'OK' AS status, hidden_setting()",
		},
	}
	worlds(t, func(t *testing.T, w *world) {
		switch w.name {
		case "postgres":
			w.exec(t, "CREATE FUNCTION hidden_lock() RETURNS text LANGUAGE sql AS $$ SELECT pg_advisory_lock(43)::text $$")
		case "mariadb":
			w.exec(t, "CREATE FUNCTION hidden_setting() RETURNS int BEGIN SET SESSION tx_read_only = 0; SET SESSION sql_mode = 'ANSI'; RETURN GET_LOCK('hidden', 1); END")
		}
		r := w.runner(t, 1)
		for _, setting := range settings[w.name] {
			_ = ask(t, r, setting)
			for _, evil := range []string{"DELETE FROM orders", "DELETE FROM orders RETURNING 'OK' AS status"} {
				require.NotNil(t, ask(t, r, evil).Failure, setting)
				w.unchanged(t, setting)
			}
			require.Equal(t, "3", works(t, r, "SELECT 'OK' AS status, count(*) AS actual_value FROM orders").Rows[0].Actual.String(), setting)
			switch w.name {
			case "postgres":
				soon(t, func() bool { return w.count(t, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0 }, setting)
			case "mariadb":
				require.Equal(t, "NULL", works(t, r, "SELECT 'OK' AS status, @mine AS threshold").Rows[0].Threshold.String())
				soon(t, func() bool { return w.count(t, "SELECT IS_FREE_LOCK('mine') + IS_FREE_LOCK('hidden')") == 2 }, setting)
			}
		}
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

func TestTenMillionRowsAreStoppedAtTheCapInBoundedMemory(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		r := w.runner(t, 1)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		result := ask(t, r, w.millions, "k")
		runtime.ReadMemStats(&after)
		require.Contains(t, fails(t, result, alert.ErrorRowCap), "1000")
		require.NotNil(t, result.Table, "the first rows are there for a dry run")
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(200<<20), "every test that runs beside this one counts too")
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
			t.Skip("SQLite has no server")
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
			t.Skip("SQLite has no server")
		}
		r := w.runner(t, 1)
		answer := background(t.Context(), r, time.Minute, w.endless)
		for range 2 { // the first loss may be repeated over a fresh connection
			soon(t, func() bool { return len(answer) > 0 || w.sleeping(t) > 0 }, "it runs")
			if len(answer) > 0 {
				break
			}
			w.cut(t)
			soon(t, func() bool { return len(answer) > 0 || w.sleeping(t) > 0 }, "it runs again or answers")
		}
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
			t.Skip("nobody sees the sessions of SQLite")
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

// queryOne reads one value past everything under test.
func queryOne(t *testing.T, db *sql.DB, text string) (out string) {
	t.Helper()
	require.NoError(t, db.QueryRow(text).Scan(&out))
	return out
}
