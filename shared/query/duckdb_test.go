//go:build duckdb && cgo

package query_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
)

func duckdbWorld() map[string]func(*testing.T) *world {
	return map[string]func(*testing.T) *world{"duckdb": openDuckDB}
}

func openDuckDB(t *testing.T) *world {
	dir := t.TempDir()
	admin := sql.OpenDB(writer(filepath.Join(dir, "shop.duckdb")))
	t.Cleanup(func() { require.NoError(t, admin.Close()) })
	return &world{
		url: "duckdb:///shop.duckdb", dir: dir, admin: admin,
		endless: "SELECT 'OK' AS status, count(*) FROM range(10000000000000) WHERE hash(range) = 0",
		trickle: "SELECT 'OK' AS status, range AS k FROM range(10000000000000) WHERE hash(range) = hash(1::BIGINT)",
		instant: "TIMESTAMP", unbound: []string{"SELECT 'OK' AS status WHERE 1 > $1", "SELECT 'OK' AS status WHERE 1 > ?", "SELECT 'OK' AS status WHERE 1 > $x"},
		millions: "SELECT 'OK' AS status, range AS k FROM range(10000000)",
	}
}

// A writer opens a file to write, only while a connection of it is in use: DuckDB lets no
// one read beside it.
type writer string

func (writer) Driver() driver.Driver { return duckdb.Driver{} }

func (w writer) Connect(ctx context.Context) (driver.Conn, error) {
	database, err := duckdb.NewConnector(string(w), nil)
	if err != nil {
		return nil, err
	}
	conn, err := database.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &writing{conn.(*duckdb.Conn), database}, nil
}

type writing struct {
	*duckdb.Conn
	database *duckdb.Connector
}

func (*writing) IsValid() bool { return false }
func (w *writing) Close() error {
	return errors.Join(w.Conn.Close(), w.database.Close())
}

// duckdbHostile are statements of DuckDB that must change nothing.
func duckdbHostile(folder string) []string {
	file := "'" + filepath.Join(folder, "new.db") + "'"
	return []string{
		"DELETE FROM orders RETURNING 'OK' AS status", "WITH x AS (SELECT 1) DELETE FROM orders", "TRUNCATE orders", "INSERT OR REPLACE INTO orders VALUES (1, 'x', 0)",
		"MERGE INTO orders USING orders o ON true WHEN MATCHED THEN DELETE", "CREATE TEMP TABLE stolen AS SELECT 1", "CREATE SEQUENCE stolen", "CREATE MACRO stolen() AS 1", "CREATE SECRET (TYPE s3)",
		"ATTACH " + file, "ATTACH " + file + " AS x; SELECT 'OK' AS status", "DETACH shop", "USE memory", "COPY orders TO " + file, "COPY (SELECT 1) TO " + file, "COPY orders FROM '/etc/passwd'", "EXPORT DATABASE " + file,
		"SELECT 'OK' AS status FROM read_csv('/etc/passwd')", "SELECT 'OK' AS status FROM '/etc/passwd'", "SELECT content AS status FROM read_text('/etc/passwd')", "SELECT file AS status FROM glob('/etc/*')",
		"INSTALL httpfs", "LOAD httpfs", "SET memory_limit = '100GB'", "SET enable_external_access = true", "RESET memory_limit", "PRAGMA enable_profiling", "PRAGMA memory_limit='10GB'", "SET VARIABLE x = 1",
		"VACUUM", "ANALYZE", "CHECKPOINT", "FORCE CHECKPOINT", "EXPLAIN DELETE FROM orders", "EXPLAIN ANALYZE DELETE FROM orders", "CALL pragma_version()", "PREPARE evil AS DELETE FROM orders", "EXECUTE evil",
		"SELECT 'OK' AS status FROM query('DELETE FROM orders')", "SELECT 1) AS x; DELETE FROM orders; SELECT (1", "SELECT 'OK' AS status, ? AS x", "SELECT 'OK' AS status, $1 AS x",
		"SELECT 'OK' AS status, getenv('HOME')", "COMMENT ON TABLE orders IS 'x'",
	}
}

