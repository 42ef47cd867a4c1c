package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

func TestTheDaemonRunsEachTickAndTells(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("stock", "webhook-team")}
		d := r.start(r.store)
		time.Sleep(150 * time.Second)
		r.says(alert.StatusAlert)
		time.Sleep(60 * time.Second)
		r.says(alert.StatusOK)
		time.Sleep(60 * time.Second)
		require.Equal(t, []string{"stock 00:01", "stock 00:02", "stock 00:03", "stock 00:04"}, r.queries())
		require.Equal(t, "[3m0s alert stock→webhook-team 4m0s recovery stock→webhook-team]", fmt.Sprint(r.told()), "at once")
		require.Equal(t, "3", d.metric(`sqlsentinel_alerts_total{alert_name="stock",status="OK"}`))
		require.Equal(t, "1", d.metric(`sqlsentinel_alerts_total{alert_name="stock",status="ALERT"}`))
		require.Equal(t, "2", d.metric(`sqlsentinel_notifications_total{channel="webhook",status="sent"}`))
		require.Equal(t, "4", d.metric(`sqlsentinel_scheduler_job_runs_total{result="run"}`))
		require.Equal(t, "0", d.metric("sqlsentinel_missed_ticks_total"))
		require.Equal(t, "1", d.metric(`sqlsentinel_scheduler_jobs`))
		require.Equal(t, "270", d.metric(`sqlsentinel_uptime_seconds`))
	})
}

func TestARunThatOverlapsIsSkippedAndRecorded(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("slow"), minutely("quick")}
		r.answers(func(ctx context.Context, a alert.Alert, _ alert.Run) alert.Result {
			if a.Name == "slow" {
				return lasting(ctx, 150*time.Second)
			}
			return status(alert.StatusOK)
		})
		d := r.start(r.store)
		time.Sleep(5*time.Minute + 30*time.Second)
		require.Equal(t, []string{"quick 00:01", "slow 00:01", "quick 00:02", "quick 00:03", "quick 00:04", "slow 00:04", "quick 00:05"}, sorted(r.queries()))
		require.Equal(t, 3, r.counts("slow").Skipped)
		require.Zero(t, r.counts("quick").Skipped)
		require.Equal(t, "3", d.metric(`sqlsentinel_scheduler_job_runs_total{result="skipped"}`))
		for _, record := range r.history() {
			if record.Alert == "slow" && record.Status == alert.StatusSkipped {
				require.Equal(t, alert.Overlapped, record.Reasons[0].Code)
			}
		}
	})
}

func TestMissedTicksRunOnceAndAreCounted(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("stock", "webhook-team")}
		d := r.start(r.store)
		time.Sleep(2 * time.Minute)
		d.stop()
		time.Sleep(10 * time.Minute)
		d = r.start(r.store)
		time.Sleep(time.Minute)
		require.Equal(t, []string{"stock 00:01", "stock 00:02", "stock 00:12", "stock 00:13"}, r.queries())
		require.Equal(t, 9, r.counts("stock").Missed)
		require.Equal(t, "9", d.metric("sqlsentinel_missed_ticks_total"))
		require.Contains(t, r.log.String(), "missed=9")
		codes := map[alert.Code]int{}
		for _, record := range r.history() {
			codes[record.Reasons[0].Code]++
		}
		require.Equal(t, 1, codes[alert.PassedOver])
		require.Len(t, r.history(), 5)
	})
}

func TestAStopCancelsWhatLastsTooLongAndItRunsAgain(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("slow"), minutely("quick")}
		cancelled := time.Time{}
		r.answers(func(ctx context.Context, a alert.Alert, _ alert.Run) alert.Result {
			if a.Name == "quick" {
				return lasting(ctx, 10*time.Second)
			}
			defer func() { cancelled = time.Now() }()
			return lasting(ctx, time.Hour)
		})
		d := r.start(r.store)
		time.Sleep(55 * time.Second) // 00:01:05
		stopped := time.Now()
		d.stop()
		require.Equal(t, 20*time.Second, cancelled.Sub(stopped), "the server hears of it before the grace ends")
		require.Equal(t, 20*time.Second, time.Since(stopped))
		require.Len(t, r.history(), 1, "what ended by itself is recorded; what was cancelled is not")
		r.says(alert.StatusOK)
		r.start(r.store)
		require.Equal(t, []string{"quick 00:01", "slow 00:01", "slow 00:01"}, sorted(r.queries()), "it runs again")
		require.Len(t, r.history(), 2)
	})
}

func TestADeliveryUnderWayMayEnd(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("stock", "webhook-team")}
		r.says(alert.StatusAlert)
		r.sends(func(ctx context.Context, _ alert.Delivery) error {
			lasting(ctx, 15*time.Second)
			return ctx.Err()
		})
		d := r.start(r.store)
		time.Sleep(51 * time.Second)
		d.stop()
		require.Equal(t, "[1m15s alert stock→webhook-team]", fmt.Sprint(r.told()))
		time.Sleep(time.Hour)
		r.alerts[0].Schedule = "0 12 * * *"
		r.start(r.store)
		time.Sleep(time.Hour)
		require.Len(t, r.told(), 1)
	})
}

