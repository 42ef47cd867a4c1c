package functions_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
)

// BenchmarkWarmRun measures what an invocation of the query function takes beyond its query
// and its calls of AWS: the bar is 2 ms.
func BenchmarkWarmRun(b *testing.B) {
	w := newWorld(b)
	inner := newProxy(b, w.env["AWS_ENDPOINT_URL"])
	var calls atomic.Int64
	outer := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		began := time.Now()
		inner.forward.ServeHTTP(rw, r)
		calls.Add(int64(time.Since(began)))
	}))
	b.Cleanup(outer.Close)
	w.env["AWS_ENDPOINT_URL"] = outer.URL
	require.Empty(b, w.upload(plain("steady")).Problem)
	runner, err := query.New(query.Options{Databases: map[string]alert.Database{"": {URL: w.shopURL}}})
	require.NoError(b, err)
	b.Cleanup(func() { _ = runner.Close() })
	at := time.Now().UTC().Truncate(time.Minute).AddDate(-1, 0, 0)
	tick := func() time.Duration {
		at = at.Add(time.Minute)
		var answer cloud.Answer
		began := time.Now()
		payload := w.invoke("query", cloud.Tick{Alert: "steady", ScheduledTime: at.Format(time.RFC3339)})
		took := time.Since(began)
		require.NoError(b, json.Unmarshal(payload, &answer))
		began = time.Now() // the same query, here: the record keeps whole milliseconds only
		require.Nil(b, runner.Query(b.Context(), alert.Alert{Query: "SELECT 'OK' AS status"}, alert.Run{}).Failure)
		return took - time.Since(began)
	}
	tick()
	calls.Store(0)
	var total time.Duration
	for b.Loop() {
		total += tick()
	}
	b.ReportMetric(float64(total-time.Duration(calls.Load()))/1e6/float64(b.N), "ms-overhead/op")
}