// duckdbCells are values of every type of DuckDB.
func duckdbCells() []cell {
	return []cell{
		{"127::TINYINT", "127", "127"}, {"255::UTINYINT", "255", "255"}, {"65535::USMALLINT", "65535", "65535"}, {"4294967295::UINTEGER", "4294967295", "4294967295"},
		{"18446744073709551615::UBIGINT", "18446744073709551615", `"18446744073709551615"`},
		{"(-170141183460469231731687303715884105727 - 1)::HUGEINT", "-170141183460469231731687303715884105728", `"-170141183460469231731687303715884105728"`},
		{"340282366920938463463374607431768211455::UHUGEINT", "340282366920938463463374607431768211455", `"340282366920938463463374607431768211455"`},
		{"'-123456789012345678901234567890123456789012345'::BIGNUM", "-123456789012345678901234567890123456789012345", `"-123456789012345678901234567890123456789012345"`},
		{"100.00::DECIMAL(10,2)", "100.00", "100.00"}, {"'12345678901234567890.123456789012345678'::DECIMAL(38,18)", "12345678901234567890.123456789012345678", `"12345678901234567890.123456789012345678"`},
		{"0.1::DOUBLE", "0.1", "0.1"}, {"0.1::FLOAT", "0.1", "0.1"}, {"1e300::DOUBLE", "1e+300", "1e+300"}, {"'NaN'::DOUBLE", "NaN", `"NaN"`}, {"'-infinity'::DOUBLE", "-Inf", `"-Inf"`},
		{"true", "true", "true"}, {"NULL::INTEGER", "NULL", "null"}, {"NULL::VARCHAR", "NULL", "null"}, {"NULL::BLOB", "NULL", "null"}, {"NULL::INTEGER[]", "NULL", "null"},
		{"DATE '2026-03-02'", "2026-03-02", `"2026-03-02"`}, {"'infinity'::DATE", "infinity", `"infinity"`}, {"'0044-03-15 (BC)'::DATE", "0044-03-15 (BC)", `"0044-03-15 (BC)"`}, {"'12026-03-02'::DATE", "12026-03-02", `"12026-03-02"`},
		{"TIME '23:59:59.000001'", "23:59:59.000001", `"23:59:59.000001"`}, {"TIME '24:00:00'", "24:00:00", `"24:00:00"`}, {"'09:00:00+02'::TIMETZ", "09:00:00+02", `"09:00:00+02"`},
		{"TIMESTAMP '2026-03-02 09:00:00.123456'", "2026-03-02T09:00:00.123456", `"2026-03-02T09:00:00.123456"`}, {"'infinity'::TIMESTAMP", "infinity", `"infinity"`},
		{"'2026-03-02 09:00:00'::TIMESTAMP_S", "2026-03-02T09:00:00", `"2026-03-02T09:00:00"`}, {"'2026-03-02 09:00:00.123'::TIMESTAMP_MS", "2026-03-02T09:00:00.123", `"2026-03-02T09:00:00.123"`},
		{"'2026-03-02 09:00:00.123456789'::TIMESTAMP_NS", "2026-03-02T09:00:00.123456789", `"2026-03-02T09:00:00.123456789"`},
		{"INTERVAL '1 year 2 days 03:04:05.6'", "1 year 2 days 03:04:05.6", `"1 year 2 days 03:04:05.6"`},
		{`'\x00\xff'::BLOB`, `\x00ff`, `"\\x00ff"`}, {"''::BLOB", `\x`, `"\\x"`}, {"'10101'::BIT", "10101", `"10101"`}, {"'a' || chr(0) || 'b'", "a\x00b", `"a\u0000b"`},
		{"'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", `"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"`},
		{"'sad'::ENUM ('sad', 'happy')", "sad", `"sad"`}, {"'sad'::mood", "sad", `"sad"`},
		{`'{"b": 1.10, "a": [12345678901234567890, null]}'::JSON`, `{"b":1.10,"a":[12345678901234567890,null]}`, `{"b":1.10,"a":[12345678901234567890,null]}`}, {`'"x"'::JSON`, `"x"`, `"x"`},
		{"[1, NULL, 3]", "[1,null,3]", "[1,null,3]"}, {"[9007199254740993]", "[9007199254740993]", "[9007199254740993]"}, {"[[1, 2], [3, NULL]]", "[[1,2],[3,null]]", "[[1,2],[3,null]]"}, {"[]::INTEGER[]", "[]", "[]"},
		{"array_value(1, 2)", "[1,2]", "[1,2]"}, {`['a', 'b"c', NULL]`, `["a","b\"c",null]`, `["a","b\"c",null]`}, {"[1.10::DECIMAL(10,2)]", "[1.10]", "[1.10]"},
		{"{'b': 1, 'a': DATE '2026-03-02'}", `{"b":1,"a":"2026-03-02"}`, `{"b":1,"a":"2026-03-02"}`}, {"MAP {'k': 1, 'a': 2}", `{"k":1,"a":2}`, `{"k":1,"a":2}`}, {"MAP {1: 'x'}", `{"1":"x"}`, `{"1":"x"}`},
		{"union_value(num := 2)", `{"num":2}`, `{"num":2}`}, {"['12345678901234567890.123456789'::DECIMAL(38,9)]", "[12345678901234567890.123456789]", "[12345678901234567890.123456789]"},
		{"[170141183460469231731687303715884105727::HUGEINT]", "[170141183460469231731687303715884105727]", "[170141183460469231731687303715884105727]"}, {"{'b': 1.10, 'a': 2}", "{'b': 1.10, 'a': 2}", `"{'b': 1.10, 'a': 2}"`}, {"[0.1::DOUBLE]", "[0.1]", "[0.1]"},
		{"42::VARIANT", "42", `"42"`}, {"row(1, 'x')", "(1, x)", `"(1, x)"`}, {"{'x': {'y': 1}}", `{"x":{"y":1}}`, `{"x":{"y":1}}`},
	}
}

