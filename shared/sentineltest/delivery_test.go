package sentineltest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// rig is a sentinel over an empty memory, with a clock and a receiver that the test moves.
type rig struct {
	*sentinel.Sentinel
	memory *Memory
	now    time.Time
	sent   []string
	send   func(alert.Delivery) error
	answer func(context.Context) alert.Result
}

func newRig(t *testing.T) *rig {
	t.Helper()
	b := &rig{memory: NewMemory(), now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	b.send = func(alert.Delivery) error { return nil }
	b.answer = func(context.Context) alert.Result {
		return alert.Result{Rows: []alert.Row{{Status: alert.StatusAlert}}}
	}
	var err error
	b.Sentinel, err = sentinel.New(sentinel.Options{
		Store: b.memory, Outbox: b.memory, Queue: b.memory, Query: b, Send: b,
		Now: func() time.Time { return b.now }, Jitter: func() float64 { return 0 },
		Pause: func(_ context.Context, d time.Duration) bool { b.now = b.now.Add(d); return true },
	})
	require.NoError(t, err)
	_, err = b.Sync(t.Context(), "shop", []alert.Alert{plainAlert("revenue")})
	require.NoError(t, err)
	return b
}

func (b *rig) Query(ctx context.Context, _ alert.Alert, _ alert.Run) alert.Result {
	return b.answer(ctx)
}

func (b *rig) Send(_ context.Context, d alert.Delivery) error {
	err := b.send(d)
	if err == nil {
		b.sent = append(b.sent, d.ID)
	}
	return err
}

func (b *rig) run(t *testing.T) alert.Delivery {
	t.Helper()
	evaluation, err := b.Evaluate(t.Context(), plainAlert("revenue").ID(), b.now)
	require.NoError(t, err)
	require.Len(t, evaluation.Deliveries, 1)
	return evaluation.Deliveries[0]
}

func (b *rig) deliver(t *testing.T, d alert.Delivery) alert.Delivery {
	t.Helper()
	_, err := b.Deliver(t.Context(), sentinel.Ref{ID: d.ID, Try: 1})
	require.NoError(t, err)
	out, err := b.memory.Delivery(t.Context(), d.ID)
	require.NoError(t, err)
	return out
}

func TestAMessageTwiceIsOneNotification(t *testing.T) {
	b := newRig(t)
	d := b.run(t)
	require.Equal(t, alert.Sent, b.deliver(t, d).Status)
	require.Equal(t, alert.Sent, b.deliver(t, d).Status)
	require.Equal(t, []string{d.ID}, b.sent)
}

func TestAMessageForAnUnknownDeliveryOrAnOldTryIsDropped(t *testing.T) {
	b := newRig(t)
	d := b.run(t)
	for _, ref := range []sentinel.Ref{{ID: "dlv_none", Try: 1}, {ID: d.ID, Try: 7}} {
		_, err := b.Deliver(t.Context(), ref)
		require.NoError(t, err)
	}
	require.Empty(t, b.sent)
}

func TestAttemptsAreFastThenSlowThenDead(t *testing.T) {
	b := newRig(t)
	b.send = func(alert.Delivery) error { return errors.New("HTTP 500") }
	d := b.run(t)
	start := b.now
	var pauses []time.Duration
	for {
		d = b.deliver(t, d)
		if d.Status == alert.Dead {
			break
		}
		pauses = append(pauses, d.DueAt.Sub(b.now))
		b.now = d.DueAt
	}
	require.Equal(t, []time.Duration{time.Second, 2 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}, pauses[:6])
	require.Equal(t, time.Hour, pauses[len(pauses)-1])
	require.Less(t, b.now.Sub(start), 24*time.Hour)
	require.Greater(t, b.now.Sub(start), 22*time.Hour)
	require.Contains(t, d.LastError, "given up after 1d: HTTP 500")
	counts, err := b.memory.Counts(t.Context(), "shop")
	require.NoError(t, err)
	require.Equal(t, d.Attempts, counts["revenue"].Failures)
	require.Equal(t, 1, counts["revenue"].Dead)
}

func TestAWaitIsNoAttemptAndAnHourAtMost(t *testing.T) {
	b := newRig(t)
	b.send = func(alert.Delivery) error { return &alert.SendError{Message: "HTTP 429", RetryAfter: 5 * time.Hour} }
	d := b.deliver(t, b.run(t))
	require.Equal(t, alert.Pending, d.Status)
	require.Equal(t, 0, d.Attempts)
	require.Equal(t, b.now.Add(time.Hour), d.DueAt)
}

func TestAPermanentFailureIsDeadAtOnce(t *testing.T) {
	b := newRig(t)
	b.send = func(alert.Delivery) error { return &alert.SendError{Message: "HTTP 404", Permanent: true} }
	d := b.deliver(t, b.run(t))
	require.Equal(t, alert.Dead, d.Status)
	require.Equal(t, 1, d.Attempts)
}

func TestThreeDeadSendersMakeADeadDelivery(t *testing.T) {
	b := newRig(t)
	d := b.run(t)
	for range 3 {
		_, err := b.memory.Claim(t.Context(), d, b.now, b.now.Add(time.Minute))
		require.NoError(t, err)
		b.now = b.now.Add(2 * time.Minute) // the sender never came back
	}
	d = b.deliver(t, d)
	require.Equal(t, alert.Dead, d.Status)
	require.Empty(t, b.sent)
}

func TestASenderThatLostItsLeaseSettlesNothing(t *testing.T) {
	b := newRig(t)
	d := b.run(t)
	b.send = func(alert.Delivery) error {
		b.now = b.now.Add(time.Hour) // stopped past its lease; another takes over
		_, err := b.memory.Claim(t.Context(), d, b.now, b.now.Add(time.Minute))
		require.NoError(t, err)
		return errors.New("too late")
	}
	d = b.deliver(t, d)
	require.Equal(t, alert.Sending, d.Status)
	require.Equal(t, 0, d.Attempts)
	require.Equal(t, 1, d.Crashes)
}

func TestARunThatIsInterruptedIsNotRecorded(t *testing.T) {
	b := newRig(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	b.answer = func(context.Context) alert.Result {
		cancel(errors.New("interrupted"))
		return alert.Fail(alert.ErrorTimeout, "cancelled")
	}
	_, err := b.Evaluate(ctx, plainAlert("revenue").ID(), b.now)
	require.ErrorContains(t, err, "interrupted")
	history, err := b.memory.History(t.Context(), sentinel.HistoryFilter{Scope: "shop"})
	require.NoError(t, err)
	require.Empty(t, history)
}

func TestASilenceBetweenLoadAndCommitIsNotLostAndTheQueryIsNotSentTwice(t *testing.T) {
	b := newRig(t)
	id, queries := plainAlert("revenue").ID(), 0
	b.answer = func(context.Context) alert.Result {
		queries++
		require.NoError(t, b.Silence(t.Context(), id, alert.Silence{Created: b.now, Until: b.now.Add(time.Hour)}))
		return alert.Result{Rows: []alert.Row{{Status: alert.StatusAlert}}}
	}
	evaluation, err := b.Evaluate(t.Context(), id, b.now)
	require.NoError(t, err)
	require.Empty(t, evaluation.Deliveries, "the silence holds")
	require.Equal(t, 1, queries)
	snapshot, err := b.memory.Load(t.Context(), id)
	require.NoError(t, err)
	require.Len(t, snapshot.State.Silences, 1)
	require.Equal(t, 1, snapshot.State.Open())
}

func TestManyRunsOfOneAlertAtOnceHaveOneWinnerEach(t *testing.T) {
	b := newRig(t)
	id := plainAlert("revenue").ID()
	var group sync.WaitGroup
	for i := range 50 {
		at := b.now.Add(time.Duration(i%10) * time.Minute)
		group.Go(func() {
			_, err := b.Evaluate(context.Background(), id, at)
			if err != nil {
				require.ErrorIs(t, err, sentinel.ErrConflict)
			}
		})
	}
	group.Wait()
	deliveries, err := b.memory.Deliveries(t.Context(), sentinel.DeliveryFilter{Scope: "shop"})
	require.NoError(t, err)
	require.Len(t, deliveries, 1, "one episode, one announcement")
}

func TestAPreviewStoresAndSendsNothing(t *testing.T) {
	b := newRig(t)
	snapshot, err := b.memory.Load(t.Context(), plainAlert("revenue").ID())
	require.NoError(t, err)
	preview := b.Preview(t.Context(), snapshot, b.now)
	require.Len(t, preview.Deliveries, 1)
	require.Equal(t, alert.StatusAlert, preview.Record.Status)
	history, err := b.memory.History(t.Context(), sentinel.HistoryFilter{Scope: "shop"})
	require.NoError(t, err)
	require.Empty(t, history)
}

func TestALaterMessageWaitsForTheEarlierOne(t *testing.T) {
	b := newRig(t)
	announcement := b.run(t)
	b.now = b.now.Add(time.Minute)
	b.answer = func(context.Context) alert.Result { return alert.Result{Rows: []alert.Row{{Status: alert.StatusOK}}} }
	recovery := b.run(t)
	require.Equal(t, []string{announcement.ID}, recovery.After)
	b.send = func(alert.Delivery) error { return errors.New("HTTP 500") }
	b.deliver(t, announcement)
	b.send = func(alert.Delivery) error { return nil }
	require.Equal(t, alert.Pending, b.deliver(t, recovery).Status, "its predecessor is not settled")
	require.NoError(t, b.Drain(t.Context(), sentinel.DrainOptions{Scope: "shop"}))
	b.now = b.now.Add(2 * time.Second)
	require.NoError(t, b.Drain(t.Context(), sentinel.DrainOptions{Scope: "shop"}))
	require.Equal(t, []string{announcement.ID, recovery.ID}, b.sent)
}

// reminding makes the rig's alert remind each minute and escalate after a run.
func (b *rig) reminding(t *testing.T) {
	t.Helper()
	a := plainAlert("revenue")
	a.RemindEvery = alert.Duration(time.Minute)
	_, err := b.Sync(t.Context(), "shop", []alert.Alert{a})
	require.NoError(t, err)
}

func TestANewerMessageSupersedesAReminderThatWaits(t *testing.T) {
	b := newRig(t)
	b.reminding(t)
	b.deliver(t, b.run(t))
	b.send = func(alert.Delivery) error { return errors.New("HTTP 500") }
	var reminders []alert.Delivery
	for range 3 {
		b.now = b.now.Add(time.Minute)
		reminders = append(reminders, b.deliver(t, b.run(t)))
	}
	b.send = func(alert.Delivery) error { return nil }
	b.now = b.now.Add(time.Hour)
	require.NoError(t, b.Drain(t.Context(), sentinel.DrainOptions{Scope: "shop"}))
	require.Len(t, b.sent, 2, "the announcement and one reminder of three")
	require.Equal(t, reminders[2].ID, b.sent[1])
}

func TestARecoveryBehindASupersededReminderStillWaitsForTheAnnouncement(t *testing.T) {
	b := newRig(t)
	b.reminding(t)
	b.send = func(alert.Delivery) error { return &alert.SendError{Message: "HTTP 429", RetryAfter: 20 * time.Minute} }
	announcement := b.deliver(t, b.run(t))
	b.now = b.now.Add(time.Minute)
	reminder := b.run(t)
	b.now = b.now.Add(time.Minute)
	b.answer = func(context.Context) alert.Result { return alert.Result{Rows: []alert.Row{{Status: alert.StatusOK}}} }
	recovery := b.deliver(t, b.run(t))
	require.Equal(t, alert.Superseded, b.deliver(t, reminder).Status)
	require.Equal(t, announcement.DueAt, recovery.DueAt)
	b.now = announcement.DueAt
	b.deliver(t, announcement) // put off again
	b.send = func(alert.Delivery) error { return nil }
	require.Equal(t, alert.Pending, b.deliver(t, recovery).Status)
	b.now = b.now.Add(time.Hour)
	require.NoError(t, b.Drain(t.Context(), sentinel.DrainOptions{Scope: "shop"}))
	b.now = b.now.Add(time.Hour)
	require.NoError(t, b.Drain(t.Context(), sentinel.DrainOptions{Scope: "shop"}))
	require.Equal(t, []string{announcement.ID, recovery.ID}, b.sent)
}

func TestAReminderOfAClosedEpisodeIsNotSent(t *testing.T) {
	b := newRig(t)
	b.reminding(t)
	b.deliver(t, b.run(t))
	b.now = b.now.Add(time.Minute)
	reminder := b.run(t)
	b.now = b.now.Add(time.Minute)
	b.answer = func(context.Context) alert.Result { return alert.Result{Rows: []alert.Row{{Status: alert.StatusOK}}} }
	recovery := b.run(t)
	require.Equal(t, alert.Superseded, b.deliver(t, reminder).Status)
	require.Equal(t, alert.Sent, b.deliver(t, recovery).Status)
	require.Len(t, b.sent, 2)
}

func TestARunThatIsOvertakenWhileItsQueryRunsIsLate(t *testing.T) {
	b := newRig(t)
	id, first := plainAlert("revenue").ID(), true
	b.answer = func(context.Context) alert.Result {
		if first {
			first = false
			_, err := b.Evaluate(t.Context(), id, b.now.Add(time.Minute))
			require.NoError(t, err)
		}
		return alert.Result{Rows: []alert.Row{{Status: alert.StatusAlert}}}
	}
	evaluation, err := b.Evaluate(t.Context(), id, b.now)
	require.NoError(t, err)
	require.Equal(t, alert.Older, evaluation.Order)
	require.Equal(t, alert.Late, evaluation.Record.Reasons[0].Code)
	snapshot, err := b.memory.Load(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, 1, snapshot.State.ConsecutiveAlerts)
}

func TestARecoveryGoesByTodaysSettingsOfItsTarget(t *testing.T) {
	b := newRig(t)
	b.deliver(t, b.run(t))
	edited := plainAlert("revenue")
	edited.Notify[0].Settings = []byte(`{"url":"https://new.example.com"}`)
	_, err := b.Sync(t.Context(), "shop", []alert.Alert{edited})
	require.NoError(t, err)
	b.now = b.now.Add(time.Minute)
	b.answer = func(context.Context) alert.Result { return alert.Result{Rows: []alert.Row{{Status: alert.StatusOK}}} }
	require.JSONEq(t, `{"url":"https://new.example.com"}`, string(b.run(t).Target.Settings))
}

func TestWhatWaitsGoesByTodaysSettingsOfItsTarget(t *testing.T) {
	b := newRig(t)
	var urls []string
	b.send = func(d alert.Delivery) error {
		urls = append(urls, string(d.Target.Settings))
		return errors.New("HTTP 500")
	}
	d := b.deliver(t, b.run(t))
	edited := plainAlert("revenue")
	edited.Notify[0].Settings = []byte(`{"url":"https://new.example.com"}`)
	_, err := b.Sync(t.Context(), "shop", []alert.Alert{edited})
	require.NoError(t, err)
	b.now = d.DueAt
	d = b.deliver(t, d)
	edited.Notify = nil
	_, err = b.Sync(t.Context(), "shop", []alert.Alert{edited})
	require.NoError(t, err)
	b.now = d.DueAt
	b.deliver(t, d)
	require.Len(t, urls, 3)
	require.JSONEq(t, `{"url":"https://new.example.com"}`, urls[1])
	require.Equal(t, urls[0], urls[2], "its target left the file: as it was decided")
}

func TestAWaitThatIsLongerThanTheTimeLeftEndsInOneMoreAttempt(t *testing.T) {
	b := newRig(t)
	short := plainAlert("revenue")
	short.Notify[0].GiveUpAfter = alert.Duration(30 * time.Minute)
	_, err := b.Sync(t.Context(), "shop", []alert.Alert{short})
	require.NoError(t, err)
	b.send = func(alert.Delivery) error { return &alert.SendError{Message: "HTTP 503", RetryAfter: time.Hour} }
	d := b.deliver(t, b.run(t))
	require.Equal(t, alert.Pending, d.Status)
	require.Equal(t, b.now.Add(30*time.Minute), d.DueAt)
	b.now = d.DueAt
	require.Equal(t, alert.Dead, b.deliver(t, d).Status)
}

func TestAResultOfAnOldKeyIsNotDecidedUnderANewOne(t *testing.T) {
	b := newRig(t)
	keyed := plainAlert("revenue")
	keyed.Key = []string{"region"}
	_, err := b.Sync(t.Context(), "shop", []alert.Alert{keyed})
	require.NoError(t, err)
	eu := alert.Fields{{Name: "region", Value: alert.TextValue("EU")}}
	b.answer = func(context.Context) alert.Result {
		return alert.Result{Rows: []alert.Row{{Instance: eu, Status: alert.StatusAlert}}}
	}
	b.run(t)
	b.now = b.now.Add(time.Minute)
	answer := b.answer
	b.answer = func(ctx context.Context) alert.Result {
		_, err := b.Sync(ctx, "shop", []alert.Alert{plainAlert("revenue")})
		require.NoError(t, err)
		return answer(ctx)
	}
	_, err = b.Evaluate(t.Context(), keyed.ID(), b.now)
	require.ErrorContains(t, err, "got another key while its query ran")
	snapshot, err := b.memory.Load(t.Context(), keyed.ID())
	require.NoError(t, err)
	require.Zero(t, snapshot.State.Open())
	b.answer = func(context.Context) alert.Result {
		return alert.Result{Rows: []alert.Row{{Status: alert.StatusAlert}}}
	}
	b.run(t) // the same run again
}
