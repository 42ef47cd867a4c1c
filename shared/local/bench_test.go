package local_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/local"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// fleet defines n plain alerts, as Sync would.
func fleet(b *testing.B, s *local.Store, n int) []sentinel.Definition {
	b.Helper()
	all := make([]sentinel.Definition, n)
	for i := range all {
		all[i] = sentinel.Definition{
			Fingerprint: fmt.Sprintf("%032d", i),
			Alert: alert.Alert{
				Scope: "bench", Name: fmt.Sprintf("Revenue of region %d", i), Severity: alert.Critical, Enabled: true,
				Query: "SELECT 'OK' AS status", Schedule: "*/5 * * * *", Timezone: "UTC", Timeout: alert.Duration(30 * time.Second),
				OnNoData: alert.NoDataError,
				Notify:   []alert.Target{{ID: "team", Channel: "webhook", Label: "team", Settings: []byte(`{"url":"${URL}"}`)}},
			},
			ScheduledSince: noon,
		}
	}
	require.NoError(b, s.PutDefinitions(b.Context(), all))
	return all
}

// steady is the commit of a run that found nothing.
func steady(snapshot sentinel.Snapshot, at time.Time) sentinel.Commit {
	id := snapshot.Definition.Alert.ID()
	record := &alert.Record{
		RunID: alert.RunID(id, at), Scope: id.Scope, Alert: id.Name, Scheduled: at, Started: at.Add(time.Second), Status: alert.StatusOK,
		Actual: alert.NumberValue("10512.25"), Threshold: alert.IntValue(10000), Rows: 1, DurationMS: 3,
		Reasons: []alert.Reason{{Code: alert.OKSteady, Text: "OK, and nothing is open"}},
	}
	state := snapshot.State
	state.Last, state.Status, state.ConsecutiveOKs = record, alert.StatusOK, state.ConsecutiveOKs+1
	if state.Since.IsZero() {
		state.Since = at
	}
	return sentinel.Commit{ID: id, State: &state, Record: record}
}

// cpu is what the process has used so far.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSteadyRun is what one steady run costs the store when 10,000 alerts run in one
// process: Load and Commit, the preload included.
func BenchmarkSteadyRun(b *testing.B) {
	const alerts = 10_000
	for _, workers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			s := open(b, local.Options{})
			all := fleet(b, s, alerts)
			round(b, s, all, alerts, workers, noon.Add(-time.Hour)) // states exist
			b.ReportAllocs()
			runtime.GC()
			before := cpu()
			b.ResetTimer()
			for done := 0; done < b.N; done += alerts {
				require.NoError(b, s.Preload(b.Context(), "bench"))
				round(b, s, all, min(alerts, b.N-done), workers, noon.Add(time.Duration(done)*time.Second))
			}
			b.StopTimer()
			b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}

// round runs n alerts once.
func round(b *testing.B, s *local.Store, all []sentinel.Definition, n, workers int, at time.Time) {
	b.Helper()
	var group sync.WaitGroup
	var next atomic.Int64
	for range workers {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				snapshot, err := s.Load(context.Background(), all[i].Alert.ID())
				if err == nil {
					err = s.Commit(context.Background(), steady(snapshot, at))
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}

// BenchmarkLoad is one Load that nothing was preloaded for.
func BenchmarkLoad(b *testing.B) {
	s := open(b, local.Options{})
	all := fleet(b, s, 1000)
	round(b, s, all, len(all), 8, noon)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		_, err := s.Load(b.Context(), all[i%len(all)].Alert.ID())
		require.NoError(b, err)
	}
}

// BenchmarkCommitConcurrent is a commit among many at the same time: how far they share
// an fsync.
func BenchmarkCommitConcurrent(b *testing.B) {
	for _, callers := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := open(b, local.Options{})
			var n atomic.Int64
			var group sync.WaitGroup
			b.ResetTimer()
			for c := range callers {
				group.Go(func() {
					snapshot := sentinel.Snapshot{Definition: sentinel.Definition{Alert: alert.Alert{Scope: "bench", Name: fmt.Sprint(c)}}}
					for i := n.Add(1); i <= int64(b.N); i = n.Add(1) {
						commit := steady(snapshot, noon.Add(time.Duration(i)*time.Second))
						if err := s.Commit(context.Background(), commit); err != nil {
							b.Error(err)
							return
						}
						snapshot.State = *commit.State
						snapshot.State.Version++
					}
				})
			}
			group.Wait()
		})
	}
}

// BenchmarkClaimSettle is the store's part of one delivery, with 16 senders.
func BenchmarkClaimSettle(b *testing.B) {
	s := open(b, local.Options{})
	var all []alert.Delivery
	for i := range b.N {
		id := fmt.Sprintf("dlv_%d", i)
		all = append(all, alert.Delivery{
			ID: id, Scope: "bench", Alert: "a", Target: alert.Target{ID: "team", Channel: "webhook"},
			Message: alert.Message{EventID: id, Event: alert.EventAlert}, CreatedAt: noon, Status: alert.Pending, Try: 1, DueAt: noon,
		})
	}
	require.NoError(b, s.Commit(b.Context(), sentinel.Commit{Deliveries: all}))
	var next atomic.Int64
	var group sync.WaitGroup
	before := cpu()
	b.ResetTimer()
	for range 16 {
		group.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				claim, err := s.Claim(context.Background(), all[i-1], noon, noon.Add(time.Minute))
				if err == nil {
					err = s.Settle(context.Background(), sentinel.Settlement{ID: claim.Delivery.ID, Lease: claim.Lease, Status: alert.Sent, At: noon})
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/op")
}
