package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/databases"
)

// A watched daemon is a process of its own, and the commands that ask how it is.
type watched struct {
	*cli
	t       *testing.T
	process *exec.Cmd
	log     *locked
	address string
}

// A locked buffer is written by one and read by another.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// watch starts a daemon sixty times as fast as the wall.
func watch(t *testing.T, c *cli) *watched {
	t.Helper()
	return watchBy(t, c, fastClock{time.Now()})
}

func watchBy(t *testing.T, c *cli, clock fastClock) *watched {
	t.Helper()
	c.now = clock.Now
	w := &watched{cli: c, t: t, log: &locked{}}
	w.process = startDaemon(t, clock, w.log, c.config(), "--listen", "127.0.0.1:0")
	t.Cleanup(func() { _ = w.process.Process.Kill(); _ = w.process.Wait() })
	w.eventually("it listens", func() bool {
		_, rest, found := strings.Cut(w.log.String(), `"address":"`)
		w.address, _, _ = strings.Cut(rest, `"`)
		return found
	})
	return w
}

func (w *watched) eventually(what string, so func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("not within a minute: %s\n%s", what, w.log)
		}
	}
}

// get asks it by HTTP.
func (w *watched) get(path string) (int, string) {
	w.t.Helper()
	answer, err := http.Get("http://" + w.address + path)
	require.NoError(w.t, err)
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	require.NoError(w.t, err)
	return answer.StatusCode, string(body)
}

// stands waits until `status` says so.
func (w *watched) stands(status string) map[string]any {
	w.t.Helper()
	var got map[string]any
	w.eventually("the alert is "+status, func() bool {
		got = statusOf(w.t, w.cli)
		return got["status"] == status
	})
	return got
}

// hears waits for a message, and checks that it is the next one and of this kind.
func (w *watched) hears(r *receiver, n int, event string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("message %d comes", n), func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.bodies) >= n })
	r.mu.Lock()
	defer r.mu.Unlock()
	require.Len(w.t, r.bodies, n)
	var m struct{ Event string }
	require.NoError(w.t, json.Unmarshal([]byte(r.bodies[n-1]), &m))
	require.Equal(w.t, event, m.Event)
}

// A cable is a way to a server that can be cut.
type cable struct {
	listener net.Listener
	cut      atomic.Bool
	mu       sync.Mutex
	open     map[net.Conn]bool
}

func newCable(t *testing.T, to string) *cable {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cable{listener: listener, open: map[net.Conn]bool{}}
	t.Cleanup(func() { _ = listener.Close(); c.pull() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil || c.cut.Load() {
				_ = near.Close()
				continue
			}
			c.mu.Lock()
			c.open[near], c.open[far] = true, true
			c.mu.Unlock()
			go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
			go func() { _, _ = io.Copy(near, far); _ = near.Close() }()
		}
	}()
	return c
}

// pull ends every connection and lets none through, until plug.
func (c *cable) pull() {
	c.cut.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.open {
		_ = conn.Close()
		delete(c.open, conn)
	}
}

func (c *cable) plug() { c.cut.Store(false) }

