package query_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/databases"
)

const canary = "c4n4ry/p@ss:w%rd"

// reach asks a database by its URL, which may refer to the canary.
func reach(t *testing.T, address, dir string, timeout time.Duration) (alert.Result, error) {
	t.Helper()
	secrets := alert.NewSecrets(func(name string) (string, bool) { return url.QueryEscape(canary), name == "CANARY" })
	r, err := query.New(query.Options{Databases: map[string]alert.Database{"": {URL: address, Dir: dir}}, Secrets: secrets})
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	result := r.Query(t.Context(), alert.Alert{Query: "SELECT 'OK' AS status", Timeout: alert.Duration(timeout)}, alert.Run{})
	return result, r.Ping(t.Context(), "")
}

// unreachable asks a database that gives no session, and returns what it says.
func unreachable(t *testing.T, address, dir string) string {
	t.Helper()
	result, err := reach(t, address, dir, 20*time.Second)
	message := fails(t, result, alert.ErrorUnreachable)
	require.Error(t, err)
	for _, text := range []string{message, err.Error()} {
		require.NotContains(t, text, canary)
		require.NotContains(t, text, url.QueryEscape(canary))
		require.NotContains(t, text, "c4n4ry")
		require.NotContains(t, text, "%!")
	}
	return message
}

// with changes a URL.
func with(t *testing.T, address string, change func(*url.URL)) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	change(u)
	return strings.ReplaceAll(u.String(), "CANARY", "${CANARY}")
}

func TestAServerThatGivesNoSessionIsUnreachable(t *testing.T) {
	for name, start := range map[string]func(testing.TB) string{"postgres": databases.Postgres, "mariadb": databases.MariaDB} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := start(t)
			require.Contains(t, strings.ToLower(unreachable(t, with(t, address, func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "CANARY") }), "")), u(t, address).User.Username())
			require.Contains(t, unreachable(t, with(t, address, func(u *url.URL) { u.User = url.UserPassword("nobody_here", "CANARY") }), ""), "nobody_here")
			require.Contains(t, unreachable(t, with(t, address, func(u *url.URL) { u.Path = "/no_such_database" }), ""), "no_such_database")
			require.Contains(t, unreachable(t, with(t, address, func(u *url.URL) { u.Host = "no-such-host.invalid:1"; u.User = url.UserPassword("x", "CANARY") }), ""), "no-such-host.invalid")
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			require.NoError(t, listener.Close())
			require.Contains(t, unreachable(t, with(t, address, func(u *url.URL) { u.Host = listener.Addr().String(); u.User = url.UserPassword("x", "CANARY") }), ""), "refused")
		})
	}
}

func u(t *testing.T, address string) *url.URL {
	t.Helper()
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	return parsed
}

func TestTLSIsUsedAsTheURLSays(t *testing.T) {
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		address := databases.Postgres(t)
		option := func(pairs ...string) string {
			return with(t, address, func(u *url.URL) {
				v := u.Query()
				for i := 0; i < len(pairs); i += 2 {
					v.Set(pairs[i], pairs[i+1])
				}
				u.RawQuery = v.Encode()
			})
		}
		_, err := reach(t, option("sslmode", "verify-full", "sslrootcert", databases.PostgresCA(t)), "", time.Minute)
		require.NoError(t, err)
		_, err = reach(t, option("sslmode", "require"), "", time.Minute)
		require.NoError(t, err)
		require.Contains(t, unreachable(t, option("sslmode", "verify-full"), ""), "certificate")
		require.Contains(t, unreachable(t, option("sslmode", "verify-full", "sslrootcert", "/no/such/file"), ""), "no such file")
	})
	t.Run("a PostgreSQL without TLS", func(t *testing.T) {
		t.Parallel()
		address := talker(t, func(conn net.Conn) {
			_, _ = io.ReadFull(conn, make([]byte, 8))
			_, _ = conn.Write([]byte("N"))
			_, _ = io.Copy(io.Discard, conn)
		})
		message := unreachable(t, "postgresql://x:${CANARY}@"+address+"/shop", "")
		require.Contains(t, message, "sslmode", "the message tells which option decides")
	})
	t.Run("mariadb", func(t *testing.T) {
		t.Parallel()
		address := databases.MariaDB(t)
		_, err := reach(t, address+"?tls=skip-verify", "", time.Minute)
		require.NoError(t, err)
		require.Contains(t, unreachable(t, address+"?tls=true", ""), "certificate")
	})
}

// talker is a server that does with each connection what it is told.
func talker(t *testing.T, talk func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var open sync.WaitGroup
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		open.Wait()
	})
	open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer func() { _ = conn.Close() }()
				talk(conn)
			})
		}
	})
	return listener.Addr().String()
}

