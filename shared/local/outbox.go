package local

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// A deliveryWrite is a delivery made ready to be written.
type deliveryWrite struct {
	alert.Delivery
	body string
}

func encodeDeliveries(deliveries []alert.Delivery) ([]deliveryWrite, error) {
	var all []deliveryWrite
	for _, d := range deliveries {
		body, err := encode("a delivery", d)
		if err != nil {
			return nil, err
		}
		all = append(all, deliveryWrite{d, body})
	}
	return all, nil
}

// writeDeliveries adds deliveries to the outbox; those already there stay as they are.
func writeDeliveries(t *txn, deliveries []deliveryWrite) error {
	for _, d := range deliveries {
		_, err := t.exec(`INSERT INTO deliveries (id, scope, alert, target, channel, run_id, created, body, status, try, try_started,
			attempts, crashes, due, lease_until, lease, settled, last_error, swept, wake, mourned)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
			d.ID, d.Scope, d.Alert, d.Target.ID, d.Target.Channel, d.Message.RunID, sortable(d.CreatedAt), d.body, string(d.Status), d.Try,
			nanos(d.TryStarted), d.Attempts, d.Crashes, nanos(d.DueAt), nanos(d.LeaseUntil), d.Lease, nanos(d.SettledAt), d.LastError, d.Swept,
			wake(d.Delivery), d.Status == alert.Dead)
		if err != nil {
			return err
		}
	}
	return nil
}

// wake is when the delivery can be claimed: null once it is settled.
func wake(d alert.Delivery) any {
	switch {
	case d.Status.Settled():
		return nil
	case d.Status == alert.Sending:
		return sortable(d.LeaseUntil)
	}
	return sortable(d.DueAt)
}

// takeQuery claims a delivery that is pending and due, as astray is too, or whose lease
// has ended.
const takeQuery = `UPDATE deliveries SET crashes = crashes + (status = 'sending'), status = 'sending', lease = ?1, lease_until = ?2, wake = ?2, swept = 0
	WHERE id = ?3 AND try = ?4 AND (status = 'pending' AND (ifnull(due, ?5) <= ?5 OR due > ?6) OR status = 'sending' AND ifnull(lease_until, ?5) <= ?5)
	RETURNING try_started, attempts, crashes, due, last_error`

// Claim implements sentinel.Outbox.
func (s *Store) Claim(ctx context.Context, d alert.Delivery, now, until time.Time) (sentinel.Claim, error) {
	d.Status, d.Lease, d.LeaseUntil, d.SettledAt, d.Swept = alert.Sending, rand.Text(), until.UTC(), time.Time{}, 0
	out := sentinel.Claim{Lease: d.Lease}
	err := s.changeSoon(ctx, "claim a delivery", func(t *txn) error {
		var started, due sql.NullInt64
		found, err := t.first(takeQuery, []any{d.Lease, sortable(until), d.ID, d.Try, sortable(now), sortable(now.Add(sentinel.LongestPause))},
			&started, &d.Attempts, &d.Crashes, &due, &d.LastError)
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("delivery %s: %w", d.ID, sentinel.ErrUnclaimable)
		}
		d.TryStarted, d.DueAt = moment(started), moment(due)
		out.Delivery = d
		if out.Waiting, err = unsettled(t, d.After); err != nil {
			return err
		}
		out.Outage, err = readOutage(context.Background(), t.stmts, d.Scope, alert.TargetSubject(d.Target.ID))
		return err
	})
	if err != nil {
		return sentinel.Claim{}, err
	}
	return out, nil
}

// unsettled reads those of the deliveries that still stand before another; what stands
// before a superseded one stands before its follower.
func unsettled(t *txn, ids []string) ([]alert.Delivery, error) {
	var all []alert.Delivery
	for _, id := range ids {
		d, found, err := readDelivery(context.Background(), t.stmts, id)
		if err != nil {
			return nil, err
		}
		switch {
		case found && d.Status == alert.Superseded:
			before, err := unsettled(t, d.After)
			if err != nil {
				return nil, err
			}
			all = append(all, before...)
		case found && !d.Status.Settled():
			all = append(all, d)
		}
	}
	return all, nil
}

// Settle implements sentinel.Outbox.
func (s *Store) Settle(ctx context.Context, settlement sentinel.Settlement) error {
	var changed []alert.Outage
	if settlement.Outage != nil {
		changed = append(changed, *settlement.Outage)
	}
	outages, err := encodeOutages(changed)
	if err != nil {
		return err
	}
	deliveries, err := encodeDeliveries(settlement.Deliveries)
	if err != nil {
		return err
	}
	err = s.changeSoon(ctx, "settle a delivery", func(t *txn) error {
		d, err := held(t, settlement)
		if err != nil {
			return err
		}
		if err := checkOutages(t, outages); err != nil {
			return err
		}
		if err := settle(t, d, settlement); err != nil {
			return err
		}
		if err := writeOutages(t, outages); err != nil {
			return err
		}
		return writeDeliveries(t, deliveries)
	})
	if err == nil {
		s.known.committed(alert.ID{}, changed)
	}
	return err
}

// held reads what settling needs of the delivery, if the lease is still the caller's.
func held(t *txn, s sentinel.Settlement) (alert.Delivery, error) {
	d := alert.Delivery{ID: s.ID}
	found, err := t.first("SELECT scope, alert, target, channel, status, lease, attempts FROM deliveries WHERE id = ?", []any{s.ID},
		&d.Scope, &d.Alert, &d.Target.ID, &d.Target.Channel, &d.Status, &d.Lease, &d.Attempts)
	if err == nil && (!found || d.Status != alert.Sending || d.Lease != s.Lease) {
		return d, fmt.Errorf("delivery %s: the lease is lost: %w", s.ID, sentinel.ErrUnclaimable)
	}
	return d, err
}

// settle writes where the delivery stands now, and counts it.
func settle(t *txn, d alert.Delivery, s sentinel.Settlement) error {
	failures := max(s.Attempts-d.Attempts, 0)
	d.Status, d.DueAt, d.Attempts, d.Crashes, d.LastError = s.Status, s.DueAt, s.Attempts, s.Crashes, s.LastError
	var settled any
	if s.Status.Settled() {
		settled = nanos(s.At)
	}
	_, err := t.exec(`UPDATE deliveries SET status = ?, due = ?, attempts = ?, crashes = ?, last_error = ?, settled = ?,
		lease = '', lease_until = NULL, wake = ?, mourned = ? WHERE id = ?`,
		string(s.Status), nanos(s.DueAt), s.Attempts, s.Crashes, s.LastError, settled, wake(d), s.Status == alert.Dead, d.ID)
	if err != nil {
		return err
	}
	if s.Status == alert.Sent {
		return countSent(t, d, failures, s.At)
	}
	return countFailures(t, d, failures)
}

func countFailures(t *txn, d alert.Delivery, failures int) error {
	if failures == 0 {
		return nil
	}
	_, err := t.exec(`INSERT INTO counters (scope, alert, failures, last_channel, last_sent) VALUES (?1, ?2, ?3, '', NULL)
		ON CONFLICT DO UPDATE SET failures = failures + ?3`, d.Scope, d.Alert, failures)
	return err
}

// countSent notes a success. The dead deliveries of the same target are mourned no more.
func countSent(t *txn, d alert.Delivery, failures int, at time.Time) error {
	_, err := t.exec(`INSERT INTO counters (scope, alert, failures, last_channel, last_sent) VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT DO UPDATE SET failures = failures + ?3, last_channel = ?4, last_sent = ?5`,
		d.Scope, d.Alert, failures, d.Target.Channel, nanos(at))
	if err != nil {
		return err
	}
	_, err = t.exec("UPDATE deliveries SET mourned = 0 WHERE scope = ? AND target = ? AND mourned = 1", d.Scope, d.Target.ID)
	return err
}

// Supersede implements sentinel.Outbox.
func (s *Store) Supersede(ctx context.Context, id string, at time.Time) (bool, error) {
	var done bool
	err := s.change(ctx, "supersede a delivery", func(t *txn) error {
		changed, err := t.exec("UPDATE deliveries SET status = 'superseded', settled = ?, wake = NULL WHERE id = ? AND status = 'pending'",
			nanos(at), id)
		done = changed == 1
		return err
	})
	return done && err == nil, err
}

// Sweep implements sentinel.Outbox.
func (s *Store) Sweep(ctx context.Context, ref sentinel.Ref, now, until time.Time) error {
	return s.change(ctx, "sweep a delivery", func(t *txn) error {
		changed, err := t.exec("UPDATE deliveries SET wake = ?, swept = swept + 1 WHERE id = ? AND try = ? AND wake <= ?", sortable(until), ref.ID, ref.Try, sortable(now))
		if err == nil && changed == 0 {
			err = fmt.Errorf("delivery %s: %w", ref.ID, sentinel.ErrUnclaimable)
		}
		return err
	})
}

// Redrive implements sentinel.Outbox.
func (s *Store) Redrive(ctx context.Context, id string, now time.Time) (sentinel.Ref, error) {
	ref := sentinel.Ref{ID: id}
	err := s.change(ctx, "redrive a delivery", func(t *txn) error {
		found, err := t.first("SELECT try + 1 FROM deliveries WHERE id = ? AND status = 'dead'", []any{id}, &ref.Try)
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("dead delivery %s: %w", id, sentinel.ErrNotFound)
		}
		_, err = t.exec(`UPDATE deliveries SET status = 'pending', try = ?2, try_started = ?3, attempts = 0, crashes = 0, swept = 0, last_error = '',
			due = ?3, wake = ?4, settled = NULL, mourned = 0 WHERE id = ?1`, id, ref.Try, nanos(now), sortable(now))
		return err
	})
	if err != nil {
		return sentinel.Ref{}, err
	}
	return ref, nil
}
