package query_test

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/lib/pq"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/databases"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/emulators"
)

func TestMain(m *testing.M) { os.Exit(databases.Main(withEmulators{m})) }

// withEmulators are the tests, and the end of the emulators that they start.
type withEmulators struct{ *testing.M }

func (m withEmulators) Run() int { return emulators.Main(m.M) }

// A world is a database with the table orders of three rows, seen from outside.
type world struct {
	name string
	url  string
	dir  string
	// admin writes to it and looks at it, past everything under test.
	admin *sql.DB

	endless  string // a query that runs for an hour before its first row
	trickle  string // a query that gives one row, then runs for an hour
	millions string // ten million rows with the columns status and k
	// instant is the type of a column that holds a moment, unbound queries with a
	// placeholder of the database's own.
	instant  string
	unbound  []string
	sleeping func(t *testing.T) int
	// cut ends every session of the runner on the server.
	cut func(t *testing.T)
}

// everyWorld opens the databases that keep the whole contract.
func everyWorld() map[string]func(*testing.T) *world {
	every := map[string]func(*testing.T) *world{"sqlite": openSQLite, "postgres": openPostgres, "mariadb": openMariaDB}
	maps.Copy(every, duckdbWorld())
	return every
}

// worlds runs a test on every dialect.
func worlds(t *testing.T, test func(t *testing.T, w *world)) {
	for name, open := range everyWorld() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t)
			w.name = name
			w.exec(t, "CREATE TABLE orders (id INTEGER PRIMARY KEY, region VARCHAR(20), total DECIMAL(10,2))",
				"INSERT INTO orders VALUES (1, 'EU', 10.50), (2, 'US', 20.00), (3, 'EU', 30.25)")
			test(t, w)
		})
	}
}

func openSQLite(t *testing.T) *world {
	dir := t.TempDir()
	admin, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "shop.db")+"?_pragma=busy_timeout(5000)")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, admin.Close()) })
	count := "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c)"
	return &world{
		url: "sqlite:///shop.db", dir: dir, admin: admin,
		endless: count + " SELECT 'OK' AS status, count(*) FROM c",
		trickle: count + " SELECT 'OK' AS status, x AS k FROM c WHERE x = 1 OR x < 0",
		instant: "TEXT", unbound: []string{"SELECT 'OK' AS status WHERE 1 > ?", "SELECT 'OK' AS status WHERE 1 > ?1", "SELECT 'OK' AS status WHERE 1 > :x", "SELECT 'OK' AS status WHERE 1 > @x"},
		millions: count + " SELECT 'OK' AS status, x AS k FROM c LIMIT 10000000",
	}
}

func openPostgres(t *testing.T) *world {
	address := databases.Postgres(t)
	admin, err := sql.Open("postgres", address)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, admin.Close()) })
	w := &world{
		url: address, admin: admin,
		endless: "SELECT 'OK' AS status, pg_sleep(3600)",
		trickle: "SELECT 'OK' AS status, 1 AS k UNION ALL SELECT 'OK', 2 FROM pg_sleep(3600)",
		instant: "TIMESTAMPTZ", unbound: []string{"SELECT 'OK' AS status WHERE 1 > $1", "SELECT 'OK' AS status WHERE 1 > :x"},
		millions: "SELECT 'OK' AS status, g AS k FROM generate_series(1, 10000000) g",
	}
	const ours = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'sqlsentinel'"
	w.sleeping = func(t *testing.T) int { return w.count(t, "SELECT count(*) "+ours+" AND state = 'active'") }
	w.cut = func(t *testing.T) { w.count(t, "SELECT count(pg_terminate_backend(pid)) "+ours) }
	return w
}

func openMariaDB(t *testing.T) *world {
	address := databases.MariaDB(t)
	u, err := url.Parse(address)
	require.NoError(t, err)
	config := mysql.NewConfig()
	config.Net, config.Addr, config.User, config.DBName = "tcp", u.Host, u.User.Username(), strings.TrimPrefix(u.Path, "/")
	config.Passwd, _ = u.User.Password()
	connector, err := mysql.NewConnector(config)
	require.NoError(t, err)
	admin := sql.OpenDB(connector)
	admin.SetMaxOpenConns(1)
	t.Cleanup(func() { require.NoError(t, admin.Close()) })
	w := &world{
		url: address, admin: admin,
		endless: "SELECT 'OK' AS status, SLEEP(3600)",
		trickle: "SELECT 'OK' AS status, seq AS k FROM seq_1_to_2 WHERE seq = 1 OR SLEEP(3600) = 0",
		instant: "DATETIME", unbound: []string{"SELECT 'OK' AS status FROM orders WHERE id = ?", "SELECT 'OK' AS status FROM orders WHERE id = :x"},
		millions: "SELECT 'OK' AS status, seq AS k FROM seq_1_to_10000000",
	}
	const ours = "FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
	w.sleeping = func(t *testing.T) int { return w.count(t, "SELECT COUNT(*) "+ours+" AND command <> 'Sleep'") }
	w.cut = func(t *testing.T) {
		var ids []int
		rows, err := admin.Query("SELECT id " + ours)
		require.NoError(t, err)
		for rows.Next() {
			var id int
			require.NoError(t, rows.Scan(&id))
			ids = append(ids, id)
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close())
		for _, id := range ids {
			_, err := admin.Exec(fmt.Sprintf("KILL CONNECTION %d", id))
			require.NoError(t, err)
			gone := fmt.Sprintf("SELECT COUNT(*) FROM information_schema.processlist WHERE id = %d", id)
			soon(t, func() bool { return w.count(t, gone) == 0 }, "the session is gone")
		}
	}
	return w
}