func TestADuckDBTimeHasItsOffset(t *testing.T) {
	w := openDuckDB(t)
	w.exec(t, "CREATE TABLE zoo (z TIMESTAMPTZ)", "INSERT INTO zoo VALUES ('2026-03-02 09:00:00.5+05:30')")
	text := works(t, w.runner(t, 1), "SELECT 'OK' AS status, z AS actual_value FROM zoo").Rows[0].Actual.String()
	at, err := time.Parse(time.RFC3339Nano, text)
	require.NoError(t, err)
	require.True(t, at.Equal(time.Date(2026, 3, 2, 3, 30, 0, 5e8, time.UTC)), text)
}

func TestADuckDBErrorTellsThePlace(t *testing.T) {
	w := openDuckDB(t)
	w.exec(t, "CREATE TABLE orders (id INTEGER)")
	r := w.runner(t, 1)
	require.Contains(t, fails(t, ask(t, r, "SELECT 'OK' AS status,\n  nix FROM orders"), alert.ErrorQuery), "(line 2, column 3 of the query)")
	require.Contains(t, fails(t, ask(t, r, "SELECT 'OK' AS status FROM nowhere"), alert.ErrorQuery), "(line 1, column 28 of the query)")
	require.Contains(t, fails(t, ask(t, r, "PIVOT orders ON id USING sum(id)"), alert.ErrorStatements), "PIVOT")
	require.Contains(t, fails(t, ask(t, r, "SELECT 'OK' AS status, 'x'::INTEGER FROM orders UNION ALL SELECT 'OK', 'y'::INTEGER"), alert.ErrorQuery), "'y'")
	require.Contains(t, fails(t, ask(t, r, "SELECT 'OK' AS status,\n  region::INTEGER AS x FROM (SELECT 'a' AS region FROM range(1))"), alert.ErrorQuery), "line 2")
	require.Contains(t, fails(t, ask(t, r, "SELECT 'OK' AS status, repeat('x', 3000000) AS actual_value"), alert.ErrorSizeCap), "1024 KiB")
}

