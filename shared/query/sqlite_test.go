package query_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
)

func TestSQLiteReadsVirtualTablesAndDescriptions(t *testing.T) {
	w := openSQLite(t)
	w.exec(t, "CREATE VIRTUAL TABLE notes USING fts5(body)", "INSERT INTO notes VALUES ('red fox')", "CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1)",
		"INSERT INTO boxes VALUES (1, 0, 5)", "CREATE VIEW v AS SELECT body FROM notes")
	r := w.runner(t, 1)
	for text, want := range map[string]string{
		"SELECT 'OK' AS status, body AS actual_value FROM notes WHERE notes MATCH 'fox'":                                                 "red fox",
		"SELECT 'OK' AS status, body AS actual_value FROM v":                                                                             "red fox",
		"SELECT 'OK' AS status, count(*) AS actual_value FROM boxes WHERE x1 > 3":                                                        "1",
		"SELECT 'OK' AS status, sum(value) AS actual_value FROM json_each('[1,2]')":                                                      "3",
		"SELECT 'OK' AS status, count(*) AS actual_value FROM pragma_table_info('notes')":                                                "1",
		"SELECT 'OK' AS status, integrity_check AS actual_value FROM pragma_integrity_check":                                             "ok",
		"SELECT 'OK' AS status, user_version AS actual_value FROM pragma_user_version":                                                   "0",
		"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 9) SELECT 'OK' AS status, max(x) AS actual_value FROM c": "9",
	} {
		require.Equal(t, want, works(t, r, text).Rows[0].Actual.String(), text)
	}
}

func TestSQLiteErrorsNameThePlace(t *testing.T) {
	w := openSQLite(t)
	w.exec(t, "CREATE TABLE orders (id)")
	message := fails(t, ask(t, w.runner(t, 1), "SELECT 'OK' AS status,\n  'é', totl FROM orders"), alert.ErrorQuery)
	require.Contains(t, message, "no such column: totl")
	require.Contains(t, message, "line 2, column 8")
}

func TestASQLiteFileThatIsReplacedIsOpenedAnew(t *testing.T) {
	w := openSQLite(t)
	w.exec(t, "CREATE TABLE orders (n)", "INSERT INTO orders VALUES (1)")
	r := w.runner(t, 1)
	const text = "SELECT 'OK' AS status, max(n) AS actual_value FROM orders"
	require.Equal(t, "1", works(t, r, text).Rows[0].Actual.String())
	other, err := sql.Open("sqlite", filepath.Join(w.dir, "other.db"))
	require.NoError(t, err)
	_, err = other.Exec("CREATE TABLE orders (n); INSERT INTO orders VALUES (2)")
	require.NoError(t, err)
	require.NoError(t, other.Close())
	require.NoError(t, os.Rename(filepath.Join(w.dir, "other.db"), filepath.Join(w.dir, "shop.db")))
	require.Equal(t, "2", works(t, r, text).Rows[0].Actual.String())
	require.NoError(t, os.Remove(filepath.Join(w.dir, "shop.db")))
	fails(t, ask(t, r, text), alert.ErrorUnreachable)
	require.NoFileExists(t, filepath.Join(w.dir, "shop.db"))
}

func TestASQLiteLockIsWaitedForUntilTheDeadline(t *testing.T) {
	w := openSQLite(t)
	w.exec(t, "CREATE TABLE orders (n)")
	r := w.runner(t, 1)
	conn, err := w.admin.Conn(t.Context())
	require.NoError(t, err)
	_, err = conn.ExecContext(t.Context(), "BEGIN EXCLUSIVE")
	require.NoError(t, err)
	message := fails(t, askWithin(t, r, 300*time.Millisecond, "SELECT 'OK' AS status, count(*) FROM orders"), alert.ErrorTimeout)
	require.Contains(t, message, "300ms")
	answer := background(t.Context(), r, time.Minute, "SELECT 'OK' AS status, count(*) FROM orders")
	_, err = conn.ExecContext(t.Context(), "COMMIT")
	require.NoError(t, err)
	require.Nil(t, within(t, answer, 10*time.Second).Failure)
	require.NoError(t, conn.Close())
}

