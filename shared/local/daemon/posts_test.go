package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// of are the messages to one target.
func of(told []said, target string) []said {
	var out []said
	for _, m := range told {
		if m.target == target {
			out = append(out, m)
		}
	}
	return out
}

func TestASlowTargetHoldsUpNoOther(t *testing.T) {
	play(t, func(r *rig) {
		for i := range 600 {
			r.alerts = append(r.alerts, minutely(fmt.Sprint("alert ", i), "webhook-slow", "webhook-quick", "email-team"))
		}
		r.says(alert.StatusAlert)
		r.sends(func(ctx context.Context, d alert.Delivery) error {
			if d.Target.ID == "webhook-slow" {
				lasting(ctx, 10*time.Second)
				return errors.New("no answer within 10 s")
			}
			return nil
		})
		r.start(r.store)
		time.Sleep(51 * time.Second)
		require.Len(t, of(r.told(), "webhook-quick"), 600)
		require.Len(t, of(r.told(), "email-team"), 600)
		for _, m := range r.told() {
			require.Less(t, m.after, time.Minute+100*time.Millisecond, m)
		}
	})
}

func TestSlackHearsOneMessageASecond(t *testing.T) {
	play(t, func(r *rig) {
		for i := range 40 {
			r.alerts = append(r.alerts, minutely(fmt.Sprint("alert ", i), "slack-a", "slack-b"))
		}
		r.says(alert.StatusAlert)
		r.start(r.store)
		time.Sleep(2 * time.Minute)
		for _, target := range []string{"slack-a", "slack-b"} {
			told := of(r.told(), target)
			require.Len(t, told, 40)
			for i := range told[1:] {
				require.GreaterOrEqual(t, told[i+1].after-told[i].after, time.Second)
			}
			require.Less(t, told[39].after, 100*time.Second)
		}
	})
}

func TestMessagesOfAnAlertComeInTheirOrder(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("stock", "webhook-team")}
		r.answers(func(_ context.Context, _ alert.Alert, run alert.Run) alert.Result {
			return status([]alert.Status{alert.StatusOK, alert.StatusAlert}[run.Scheduled.Minute()%2])
		})
		well := time.Now().Add(20 * time.Minute)
		r.sends(func(context.Context, alert.Delivery) error {
			if time.Now().Before(well) {
				return errors.New("connection refused")
			}
			return nil
		})
		r.start(r.store)
		time.Sleep(90 * time.Minute)
		told := r.told()
		require.Greater(t, len(told), 80)
		for i, m := range told {
			require.Equal(t, []alert.Event{alert.EventAlert, alert.EventRecovery}[i%2], m.event, "%d", i)
		}
	})
}

func TestAWaitThatIsAskedForIsKept(t *testing.T) {
	play(t, func(r *rig) {
		r.alerts = []alert.Alert{minutely("stock", "webhook-team")}
		r.says(alert.StatusAlert)
		var mu sync.Mutex
		var tries []time.Duration
		r.sends(func(context.Context, alert.Delivery) error {
			mu.Lock()
			defer mu.Unlock()
			tries = append(tries, time.Since(r.begun))
			if len(tries) == 1 {
				return &alert.SendError{Message: "429 Too Many Requests", RetryAfter: 7 * time.Minute}
			}
			return nil
		})
		r.start(r.store)
		time.Sleep(20 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, []time.Duration{time.Minute, 8 * time.Minute}, tries)
	})
}

func TestADeadDeliveryIsSeen(t *testing.T) {
	play(t, func(r *rig) {
		stock := minutely("stock", "webhook-gone")
		stock.Owners = []alert.Target{{ID: "email-owner", Channel: "email", Label: "owner", Settings: []byte(`{}`)}}
		r.alerts = []alert.Alert{stock}
		r.says(alert.StatusAlert)
		r.sends(func(_ context.Context, d alert.Delivery) error {
			if d.Target.ID == "webhook-gone" {
				return &alert.SendError{Message: "410 Gone", Permanent: true}
			}
			return nil
		})
		d := r.start(r.store)
		time.Sleep(50 * time.Second)
		before := r.beats.Load()
		time.Sleep(5 * time.Minute)
		require.Len(t, of(r.told(), "email-owner"), 1, "the owner hears of it, once")
		require.Equal(t, "1", d.metric("sqlsentinel_dead_deliveries"))
		require.Contains(t, r.log.String(), "level=ERROR msg=delivered")
		require.LessOrEqual(t, r.beats.Load(), before+1, "the heartbeat stops")
		require.True(t, strings.Contains(r.log.String(), "the heartbeat is not sent"))
	})
}
