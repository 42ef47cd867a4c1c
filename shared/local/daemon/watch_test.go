package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// scheduled are the names of the alerts that run.
func (d running) scheduled() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.agenda.entries))
}

func TestAnEditIsFollowedHoweverItIsMade(t *testing.T) {
	for name, edit := range map[string]func(r *rig){
		"in place": func(r *rig) { r.touch() },
		"renamed over": func(r *rig) {
			other := filepath.Join(r.dir, "alerts.tmp")
			require.NoError(r.t, os.WriteFile(other, []byte("1"), 0o600))
			require.NoError(r.t, os.Rename(other, r.path()))
		},
		"a link that leads elsewhere, as ConfigMaps do": func(r *rig) {
			require.NoError(r.t, os.Mkdir(filepath.Join(r.dir, "v2"), 0o700))
			require.NoError(r.t, os.WriteFile(filepath.Join(r.dir, "v2", "alerts.yaml"), []byte("1"), 0o600))
			require.NoError(r.t, os.Symlink("v2", filepath.Join(r.dir, "next")))
			require.NoError(r.t, os.Rename(filepath.Join(r.dir, "next"), filepath.Join(r.dir, "data")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(r *rig) {
				r.alerts = []alert.Alert{minutely("a")}
				if name[0] == 'a' {
					require.NoError(t, os.Mkdir(filepath.Join(r.dir, "v1"), 0o700))
					require.NoError(t, os.WriteFile(filepath.Join(r.dir, "v1", "alerts.yaml"), []byte("1"), 0o600))
					require.NoError(t, os.Symlink("v1", filepath.Join(r.dir, "data")))
					require.NoError(t, os.Remove(r.path()))
					require.NoError(t, os.Symlink(filepath.Join("data", "alerts.yaml"), r.path()))
				}
				d := r.start(r.store)
				time.Sleep(5 * time.Second)
				r.mu.Lock()
				r.alerts = append(slices.Clone(r.alerts), minutely("b"))
				r.mu.Unlock()
				edit(r)
				time.Sleep(3 * time.Second)
				require.Equal(t, []string{"a", "b"}, d.scheduled())
				require.Equal(t, "1", d.metric(`sqlsentinel_config_reloads_total{result="ok"}`))
				require.EqualValues(t, 1, r.closed.Load(), "the setup before is let go")
			})
		})
	}
}

func TestAnInvalidFileKeepsTheLastGoodOne(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("a")}
		d := r.start(r.store)
		loaded := d.metric("sqlsentinel_config_last_reload_success_timestamp_seconds")
		r.mu.Lock()
		r.broken = errors.New("alerts.yaml:3:5: unknown key \"quary\"")
		r.mu.Unlock()
		r.touch()
		time.Sleep(5 * time.Minute)
		require.Equal(t, []string{"a"}, d.scheduled())
		require.Len(t, r.queries(), 5)
		code, ready := d.get("/ready")
		require.Equal(t, 200, code)
		require.Contains(t, ready, `alerts.yaml:3:5: unknown key`)
		require.Equal(t, "0", d.metric("sqlsentinel_config_last_reload_successful"))
		require.Equal(t, loaded, d.metric("sqlsentinel_config_last_reload_success_timestamp_seconds"))
		require.Equal(t, "1", d.metric(`sqlsentinel_config_reloads_total{result="failed"}`), "it is read once a change")
		require.Contains(t, r.log.String(), "the heartbeat is not sent")
		beats := r.beats.Load()
		require.NoError(t, os.Remove(r.path()))
		time.Sleep(5 * time.Second)
		require.Equal(t, []string{"a"}, d.scheduled(), "a file that vanishes removes nothing")
		require.NoError(t, os.WriteFile(r.path(), []byte("back"), 0o600))
		r.edit(minutely("a"), minutely("b"))
		time.Sleep(2 * time.Minute)
		require.Equal(t, []string{"a", "b"}, d.scheduled())
		require.Equal(t, "1", d.metric("sqlsentinel_config_last_reload_successful"))
		require.Greater(t, r.beats.Load(), beats)
	})
}

func TestAnAlertIsRemovedOnceTwoReadingsAgree(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("a", "webhook-team"), minutely("b", "webhook-team")}
		r.says(alert.StatusAlert)
		d := r.start(r.store)
		time.Sleep(55 * time.Second) // 00:01:05
		require.Len(t, r.told(), 2)
		r.edit(minutely("a", "webhook-team"))
		time.Sleep(5 * time.Second)
		require.Equal(t, []string{"a"}, d.scheduled(), "it does not run")
		require.Len(t, r.told(), 2, "its episode stays open until another reading says the same")
		time.Sleep(10 * time.Second)
		require.Len(t, r.told(), 3)
		require.Equal(t, "b", r.told()[2].alert)
		require.Equal(t, alert.EventRecovery, r.told()[2].event)
	})
}

