package sentineltest

import (
	"context"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

var settleTests = []contractTest{
	{"a settled delivery says what became of it and has no lease", func(b *bench) {
		for i, status := range []alert.DeliveryStatus{alert.Sent, alert.Dead, alert.Superseded} {
			d := b.delivery("a", string(status), b.at(i))
			b.enqueue(d)
			s := settlement(b.claim(d, b.at(i)), status, b.at(i+1))
			s.Attempts, s.Crashes, s.LastError = 2, 1, "the receiver said 404"
			require.NoError(b, b.Settle(b.ctx, s))
			d.Status, d.Attempts, d.Crashes, d.LastError, d.SettledAt, d.DueAt = status, 2, 1, s.LastError, b.at(i+1), s.DueAt
			equal(b, d, b.read(d.ID))
		}
	}},
	{"a delivery that is to be sent again is due when the settlement says", func(b *bench) {
		d := b.delivery("a", "t", b.now)
		b.enqueue(d)
		s := settlement(b.claim(d, b.now), alert.Pending, b.at(3))
		s.Attempts, s.LastError = 1, "the receiver said 500"
		require.NoError(b, b.Settle(b.ctx, s))
		got := b.read(d.ID)
		require.Equal(b, alert.Pending, got.Status)
		require.True(b, got.DueAt.Equal(b.at(3)))
		require.True(b, got.SettledAt.IsZero() && got.LeaseUntil.IsZero() && got.Lease == "")
		b.unclaimable(d, 1, b.at(2))
		require.Equal(b, 1, b.claim(d, b.at(3)).Delivery.Attempts)
	}},
	{"who lost the lease settles nothing", func(b *bench) {
		d := b.delivery("a", "t", b.now)
		b.enqueue(d)
		lost := b.claim(d, b.now)
		b.claim(d, b.now.Add(lease))
		before := b.read(d.ID)
		s := settlement(lost, alert.Dead, b.at(1))
		s.Outage = &alert.Outage{Scope: b.scope, Subject: alert.TargetSubject("t"), Episode: &alert.Episode{ID: "ep"}}
		s.Deliveries = []alert.Delivery{b.delivery("target t", "owner", b.now)}
		require.ErrorIs(b, b.Settle(b.ctx, s), sentinel.ErrUnclaimable)
		equal(b, before, b.read(d.ID))
		b.nothingFollowed(s)
	}},
	{"a lease that ran out but was not taken over still settles", func(b *bench) {
		d := b.delivery("a", "t", b.now)
		b.enqueue(d)
		b.settle(b.claim(d, b.now), alert.Sent, b.now.Add(2*lease))
		require.Equal(b, alert.Sent, b.read(d.ID).Status)
	}},
	{"a claim settles once, and an unknown delivery never", func(b *bench) {
		d := b.delivery("a", "t", b.now)
		b.enqueue(d)
		claim := b.claim(d, b.now)
		b.settle(claim, alert.Sent, b.now)
		require.ErrorIs(b, b.Settle(b.ctx, settlement(claim, alert.Dead, b.now)), sentinel.ErrUnclaimable)
		claim.Delivery.ID = "dlv_unknown"
		require.ErrorIs(b, b.Settle(b.ctx, settlement(claim, alert.Sent, b.now)), sentinel.ErrUnclaimable)
		require.Equal(b, alert.Sent, b.read(d.ID).Status)
	}},
	{"a delivery that was never claimed cannot be settled", func(b *bench) {
		d := b.delivery("a", "t", b.now)
		b.enqueue(d)
		s := sentinel.Settlement{ID: d.ID, Lease: "", Status: alert.Sent, At: b.now}
		require.ErrorIs(b, b.Settle(b.ctx, s), sentinel.ErrUnclaimable)
		require.Equal(b, alert.Pending, b.read(d.ID).Status)
	}},
	{"a settlement's outage and messages come into being with it", func(b *bench) {
		s := b.death()
		require.NoError(b, b.Settle(b.ctx, s))
		require.Equal(b, alert.Dead, b.read(s.ID).Status)
		got, err := b.Outage(b.ctx, b.scope, s.Outage.Subject)
		require.NoError(b, err)
		want := *s.Outage
		want.Version = 1
		equal(b, want, got)
		equal(b, s.Deliveries[0], b.read(s.Deliveries[0].ID))
	}},
	{"an outage that changed meanwhile is a conflict, and the claim still holds", func(b *bench) {
		s := b.death()
		require.NoError(b, b.Commit(b.ctx, sentinel.Commit{ID: b.id("a"), Outages: []alert.Outage{{Scope: b.scope, Subject: s.Outage.Subject}}}))
		require.ErrorIs(b, b.Settle(b.ctx, s), sentinel.ErrConflict)
		require.Equal(b, alert.Sending, b.read(s.ID).Status)
		_, err := b.Delivery(b.ctx, s.Deliveries[0].ID)
		require.ErrorIs(b, err, sentinel.ErrNotFound)
		s.Outage.Version = 1
		require.NoError(b, b.Settle(b.ctx, s))
		require.Equal(b, alert.Dead, b.read(s.ID).Status)
	}},
	{"a settlement whose caller has gone before it began writes nothing", func(b *bench) {
		s := b.death()
		gone, cancel := context.WithCancel(b.ctx)
		cancel()
		require.ErrorIs(b, b.Settle(gone, s), context.Canceled)
		require.Equal(b, alert.Sending, b.read(s.ID).Status)
		b.nothingFollowed(s)
	}},
	{"Supersede settles what is pending, once", func(b *bench) {
		d := b.delivery("a", "t", b.now)
		b.enqueue(d)
		done, err := b.Supersede(b.ctx, d.ID, b.at(1))
		require.NoError(b, err)
		require.True(b, done)
		got := b.read(d.ID)
		require.Equal(b, alert.Superseded, got.Status)
		require.True(b, got.SettledAt.Equal(b.at(1)))
		done, err = b.Supersede(b.ctx, d.ID, b.at(2))
		require.NoError(b, err)
		require.False(b, done)
		b.unclaimable(d, 1, b.at(2))
	}},
	{"Supersede leaves what is being sent, settled or unknown", func(b *bench) {
		claimed, sent := b.delivery("a", "t", b.now), b.delivery("a", "u", b.now)
		b.enqueue(claimed, sent)
		b.claim(claimed, b.now)
		b.settle(b.claim(sent, b.now), alert.Sent, b.now)
		for _, id := range []string{claimed.ID, sent.ID, "dlv_unknown"} {
			done, err := b.Supersede(b.ctx, id, b.at(1))
			require.NoError(b, err)
			require.False(b, done)
		}
		require.Equal(b, alert.Sending, b.read(claimed.ID).Status)
		require.Equal(b, alert.Sent, b.read(sent.ID).Status)
	}},
	{"Redrive opens a dead delivery under a higher try, with counters at zero", func(b *bench) {
		s := b.death()
		s.Attempts, s.Crashes = 3, 2
		require.NoError(b, b.Settle(b.ctx, s))
		ref, err := b.Redrive(b.ctx, s.ID, b.at(5))
		require.NoError(b, err)
		require.Equal(b, sentinel.Ref{ID: s.ID, Try: 2}, ref)
		got := b.read(s.ID)
		require.Equal(b, alert.Pending, got.Status)
		require.Equal(b, [3]int{2, 0, 0}, [3]int{got.Try, got.Attempts, got.Crashes})
		require.True(b, got.TryStarted.Equal(b.at(5)) && got.DueAt.Equal(b.at(5)) && got.SettledAt.IsZero())
		b.unclaimable(got, 1, b.at(6))
		b.claim(got, b.at(5))
	}},
	{"Redrive finds only dead deliveries", func(b *bench) {
		d := b.delivery("a", "t", b.now)
		b.enqueue(d)
		for _, id := range []string{d.ID, "dlv_unknown"} {
			_, err := b.Redrive(b.ctx, id, b.now)
			require.ErrorIs(b, err, sentinel.ErrNotFound)
		}
		b.settle(b.claim(d, b.now), alert.Sent, b.now)
		_, err := b.Redrive(b.ctx, d.ID, b.now)
		require.ErrorIs(b, err, sentinel.ErrNotFound)
	}},
}

// death is the settlement of a claimed delivery that dies, with the message about it.
func (b *bench) death() sentinel.Settlement {
	b.Helper()
	d := b.delivery("a", "t", b.now)
	b.enqueue(d)
	s := settlement(b.claim(d, b.now), alert.Dead, b.at(1))
	s.Outage = &alert.Outage{Scope: b.scope, Subject: alert.TargetSubject("t"), Episode: &alert.Episode{ID: "ep"}, Cause: "404"}
	s.Deliveries = []alert.Delivery{b.delivery("target t", "owner", b.now)}
	return s
}

// nothingFollowed checks that a refused settlement opened no outage and told nobody.
func (b *bench) nothingFollowed(s sentinel.Settlement) {
	b.Helper()
	outage, err := b.Outage(b.ctx, b.scope, s.Outage.Subject)
	require.NoError(b, err)
	require.Nil(b, outage.Episode)
	_, err = b.Delivery(b.ctx, s.Deliveries[0].ID)
	require.ErrorIs(b, err, sentinel.ErrNotFound)
}
