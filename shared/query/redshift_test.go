package query_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// openRedshift is a PostgreSQL that is asked as Redshift is, in words that both take.
func openRedshift(t *testing.T) *world {
	w := openPostgres(t)
	w.name = "postgres"
	u, err := url.Parse(w.url)
	require.NoError(t, err)
	u.Scheme = "redshift"
	w.url = u.String()
	w.exec(t, "CREATE TABLE orders (id INTEGER PRIMARY KEY, region VARCHAR(20), total DECIMAL(10,2))",
		"INSERT INTO orders VALUES (1, 'EU', 10.50), (2, 'US', 20.00), (3, 'EU', 30.25)")
	return w
}

func TestTheGuardsOfRedshiftHoldWithoutACursor(t *testing.T) {
	w := openRedshift(t)
	spoil(t, w)
	r := w.runner(t, 1)
	for _, text := range append(hostile(w, t.TempDir()), "UNLOAD ('SELECT 1') TO 's3://x'", "/* x */ unload ('SELECT 1') TO 's3://x'", "(DELETE FROM orders)", "", " -- nothing") {
		result := ask(t, r, text)
		require.NotNil(t, result.Failure, text)
		require.False(t, result.Failure.Unreachable, "%s: %s", text, result.Failure.Message)
		w.unchanged(t, text)
		works(t, r, "SELECT 'OK' AS status FROM orders WHERE id = 1")
	}
	fails(t, ask(t, r, "DELETE FROM orders"), alert.ErrorReadOnly)
	fails(t, ask(t, r, "SELECT 'OK' AS status; DROP TABLE orders"), alert.ErrorStatements)
	require.Contains(t, fails(t, ask(t, r, "SELECT 'OK' AS status,\n  nonsense FROM orders"), alert.ErrorQuery), "line 2, column 3")
}

func TestRedshiftStopsAtItsCapsAndAtTheDeadline(t *testing.T) {
	w := openRedshift(t)
	r := w.runner(t, 1)
	fails(t, ask(t, r, w.millions, "k"), alert.ErrorRowCap)
	soon(t, func() bool { return w.sleeping(t) == 0 }, "it is stopped")
	for _, text := range []string{w.endless, w.trickle} {
		answer := background(t.Context(), r, time.Second, text, "k")
		soon(t, func() bool { return w.sleeping(t) > 0 }, "it runs")
		fails(t, within(t, answer, 10*time.Second), alert.ErrorTimeout)
		soon(t, func() bool { return w.sleeping(t) == 0 }, "it is stopped")
	}
	one := works(t, r, "/* x */ WITH o AS (SELECT * FROM orders) SELECT 'ALERT' AS status, SUM(total) AS actual_value, date '2026-03-02' AS d, true AS b FROM o;")
	require.Equal(t, "60.75", one.Rows[0].Actual.String())
	require.Equal(t, "d=2026-03-02, b=true", one.Rows[0].Context.String())
	a := alert.Alert{Params: true, Query: "SELECT 'OK' AS status, :scheduled_time = timestamptz '2026-11-23 09:00+00' AS actual_value", Timeout: alert.Duration(time.Minute)}
	result := r.Query(t.Context(), a, nine())
	require.Nil(t, result.Failure)
	require.Equal(t, "true", result.Rows[0].Actual.String())
}
