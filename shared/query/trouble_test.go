package query_test

import (
	"database/sql"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
)

// granted are the users of docs/databases.md, by the database that a test has for them:
// the heading before the block of SQL, and how the database says no.
func granted() map[string]struct{ world, before, denied string } {
	return map[string]struct{ world, before, denied string }{
		"PostgreSQL":         {"postgres", "\n## PostgreSQL\n", "permission denied"},
		"MySQL and MariaDB":  {"mariadb", "\n## MySQL and MariaDB\n", "denied"},
		"Redshift's grammar": {"postgres", "\n## Redshift\n", "permission denied"},
	}
}

// grants are the statements of the page for a user of its own, and the user's name.
func grants(t *testing.T, before, database, password string) (statements []string, user string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/databases.md")
	require.NoError(t, err)
	_, after, found := strings.Cut(string(page), before)
	require.True(t, found, "the page has %q", before)
	_, after, _ = strings.Cut(after, "```sql\n")
	block, _, _ := strings.Cut(after, "```")
	user = fmt.Sprintf("sentinel_%d", time.Now().UnixNano())
	for word, with := range map[string]string{"sentinel": user, "shop": database, "…": password} {
		block = regexp.MustCompile(`\b`+word+`\b|…`).ReplaceAllStringFunc(block, func(found string) string {
			if found == word {
				return with
			}
			return found
		})
	}
	for statement := range strings.SplitSeq(block, ";\n") {
		if statement != "" {
			statements = append(statements, statement)
		}
	}
	require.Greater(t, len(statements), 1)
	return statements, user
}

// aReader is a world whose URL is that of the user of the page; as is its own way in.
func aReader(t *testing.T, kind, before string) (w *world, as *sql.DB, user string) {
	t.Helper()
	open := map[string]func(*testing.T) *world{"postgres": openPostgres, "mariadb": openMariaDB}[kind]
	w = open(t)
	w.name = kind
	for _, table := range []string{"orders", "payments", "secrets"} {
		w.exec(t, "CREATE TABLE "+table+" (id INTEGER)", "INSERT INTO "+table+" VALUES (1)")
	}
	const password = "r3ad-only/p@ss"
	statements, user := grants(t, before, strings.TrimPrefix(u(t, w.url).Path, "/"), password)
	w.exec(t, statements...)
	t.Cleanup(func() {
		if kind == "postgres" {
			w.exec(t, "DROP OWNED BY "+user, "DROP ROLE "+user)
			return
		}
		w.exec(t, "DROP USER '"+user+"'@'%'")
	})
	changed := u(t, w.url)
	changed.User = url.UserPassword(user, password)
	w.url = changed.String()
	if kind == "postgres" {
		db, err := sql.Open("postgres", w.url)
		require.NoError(t, err)
		as = db
	} else {
		config := mysql.NewConfig()
		config.Net, config.Addr, config.User, config.Passwd, config.DBName = "tcp", changed.Host, user, password, strings.TrimPrefix(changed.Path, "/")
		connector, err := mysql.NewConnector(config)
		require.NoError(t, err)
		as = sql.OpenDB(connector)
	}
	t.Cleanup(func() { require.NoError(t, as.Close()) })
	return w, as, user
}

func TestTheUserOfThePageReadsAndCannotWriteEvenWithoutTheGuards(t *testing.T) {
	for name, g := range granted() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, as, _ := aReader(t, g.world, g.before)
			r := w.runner(t, 1)
			works(t, r, "SELECT 'OK' AS status, (SELECT COUNT(*) FROM payments) AS actual_value FROM orders")
			require.NoError(t, r.Ping(t.Context(), ""))
			as.SetMaxOpenConns(1)
			if g.world == "postgres" {
				_, err := as.Exec("SET default_transaction_read_only = off")
				require.NoError(t, err)
			}
			for _, write := range []string{
				"INSERT INTO orders VALUES (2)", "DELETE FROM orders", "UPDATE orders SET id = 2", "DROP TABLE orders", "ALTER TABLE orders ADD COLUMN x INTEGER", "CREATE TABLE stolen (x INTEGER)", "CREATE INDEX stolen ON orders (id)",
			} {
				_, err := as.Exec(write)
				require.Error(t, err, write)
				require.Regexp(t, g.denied+"|must be owner", err.Error(), write)
			}
			_, err := as.Exec(map[string]string{"postgres": "COPY orders TO PROGRAM 'cat'", "mariadb": "SELECT 1 INTO OUTFILE '/tmp/never.written'"}[g.world])
			require.Error(t, err)
			require.Regexp(t, "denied|must be superuser", err.Error())
			require.Equal(t, 1, w.count(t, "SELECT COUNT(*) FROM orders WHERE id = 1"))
		})
	}
}

func TestAGrantThatIsRevokedSaysSoInTheWordsOfTheDatabase(t *testing.T) {
	for name, g := range granted() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _, user := aReader(t, g.world, g.before)
			r := w.runner(t, 2)
			text := "SELECT 'OK' AS status FROM orders"
			works(t, r, text)
			switch g.world {
			case "postgres":
				w.exec(t, "REVOKE SELECT ON orders FROM "+user)
			case "mariadb":
				database := strings.TrimPrefix(u(t, w.url).Path, "/")
				w.exec(t, "REVOKE SELECT ON "+database+".* FROM '"+user+"'@'%'", "GRANT SELECT ON "+database+".payments TO '"+user+"'@'%'")
				r = w.runner(t, 2) // a session of MariaDB keeps the rights on its database that it began with
			}
			for range 2 {
				message := fails(t, ask(t, r, text), alert.ErrorQuery)
				require.Contains(t, message, "the database refuses the query: ")
				require.Contains(t, message, "denied")
				require.Contains(t, message, "orders")
				require.NotContains(t, message, "r3ad-only")
			}
			works(t, r, "SELECT 'OK' AS status FROM payments")
		})
	}
}

