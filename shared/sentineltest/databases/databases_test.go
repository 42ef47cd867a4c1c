package databases_test

import (
	"bufio"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/databases"
)

func TestMain(m *testing.M) {
	os.Exit(databases.Main(m))
}

func TestEachCallGivesAPostgreSQLDatabaseOfItsOwn(t *testing.T) {
	first, second := open(t, databases.Postgres(t)), open(t, databases.Postgres(t))
	_, err := first.Exec("CREATE TABLE orders (id int)")
	require.NoError(t, err)
	_, err = second.Exec("SELECT * FROM orders")
	require.ErrorContains(t, err, "does not exist")
	var super bool
	require.NoError(t, first.QueryRow("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").Scan(&super))
	require.True(t, super)
}

func TestPostgreSQLChecksThePassword(t *testing.T) {
	u, err := url.Parse(databases.Postgres(t))
	require.NoError(t, err)
	u.User = url.UserPassword(u.User.Username(), "wrong")
	require.ErrorContains(t, open(t, u.String()).Ping(), "password authentication failed")
}

func TestPostgreSQLShowsItsCertificate(t *testing.T) {
	ca := databases.PostgresCA(t)
	u := strings.Replace(databases.Postgres(t), "sslmode=disable", "sslmode=verify-full&sslrootcert="+url.QueryEscape(ca), 1)
	var encrypted bool
	require.NoError(t, open(t, u).QueryRow("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").Scan(&encrypted))
	require.True(t, encrypted)
}

func TestEachCallGivesAMariaDBDatabaseOfItsOwn(t *testing.T) {
	first, second := openMySQL(t, databases.MariaDB(t), ""), openMySQL(t, databases.MariaDB(t), "")
	_, err := first.Exec("CREATE TABLE orders (id int)")
	require.NoError(t, err)
	_, err = second.Exec("SELECT * FROM orders")
	require.ErrorContains(t, err, "doesn't exist")
	encrypted := openMySQL(t, databases.MariaDB(t), "?tls=skip-verify")
	var name, cipher string
	require.NoError(t, encrypted.QueryRow("SHOW STATUS LIKE 'Ssl_cipher'").Scan(&name, &cipher))
	require.NotEmpty(t, cipher)
	require.FileExists(t, databases.MariaDBCA(t))
}

func open(t *testing.T, address string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", address)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func openMySQL(t *testing.T, address, options string) *sql.DB {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	password, _ := u.User.Password()
	db, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s)%s%s", u.User.Username(), password, u.Host, u.Path, options))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// TestHeldServer is what the next test kills; by itself it does nothing.
func TestHeldServer(t *testing.T) {
	if os.Getenv("SENTINEL_TEST_HOLD") == "" {
		t.Skip("it is run by TestAKilledTestProcessLeavesNoServer")
	}
	fmt.Println("HELD", databases.Postgres(t), databases.MariaDB(t))
	select {}
}

func TestAKilledTestProcessLeavesNoServer(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("only Linux ends a server with the process that started it")
	}
	databases.Postgres(t)
	databases.MariaDB(t)
	cmd := exec.Command(os.Args[0], "-test.run", "^TestHeldServer$")
	cmd.Env = append(os.Environ(), "SENTINEL_TEST_HOLD=1", "SENTINEL_TEST_POSTGRES_URL=", "SENTINEL_TEST_MYSQL_URL=", "TMPDIR="+shortDir(t))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	scanner := bufio.NewScanner(out)
	held := ""
	for held == "" && scanner.Scan() {
		if strings.HasPrefix(scanner.Text(), "HELD ") {
			held = scanner.Text()
		}
	}
	require.NotEmpty(t, held, "the servers of the other process came up")
	addresses := strings.Fields(held)[1:]
	postgres, mariaDB := open(t, addresses[0]), openMySQL(t, addresses[1], "")
	require.NoError(t, postgres.Ping())
	require.NoError(t, mariaDB.Ping())
	require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
	require.Error(t, cmd.Wait())
	require.Eventually(t, func() bool { return postgres.Ping() != nil && mariaDB.Ping() != nil }, 30*time.Second, 20*time.Millisecond)
}

// shortDir is a folder that a server may enter and whose path a socket's name can hold.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "held")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { // a server that is ending may still write
		require.Eventually(t, func() bool { return os.RemoveAll(dir) == nil }, 30*time.Second, 20*time.Millisecond)
	})
	return dir
}

func TestAProgramHoldsAServerOfItsOwn(t *testing.T) {
	for name, start := range map[string]func() (*databases.Server, error){"postgres": databases.StartPostgres, "mysql": databases.StartMariaDB} {
		t.Run(name, func(t *testing.T) {
			server, err := start()
			if errors.Is(err, databases.ErrNotInstalled) && os.Getenv("CI") != "true" {
				t.Skip("SKIPPED, NOT TESTED: ", err)
			}
			require.NoError(t, err)
			defer server.Stop()
			first, err := server.NewDatabase(t.Context())
			require.NoError(t, err)
			second, err := server.NewDatabase(t.Context())
			require.NoError(t, err)
			require.NotEqual(t, first, second)
			require.Contains(t, first, name)
		})
	}
}
