package query_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

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
	case "duckdb":
		return append(common, duckdbHostile(folder)...)
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
			"SELECT 'OK' AS status, hidden_lock()", // keeps a lock without a word of it in the query
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
			switch w.name {
			case "postgres":
				soon(t, func() bool { return w.count(t, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0 }, setting)
				require.Equal(t, "on", works(t, r, "SELECT 'OK' AS status, current_setting('transaction_read_only') AS actual_value").Rows[0].Actual.String(), setting)
			case "mariadb":
				soon(t, func() bool { return w.count(t, "SELECT IS_FREE_LOCK('mine') + IS_FREE_LOCK('hidden')") == 2 }, setting)
				row := works(t, r, "SELECT 'OK' AS status, @mine AS threshold, @@sql_mode LIKE '%ANSI%' AS actual_value").Rows[0]
				require.Equal(t, "NULL", row.Threshold.String(), setting)
				require.Equal(t, "0", row.Actual.String(), setting)
			}
			for _, evil := range []string{"DELETE FROM orders", "DELETE FROM orders RETURNING 'OK' AS status"} {
				require.NotNil(t, ask(t, r, evil).Failure, setting)
				w.unchanged(t, setting)
			}
			require.Equal(t, "3", works(t, r, "SELECT 'OK' AS status, count(*) AS actual_value FROM orders").Rows[0].Actual.String(), setting)
		}
	})
}
