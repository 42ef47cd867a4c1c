package daemon

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// spoil changes the state file as another program would.
func (r *rig) spoil(statement string) {
	r.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(r.dir, "state.db")+"?_pragma=busy_timeout(10000)")
	require.NoError(r.t, err)
	_, err = db.ExecContext(r.t.Context(), statement)
	require.NoError(r.t, errors.Join(err, db.Close()))
}

func TestAnAlertThatAnotherProgramRemovedComesBack(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("a"), minutely("b")}
		r.start(r.store)
		time.Sleep(2 * time.Minute)
		require.NoError(t, r.store.RemoveDefinitions(r.t.Context(), "shop", []string{"b"}))
		before := len(r.queries())
		time.Sleep(3 * time.Minute)
		require.Contains(t, r.log.String(), `the state does not have an alert of the file; the file is read again" alert_name=b`)
		require.Len(t, r.queries()[before:], 5, "one tick of b is lost, and told")
	})
}

func TestAReloadThatTheStateRefusesIsTriedAgain(t *testing.T) {
	play(t, func(r *rig) {
		keyed := minutely("a")
		r.alerts = []alert.Alert{keyed}
		d := r.start(r.store)
		time.Sleep(61 * time.Second)
		r.spoil("ALTER TABLE definitions RENAME TO gone")
		keyed.Key = []string{"region"}
		r.edit(keyed)
		time.Sleep(9 * time.Second)
		require.Equal(t, "0", d.metric("sqlsentinel_config_last_reload_successful"))
		r.spoil("ALTER TABLE gone RENAME TO definitions")
		time.Sleep(2 * agreement)
		require.Equal(t, "1", d.metric("sqlsentinel_config_last_reload_successful"))
		require.Equal(t, []string{"region"}, d.current().Alerts[0].Key)
	})
}

func TestWhatCannotBeCountedIsNotWell(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("a")}
		r.says(alert.StatusAlert)
		d := r.start(r.store)
		time.Sleep(2 * time.Minute)
		require.Equal(t, "1", d.metric("sqlsentinel_episodes_open"))
		r.spoil("ALTER TABLE states RENAME TO gone")
		time.Sleep(time.Minute)
		require.Contains(t, r.log.String(), "look after silences, overdue alerts and deliveries")
		require.Equal(t, "1", d.metric("sqlsentinel_episodes_open"))
		require.Equal(t, "1", d.metric(`sqlsentinel_alerts{status="ALERT"}`))
		r.spoil("ALTER TABLE gone RENAME TO states")
	})
}

func TestBacklogsOfSlowTargetsHoldUpNoOther(t *testing.T) {
	play(t, func(r *rig) {
		for i := range 810 {
			r.alerts = append(r.alerts, minutely(fmt.Sprint("alert ", i), []string{"slack-a", "slack-b"}[i%2]))
		}
		r.alerts = append(r.alerts, minutely("quick", "webhook-team"))
		r.says(alert.StatusAlert)
		setup, err := r.load(r.store)
		require.NoError(t, err)
		steps, err := sentinel.New(setup.Steps)
		require.NoError(t, err)
		_, err = steps.Sync(r.t.Context(), "shop", r.alerts)
		require.NoError(t, err)
		for _, a := range r.alerts {
			_, err := steps.Evaluate(r.t.Context(), a.ID(), time.Now())
			require.NoError(t, err)
		}
		r.start(r.store)
		time.Sleep(5 * time.Second)
		require.Len(t, of(r.told(), "webhook-team"), 1)
	})
}

func TestAReloadForgetsNothingThatWasAccepted(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("a", "webhook-team")}
		r.says(alert.StatusAlert)
		r.sends(func(context.Context, alert.Delivery) error { // while it is sent, the state ceases to take settlements
			r.spoil("CREATE TRIGGER refuse BEFORE UPDATE ON deliveries WHEN NEW.status = 'sent' BEGIN SELECT RAISE(ABORT, 'no'); END")
			return nil
		})
		r.start(r.store)
		time.Sleep(55 * time.Second)
		require.Len(t, r.told(), 1)
		r.touch()
		time.Sleep(5 * time.Second)
		r.spoil("DROP TRIGGER refuse")
		r.sends(func(context.Context, alert.Delivery) error { return nil })
		time.Sleep(5 * time.Minute)
		require.Len(t, r.told(), 1, "it was accepted")
		counts := r.counts("a")
		require.Zero(t, counts.Pending)
		require.Equal(t, "webhook", counts.LastChannel)
	})
}
