package sentineltest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

var claimTests = []contractTest{
	{"every field of a delivery comes back, by Delivery, Deliveries and Claim", func(b *bench) {
		want := fill[alert.Delivery](b.T, b.now)
		want.Scope, want.Status, want.Try, want.DueAt, want.After = b.scope, alert.Pending, 1, b.now, nil
		want.ID += b.scope
		want.Lease, want.LeaseUntil, want.SettledAt = "", time.Time{}, time.Time{}
		b.enqueue(want)
		equal(b, want, b.read(want.ID))
		all, err := b.Deliveries(b.ctx, sentinel.DeliveryFilter{Scope: b.scope})
		require.NoError(b, err)
		equal(b, []alert.Delivery{want}, all)
		claim := b.claim(want, b.now)
		want.Status, want.Lease, want.LeaseUntil = alert.Sending, claim.Lease, b.now.Add(lease)
		want.Swept = 0
		equal(b, want, claim.Delivery)
		equal(b, want, b.read(want.ID))
	}},
	{"a claimed delivery is nobody else's until the lease ends", func(b *bench) {
		d := b.delivery("a", "t", b.now)
		b.enqueue(d)
		b.claim(d, b.now)
		b.unclaimable(d, 1, b.now)
		b.unclaimable(d, 1, b.now.Add(lease-time.Millisecond))
	}},
	{"a claim that finds an expired lease counts a crash and has another lease", func(b *bench) {
		d := b.delivery("a", "t", b.now)
		b.enqueue(d)
		first := b.claim(d, b.now)
		require.Zero(b, first.Delivery.Crashes)
		second := b.claim(d, b.now.Add(lease))
		require.Equal(b, 1, second.Delivery.Crashes)
		require.NotEqual(b, first.Lease, second.Lease)
		require.True(b, second.Delivery.LeaseUntil.Equal(b.now.Add(2*lease)))
		require.Equal(b, 1, b.read(d.ID).Crashes)
	}},
	{"no lease is used twice", func(b *bench) {
		d := b.delivery("a", "t", b.now)
		b.enqueue(d)
		seen := map[string]bool{}
		for range 20 {
			claim := b.claim(d, b.now)
			require.NotEmpty(b, claim.Lease)
			require.False(b, seen[claim.Lease])
			seen[claim.Lease] = true
			b.settle(claim, alert.Pending, b.now)
		}
	}},
	{"a delivery that is unknown, settled, or of another try cannot be claimed", func(b *bench) {
		d := b.delivery("a", "t", b.now)
		b.unclaimable(d, 1, b.now)
		b.enqueue(d)
		b.unclaimable(d, 0, b.now)
		b.unclaimable(d, 2, b.now)
		for i, status := range []alert.DeliveryStatus{alert.Sent, alert.Dead, alert.Superseded} {
			settled := b.delivery("a", string(status), b.at(i))
			b.enqueue(settled)
			b.settle(b.claim(settled, b.at(i)), status, b.at(i))
			b.unclaimable(settled, 1, b.at(100))
		}
	}},
	{"a delivery cannot be claimed before it is due", func(b *bench) {
		d := b.delivery("a", "t", b.at(5))
		b.enqueue(d)
		b.unclaimable(d, 1, b.at(5).Add(-time.Millisecond))
		b.claim(d, b.at(5))
	}},
	{"a claim names the unsettled ones among its predecessors", func(b *bench) {
		sent, pending, claimed := b.delivery("a", "t", b.at(-3)), b.delivery("a", "t", b.at(-2)), b.delivery("a", "t", b.at(-1))
		last := b.delivery("a", "t", b.now)
		last.After = []string{sent.ID, pending.ID, claimed.ID, "dlv_pruned"}
		b.enqueue(sent, pending, claimed, last)
		b.settle(b.claim(sent, b.now), alert.Sent, b.now)
		b.claim(claimed, b.now)
		claim := b.claim(last, b.now)
		require.Equal(b, []string{pending.ID, claimed.ID}, ids(claim.Waiting))
		equal(b, b.read(claimed.ID), claim.Waiting[1])
	}},
	{"a claim names what stands before a superseded predecessor", func(b *bench) {
		first, second, third, last := b.delivery("a", "t", b.at(-3)), b.delivery("a", "t", b.at(-2)), b.delivery("a", "t", b.at(-1)), b.delivery("a", "t", b.now)
		second.After, third.After, last.After = []string{first.ID}, []string{second.ID}, []string{third.ID}
		b.enqueue(first, second, third, last)
		for _, d := range []alert.Delivery{second, third} {
			done, err := b.Supersede(b.ctx, d.ID, b.now)
			require.NoError(b, err)
			require.True(b, done)
		}
		claim := b.claim(last, b.now)
		require.Equal(b, []string{first.ID}, ids(claim.Waiting))
		b.settle(claim, alert.Pending, b.now)
		b.settle(b.claim(first, b.now), alert.Sent, b.now)
		require.Empty(b, b.claim(last, b.now).Waiting)
	}},
	{"a claim brings the outage of its target", func(b *bench) {
		outage := alert.Outage{Scope: b.scope, Subject: alert.TargetSubject("t"), Cause: "gone", Episode: &alert.Episode{ID: "ep"}}
		require.NoError(b, b.Commit(b.ctx, sentinel.Commit{ID: b.id("a"), Outages: []alert.Outage{outage}}))
		d, other := b.delivery("a", "t", b.now), b.delivery("a", "u", b.now)
		b.enqueue(d, other)
		outage.Version = 1
		equal(b, outage, b.claim(d, b.now).Outage)
		equal(b, alert.Outage{Scope: b.scope, Subject: alert.TargetSubject("u")}, b.claim(other, b.now).Outage)
	}},
	{"a claim says where a delivery stands, whatever the caller read before", func(b *bench) {
		d := b.delivery("a", "t", b.now)
		b.enqueue(d)
		s := settlement(b.claim(d, b.now), alert.Pending, b.at(1))
		s.Attempts, s.LastError, s.DueAt = 2, "HTTP 500", b.at(2)
		require.NoError(b, b.Settle(b.ctx, s))
		claim := b.claim(d, b.at(2))
		equal(b, b.read(d.ID), claim.Delivery)
		require.Equal(b, 2, claim.Delivery.Attempts)
		require.Equal(b, "HTTP 500", claim.Delivery.LastError)
	}},
	{"an unknown delivery is not found", func(b *bench) {
		_, err := b.Delivery(b.ctx, "dlv_unknown")
		require.ErrorIs(b, err, sentinel.ErrNotFound)
	}},
}

// unclaimable checks that a delivery cannot be claimed, and stays as it is.
func (b *bench) unclaimable(d alert.Delivery, try int, now time.Time) {
	b.Helper()
	before, _ := b.Delivery(b.ctx, d.ID)
	d.Try = try
	_, err := b.Claim(b.ctx, d, now, now.Add(lease))
	require.ErrorIs(b, err, sentinel.ErrUnclaimable)
	after, _ := b.Delivery(b.ctx, d.ID)
	equal(b, before, after)
}
