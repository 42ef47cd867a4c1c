package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/faults"
)

// TestAClockThatJumpsStopsNoAlert sets the clock of a daemon, the program as it is, forward
// an hour, back a day and right again. Each time it goes on by the clock as it is then.
func TestAClockThatJumpsStopsNoAlert(t *testing.T) {
	if os.Getenv("SENTINEL_FAULT_ROUNDS") == "" {
		t.Skip("it waits for a real daemon to look at its clock; make faults runs it")
	}
	t.Parallel()
	team := newReceiver()
	defer team.server.Close()
	c := newCLI(t, fmt.Sprintf(`
alerts:
  - name: stock
    query: SELECT CASE WHEN v < 5 THEN 'ALERT' ELSE 'OK' END AS status FROM t
    schedule: "* * * * *"
    notify: [{channel: webhook, url: %q}]
`, team.server.URL))
	stock := func(n int) {
		require.NoError(t, execSQLite(filepath.Join(c.dir, "shop.db"), fmt.Sprintf("DELETE FROM t; INSERT INTO t VALUES (%d)", n)))
	}
	stock(9)
	w := &watched{cli: c, t: t, log: &locked{}, process: exec.Command("sqlsentinel", "daemon", c.config(), "--listen", "127.0.0.1:0")}
	w.process.Stdout, w.process.Stderr = w.log, w.log
	require.NoError(t, w.process.Start())
	t.Cleanup(func() { _ = w.process.Process.Kill() })
	w.eventually("it starts", func() bool { return strings.Contains(w.log.String(), `"message":"started"`) })
	_, rest, _ := strings.Cut(w.log.String(), `"address":"`)
	w.address, _, _ = strings.Cut(rest, `"`)
	clock, err := faults.TakeClock(w.process.Process)
	require.NoError(t, err)
	defer func() { require.NoError(t, clock.Close()) }()
	// jump sets the clock off by so much, and on to the next full minute: a tick comes.
	jump := func(by time.Duration) {
		now := time.Now().Add(by)
		by += now.Truncate(time.Minute).Add(time.Minute).Sub(now).Truncate(time.Second) + time.Second
		require.NoError(t, clock.Set(by))
		c.now = func() time.Time { return time.Now().Add(by) }
	}
	runs := func() int { return strings.Count(w.log.String(), `"message":"evaluated"`) }
	goesOn := func(what string, status string) {
		before := runs()
		w.eventually(what+": it runs", func() bool { return runs() > before })
		w.stands(status)
		w.eventually(what+": it is well", func() bool { code, _ := w.get("/health"); return code == 200 })
	}
	jump(0)
	goesOn("a minute passes", "OK")
	stock(1)
	jump(time.Hour)
	goesOn("an hour forward", "ALERT")
	w.hears(team, 1, "alert")
	require.Contains(t, w.log.String(), "nothing ran at some ticks; the latest is run now")
	stock(9)
	jump(-24 * time.Hour)
	goesOn("a day back", "OK")
	w.hears(team, 2, "recovery")
	stock(1)
	jump(0)
	goesOn("right again", "ALERT")
	w.hears(team, 3, "alert")
	answer := func(status int) (heard int) {
		team.mu.Lock()
		defer team.mu.Unlock()
		team.status = status
		return len(team.bodies)
	}
	answer(503)
	stock(9)
	jump(0)
	goesOn("the receiver fails", "OK")
	w.eventually("the recovery waits", func() bool { return strings.Count(w.log.String(), `"status":"pending"`) >= 3 })
	jump(-24 * time.Hour)
	heard := answer(200)
	w.eventually("it goes by the clock as it is now", func() bool {
		team.mu.Lock()
		defer team.mu.Unlock()
		return len(team.bodies) > heard && strings.Contains(team.bodies[len(team.bodies)-1], `"event":"recovery"`)
	})
	require.NoError(t, w.process.Process.Signal(syscall.SIGTERM))
	require.NoError(t, w.process.Wait(), "%s", w.log)
}