// TestADaemonTellsTheTruth leaves a daemon running while its database goes and comes, its
// receiver fails, and its file is edited wrongly and back.
func TestADaemonTellsTheTruth(t *testing.T) {
	address, err := url.Parse(databases.Postgres(t))
	require.NoError(t, err)
	db, err := sql.Open("postgres", address.String())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	do := func(text string) {
		_, err := db.ExecContext(context.WithoutCancel(t.Context()), text)
		require.NoError(t, err)
	}
	do("CREATE TABLE stock (n INTEGER)")
	do("INSERT INTO stock VALUES (9)")
	wire := newCable(t, address.Host)
	address.Host = wire.listener.Addr().String()
	team, owner := newReceiver(), newReceiver()
	defer team.server.Close()
	defer owner.server.Close()

	c := &cli{dir: t.TempDir(), env: map[string]string{}}
	good := fmt.Sprintf(`
database: {url: %q}
owners: [{channel: webhook, url: %q}]
alerts:
  - name: stock
    query: SELECT CASE WHEN n < 5 THEN 'ALERT' ELSE 'OK' END AS status, n AS actual_value FROM stock
    schedule: "* * * * *"
    notify: [{channel: webhook, url: %q}]
`, address, owner.server.URL, team.server.URL)
	require.NoError(t, os.WriteFile(c.config(), []byte(good), 0o600))
	w := watch(t, c)
	code, _ := w.get("/health")
	require.Equal(t, 200, code)
	w.stands("OK")

	do("UPDATE stock SET n = 1")
	w.hears(team, 1, "alert")
	require.NotNil(t, w.stands("ALERT")["episode"])

	wire.pull() // the database is gone
	w.hears(owner, 1, "error")
	got := w.stands("ERROR")
	require.NotNil(t, got["episode"], "its own episode stays open")
	_, text, _ := c.call(t.Context(), "status")
	require.Contains(t, text, "is out since")
	_, text, _ = c.call(t.Context(), "explain", "stock")
	require.Contains(t, text, "error_unreachable")
	code, _ = w.get("/health")
	require.Equal(t, 200, code, "it is not the daemon that is ill")
	wire.plug()
	w.hears(owner, 2, "error_recovery")
	w.stands("ALERT")

	team.mu.Lock() // the receiver fails
	team.status = http.StatusInternalServerError
	team.mu.Unlock()
	do("UPDATE stock SET n = 9")
	require.Nil(t, w.stands("OK")["episode"])
	w.eventually("the message waits", func() bool {
		got := statusOf(t, c)
		return got["pending_deliveries"] == 1.0 && got["notification_failures"].(float64) > 0
	})
	_, text, _ = c.call(t.Context(), "deliveries list")
	require.Contains(t, text, "500")
	team.mu.Lock()
	failed := len(team.bodies)
	team.status = http.StatusOK
	team.mu.Unlock()
	w.eventually("the message comes", func() bool { return statusOf(t, c)["pending_deliveries"] == 0.0 })
	team.mu.Lock()
	heard := max(failed+1, len(team.bodies))
	team.mu.Unlock()
	w.hears(team, heard, "recovery")

	last := statusOf(t, c)["last_run"].(map[string]any)["run_id"]
	require.NoError(t, os.WriteFile(c.config(), []byte(strings.Replace(good, "quer", "qeur", 1)), 0o600))
	w.eventually("the file is refused", func() bool {
		_, ready := w.get("/ready")
		return strings.Contains(ready, "alerts.yaml:6:5")
	})
	w.eventually("the alert runs", func() bool {
		return statusOf(t, c)["last_run"].(map[string]any)["run_id"] != last
	})
	code, text, errs := c.call(t.Context(), "status")
	require.Zero(t, code)
	require.Contains(t, text, "stock")
	require.Contains(t, errs, "the alert file cannot be used as it is read here")
	require.Contains(t, errs, `did you mean "query"`)
	_, text = w.get("/metrics")
	require.Contains(t, text, "sqlsentinel_config_last_reload_successful 0")
	code, _, _ = c.call(t.Context(), "silence", "--alert", "stock", "--duration", "1h")
	require.Zero(t, code, "it can be silenced all the same")
	require.NoError(t, os.WriteFile(c.config(), []byte(good+"# mended\n"), 0o600))
	w.eventually("the file is read", func() bool {
		_, text := w.get("/metrics")
		return strings.Contains(text, "sqlsentinel_config_last_reload_successful 1")
	})
	require.NotNil(t, statusOf(t, c)["silence"])

	require.NoError(t, w.process.Process.Signal(syscall.SIGTERM))
	require.NoError(t, w.process.Wait(), "%s", w.log)
	require.Contains(t, w.log.String(), `"message":"stopped"`)
	require.NotContains(t, w.log.String(), address.User.String())
}

func TestASecondSignalEndsADaemonAtOnce(t *testing.T) {
	c := newCLI(t, `
alerts:
  - {name: Endless, query: "`+endless+`", schedule: "* * * * *", timeout: 10h}
`)
	w := watch(t, c)
	w.eventually("the query runs", func() bool {
		_, text := w.get("/metrics")
		return strings.Contains(text, "sqlsentinel_runs_underway 1")
	})
	require.NoError(t, w.process.Process.Signal(syscall.SIGTERM))
	w.eventually("it stops", func() bool { return strings.Contains(w.log.String(), `"message":"stopping"`) })
	require.NoError(t, w.process.Process.Signal(syscall.SIGTERM))
	require.Error(t, w.process.Wait())
	require.Equal(t, exitInterrupted, w.process.ProcessState.ExitCode())
}

func TestTheLogFileIsOpenedAgain(t *testing.T) {
	c := newCLI(t, `
alerts:
  - {name: Runs, query: "SELECT 'OK' AS status", schedule: "* * * * *"}
`)
	path := filepath.Join(c.dir, "sentinel.log")
	process := startDaemon(t, fastClock{time.Now()}, io.Discard, c.config(), "--listen", "none", "--log-file", path)
	t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
	logged := func(text string) func() bool {
		return func() bool { b, _ := os.ReadFile(path); return strings.Contains(string(b), text) }
	}
	require.Eventually(t, logged(`"message":"evaluated"`), 30*time.Second, 20*time.Millisecond)
	require.NoError(t, os.Rename(path, path+".1")) // as logrotate does
	require.NoError(t, process.Process.Signal(syscall.SIGUSR1))
	require.Eventually(t, logged(`"message":"evaluated"`), 30*time.Second, 20*time.Millisecond)
	require.NoError(t, process.Process.Signal(syscall.SIGTERM))
	require.NoError(t, process.Wait())
	require.True(t, logged(`"message":"stopped"`)())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}
