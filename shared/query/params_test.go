package query_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
)

// nine is a run at nine with an interval of an hour.
func nine() alert.Run {
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	return alert.Run{Scheduled: at, Previous: at.Add(-time.Hour)}
}

func TestAQueryLooksAtExactlyItsOwnInterval(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		w.exec(t, "CREATE TABLE events (id INTEGER, moment "+w.instant+")")
		for _, at := range []string{"2026-11-23 08:00:00", "2026-11-23 08:00:01", "2026-11-23 08:59:59", "2026-11-23 09:00:00", "2026-11-23 09:00:01"} {
			w.exec(t, "INSERT INTO events VALUES (1, '"+at+"')")
		}
		r := w.runner(t, 1)
		a := alert.Alert{Params: true, Timeout: alert.Duration(time.Minute), Query: "SELECT 'OK' AS status, count(*) AS actual_value, ':previous_time' AS verbatim" +
			" FROM events WHERE moment > :previous_time AND moment <= :scheduled_time AND moment <= :scheduled_time -- :scheduled_time"}
		for range 3 {
			result := r.Query(t.Context(), a, nine())
			require.Nil(t, result.Failure)
			require.Equal(t, "3", result.Rows[0].Actual.String())
			require.Equal(t, "verbatim=:previous_time", result.Rows[0].Context.String())
		}
		a.Query = "SELECT 'OK' AS status FROM events WHERE moment > :scheduled_time AND nonsense = 1"
		require.Contains(t, fails(t, r.Query(t.Context(), a, nine()), alert.ErrorQuery), "nonsense")
		a.Query = "DELETE FROM events WHERE moment > :scheduled_time"
		fails(t, r.Query(t.Context(), a, nine()), alert.ErrorReadOnly)
		a.Query = "SELECT 'OK' AS status FROM events WHERE moment > :scheduled_time; DELETE FROM events WHERE moment > :scheduled_time"
		fails(t, r.Query(t.Context(), a, nine()), alert.ErrorStatements)
		require.Equal(t, 5, w.count(t, "SELECT count(*) FROM events"))
	})
}

func TestAPlaceholderThatNothingIsBoundToIsAnError(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		r := w.runner(t, 1)
		for _, text := range w.unbound {
			require.NotEmpty(t, fails(t, ask(t, r, text), alert.ErrorQuery, alert.ErrorStatements), text)
		}
		a := alert.Alert{Params: true, Query: "SELECT 'OK' AS status, :Scheduled_Time AS x"}
		require.Contains(t, fails(t, r.Query(t.Context(), a, nine()), alert.ErrorQuery), ":Scheduled_Time")
	})
}

func TestAnErrorBehindAParameterNamesItsPlaceAsItWasWritten(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		if w.name == "mariadb" {
			t.Skip("MariaDB names no place")
		}
		r := w.runner(t, 1)
		for text, place := range map[string]string{
			"SELECT 'OK' AS status WHERE\n 'ü' = '' OR '2020-01-01' < :previous_time AND nix = 1":                                                                                            "line 2, column 48",
			"SELECT 'OK' AS status WHERE\n '2020-01-01' < :scheduled_time AND nix = 1":                                                                                                       "line 2, column 37",
			"SELECT 'OK' AS status WHERE '2020-01-01' < :previous_time AND '2020-01-01' < :scheduled_time AND '2020-01-01' < :previous_time\n AND '2020-01-01' < :previous_time AND nix = 1": "line 2, column 40",
		} {
			a := alert.Alert{Params: true, Query: text, Timeout: alert.Duration(time.Minute)}
			require.Contains(t, fails(t, r.Query(t.Context(), a, nine()), alert.ErrorQuery), place, text)
		}
	})
}

func TestParametersAreCheckedBeforeTheyRun(t *testing.T) {
	d := alert.Database{URL: "postgresql://u:p@h/shop"}
	check := func(text string, params bool) error {
		return query.CheckQuery(alert.Alert{Query: text, Params: params}, d, environment)
	}
	require.NoError(t, check("SELECT 1 WHERE a > :scheduled_time", true))
	require.NoError(t, check("SELECT ':scheduled_time', x::date", false))
	require.ErrorContains(t, check("SELECT 1", true), "neither")
	require.ErrorContains(t, check("SELECT ':scheduled_time'", true), "neither")
	require.ErrorContains(t, check("SELECT :scheduled_time,\n  :scheduled_tim", true), ":scheduled_tim (line 2, column 3 of the query)")
	require.ErrorContains(t, check("SELECT :scheduled_time", false), "params: true")
}