func TestAServerThatNeverAnswersIsUnreachableAtTheDeadline(t *testing.T) {
	for _, scheme := range []string{"postgresql", "mysql", "mssql", "clickhouse", "clickhouse+http"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			address := talker(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
			answer := make(chan alert.Result, 1)
			go func() {
				r, err := query.New(query.Options{Databases: map[string]alert.Database{"": {URL: scheme + "://x:y@" + address + "/shop"}}})
				if err != nil {
					t.Error(err)
				}
				defer func() { _ = r.Close() }()
				answer <- r.Query(t.Context(), alert.Alert{Query: "SELECT 1", Timeout: alert.Duration(500 * time.Millisecond)}, alert.Run{})
			}()
			require.Contains(t, fails(t, within(t, answer, 10*time.Second), alert.ErrorUnreachable), "500ms")
		})
	}
}

func TestANetworkThatGoesSilentDuringAQueryEndsItAtTheDeadline(t *testing.T) {
	for name, start := range map[string]func(testing.TB) string{"postgres": databases.Postgres, "mariadb": databases.MariaDB} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := start(t)
			server := u(t, address).Host
			var silent sync.Map
			proxy := talker(t, func(conn net.Conn) {
				upstream, err := net.Dial("tcp", server)
				if err != nil {
					return
				}
				defer func() { _ = upstream.Close() }()
				go func() {
					defer func() { _ = upstream.Close() }()
					_, _ = io.Copy(upstream, conn)
				}()
				buffer := make([]byte, 4096)
				for {
					n, err := upstream.Read(buffer)
					if err != nil {
						return
					}
					if _, quiet := silent.Load("now"); quiet {
						_, _ = io.Copy(io.Discard, upstream)
						return
					}
					if _, err := conn.Write(buffer[:n]); err != nil {
						return
					}
				}
			})
			r, err := query.New(query.Options{Databases: map[string]alert.Database{"": {URL: strings.ReplaceAll(with(t, address, func(u *url.URL) { u.Host = proxy }), "$", "$$")}}})
			require.NoError(t, err)
			defer func() { require.NoError(t, r.Close()) }()
			works(t, r, "SELECT 'OK' AS status")
			silent.Store("now", true)
			answer := background(t.Context(), r, time.Second, "SELECT 'OK' AS status")
			require.Contains(t, fails(t, within(t, answer, 15*time.Second), alert.ErrorUnreachable), "the network is silent")
			silent.Delete("now")
			works(t, r, "SELECT 'OK' AS status")
		})
	}
}

func TestASQLiteFileThatCannotBeReadIsUnreachable(t *testing.T) {
	dir := t.TempDir()
	require.Contains(t, unreachable(t, "sqlite:///missing.db", dir), "missing.db")
	require.NoFileExists(t, filepath.Join(dir, "missing.db"))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder.db"), 0o700))
	unreachable(t, "sqlite:///folder.db", dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "text.db"), bytes.Repeat([]byte("not a database\n"), 1000), 0o600))
	require.Contains(t, unreachableOn(t, "sqlite:///text.db", dir), "not a SQLite database")
	if os.Geteuid() != 0 {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "secret.db"), nil, 0))
		unreachable(t, "sqlite:///secret.db", dir)
	}
	head := append([]byte("SQLite format 3\x00"), make([]byte, 4096)...)
	binary.BigEndian.PutUint16(head[16:], 4096)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "broken.db"), head, 0o600))
	unreachableOn(t, "sqlite:///broken.db", dir)
}

// unreachableOn asks something that needs the file to be read.
func unreachableOn(t *testing.T, address, dir string) string {
	t.Helper()
	r, err := query.New(query.Options{Databases: map[string]alert.Database{"": {URL: address, Dir: dir}}})
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	return fails(t, ask(t, r, "SELECT 'OK' AS status FROM orders"), alert.ErrorUnreachable)
}

func TestSecretsAppearInNoErrorOfTheDatabase(t *testing.T) {
	for name, start := range map[string]func(testing.TB) string{"postgres": databases.Postgres, "mariadb": databases.MariaDB} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := start(t)
			password, _ := u(t, address).User.Password()
			r, err := query.New(query.Options{
				Databases: map[string]alert.Database{"": {URL: "${SHOP_URL}"}},
				Secrets:   alert.NewSecrets(func(name string) (string, bool) { return address, name == "SHOP_URL" }),
			})
			require.NoError(t, err)
			defer func() { require.NoError(t, r.Close()) }()
			message := fails(t, ask(t, r, `SELECT "`+password+`", `+"`"+password+"`"+` FROM nowhere_x`), alert.ErrorQuery, alert.ErrorReadOnly, alert.ErrorStatements)
			require.NotContains(t, message, password)
			message = fails(t, ask(t, r, "SELECT 'OK' AS status, CAST('"+password+"' AS "+map[string]string{"postgres": "int", "mariadb": "nonsense"}[name]+")"), alert.ErrorQuery, alert.ErrorReadOnly)
			require.NotContains(t, message, password)
		})
	}
}
