package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// billing answers as BigQuery's REST API does: an estimate of 2 GiB, a bill of 3 GiB.
func billing(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	body := `{"jobReference":{"projectId":"shop","jobId":"j"},"statistics":{"totalBytesProcessed":"2147483648","query":{"statementType":"SELECT","totalBytesBilled":"3221225472"}}}`
	if strings.Contains(r.URL.Path, "/queries/") {
		body = `{"jobComplete":true,"schema":{"fields":[{"name":"status","type":"STRING"}]},"rows":[{"f":[{"v":"OK"}]}]}`
	}
	_, _ = w.Write([]byte(body))
}

func TestWhatAQueryOfBigQueryIsBilledForIsShownAndKept(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(billing))
	t.Cleanup(server.Close)
	c := newCLI(t, "")
	alerts := `database: {url: "bigquery://shop/sales?api_endpoint=` + server.URL + `", price_per_tib: 1024}
alerts:
  - {name: Revenue, query: "SELECT 1", schedule: "@daily"}
`
	require.NoError(t, os.WriteFile(c.config(), []byte(alerts), 0o600))
	const line = "usage: estimated 2 GiB; billed 3 GiB; about 3 USD"

	code, out, errs := c.call(t.Context(), "run --dry-run")
	require.Zero(t, code, errs)
	require.Contains(t, out, line)
	code, _, errs = c.call(t.Context(), "run")
	require.Zero(t, code, errs)
	a, stored, errs := c.call(t.Context(), "history", "--json")
	require.Zero(t, a, errs)
	var kept struct{ Runs []runJSON }
	require.NoError(t, json.Unmarshal([]byte(stored), &kept))
	require.Equal(t, int64(3<<30), kept.Runs[0].Usage.BytesBilled)
	require.Contains(t, stored, `"estimated_cost_usd": 3`)

	require.NoError(t, os.WriteFile(c.config(), []byte(strings.Replace(alerts, "price_per_tib: 1024", "max_bytes_billed: 1GiB", 1)), 0o600))
	code, out, errs = c.call(t.Context(), "run --dry-run")
	require.Equal(t, 1, code, errs)
	require.Contains(t, out, "max_bytes_billed is 1 GiB")
	require.Contains(t, out, "usage: estimated 2 GiB; billed 0 bytes")
}