func TestASettingOfDuckDBEndsWithItsQuery(t *testing.T) {
	w := openDuckDB(t)
	w.exec(t, "CREATE TABLE orders (id INTEGER)")
	r, folder := w.runner(t, 1), t.TempDir()
	_ = ask(t, r, "SELECT 'OK' AS status FROM enable_logging(storage='file', storage_path='"+filepath.Join(folder, "log")+"')")
	works(t, r, "SELECT 'OK' AS status, count(*) AS actual_value FROM orders")
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Empty(t, files)
}

func TestADuckDBQueryThatNeedsTooMuchMemoryIsAnError(t *testing.T) {
	w := openDuckDB(t)
	w.exec(t, "CREATE TABLE orders (id INTEGER)")
	w.url += "?memory_limit=40MB"
	message := fails(t, ask(t, w.runner(t, 1), "SELECT 'OK' AS status, count(*) FROM (SELECT DISTINCT hash(range) FROM range(20000000))"), alert.ErrorQuery)
	require.Contains(t, message, "memory_limit")
	files, err := os.ReadDir(w.dir)
	require.NoError(t, err)
	require.Len(t, files, 1, "nothing is spilled to the disk")
}

func TestADuckDBFileIsFreeBetweenQueries(t *testing.T) {
	w := openDuckDB(t)
	w.exec(t, "CREATE TABLE orders (id INTEGER)")
	r := w.runner(t, 2)
	works(t, r, "SELECT 'OK' AS status FROM orders")
	held := hold(t, filepath.Join(w.dir, "shop.duckdb"))
	message := fails(t, ask(t, r, "SELECT 'OK' AS status FROM orders"), alert.ErrorUnreachable)
	require.Contains(t, message, "another program")
	held()
	works(t, r, "SELECT 'OK' AS status, count(*) AS actual_value FROM orders")
}

// hold opens a file to write in another process, until the function that it returns.
func hold(t *testing.T, path string) (release func()) {
	t.Helper()
	command := exec.Command(os.Args[0], "-test.run=^TestHoldsADuckDBFile$", "-test.v") //nolint:gosec // this program
	command.Env = append(os.Environ(), "SENTINEL_HOLD="+path)
	stdin, err := command.StdinPipe()
	require.NoError(t, err)
	stdout, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && lines.Text() != "held" {
	}
	require.Equal(t, "held", lines.Text())
	return func() {
		require.NoError(t, stdin.Close())
		for lines.Scan() {
		}
		require.NoError(t, command.Wait())
	}
}

func TestHoldsADuckDBFile(t *testing.T) {
	path := os.Getenv("SENTINEL_HOLD")
	if path == "" {
		t.Skip("it is the other process of another test")
	}
	db := sql.OpenDB(writer(path))
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	_, err = os.Stdout.WriteString("held\n")
	require.NoError(t, err)
	_, _ = os.Stdin.Read(make([]byte, 1))
	require.NoError(t, errors.Join(conn.Close(), db.Close()))
}

func TestADuckDBFileThatCannotBeReadIsUnreachable(t *testing.T) {
	dir := t.TempDir()
	require.Contains(t, unreachable(t, "duckdb:///missing.duckdb", dir), "missing.duckdb")
	require.NoFileExists(t, filepath.Join(dir, "missing.duckdb"))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder.duckdb"), 0o700))
	unreachable(t, "duckdb:///folder.duckdb", dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "text.duckdb"), bytes.Repeat([]byte("not a database\n"), 1000), 0o600))
	require.Contains(t, unreachable(t, "duckdb:///text.duckdb", dir), "not a valid DuckDB database")
	w := openDuckDB(t)
	w.exec(t, "CREATE TABLE orders (id INTEGER)")
	content, err := os.ReadFile(filepath.Join(w.dir, "shop.duckdb"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "torn.duckdb"), content[:4096], 0o600))
	unreachable(t, "duckdb:///torn.duckdb", dir)
}

func TestADuckDBURLIsChecked(t *testing.T) {
	for _, good := range []string{"duckdb:///rel.duckdb", "duckdb:////abs/x.duckdb", "duckdb+duckdb_engine:///x.db", "duckdb:///x.db?memory_limit=512MB&access_mode=READ_ONLY", "duckdb:///with%20space.db"} {
		require.NoError(t, query.CheckDatabase(alert.Database{URL: good}, environment), good)
	}
}