func TestWhatWasNotSentIsSentAfterTheNextStart(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("stock", "webhook-team")}
		r.says(alert.StatusAlert)
		r.sends(func(context.Context, alert.Delivery) error { return errors.New("connection refused") })
		d := r.start(r.store)
		time.Sleep(51 * time.Second)
		d.stop()
		r.sends(func(context.Context, alert.Delivery) error { return nil })
		r.start(r.store)
		time.Sleep(50 * time.Second)
		require.Equal(t, []alert.Event{alert.EventAlert}, events(r.told()))
	})
}

func events(told []said) []alert.Event {
	var out []alert.Event
	for _, m := range told {
		out = append(out, m.event)
	}
	return out
}

func TestADatabaseThatHangsHoldsUpNoOther(t *testing.T) {
	play(t, func(r *rig) {
		var running, most atomic.Int64
		for i := range 500 {
			for _, database := range []string{"dead", "well"} {
				a := minutely(fmt.Sprint(database, i))
				a.Database = database
				r.alerts = append(r.alerts, a)
			}
		}
		r.answers(func(ctx context.Context, a alert.Alert, _ alert.Run) alert.Result {
			if a.Database == "well" {
				return lasting(ctx, 10*time.Millisecond)
			}
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			return lasting(ctx, 30*time.Second) // until its deadline
		})
		r.start(r.store)
		time.Sleep(5*time.Minute + 10*time.Second)
		well := 0
		for _, record := range r.history() {
			if strings.HasPrefix(record.Alert, "well") {
				well++
				require.Less(t, record.Started.Sub(record.Scheduled), 700*time.Millisecond, "500 × 10 ms, 8 at once")
			}
		}
		require.Equal(t, 500*5, well)
		require.EqualValues(t, 8, most.Load(), "no more than the database may have")
	})
}

func TestManyAlertsOfOneMinute(t *testing.T) {
	play(t, func(r *rig) {
		var mu sync.Mutex
		running, most := map[string]int{}, map[string]int{}
		for i := range 10_000 {
			a := minutely(fmt.Sprint("alert ", i), "webhook-team")
			a.Database = fmt.Sprint("database ", i%4)
			r.alerts = append(r.alerts, a)
		}
		r.answers(func(_ context.Context, a alert.Alert, _ alert.Run) alert.Result {
			mu.Lock()
			running[a.Database]++
			most[a.Database] = max(most[a.Database], running[a.Database])
			mu.Unlock()
			time.Sleep(10 * time.Millisecond)
			mu.Lock()
			running[a.Database]--
			mu.Unlock()
			return status(alert.StatusOK)
		})
		r.start(r.store)
		time.Sleep(55 * time.Second)
		require.Len(t, r.history(), 10_000)
		require.Equal(t, map[string]int{"database 0": 8, "database 1": 8, "database 2": 8, "database 3": 8}, most)
	})
}

func TestTwoDaemonsOnOneFileTellOnce(t *testing.T) {
	play(t, func(r *rig) {
		for i := range 20 {
			r.alerts = append(r.alerts, minutely(fmt.Sprint("alert ", i), "webhook-team"))
		}
		var minute atomic.Int64
		r.answers(func(_ context.Context, _ alert.Alert, run alert.Run) alert.Result {
			minute.Store(int64(run.Scheduled.Minute()))
			return status([]alert.Status{alert.StatusOK, alert.StatusAlert}[run.Scheduled.Minute()%2])
		})
		r.sends(func(ctx context.Context, _ alert.Delivery) error { lasting(ctx, 20*time.Millisecond); return nil })
		r.start(r.store)
		r.start(r.open())
		time.Sleep(10*time.Minute + 30*time.Second)
		require.Len(t, r.history(), 20*10)
		require.Len(t, r.told(), 20*10)
		seen := map[string]bool{}
		for _, m := range r.told() {
			key := fmt.Sprint(m.alert, m.after.Truncate(time.Minute))
			require.False(t, seen[key], "%s was told twice", key)
			seen[key] = true
		}
	})
}

func TestASilenceThatEndsSpeaksWithinAMinute(t *testing.T) {
	play(t, func(r *rig) {
		stock := minutely("stock", "webhook-team")
		stock.Schedule = "0 * * * *"
		r.alerts = []alert.Alert{stock}
		r.says(alert.StatusAlert)
		d := r.start(r.store)
		err := d.current().steps.Silence(r.t.Context(), stock.ID(), alert.Silence{Until: time.Now().Add(90 * time.Minute), Author: "ann", Created: time.Now()})
		require.NoError(t, err)
		time.Sleep(time.Hour)
		require.Empty(t, r.told())
		time.Sleep(time.Hour - 30*time.Second)
		told := r.told()
		require.Len(t, told, 1)
		require.InDelta(t, 90.5, told[0].after.Minutes(), 1)
	})
}

func TestAPanicStaysWithItsRun(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("bad"), minutely("good", "webhook-team")}
		r.answers(func(_ context.Context, a alert.Alert, _ alert.Run) alert.Result {
			if a.Name == "bad" {
				panic("no such thing")
			}
			return status(alert.StatusAlert)
		})
		r.sends(func(_ context.Context, _ alert.Delivery) error { panic("nor that") })
		r.start(r.store)
		time.Sleep(3 * time.Minute)
		require.Len(t, r.history(), 6)
		for _, record := range r.history() {
			require.Equal(t, map[string]alert.Status{"bad": alert.StatusError, "good": alert.StatusAlert}[record.Alert], record.Status, "the owners hear of it")
		}
		require.Contains(t, r.log.String(), "a run ended in a panic")
		require.Contains(t, r.log.String(), "a delivery ended in a panic")
	})
}
