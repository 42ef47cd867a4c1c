package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// endless is a query that ends only when it is cancelled.
const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT 'OK' AS status, max(i) AS actual_value FROM n"

func TestASignalCancelsQueriesAndLeavesTheRestToTheNextRun(t *testing.T) {
	r := newReceiver()
	defer r.server.Close()
	c := newCLI(t, `
alerts:
  - {name: Rings, query: "SELECT 'ALERT' AS status", schedule: "@daily", notify: [{channel: webhook, url: "`+r.server.URL+`"}]}
  - {name: Endless, query: "`+endless+`", schedule: "@daily", timeout: 10m}
`)
	var out, errs bytes.Buffer
	command := exec.Command("sqlsentinel", "run", c.config(), "--json")
	command.Stdout, command.Stderr = &out, &errs
	require.NoError(t, command.Start())
	<-r.came // the first alert is sent while the other one still queries
	require.NoError(t, command.Process.Signal(syscall.SIGINT))
	require.Error(t, command.Wait())
	require.Equal(t, exitInterrupted, command.ProcessState.ExitCode(), errs.String())
	require.Contains(t, errs.String(), "interrupted: 1 of 2 alerts evaluated")

	var got struct{ Runs []runJSON }
	require.NoError(t, json.Unmarshal(out.Bytes(), &got), out.String())
	require.Len(t, got.Runs, 1)
	require.Equal(t, "Rings", got.Runs[0].Alert)
	require.Len(t, got.Runs[0].Deliveries, 1)

	code, text, _ := c.call(t.Context(), "status", "--alert", "Endless")
	require.Zero(t, code)
	require.Contains(t, text, "NEVER_RUN")
	require.Len(t, r.bodies, 1)
}

func TestASecondSignalEndsTheProcessAtOnce(t *testing.T) {
	r := newReceiver()
	held := make(chan struct{})
	defer r.server.Close()
	defer close(held)
	asked := make(chan struct{}, 1)
	r.server.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{}; <-held })
	c := newCLI(t, `
alerts:
  - {name: Rings, query: "SELECT 'ALERT' AS status", schedule: "@daily", notify: [{channel: webhook, url: "`+r.server.URL+`", timeout: 5m}]}
`)
	command := exec.Command("sqlsentinel", "run", c.config())
	require.NoError(t, command.Start())
	<-asked // the message is claimed and being sent: the first signal lets it finish
	require.NoError(t, command.Process.Signal(syscall.SIGTERM))
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case <-again.C:
			_ = command.Process.Signal(syscall.SIGTERM) // until both have arrived
		case err := <-ended:
			require.Error(t, err)
			require.Equal(t, exitInterrupted, command.ProcessState.ExitCode())
			return
		}
	}
}

func TestCommandsAtTheSameTimeDoNotFailForALock(t *testing.T) {
	c := newCLI(t, many(50))
	var all sync.WaitGroup
	for range 3 {
		for _, args := range [][]string{
			{"run", c.config()},
			{"status", c.config()},
			{"silence", c.config(), "--alert", "alert 1*", "--duration", "1h"},
			{"history", c.config()},
		} {
			all.Go(func() {
				out, err := exec.Command("sqlsentinel", args...).CombinedOutput()
				if err != nil {
					t.Errorf("%v: %v\n%s", args, err, out)
				}
			})
		}
	}
	all.Wait()
	code, out, _ := c.call(t.Context(), "history", "--json", "--limit", "1000")
	require.Zero(t, code)
	var got struct{ Runs []runJSON }
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	counts := map[string]int{}
	for _, r := range got.Runs {
		counts[r.Alert]++
	}
	require.Len(t, counts, 50)
}

func TestALockedStateIsAnErrorAfterAWhile(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for the whole time that a lock is waited for")
	}
	t.Parallel()
	c := newCLI(t, hourly)
	code, _, _ := c.call(t.Context(), "run")
	require.Zero(t, code)
	release := lock(t, filepath.Join(c.dir, stateName))
	code, _, _ = c.call(t.Context(), "status")
	require.Zero(t, code, "reading goes on")
	code, _, errs := c.call(t.Context(), "silence", "--alert", "Hourly", "--duration", "1h")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "lock")
	release()
	code, _, _ = c.call(t.Context(), "silence", "--alert", "Hourly", "--duration", "1h")
	require.Zero(t, code)
}