// Another alert is missing at the second reading, for a moment: that is no agreement on it.
func TestReadingsAgreeOnlyOnWhatBothDoNotHave(t *testing.T) {
	play(t, func(r *rig) {
		a, b, c := minutely("a", "webhook-team"), minutely("b", "webhook-team"), minutely("c", "webhook-team")
		r.alerts = []alert.Alert{a, b, c}
		r.says(alert.StatusAlert)
		r.start(r.store)
		time.Sleep(50 * time.Second) // 00:01:00
		require.Len(t, r.told(), 3)
		r.edit(a, b)
		time.Sleep(10500 * time.Millisecond)
		r.edit(a)
		time.Sleep(700 * time.Millisecond)
		r.edit(a, b)
		time.Sleep(30 * time.Second)
		require.Len(t, r.told(), 4)
		require.Equal(t, "c", r.told()[3].alert)
	})
}

func TestAnAlertThatComesBackAtOnceWasNeverGone(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("a"), minutely("b", "webhook-team")}
		r.says(alert.StatusAlert)
		d := r.start(r.store)
		time.Sleep(55 * time.Second)
		r.edit(minutely("a"))
		time.Sleep(5 * time.Second)
		r.edit(minutely("a"), minutely("b", "webhook-team"))
		time.Sleep(5 * time.Minute)
		require.Equal(t, []string{"a", "b"}, d.scheduled())
		require.Len(t, r.told(), 1, "its episode goes on")
		require.Len(t, r.queries(), 2*6, "no tick is lost and none is run twice")
	})
}

func TestAFileOfAnotherScopeIsRefused(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("a")}
		var other atomic.Bool
		d := r.start(r.store, func(o *Options) {
			load := o.Load
			o.Load = func() (*Setup, error) {
				setup, err := load()
				if other.Load() && err == nil {
					setup.Scope = "market"
				}
				return setup, err
			}
		})
		other.Store(true)
		r.touch()
		time.Sleep(time.Minute)
		_, ready := d.get("/ready")
		require.Contains(t, ready, `its name was \"shop\" and is \"market\" now`)
		require.Len(t, r.queries(), 1)
	})
}

func TestAReloadThatIsAskedForComesAtOnce(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("a")}
		asked := make(chan struct{}, 1)
		d := r.start(r.store, func(o *Options) { o.Reload = asked })
		r.mu.Lock()
		r.alerts = []alert.Alert{minutely("a"), minutely("b")}
		r.mu.Unlock()
		asked <- struct{}{}
		time.Sleep(time.Millisecond)
		require.Equal(t, []string{"a", "b"}, d.scheduled())
	})
}

// TestAStopAndAReloadEachSecondLoseNothing: a minute in which the file changes each second,
// and a stop of ten minutes, with messages under way.
func TestAStopAndAReloadEachSecondLoseNothing(t *testing.T) {
	play(t, func(r *rig) {
		var alerts []alert.Alert
		for i := range 60 {
			alerts = append(alerts, minutely(fmt.Sprint("alert ", i), "webhook-team"))
		}
		r.alerts = alerts
		r.answers(func(ctx context.Context, _ alert.Alert, run alert.Run) alert.Result {
			lasting(ctx, 500*time.Millisecond)
			return status([]alert.Status{alert.StatusOK, alert.StatusAlert}[run.Scheduled.Minute()%2])
		})
		r.sends(func(ctx context.Context, _ alert.Delivery) error { lasting(ctx, 300*time.Millisecond); return nil })
		d := r.start(r.store)
		for second := range 180 {
			edited := slices.Clone(alerts)
			edited[second%len(edited)].Description = fmt.Sprint("edited ", second)
			r.edit(edited...)
			time.Sleep(time.Second)
		}
		reloads, err := strconv.Atoi(d.metric(`sqlsentinel_config_reloads_total{result="ok"}`))
		require.NoError(t, err)
		require.GreaterOrEqual(t, reloads, 15, "a file that does not come to rest is read all the same")
		time.Sleep(30 * time.Second) // 00:03:40
		d.stop()
		time.Sleep(10 * time.Minute)
		r.start(r.store)
		time.Sleep(time.Minute + 10*time.Second)
		asked := map[string]int{}
		for _, q := range r.queries() {
			asked[q]++
		}
		for i := range alerts {
			for _, minute := range []int{1, 2, 3, 13, 14} {
				require.Equal(t, 1, asked[fmt.Sprintf("alert %d 00:%02d", i, minute)], "alert %d at %d", i, minute)
			}
			require.Equal(t, 9, r.counts(fmt.Sprint("alert ", i)).Missed)
		}
		require.Len(t, asked, 5*60)
		require.Len(t, r.told(), 4*60, "alert at 1, recovery at 2, alert at 3, recovery at 14")
	})
}
