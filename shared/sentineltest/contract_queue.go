package sentineltest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

var queueTests = []contractTest{
	{"Due lists what can be claimed, longest due first", func(b *bench) {
		late, early, future := b.delivery("a", "late", b.at(2)), b.delivery("a", "early", b.at(1)), b.delivery("a", "future", b.at(9))
		leased, expired := b.delivery("a", "leased", b.at(1)), b.delivery("a", "expired", b.now.Add(-lease))
		sent := b.delivery("a", "sent", b.now)
		b.enqueue(late, early, future, leased, expired, sent)
		b.claim(leased, b.at(2))
		b.claim(expired, b.now.Add(-lease))
		b.settle(b.claim(sent, b.now), alert.Sent, b.now)
		require.Equal(b, []string{expired.ID, early.ID, late.ID}, b.due(b.at(2), 0))
		require.Equal(b, []string{expired.ID}, b.due(b.at(2), 1))
		require.Equal(b, []string{expired.ID, early.ID}, b.due(b.at(1), 0))
	}},
	{"what Due lists can be claimed at that very time, and NextDue is such a time", func(b *bench) {
		d := b.delivery("a", "t", b.at(1))
		b.enqueue(d)
		for range 3 {
			next := b.nextDue()
			require.Empty(b, b.due(next.Add(-time.Millisecond), 0))
			require.Equal(b, []string{d.ID}, b.due(next, 0))
			b.claim(d, next)
		}
	}},
	{"what is swept is listed later, is counted, and can be claimed as before", func(b *bench) {
		d := b.delivery("a", "t", b.now)
		b.enqueue(d)
		ref := sentinel.Ref{ID: d.ID, Try: 1}
		require.NoError(b, b.Sweep(b.ctx, ref, b.at(1), b.at(5)))
		require.Empty(b, b.due(b.at(4), 0))
		require.Equal(b, []string{d.ID}, b.due(b.at(5), 0))
		require.Equal(b, 1, b.read(d.ID).Swept)
		require.ErrorIs(b, b.Sweep(b.ctx, ref, b.at(4), b.at(9)), sentinel.ErrUnclaimable, "it was swept a moment ago")
		require.NoError(b, b.Sweep(b.ctx, ref, b.at(5), b.at(9)))
		require.Equal(b, 2, b.read(d.ID).Swept)
		require.Zero(b, b.claim(d, b.at(2)).Delivery.Swept, "someone took it")
		require.Equal(b, []string{d.ID}, b.due(b.at(2).Add(lease), 0), "it is listed again when the lease ends")
	}},
	{"nothing is swept that is settled, unknown, not due or of another try", func(b *bench) {
		sent, future, claimed := b.delivery("a", "sent", b.now), b.delivery("a", "future", b.at(5)), b.delivery("a", "claimed", b.now)
		b.enqueue(sent, future, claimed)
		b.settle(b.claim(sent, b.now), alert.Sent, b.now)
		b.claim(claimed, b.now)
		dead := b.delivery("a", "dead", b.now)
		b.enqueue(dead)
		b.settle(b.claim(dead, b.now), alert.Dead, b.now)
		for _, ref := range []sentinel.Ref{{ID: sent.ID, Try: 1}, {ID: dead.ID, Try: 1}, {ID: future.ID, Try: 1}, {ID: claimed.ID, Try: 1}, {ID: "dlv_unknown", Try: 1}} {
			require.ErrorIs(b, b.Sweep(b.ctx, ref, b.now, b.at(9)), sentinel.ErrUnclaimable)
		}
		require.ErrorIs(b, b.Sweep(b.ctx, sentinel.Ref{ID: future.ID, Try: 2}, b.at(6), b.at(9)), sentinel.ErrUnclaimable)
	}},
	{"NextDue is zero when nothing is open", func(b *bench) {
		require.True(b, b.nextDue().IsZero())
		d := b.delivery("a", "t", b.at(1))
		b.enqueue(d)
		require.True(b, b.nextDue().Equal(b.at(1)))
		claim := b.claim(d, b.at(1))
		require.True(b, b.nextDue().Equal(b.at(1).Add(lease)))
		b.settle(claim, alert.Dead, b.at(1))
		require.True(b, b.nextDue().IsZero())
	}},
	{"what is due elsewhere is not due in this scope", func(b *bench) {
		other := newBench(b.T, b.Runtime)
		other.scope = b.scope + " other"
		other.enqueue(other.delivery("a", "t", b.now))
		require.Empty(b, b.due(b.at(1), 0))
		require.True(b, b.nextDue().IsZero())
	}},
	{"deliveries are listed newest first and filtered", func(b *bench) {
		one, two, three := b.delivery("a", "t", b.at(1)), b.delivery("b", "t", b.at(2)), b.delivery("c", "t", b.at(3))
		three.Target.Channel = "slack"
		b.enqueue(two, three, one)
		b.settle(b.claim(one, b.at(1)), alert.Sent, b.at(1))
		for _, c := range []struct {
			filter sentinel.DeliveryFilter
			want   []string
		}{
			{sentinel.DeliveryFilter{}, []string{three.ID, two.ID, one.ID}},
			{sentinel.DeliveryFilter{Alerts: []string{"a", "c"}}, []string{three.ID, one.ID}},
			{sentinel.DeliveryFilter{Channel: "slack"}, []string{three.ID}},
			{sentinel.DeliveryFilter{Statuses: []alert.DeliveryStatus{alert.Sent, alert.Dead}}, []string{one.ID}},
			{sentinel.DeliveryFilter{RunID: two.Message.RunID}, []string{two.ID}},
			{sentinel.DeliveryFilter{Since: b.at(2)}, []string{three.ID, two.ID}},
			{sentinel.DeliveryFilter{Limit: 1}, []string{three.ID}},
			{sentinel.DeliveryFilter{Alerts: []string{"a"}, Channel: "slack"}, []string{}},
		} {
			c.filter.Scope = b.scope
			got, err := b.Deliveries(b.ctx, c.filter)
			require.NoError(b, err)
			require.Equal(b, c.want, ids(got), "%+v", c.filter)
		}
	}},
	{"counts tell failed sends, what is open and what is dead, by alert", func(b *bench) {
		one, two, other := b.delivery("a", "t", b.now), b.delivery("a", "t", b.at(1)), b.delivery("b", "u", b.now)
		b.enqueue(one, two, other)
		b.claim(other, b.now)
		s := settlement(b.claim(one, b.now), alert.Pending, b.now)
		s.Attempts = 1
		require.NoError(b, b.Settle(b.ctx, s))
		require.Equal(b, sentinel.DeliveryCounts{Failures: 1, Pending: 2}, b.counts()["a"])
		s = settlement(b.claim(one, b.now), alert.Dead, b.now)
		s.Attempts = 2
		require.NoError(b, b.Settle(b.ctx, s))
		require.Equal(b, sentinel.DeliveryCounts{Failures: 2, Pending: 1, Dead: 1}, b.counts()["a"])
		require.Equal(b, sentinel.DeliveryCounts{Pending: 1}, b.counts()["b"])
	}},
	{"a backlog tells what is not settled, by channel", func(b *bench) {
		early, late, mail, done := b.delivery("a", "t", b.at(-2)), b.delivery("b", "u", b.at(-1)), b.delivery("a", "v", b.now), b.delivery("a", "w", b.at(-3))
		early.Target.Channel, late.Target.Channel, mail.Target.Channel, done.Target.Channel = "webhook", "webhook", "email", "slack"
		early.Swept = sentinel.StuckAfter
		b.enqueue(early, late, mail, done)
		b.claim(late, b.now)
		b.settle(b.claim(done, b.now), alert.Sent, b.now)
		got, err := b.Backlog(b.ctx, b.scope)
		require.NoError(b, err)
		equal(b, []sentinel.Backlog{{Channel: "email", Pending: 1, Oldest: mail.CreatedAt}, {Channel: "webhook", Pending: 2, Stuck: 1, Oldest: early.CreatedAt}}, got)
		got, err = b.Backlog(b.ctx, "nobody's")
		require.NoError(b, err)
		require.Empty(b, got)
	}},
	{"a wait that the receiver asked for is no failure", func(b *bench) {
		d := b.delivery("a", "t", b.now)
		b.enqueue(d)
		b.settle(b.claim(d, b.now), alert.Pending, b.at(1))
		require.Zero(b, b.counts()["a"].Failures)
	}},
	{"the last channel is that of the last success", func(b *bench) {
		one, two := b.delivery("a", "t", b.now), b.delivery("a", "u", b.now)
		two.Target.Channel = "email"
		b.enqueue(one, two)
		b.settle(b.claim(two, b.now), alert.Sent, b.at(1))
		require.Equal(b, "email", b.counts()["a"].LastChannel)
		b.settle(b.claim(one, b.now), alert.Sent, b.at(2))
		counts := b.counts()["a"]
		require.Equal(b, "webhook", counts.LastChannel)
		require.True(b, counts.LastSent.Equal(b.at(2)))
	}},
	{"a dead delivery counts until its target takes a message or it is redriven", func(b *bench) {
		for i, target := range []string{"t", "t", "u"} {
			d := b.delivery("a", target, b.at(i))
			b.enqueue(d)
			b.settle(b.claim(d, b.at(i)), alert.Dead, b.at(i))
		}
		require.Equal(b, 3, b.counts()["a"].Dead)
		later := b.delivery("b", "t", b.at(5))
		b.enqueue(later)
		b.settle(b.claim(later, b.at(5)), alert.Sent, b.at(5))
		require.Equal(b, 1, b.counts()["a"].Dead)
		_, err := b.Redrive(b.ctx, b.delivery("a", "u", b.at(2)).ID, b.at(6))
		require.NoError(b, err)
		require.Equal(b, 0, b.counts()["a"].Dead)
		require.Equal(b, 1, b.counts()["a"].Pending)
	}},
}

func (b *bench) due(now time.Time, limit int) []string {
	b.Helper()
	all, err := b.Due(b.ctx, b.scope, now, limit)
	require.NoError(b, err)
	for _, d := range all {
		equal(b, b.read(d.ID), d)
	}
	return ids(all)
}

func (b *bench) nextDue() time.Time {
	b.Helper()
	next, err := b.NextDue(b.ctx, b.scope)
	require.NoError(b, err)
	return next
}

func (b *bench) counts() map[string]sentinel.DeliveryCounts {
	b.Helper()
	all, err := b.Counts(b.ctx, b.scope)
	require.NoError(b, err)
	return all
}
