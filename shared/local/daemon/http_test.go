package daemon

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // to damage a state file

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

func TestReadySaysWhatWasChecked(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("a"), minutely("b")}
		d := r.start(r.store)
		code, body := d.get("/ready")
		require.Equal(t, 200, code)
		var ready struct {
			Status string
			Checks []struct {
				Name, Detail string
				OK           bool
				Latency      *float64 `json:"latency_seconds"`
			}
		}
		require.NoError(t, json.Unmarshal([]byte(body), &ready))
		require.Equal(t, "ok", ready.Status)
		names := map[string]string{}
		for _, c := range ready.Checks {
			require.True(t, c.OK)
			require.NotNil(t, c.Latency)
			names[c.Name] = c.Detail
		}
		require.Equal(t, map[string]string{"state": "", "schedules": "2 alerts", "deliveries": "", "recording": "", "config": ""}, names)
		code, _ = d.get("/health")
		require.Equal(t, 200, code)
		code, _ = d.get("/other")
		require.Equal(t, 404, code)
	})
}

// TestADaemonWhoseRunsAllFailIsNotHealthy: a daemon may look well, and none of its runs be
// worth anything. Here the state loses the table that runs are recorded in.
func TestADaemonWhoseRunsAllFailIsNotHealthy(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("a", "webhook-team")}
		d := r.start(r.store)
		time.Sleep(55 * time.Second) // between the first heartbeat and the second
		beats := r.beats.Load()
		require.EqualValues(t, 1, beats)
		db, err := sql.Open("sqlite", filepath.Join(r.dir, "state.db"))
		require.NoError(t, err)
		defer func() { require.NoError(t, db.Close()) }()
		_, err = db.ExecContext(r.t.Context(), "ALTER TABLE history RENAME TO gone")
		require.NoError(t, err)
		time.Sleep(4 * time.Minute)
		for _, path := range []string{"/health", "/ready"} {
			code, body := d.get(path)
			require.Equal(t, 503, code, path)
			require.Contains(t, body, "runs could not be recorded")
		}
		require.Equal(t, "4", d.metric(`sqlsentinel_scheduler_job_runs_total{result="failed"}`))
		require.Contains(t, r.log.String(), "a run could not be recorded")
		require.LessOrEqual(t, r.beats.Load(), beats+1, "the heartbeat stops")
		_, err = db.ExecContext(r.t.Context(), "ALTER TABLE gone RENAME TO history")
		require.NoError(t, err)
		time.Sleep(time.Minute)
		code, _ := d.get("/health")
		require.Equal(t, 200, code, "it is well again")
	})
}

// TestADailyRunThatCouldNotBeRecordedDoesNotWaitADay: the state is out of order when it is time.
func TestADailyRunThatCouldNotBeRecordedDoesNotWaitADay(t *testing.T) {
	play(t, func(r *rig) {
		daily := minutely("a", "webhook-team")
		at := time.Now().UTC().Truncate(time.Minute).Add(time.Minute)
		daily.Schedule = fmt.Sprintf("%d %d * * *", at.Minute(), at.Hour())
		r.alerts = []alert.Alert{daily}
		r.says(alert.StatusAlert)
		r.start(r.store)
		time.Sleep(time.Until(at.Add(-time.Second)))
		r.spoil("ALTER TABLE history RENAME TO gone")
		time.Sleep(3 * time.Minute)
		r.spoil("ALTER TABLE gone RENAME TO history")
		time.Sleep(10 * time.Minute)
		require.Len(t, r.told(), 1)
		runs := r.history()
		require.Len(t, runs, 1)
		require.True(t, runs[0].Scheduled.Equal(at))
		require.Len(t, r.queries(), 3, "at once, a minute later, and two minutes later")
	})
}

func TestAnOverdueAlertStaysWhereItStands(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("a")}
		r.says(alert.StatusAlert)
		d := r.start(r.store)
		time.Sleep(2 * time.Minute)
		r.spoil("ALTER TABLE history RENAME TO gone")
		time.Sleep(5 * time.Minute)
		r.spoil("ALTER TABLE gone RENAME TO history")
		require.Equal(t, "1", d.metric("sqlsentinel_overdue_alerts"))
		require.Equal(t, "1", d.metric(`sqlsentinel_alerts{status="ALERT"}`), "overdue hides no alert")
		require.Equal(t, "0", d.metric(`sqlsentinel_alerts{status="OVERDUE"}`))
	})
}

// TestAnOutboxThatCannotBeReadIsNotReady: a damaged state may take a change, and tell nothing.
func TestAnOutboxThatCannotBeReadIsNotReady(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("a", "webhook-team")}
		d := r.start(r.store)
		db, err := sql.Open("sqlite", filepath.Join(r.dir, "state.db"))
		require.NoError(t, err)
		defer func() { require.NoError(t, db.Close()) }()
		_, err = db.ExecContext(r.t.Context(), "ALTER TABLE deliveries RENAME TO gone")
		require.NoError(t, err)
		time.Sleep(3 * time.Second)
		code, body := d.get("/ready")
		require.Equal(t, 503, code)
		require.Contains(t, body, `"name":"state","ok":true`)
		require.Contains(t, body, `"name":"deliveries","ok":false,"detail":"read what is due in `)
		_, err = db.ExecContext(r.t.Context(), "ALTER TABLE gone RENAME TO deliveries")
		require.NoError(t, err)
		time.Sleep(3 * time.Second)
		code, _ = d.get("/ready")
		require.Equal(t, 200, code, "it is well again")
	})
}

