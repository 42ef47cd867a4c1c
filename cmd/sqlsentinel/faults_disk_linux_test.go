package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/faults"
)

// An ailing daemon's state is in a folder that a test makes unusable.
type ailing struct {
	*watched
	team  *receiver
	beats atomic.Int64
	shop  string
}

// newAiling starts a daemon on an alert file in a folder, whose data is elsewhere.
func newAiling(t *testing.T, dir string) *ailing {
	t.Helper()
	a := &ailing{team: newReceiver(), shop: filepath.Join(t.TempDir(), "shop.db")}
	t.Cleanup(a.team.server.Close)
	heart := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { a.beats.Add(1) }))
	t.Cleanup(heart.Close)
	require.NoError(t, execSQLite(a.shop, "CREATE TABLE stock (n INTEGER); INSERT INTO stock VALUES (9)"))
	c := &cli{dir: dir, env: map[string]string{}}
	require.NoError(t, os.WriteFile(c.config(), fmt.Appendf(nil, `
database: {url: "sqlite:///%s"}
heartbeat: {url: %q, every: 1m}
alerts:
  - name: stock
    query: SELECT CASE WHEN n < 5 THEN 'ALERT' ELSE 'OK' END AS status, n AS actual_value FROM stock
    schedule: "* * * * *"
    notify: [{channel: webhook, url: %q, timeout: 1s, attempts: 20}]
`, a.shop, heart.URL, a.team.server.URL), 0o600))
	a.watched = watch(t, c)
	a.stands("OK")
	a.beating()
	return a
}

func (a *ailing) stock(n int) {
	a.t.Helper()
	require.NoError(a.t, execSQLite(a.shop, fmt.Sprintf("UPDATE stock SET n = %d", n)))
}

// beating waits for heartbeats.
func (a *ailing) beating() {
	a.t.Helper()
	before := a.beats.Load()
	a.eventually("the heart beats", func() bool { return a.beats.Load() > before+1 })
}

// says waits until a path answers with a code and a text.
func (a *ailing) says(path string, code int, text string) {
	a.t.Helper()
	a.eventually(fmt.Sprintf("%s says %d %s", path, code, text), func() bool {
		got, body := a.get(path)
		return got == code && strings.Contains(body, text)
	})
}

// ill waits until the daemon says everywhere that its state cannot be written, and then
// for some more ticks. It returns how many lines it logs in the meantime.
func (a *ailing) ill(words string) (lines int) {
	a.t.Helper()
	a.says("/ready", http.StatusServiceUnavailable, words)
	a.says("/health", http.StatusServiceUnavailable, "could not be recorded")
	require.Contains(a.t, a.log.String(), "a run could not be recorded")
	a.eventually("the heartbeat stops", func() bool { return strings.Contains(a.log.String(), "the heartbeat is not sent") })
	beats, logged, ticks := a.beats.Load(), strings.Count(a.log.String(), "\n"), a.failed()
	a.eventually("more ticks fail", func() bool { return a.failed() >= ticks+3 })
	require.LessOrEqual(a.t, a.beats.Load(), beats, "no heartbeat meanwhile: %s", a.log)
	return strings.Count(a.log.String(), "\n") - logged
}

// failed counts runs that were not recorded.
func (a *ailing) failed() int {
	return strings.Count(a.log.String(), `"message":"a run could not be recorded"`)
}

// well waits until the daemon is well again by itself, and ends it.
func (a *ailing) well() {
	a.t.Helper()
	a.says("/ready", http.StatusOK, "")
	a.says("/health", http.StatusOK, "")
	a.beating()
}

// ends stops it, and looks at what it leaves.
func (a *ailing) ends(messages int) {
	a.t.Helper()
	a.eventually("nothing waits", func() bool { return statusOf(a.t, a.cli)["pending_deliveries"] == 0.0 })
	require.NoError(a.t, a.process.Process.Signal(syscall.SIGTERM))
	require.NoError(a.t, a.process.Wait(), "%s", a.log)
	a.team.mu.Lock()
	defer a.team.mu.Unlock()
	require.Len(a.t, a.team.bodies, messages, "each message once: %v", a.team.bodies)
	whole(a.t, filepath.Join(a.dir, stateName))
}