func TestASQLiteDatabaseInWALModeIsReadWhileOthersWrite(t *testing.T) {
	w := openSQLite(t)
	w.exec(t, "PRAGMA journal_mode=WAL", "CREATE TABLE orders (n)", "BEGIN IMMEDIATE", "INSERT INTO orders VALUES (1)")
	require.Equal(t, "0", works(t, w.runner(t, 1), "SELECT 'OK' AS status, count(*) AS actual_value FROM orders").Rows[0].Actual.String())
	w.exec(t, "COMMIT")
	require.Equal(t, "1", works(t, w.runner(t, 1), "SELECT 'OK' AS status, count(*) AS actual_value FROM orders").Rows[0].Actual.String())
}

func TestASQLitePathIsRelativeToTheFolderOrAbsolute(t *testing.T) {
	w := openSQLite(t)
	w.exec(t, "CREATE TABLE orders (n)")
	for _, address := range []string{"sqlite:///shop.db", "sqlite:///./shop.db?mode=ro", "sqlite:///" + filepath.Join(w.dir, "shop.db"), "SQLite+pysqlite:///shop.db", "sqlite:///shop.db?immutable=1"} {
		r := w.runnerWith(t, query.Options{Databases: map[string]alert.Database{"": {URL: address, Dir: w.dir}}})
		require.Nil(t, ask(t, r, "SELECT 'OK' AS status FROM orders").Failure, address)
	}
}

func TestAHugeValueIsStoppedInBoundedMemory(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		expression := map[string]string{"sqlite": "hex(zeroblob(500000000))", "postgres": "repeat('x', 300000000)", "mariadb": "REPEAT('x', 15000000)", "duckdb": "repeat('x', 100000000)"}[w.name]
		r := w.runner(t, 1)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		fails(t, ask(t, r, "SELECT 'OK' AS status, "+expression+" AS actual_value"), alert.ErrorSizeCap)
		runtime.ReadMemStats(&after)
		if w.name != "postgres" { // whose driver reserves memory by the length, but must not fill it
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(200<<20))
		}
		fails(t, ask(t, r, "SELECT 'OK' AS status, '"+strings.Repeat("x", 1<<20)+"' AS actual_value"), alert.ErrorSizeCap)
		works(t, r, "SELECT 'OK' AS status")
	})
}

func TestARowOfManyHugeValuesIsStoppedInBoundedMemory(t *testing.T) {
	w := openSQLite(t)
	w.exec(t, "CREATE TABLE orders (n)")
	r := w.runner(t, 1)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	message := fails(t, ask(t, r, "SELECT 'OK' AS status"+strings.Repeat(", zeroblob(60000000)", 6)), alert.ErrorSizeCap)
	runtime.ReadMemStats(&after)
	require.Contains(t, message, "a row of the result is larger than 16 MiB; select fewer columns")
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(32<<20), "it is not copied")
}

// A program that dies within a change leaves a journal that must be played back, which only
// a program that writes can do.
func TestASQLiteFileWhoseWriterDiedIsUnreachable(t *testing.T) {
	w := openSQLite(t)
	w.exec(t, "CREATE TABLE orders (n)", "INSERT INTO orders VALUES (1)")
	dir := t.TempDir()
	writer, err := sql.Open("sqlite", filepath.Join(w.dir, "shop.db")+"?_pragma=journal_mode(delete)&_pragma=cache_size(2)")
	require.NoError(t, err)
	change, err := writer.Begin()
	require.NoError(t, err)
	for range 200 {
		_, err = change.Exec("INSERT INTO orders VALUES (randomblob(2000))")
		require.NoError(t, err)
	}
	for _, name := range []string{"shop.db", "shop.db-journal"} {
		data, err := os.ReadFile(filepath.Join(w.dir, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	require.NoError(t, change.Rollback())
	require.NoError(t, writer.Close())
	w.dir = dir
	message := fails(t, ask(t, w.runner(t, 1), "SELECT 'OK' AS status, count(*) AS actual_value FROM orders"), alert.ErrorUnreachable)
	require.Contains(t, message, "a program that wrote it ended in the middle of a change")
}