func (w *world) exec(t *testing.T, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := w.admin.Exec(s)
		require.NoError(t, err, s)
	}
}

func (w *world) count(t *testing.T, question string) int {
	t.Helper()
	var n int
	require.NoError(t, w.admin.QueryRow(question).Scan(&n), question)
	return n
}

// unchanged looks at the data and at the schema.
func (w *world) unchanged(t *testing.T, after string) {
	t.Helper()
	require.Equal(t, 3, w.count(t, "SELECT count(*) FROM orders"), after)
	require.Equal(t, 6075, w.count(t, "SELECT CAST(sum(total) * 100 AS INTEGER) FROM orders"), after)
	tables := "SELECT count(*) FROM information_schema.tables WHERE table_schema IN ('public', DATABASE())"
	switch w.name {
	case "postgres":
		tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
	case "duckdb":
		tables = "SELECT count(*) FROM duckdb_tables()"
	case "sqlite":
		tables = "SELECT count(*) FROM sqlite_master WHERE type = 'table'"
	}
	require.Equal(t, 1, w.count(t, tables), after)
}

// runner watches the world over at most so many connections.
func (w *world) runner(t *testing.T, connections int) *query.Runner {
	t.Helper()
	return w.runnerWith(t, query.Options{Databases: map[string]alert.Database{"": w.database(connections)}})
}

func (w *world) runnerWith(t *testing.T, o query.Options) *query.Runner {
	t.Helper()
	r, err := query.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

func (w *world) database(connections int) alert.Database {
	return alert.Database{URL: strings.ReplaceAll(w.url, "$", "$$"), Dir: w.dir, MaxConnections: connections}
}

// ask runs a query with a generous deadline.
func ask(t *testing.T, r *query.Runner, text string, key ...string) alert.Result {
	t.Helper()
	return askWithin(t, r, time.Minute, text, key...)
}

func askWithin(t *testing.T, r *query.Runner, timeout time.Duration, text string, key ...string) alert.Result {
	t.Helper()
	return r.Query(t.Context(), alert.Alert{Query: text, Key: key, Timeout: alert.Duration(timeout)}, alert.Run{})
}

// works is a query that must succeed.
func works(t *testing.T, r *query.Runner, text string, key ...string) alert.Result {
	t.Helper()
	result := ask(t, r, text, key...)
	require.Nil(t, result.Failure, "%s: %+v", text, result.Failure)
	return result
}

// fails is a query that must fail with one of the codes.
func fails(t *testing.T, result alert.Result, codes ...alert.Code) string {
	t.Helper()
	require.NotNil(t, result.Failure)
	require.Contains(t, codes, result.Failure.Code, result.Failure.Message)
	require.NotEmpty(t, result.Failure.Message)
	require.Equal(t, result.Failure.Code == alert.ErrorUnreachable, result.Failure.Unreachable)
	return result.Failure.Message
}

// soon waits for what other processes see.
func soon(t *testing.T, condition func() bool, what string) {
	t.Helper()
	require.Eventually(t, condition, 60*time.Second, 5*time.Millisecond, what)
}

// background runs a query while the test looks at it.
func background(ctx context.Context, r *query.Runner, timeout time.Duration, text string, key ...string) <-chan alert.Result {
	out := make(chan alert.Result, 1)
	go func() {
		out <- r.Query(ctx, alert.Alert{Query: text, Key: key, Timeout: alert.Duration(timeout)}, alert.Run{})
	}()
	return out
}

// within takes the answer, which must come in time.
func within(t *testing.T, answer <-chan alert.Result, limit time.Duration) alert.Result {
	t.Helper()
	select {
	case result := <-answer:
		return result
	case <-time.After(limit):
		require.FailNow(t, "the query did not return")
		return alert.Result{}
	}
}
