// Package databases gives tests a real PostgreSQL and a real MariaDB. It starts the
// servers from the binaries that are installed, on a free loopback port and in a temporary
// folder, once for all tests of a process, and hands out a new database on each call.
//
// Instead of a server of its own it uses the one at $SENTINEL_TEST_POSTGRES_URL or
// $SENTINEL_TEST_MYSQL_URL, if set. Where there is neither, the test is skipped, except
// under CI=true, where it fails.
package databases

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/selfsigned"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/servers"
)

// The password of the superuser of servers that are started here. It is not secret; it
// holds what a URL must escape, so that tests meet that.
const password = "p@ss/w:rd%20#?"

// A Server is a database server that is running. Tests take databases from Postgres and
// MariaDB; programs that measure hold a server themselves.
type Server struct {
	url    string // of its superuser and a database that always exists
	cert   []byte // PEM; empty for a server that was not started here
	stop   func() // nil for a server that was not started here
	create creator
	made   atomic.Int64

	process *servers.Process
	again   func() error // starts a server that has ended
}

// A creator makes a database with a name on the server at a URL.
type creator func(ctx context.Context, admin, name string) (url string, drop func() error, err error)

// ErrNotInstalled says that no server of the kind is installed.
var ErrNotInstalled = errors.New("it is not installed")

// StartPostgres starts a PostgreSQL, or uses the one at $SENTINEL_TEST_POSTGRES_URL. Stop
// it when done; it ends with the process in any case, on Linux.
func StartPostgres() (*Server, error) { return postgres.open() }

// StartMariaDB is StartPostgres for MariaDB and $SENTINEL_TEST_MYSQL_URL.
func StartMariaDB() (*Server, error) { return mariaDB.open() }

// NewDatabase makes an empty database and returns its URL, which is a superuser's. The
// database stays until the server stops.
func (s *Server) NewDatabase(ctx context.Context) (string, error) {
	url, _, err := s.newDatabase(ctx)
	return url, err
}

func (s *Server) newDatabase(ctx context.Context) (url string, drop func() error, err error) {
	name := fmt.Sprintf("sentinel_%d_%d_%d", os.Getpid(), time.Now().UnixMilli(), s.made.Add(1))
	url, drop, err = s.create(ctx, s.url, name)
	if err != nil {
		return "", nil, fmt.Errorf("create a database: %w", err)
	}
	return url, drop, nil
}

// Stop ends the server and removes its data, if it was started here.
func (s *Server) Stop() {
	if s.stop != nil {
		s.stop()
	}
}

// An engine starts a server for the first test that asks and stops it after the last.
type engine struct {
	name, env string
	start     func() (*Server, error)
	create    creator

	mu      sync.Mutex
	users   int
	running *Server
	failure error
}

// open starts a server, or names the one that the environment does.
func (e *engine) open() (*Server, error) {
	s := &Server{url: os.Getenv(e.env)}
	if s.url == "" {
		var err error
		if s, err = e.start(); err != nil {
			return nil, fmt.Errorf("start %s: %w", e.name, err)
		}
	}
	s.create = e.create
	return s, nil
}

// The servers of this process. They are shared by tests that know nothing of each other,
// so that nothing but the package can hold them.
var (
	postgres   = &engine{name: "PostgreSQL", env: "SENTINEL_TEST_POSTGRES_URL", start: startPostgres, create: createPostgres}
	mariaDB    = &engine{name: "MariaDB", env: "SENTINEL_TEST_MYSQL_URL", start: startMariaDB, create: createMariaDB}
	clickHouse = &engine{name: "ClickHouse", env: "SENTINEL_TEST_CLICKHOUSE_URL", start: startClickHouse, create: createClickHouse}
)

// Postgres returns the URL, postgresql://…, of a new and empty database and a superuser.
// The database is dropped when the test ends. The server also speaks TLS: set sslmode.
func Postgres(t testing.TB) string {
	t.Helper()
	return postgres.database(t)
}

// MariaDB returns the URL, mysql://…, of a new and empty database and a superuser. The
// database is dropped when the test ends. The server also speaks TLS.
func MariaDB(t testing.TB) string {
	t.Helper()
	return mariaDB.database(t)
}

// PostgresCA writes the certificate that the PostgreSQL server shows to a file, and
// returns its path. The test is skipped if the server is not one of this package's.
func PostgresCA(t testing.TB) string {
	t.Helper()
	return postgres.certificate(t)
}

// MariaDBCA is PostgresCA for the MariaDB server.
func MariaDBCA(t testing.TB) string {
	t.Helper()
	return mariaDB.certificate(t)
}

// Main runs the tests of a package and keeps the servers until the last one is done. Call
// it from TestMain and exit with what it returns; without it, a server is started again
// when a test needs it after others have ended.
func Main(m interface{ Run() int }) int {
	for _, e := range []*engine{postgres, mariaDB, clickHouse} {
		e.retain()
		defer e.release()
	}
	return m.Run()
}

func (e *engine) database(t testing.TB) string {
	t.Helper()
	url, drop, err := e.acquire(t).newDatabase(t.Context())
	if err != nil {
		t.Fatalf("%s: %v", e.name, err)
	}
	t.Cleanup(func() {
		if err := drop(); err != nil {
			t.Errorf("drop a database of %s: %v", e.name, err)
		}
	})
	return url
}

func (e *engine) certificate(t testing.TB) string {
	t.Helper()
	s := e.acquire(t)
	if s.cert == nil {
		t.Skipf("the server at $%s was not started here; its certificate is not known", e.env)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, s.cert, 0o600); err != nil {
		t.Fatalf("write certificate: %v", err)
	}
	return path
}

// acquire returns the running server and keeps it running until the test ends.
func (e *engine) acquire(t testing.TB) *Server {
	t.Helper()
	e.retain()
	t.Cleanup(e.release)
	s, err := e.get()
	switch {
	case errors.Is(err, ErrNotInstalled) && os.Getenv("CI") != "true":
		t.Skipf("SKIPPED, NOT TESTED: %v; install it, or set $%s", err, e.env)
	case err != nil:
		t.Fatalf("%v (the server is installed here, or named by $%s)", err, e.env)
	}
	return s
}

// get starts the server unless it runs. A failure is remembered: it would come again.
func (e *engine) get() (*Server, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running != nil || e.failure != nil {
		return e.running, e.failure
	}
	e.running, e.failure = e.open()
	return e.running, e.failure
}

func (e *engine) retain() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.users++
}

func (e *engine) release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.users--; e.users == 0 && e.running != nil {
		e.running.Stop()
		e.running = nil
	}
}

// writeCertificate puts a certificate and its key into a folder.
func writeCertificate(dir string) (cert, key string, pem []byte, err error) {
	made, err := selfsigned.New()
	if err != nil {
		return "", "", nil, err
	}
	cert, key = filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")
	if err := os.WriteFile(cert, made.PEM, 0o600); err != nil {
		return "", "", nil, err
	}
	return cert, key, made.PEM, os.WriteFile(key, made.KeyPEM, 0o600)
}