// TestADatabaseThatIsDownIsAnErrorOfTheRunsOnly: the daemon is well, its alerts are not.
func TestADatabaseThatIsDownIsAnErrorOfTheRunsOnly(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("a")}
		r.answers(func(context.Context, alert.Alert, alert.Run) alert.Result {
			return alert.Fail(alert.ErrorUnreachable, "connection refused")
		})
		d := r.start(r.store)
		time.Sleep(5 * time.Minute)
		code, _ := d.get("/health")
		require.Equal(t, 200, code)
		require.Equal(t, "5", d.metric(`sqlsentinel_alerts_total{alert_name="a",status="ERROR"}`))
		require.Equal(t, "1", d.metric(`sqlsentinel_alerts{status="ERROR"}`))
		require.Equal(t, "0", d.metric(`sqlsentinel_alerts{status="OK"}`))
	})
}

func TestALoopThatStandsStillIsNotHealthy(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("a")}
		d := r.start(r.store)
		d.ticking.now(time.Now().Add(-2 * time.Minute))
		code, body := d.get("/health")
		require.Equal(t, 503, code)
		require.Contains(t, body, `"name":"schedules","ok":false,"detail":"stands still for 2m0s"`)
	})
}

func TestABrokenHeartbeatIsLoggedAndTriedAgain(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("a")}
		var tries atomic.Int64
		r.start(r.store, func(o *Options) {
			load := o.Load
			o.Load = func() (*Setup, error) {
				setup, err := load()
				setup.Beat = func(context.Context) error { tries.Add(1); return errors.New("502 Bad Gateway") }
				return setup, err
			}
		})
		r.touch()
		time.Sleep(5 * time.Minute)
		require.GreaterOrEqual(t, int(tries.Load()), 5)
		require.Contains(t, r.log.String(), "the heartbeat failed")
	})
}

func TestMetricsTellOfWaitingMessages(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("a", "webhook-team"), minutely("b", "email-team")}
		r.says(alert.StatusAlert)
		r.sends(func(_ context.Context, d alert.Delivery) error {
			if d.Target.Channel == "webhook" {
				return errors.New("connection refused")
			}
			return nil
		})
		d := r.start(r.store)
		time.Sleep(10 * time.Minute)
		require.Equal(t, "1", d.metric(`sqlsentinel_outbox_deliveries{channel="webhook"}`))
		require.Equal(t, "0", d.metric(`sqlsentinel_outbox_deliveries{channel="email"}`))
		require.Equal(t, "550", d.metric(`sqlsentinel_outbox_oldest_seconds{channel="webhook"}`))
		require.Equal(t, "2", d.metric(`sqlsentinel_episodes_open`))
		require.Equal(t, "2", d.metric(`sqlsentinel_alerts{status="ALERT"}`))
		r.edit(minutely("a", "webhook-team"))
		time.Sleep(20 * time.Second)
		require.Empty(t, d.metric(`sqlsentinel_alerts_total{alert_name="b",status="ALERT"}`), "what left the file leaves the metrics")
	})
}

// TestTheMetricsAreDocumented holds the metrics and the page that lists them together.
func TestTheMetricsAreDocumentedAndWellFormed(t *testing.T) {
	var exposition string
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("a", "webhook-team")}
		r.says(alert.StatusAlert)
		d := r.start(r.store)
		time.Sleep(2 * time.Minute)
		_, text := d.get("/metrics")
		shown := map[string]bool{}
		for _, m := range regexp.MustCompile(`(?m)^# TYPE (sqlsentinel_\w+)`).FindAllStringSubmatch(text, -1) {
			shown[m[1]] = true
		}
		page, err := os.ReadFile("../../../docs/single-machine.md")
		require.NoError(t, err)
		listed := map[string]bool{}
		for _, m := range regexp.MustCompile("(?m)^\\| `(sqlsentinel_\\w+)").FindAllStringSubmatch(string(page), -1) {
			listed[m[1]] = true
		}
		require.Equal(t, listed, shown)
		require.True(t, strings.Contains(text, "go_goroutines"))
		exposition = text
	})
	lint(t, exposition)
}

// lint shows the metrics to Prometheus's checker. Where that is not installed it is left out
// loudly, and fails on the gate.
func lint(t *testing.T, metrics string) {
	path, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("promtool is not installed; Debian's package prometheus has it")
		}
		t.Skip("SKIPPED: promtool is not installed; Debian's package prometheus has it")
	}
	check := exec.Command(path, "check", "metrics")
	check.Stdin = strings.NewReader(metrics)
	out, err := check.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// TestEveryLogLineIsExplained holds the lines of the log and the page that explains them together.
func TestEveryLogLineIsExplained(t *testing.T) {
	page, err := os.ReadFile("../../../docs/operations.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(page), "\n## Log lines of the daemon\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	explained := map[string]bool{}
	for row := range strings.Lines(section) {
		if cells := strings.Split(row, "|"); len(cells) > 2 {
			for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
				explained[m[1]] = true
			}
		}
	}
	written := map[string]bool{"listening": true} // which the command writes
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	steps, err := filepath.Glob("../../sentinel/*.go") // which log on the daemon's behalf
	require.NoError(t, err)
	files = append(files, steps...)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`\.Log\.(?:Debug|Info|Warn|Error|Log)\((?:ctx, level, )?"([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
			written[m[1]] = true
		}
	}
	require.Greater(t, len(written), 20)
	require.Equal(t, written, explained)
}