func TestACredentialThatIsRefusedIsUnreachableInTheWordsOfTheDatabase(t *testing.T) {
	for name, c := range map[string]struct{ world, statement, words string }{
		"an expired password of PostgreSQL":     {"postgres", "ALTER ROLE %s VALID UNTIL '2020-01-01'", "password authentication failed"},
		"a changed password of PostgreSQL":      {"postgres", "ALTER ROLE %s PASSWORD 'other'", "password authentication failed"},
		"a role of PostgreSQL without a login":  {"postgres", "ALTER ROLE %s NOLOGIN", "not permitted to log in"},
		"a role of PostgreSQL at its limit":     {"postgres", "ALTER ROLE %s CONNECTION LIMIT 0", "too many connections"},
		"an expired password of MariaDB":        {"mariadb", "ALTER USER '%s'@'%%' PASSWORD EXPIRE", "has expired"},
		"a changed password of MariaDB":         {"mariadb", "ALTER USER '%s'@'%%' IDENTIFIED BY 'other'", "Access denied"},
		"a user of MariaDB whose host is wrong": {"mariadb", "RENAME USER '%[1]s'@'%%' TO '%[1]s'@'192.0.2.1'", "denied|not allowed"},
		"a locked user of MariaDB":              {"mariadb", "ALTER USER '%s'@'%%' ACCOUNT LOCK", "locked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := "\n## PostgreSQL\n"
			if c.world == "mariadb" {
				before = "\n## MySQL and MariaDB\n"
			}
			w, _, user := aReader(t, c.world, before)
			w.exec(t, fmt.Sprintf(c.statement, user))
			if strings.HasPrefix(c.statement, "RENAME") {
				t.Cleanup(func() { w.exec(t, "RENAME USER '"+user+"'@'192.0.2.1' TO '"+user+"'@'%'") })
			}
			r := w.runner(t, 1)
			for range 2 {
				message := fails(t, ask(t, r, "SELECT 'OK' AS status FROM orders"), alert.ErrorUnreachable)
				require.Contains(t, message, "the database cannot be reached: ")
				require.Regexp(t, c.words, message)
				require.NotContains(t, message, "r3ad-only")
			}
			require.Error(t, r.Ping(t.Context(), ""))
		})
	}
}

func TestATableThatIsDroppedBetweenTwoRunsSaysSo(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		r := w.runner(t, 2)
		text := "SELECT 'OK' AS status, count(*) AS actual_value FROM orders"
		works(t, r, text)
		w.exec(t, "DROP TABLE orders")
		for range 2 {
			message := fails(t, ask(t, r, text), alert.ErrorQuery)
			require.Regexp(t, "^the database refuses the query: .*orders", message)
		}
		w.exec(t, "CREATE TABLE orders (id INTEGER)")
		works(t, r, text)
	})
}

// TestADatabaseIsOpenedWhenAnAlertUsesIt watches the addresses of all databases but one.
func TestADatabaseIsOpenedWhenAnAlertUsesIt(t *testing.T) {
	used := openSQLite(t)
	used.exec(t, "CREATE TABLE orders (id INTEGER)")
	databases := map[string]alert.Database{"used": used.database(1)}
	reached := make(chan string, 100)
	for scheme, rest := range map[string]string{
		"postgresql": "/shop?sslmode=disable", "redshift": "/shop?sslmode=disable", "mysql": "/shop", "mssql": "/shop", "clickhouse+native": "/shop", "clickhouse+http": "/shop",
		"snowflake": "", "bigquery": "",
	} {
		address := talker(t, func(conn net.Conn) { reached <- scheme })
		host, port, err := net.SplitHostPort(address)
		require.NoError(t, err)
		d := alert.Database{URL: scheme + "://x:y@" + address + rest}
		switch scheme {
		case "snowflake":
			d.URL = "snowflake://x:y@acme/SHOP/PUBLIC?protocol=http&host=" + host + "&port=" + port
		case "bigquery":
			d.URL = "bigquery://project/shop?api_endpoint=http://" + address
		}
		databases[scheme] = d
	}
	r, err := query.New(query.Options{Databases: databases})
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	for range 3 {
		result := r.Query(t.Context(), alert.Alert{Database: "used", Query: "SELECT 'OK' AS status FROM orders WHERE id = 1"}, alert.Run{})
		require.Nil(t, result.Failure)
	}
	require.Empty(t, reached, "no other database is connected to")
	for name := range databases {
		if name != "used" { // each is, when an alert asks: the watch above can see it
			result := r.Query(t.Context(), alert.Alert{Database: name, Query: "SELECT 'OK' AS status", Timeout: alert.Duration(2 * time.Second)}, alert.Run{})
			require.NotNil(t, result.Failure, name)
			require.Equal(t, name, <-reached)
			for len(reached) > 0 {
				require.Equal(t, name, <-reached)
			}
		}
	}
}
