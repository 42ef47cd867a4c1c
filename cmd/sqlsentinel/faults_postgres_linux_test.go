package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/databases"
)

// TestADatabaseThatRestartsOrHangsIsOneEpisode ends a PostgreSQL of its own in every way
// while a daemon has two alerts on it, one of whose queries lasts: its owner hears once
// that the database is out, and once that it is back.
func TestADatabaseThatRestartsOrHangsIsOneEpisode(t *testing.T) {
	t.Parallel()
	server := databases.OwnPostgres(t)
	address, err := server.NewDatabase(t.Context())
	require.NoError(t, err)
	team, owner := newReceiver(), newReceiver()
	defer team.server.Close()
	defer owner.server.Close()
	c := &cli{dir: t.TempDir(), env: map[string]string{}}
	require.NoError(t, os.WriteFile(c.config(), fmt.Appendf(nil, `
database: {url: %q}
owners: [{channel: webhook, url: %q}]
defaults: {schedule: "* * * * *", timeout: 1s, notify: [{channel: webhook, url: %q}]}
alerts:
  - {name: lasting, query: "SELECT 'OK' AS status, pg_sleep(0.3)::text AS slept"}
  - {name: quick, query: "SELECT 'OK' AS status"}
`, address, owner.server.URL, team.server.URL), 0o600))
	w := watch(t, c)
	w.stands("OK")
	heard := 0
	outage := func(what string, begin, end func()) {
		begin()
		w.eventually(what+": the owner hears of it", func() bool { return owner.count() > heard })
		require.Contains(t, owner.body(heard), `"event":"error"`, what)
		require.Contains(t, owner.body(heard), "cannot be reached", what)
		code, _ := w.get("/health")
		require.Equal(t, 200, code, "%s: it is not the daemon that is ill", what)
		end()
		w.eventually(what+": the owner hears of its end", func() bool { return owner.count() > heard+1 })
		require.Contains(t, owner.body(heard+1), `"event":"error_recovery"`, what)
		w.eventually(what+": all alerts run", func() bool { return w.all("OK") })
		heard += 2
		require.Equal(t, heard, owner.count(), "%s: once each: %v", what, owner.said())
	}
	for name, by := range map[string]syscall.Signal{"fast shutdown": syscall.SIGINT, "immediate shutdown": syscall.SIGQUIT} {
		down, up, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		outage(name, func() {
			go func() { ended <- server.Restart(by, func() { close(down); <-up }) }()
			<-down
		}, func() {
			close(up)
			require.NoError(t, <-ended)
		})
	}
	var thaw func() error
	outage("frozen", func() {
		w.eventually("a query runs", func() bool { return asked(t, address) })
		thaw, err = server.Freeze()
		require.NoError(t, err)
	}, func() { require.NoError(t, thaw()) })
	require.Zero(t, team.count(), "the alerts themselves had nothing to say")
	require.NoError(t, w.process.Process.Signal(syscall.SIGTERM))
	require.NoError(t, w.process.Wait(), "%s", w.log)
}

// asked tells whether the lasting query runs now.
func asked(t *testing.T, address string) bool {
	db, err := sql.Open("postgres", address)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Second)
	defer cancel()
	var n int
	require.NoError(t, db.QueryRowContext(ctx, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'").Scan(&n))
	return n > 0
}

// all tells whether every alert has a status.
func (w *watched) all(status string) bool {
	w.t.Helper()
	_, out, _ := w.call(w.t.Context(), "status", "--json")
	var got struct{ Alerts []struct{ Status string } }
	require.NoError(w.t, json.Unmarshal([]byte(out), &got))
	return !slices.ContainsFunc(got.Alerts, func(a struct{ Status string }) bool { return a.Status != status })
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.bodies)
}

func (r *receiver) body(n int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bodies[n]
}

func (r *receiver) said() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.bodies)
}