func TestAFullDiskIsToldAndLosesNoMessage(t *testing.T) {
	t.Parallel()
	disk := faults.NewDisk(t, 16<<20)
	a := newAiling(t, disk.Dir())
	a.stock(1)
	a.hears(a.team, 1, "alert")
	require.NoError(t, disk.Fill())
	a.stock(9) // it recovers while nothing can be recorded
	lines := a.ill("the disk is full")
	require.Less(t, lines, 100, "the log does not fill another disk: %s", a.log)
	code, text, errs := a.call(t.Context(), "status")
	require.Zero(t, code, "what was recorded can be read: %s", errs)
	require.Contains(t, text, "no run for the tick of")
	code, text, errs = a.call(t.Context(), "run")
	require.Equal(t, exitFailed, code)
	require.Contains(t, text+errs, "the disk is full")
	a.team.mu.Lock()
	require.Len(t, a.team.bodies, 1, "what is not recorded is not told")
	a.team.mu.Unlock()

	require.NoError(t, disk.Free())
	a.well()
	a.hears(a.team, 2, "recovery")
	a.ends(2)
}

func TestAMessageThatWasTakenWhileTheDiskFilledIsNotSentAgain(t *testing.T) {
	t.Parallel()
	disk := faults.NewDisk(t, 16<<20)
	a := newAiling(t, disk.Dir())
	a.team.mu.Lock()
	a.team.before = func() { require.NoError(t, disk.Fill()) } // after the claim, before its end is recorded
	a.team.mu.Unlock()
	a.stock(1)
	a.hears(a.team, 1, "alert")
	a.team.mu.Lock()
	a.team.before = nil
	a.team.mu.Unlock()
	require.Less(t, a.ill("the disk is full"), 100, "%s", a.log) // the lease ends meanwhile

	require.NoError(t, disk.Free())
	a.well()
	a.eventually("it is settled", func() bool { return statusOf(t, a.cli)["pending_deliveries"] == 0.0 })
	a.stock(9)
	a.hears(a.team, 2, "recovery")
	a.ends(2)
}

func TestAMessageThatWaitsOnAFullDiskIsSentOnceThereIsRoom(t *testing.T) {
	t.Parallel()
	disk := faults.NewDisk(t, 16<<20)
	a := newAiling(t, disk.Dir())
	a.team.mu.Lock()
	a.team.status = http.StatusInternalServerError
	a.team.mu.Unlock()
	a.stock(1)
	a.eventually("it fails", func() bool { return statusOf(t, a.cli)["notification_failures"].(float64) > 2 })
	require.NoError(t, disk.Fill())
	require.Less(t, a.ill("the disk is full"), 200, "%s", a.log)
	a.team.mu.Lock() // nothing can be claimed now; what was accepted before would not be sent again
	tried := len(a.team.bodies)
	a.team.status = http.StatusOK
	a.team.mu.Unlock()
	require.NoError(t, disk.Free())
	a.well()
	a.hears(a.team, tried+1, "alert")
	a.ends(tried + 1)
}

func TestAStateThatTurnsReadOnlyIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := newAiling(t, dir)
	files := []string{filepath.Join(dir, stateName), filepath.Join(dir, stateName+"-wal")}
	mend := func() {
		for _, name := range files {
			if _, err := os.Stat(name); err == nil {
				require.NoError(t, faults.ReadOnly(name, false))
			}
		}
	}
	if err := faults.ReadOnly(files[0], true); err != nil {
		faults.Unable(t, err.Error())
	}
	t.Cleanup(mend) // or the folder could not be removed
	require.NoError(t, faults.ReadOnly(files[1], true))
	a.stock(1)
	require.Less(t, a.ill("the disk refused"), 100, "%s", a.log)
	code, text, errs := a.call(t.Context(), "run")
	require.Equal(t, exitFailed, code)
	require.Regexp(t, "read-only|may not write|writable|refused", text+errs)
	mend()
	a.well()
	a.hears(a.team, 1, "alert")
	a.ends(1)
}

func TestAStateWhoseFolderGoesIsTold(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	require.NoError(t, os.Mkdir(dir, 0o700))
	a := newAiling(t, dir)
	away := dir + ".away"
	require.NoError(t, os.Rename(dir, away))
	a.stock(1)
	require.Less(t, a.ill("is gone"), 100, "%s", a.log)
	require.NoError(t, os.Rename(away, dir))
	a.well()
	a.hears(a.team, 1, "alert")
	a.ends(1)
}

// whole checks a state file as SQLite does.
func whole(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	var result string
	require.NoError(t, db.QueryRowContext(context.WithoutCancel(t.Context()), "PRAGMA integrity_check").Scan(&result))
	require.Equal(t, "ok", result)
}
