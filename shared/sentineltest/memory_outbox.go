package sentineltest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// Claim implements sentinel.Outbox.
func (m *Memory) Claim(_ context.Context, read alert.Delivery, now, until time.Time) (sentinel.Claim, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.deliveries[read.ID]
	if !ok || d.Try != read.Try || !claimable(d, now) {
		return sentinel.Claim{}, sentinel.ErrUnclaimable
	}
	if d.Status == alert.Sending {
		d.Crashes++
	}
	m.claims++
	d.Status, d.LeaseUntil, d.Lease, d.Swept = alert.Sending, until, fmt.Sprintf("lease-%d", m.claims), 0
	delete(m.swept, d.ID)
	m.deliveries[d.ID] = d
	claim := sentinel.Claim{Delivery: d, Lease: d.Lease, Outage: m.outage(d.Scope, alert.TargetSubject(d.Target.ID))}
	claim.Waiting = m.unsettled(d.After)
	return claim, nil
}

// unsettled are those of the deliveries that still stand before another; what stands
// before a superseded one stands before its follower.
func (m *Memory) unsettled(ids []string) []alert.Delivery {
	var out []alert.Delivery
	for _, id := range ids {
		switch d, ok := m.deliveries[id]; {
		case ok && d.Status == alert.Superseded:
			out = append(out, m.unsettled(d.After)...)
		case ok && !d.Status.Settled():
			out = append(out, d)
		}
	}
	return out
}

func claimable(d alert.Delivery, now time.Time) bool {
	return d.Status == alert.Pending && !d.DueAt.After(now) || d.Status == alert.Sending && !d.LeaseUntil.After(now)
}

// Settle implements sentinel.Outbox.
func (m *Memory) Settle(ctx context.Context, s sentinel.Settlement) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.deliveries[s.ID]
	if d.Status != alert.Sending || d.Lease != s.Lease {
		return sentinel.ErrUnclaimable
	}
	var outages []alert.Outage
	if s.Outage != nil {
		outages = append(outages, *s.Outage)
	}
	if !m.current(outages) {
		return sentinel.ErrConflict
	}
	id := alert.ID{Scope: d.Scope, Name: d.Alert}
	counts := m.counts[id]
	counts.Failures += s.Attempts - d.Attempts
	if s.Status == alert.Sent {
		counts.LastChannel, counts.LastSent = d.Target.Channel, s.At
	}
	m.counts[id] = counts
	d.Status, d.DueAt, d.Attempts, d.Crashes, d.LastError = s.Status, s.DueAt, s.Attempts, s.Crashes, s.LastError
	d.Lease, d.LeaseUntil = "", time.Time{}
	if s.Status.Settled() {
		d.SettledAt = s.At
	}
	m.deliveries[d.ID] = d
	m.add(outages, s.Deliveries)
	return nil
}

// Supersede implements sentinel.Outbox.
func (m *Memory) Supersede(_ context.Context, id string, at time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.deliveries[id]
	if !ok || d.Status != alert.Pending {
		return false, nil
	}
	d.Status, d.SettledAt = alert.Superseded, at
	m.deliveries[id] = d
	return true, nil
}

// Due implements sentinel.Outbox.
func (m *Memory) Due(_ context.Context, scope string, now time.Time, n int) ([]alert.Delivery, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []alert.Delivery
	for _, id := range m.decided {
		if d := m.deliveries[id]; d.Scope == scope && claimable(d, now) {
			out = append(out, d)
		}
	}
	out = slices.DeleteFunc(out, func(d alert.Delivery) bool { return m.swept[d.ID].After(now) })
	slices.SortStableFunc(out, func(a, b alert.Delivery) int { return dueAt(a).Compare(dueAt(b)) })
	return out[:min(len(out), limit(n))], nil
}

// Sweep implements sentinel.Outbox.
func (m *Memory) Sweep(_ context.Context, ref sentinel.Ref, now, until time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.deliveries[ref.ID]
	if !ok || d.Try != ref.Try || !claimable(d, now) || m.swept[d.ID].After(now) {
		return sentinel.ErrUnclaimable
	}
	d.Swept++
	m.deliveries[d.ID], m.swept[d.ID] = d, until
	return nil
}

func dueAt(d alert.Delivery) time.Time {
	if d.Status == alert.Sending {
		return d.LeaseUntil
	}
	return d.DueAt
}

// NextDue implements sentinel.Outbox.
func (m *Memory) NextDue(_ context.Context, scope string) (time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var first time.Time
	for _, d := range m.deliveries {
		if d.Scope == scope && !d.Status.Settled() && (first.IsZero() || dueAt(d).Before(first)) {
			first = dueAt(d)
		}
	}
	return first, nil
}

// Redrive implements sentinel.Outbox.
func (m *Memory) Redrive(_ context.Context, id string, now time.Time) (sentinel.Ref, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.deliveries[id]
	if !ok || d.Status != alert.Dead {
		return sentinel.Ref{}, sentinel.ErrNotFound
	}
	d.Status, d.Attempts, d.Crashes, d.Swept, d.LastError = alert.Pending, 0, 0, 0, ""
	d.Try, d.DueAt, d.TryStarted, d.SettledAt = d.Try+1, now, now, time.Time{}
	m.deliveries[id] = d
	return sentinel.Ref{ID: id, Try: d.Try}, nil
}

// Delivery implements sentinel.Outbox.
func (m *Memory) Delivery(_ context.Context, id string) (alert.Delivery, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.deliveries[id]
	if !ok {
		return alert.Delivery{}, sentinel.ErrNotFound
	}
	return d, nil
}

// Deliveries implements sentinel.Outbox.
func (m *Memory) Deliveries(_ context.Context, f sentinel.DeliveryFilter) ([]alert.Delivery, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []alert.Delivery
	for _, id := range m.decided {
		d := m.deliveries[id]
		if d.Scope != f.Scope || !chosen(f.Alerts, d.Alert) || f.Channel != "" && d.Target.Channel != f.Channel {
			continue
		}
		if len(f.Statuses) > 0 && !slices.Contains(f.Statuses, d.Status) || f.RunID != "" && d.Message.RunID != f.RunID || d.CreatedAt.Before(f.Since) {
			continue
		}
		out = append(out, d)
	}
	slices.SortStableFunc(out, func(a, b alert.Delivery) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return out[:min(len(out), limit(f.Limit))], nil
}
