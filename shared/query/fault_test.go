package query_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// TestADriverThatPanicsCostsOneRun answers the driver of Snowflake a row with more values
// than there are columns, over which it panics.
func TestADriverThatPanicsCostsOneRun(t *testing.T) {
	t.Parallel()
	s := startSnowflake(t, &snowflakeServer{})
	var odd atomic.Bool
	odd.Store(true)
	s.answer = func() string {
		if odd.Load() {
			return `{"success":true,"data":{"queryId":"01","statementTypeId":4096,"queryResultFormat":"json","total":1,"returned":1,"rowtype":[{"name":"STATUS","type":"text","nullable":true}],"rowset":[["OK","c4n4ry"]]}}`
		}
		return ""
	}
	d := s.database(t, "")
	d.MaxConnections = 1
	r := watcher(t, d)
	for range 3 { // more often than there are connections
		result := r.Query(t.Context(), alert.Alert{Query: "SELECT 'OK' AS status", Timeout: alert.Duration(10 * time.Second)}, alert.Run{})
		message := fails(t, result, alert.ErrorQuery)
		require.Contains(t, message, "a fault of the driver")
		require.NotContains(t, message, "c4n4ry")
		require.ErrorContains(t, r.Ping(t.Context(), ""), "a fault of the driver")
	}
	odd.Store(false)
	works(t, r, "SELECT 'OK' AS status")
	require.NoError(t, r.Ping(t.Context(), ""))
}

// Those that wait for a connection do not pay for the run that had it.
func TestADriverThatPanicsFailsNoRunThatWaits(t *testing.T) {
	t.Parallel()
	const runs = 5
	s := startSnowflake(t, &snowflakeServer{})
	var begun sync.WaitGroup
	var panicked atomic.Bool
	begun.Add(runs)
	s.answer = func() string {
		begun.Wait()
		if !panicked.Load() {
			return `{"success":true,"data":{"queryId":"01","statementTypeId":4096,"queryResultFormat":"json","total":1,"returned":1,"rowtype":[{"name":"STATUS","type":"text","nullable":true}],"rowset":[["OK","more"]]}}`
		}
		return ""
	}
	d := s.database(t, "")
	d.MaxConnections = 1
	r := watcher(t, d)
	results := make([]alert.Result, runs)
	var ended sync.WaitGroup
	for i := range runs {
		ended.Go(func() {
			begun.Done()
			results[i] = r.Query(t.Context(), alert.Alert{Query: "SELECT 'OK' AS status", Timeout: alert.Duration(10 * time.Second)}, alert.Run{})
			panicked.Store(true)
		})
	}
	ended.Wait()
	failed := 0
	for _, result := range results {
		if result.Failure != nil {
			failed++
			require.Contains(t, result.Failure.Message, "a fault of the driver", "that of its own run")
		}
	}
	require.Positive(t, failed)
}
