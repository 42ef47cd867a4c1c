package local

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

const deliveryColumns = `SELECT body, status, try, try_started, attempts, crashes, due, lease_until, lease, settled,
	last_error, swept FROM deliveries`

// scanDelivery reads a row of deliveryColumns: what was decided, and where it stands.
func scanDelivery(scan func(...any) error) (alert.Delivery, error) {
	var body []byte
	var started, due, until, settled sql.NullInt64
	var now alert.Delivery
	err := scan(&body, &now.Status, &now.Try, &started, &now.Attempts, &now.Crashes, &due, &until, &now.Lease, &settled,
		&now.LastError, &now.Swept)
	if err != nil {
		return alert.Delivery{}, err
	}
	var d alert.Delivery
	if err := decode("a delivery", body, &d); err != nil {
		return d, err
	}
	d.Status, d.Try, d.TryStarted, d.Attempts, d.Crashes = now.Status, now.Try, moment(started), now.Attempts, now.Crashes
	d.DueAt, d.LeaseUntil, d.Lease, d.SettledAt = moment(due), moment(until), now.Lease, moment(settled)
	d.LastError, d.Swept = now.LastError, now.Swept
	return d, nil
}

// readDelivery reads one; false if there is none.
func readDelivery(ctx context.Context, from *statements, id string) (d alert.Delivery, found bool, err error) {
	err = from.each(ctx, deliveryColumns+" WHERE id = ?", []any{id}, func(scan func(...any) error) error {
		found = true
		d, err = scanDelivery(scan)
		return err
	})
	return d, found, err
}

// Delivery implements sentinel.Outbox.
func (s *Store) Delivery(ctx context.Context, id string) (alert.Delivery, error) {
	d, found, err := readDelivery(ctx, s.reads, id)
	if err == nil && !found {
		return d, fmt.Errorf("delivery %s: %w", id, sentinel.ErrNotFound)
	}
	return d, s.wrap("read a delivery", err)
}

func (s *Store) deliveries(ctx context.Context, what, query string, args ...any) ([]alert.Delivery, error) {
	var all []alert.Delivery
	err := s.reads.each(ctx, query, args, func(scan func(...any) error) error {
		d, err := scanDelivery(scan)
		all = append(all, d)
		return err
	})
	return all, s.wrap(what, err)
}

// Deliveries implements sentinel.Outbox.
func (s *Store) Deliveries(ctx context.Context, filter sentinel.DeliveryFilter) ([]alert.Delivery, error) {
	q := query{text: deliveryColumns}
	scope := "scope"
	if filter.RunID != "" {
		scope = "+scope" // a run has few deliveries: they are found by its index, not by the scope's
	}
	for _, f := range []struct{ column, value string }{{scope, filter.Scope}, {"channel", filter.Channel}, {"run_id", filter.RunID}} {
		if f.value != "" {
			q.where(f.column+" = ?", f.value)
		}
	}
	if !filter.Since.IsZero() {
		q.where("created >= ?", sortable(filter.Since))
	}
	statuses := make([]string, len(filter.Statuses))
	for i, status := range filter.Statuses {
		statuses[i] = string(status)
	}
	if err := q.in("status", statuses); err != nil {
		return nil, err
	}
	if err := q.in("alert", filter.Alerts); err != nil {
		return nil, err
	}
	q.end("ORDER BY created DESC, n DESC LIMIT ?", limit(filter.Limit))
	return s.deliveries(ctx, "read deliveries", q.text, q.args...)
}

// Due implements sentinel.Outbox.
func (s *Store) Due(ctx context.Context, scope string, now time.Time, max int) ([]alert.Delivery, error) {
	return s.DueExcept(ctx, scope, now, max, nil)
}

// DueExcept is Due without the deliveries to some targets, by id: of those the caller has
// enough.
func (s *Store) DueExcept(ctx context.Context, scope string, now time.Time, max int, targets []string) ([]alert.Delivery, error) {
	except, args := "", []any{}
	if len(targets) > 0 {
		list, err := json.Marshal(targets)
		if err != nil {
			return nil, err
		}
		except, args = " AND target NOT IN (SELECT value FROM json_each(?))", []any{string(list)}
	}
	look := func(when string, at time.Time, max int) ([]alert.Delivery, error) {
		return s.deliveries(ctx, "read what is due", deliveryColumns+" WHERE scope = ?"+when+except+" ORDER BY wake, n LIMIT ?",
			slices.Concat([]any{scope, sortable(at)}, args, []any{max})...)
	}
	due, err := look(" AND wake <= ?", now, limit(max))
	if err != nil || len(due) == limit(max) {
		return due, err
	}
	// The clock of this machine was set back under these.
	astray, err := look(" AND wake > ? AND status = 'pending'", now.Add(sentinel.LongestPause), limit(max)-len(due))
	return append(due, astray...), err
}

// NextDue implements sentinel.Outbox.
func (s *Store) NextDue(ctx context.Context, scope string) (time.Time, error) {
	var wake sql.NullInt64
	_, err := s.reads.first(ctx, "SELECT min(wake) FROM deliveries WHERE scope = ? AND wake IS NOT NULL", []any{scope}, &wake)
	return moment(wake), s.wrap("read what is due", err)
}

// Counts implements sentinel.Outbox.
func (s *Store) Counts(ctx context.Context, scope string) (map[string]sentinel.DeliveryCounts, error) {
	out := map[string]sentinel.DeliveryCounts{}
	query := `SELECT alert, failures, last_channel, last_sent, 0, 0, missed, skipped FROM counters WHERE scope = ?1
		UNION ALL SELECT alert, 0, '', NULL, count(*), 0, 0, 0 FROM deliveries INDEXED BY deliveries_open WHERE scope = ?1 AND wake IS NOT NULL GROUP BY alert
		UNION ALL SELECT alert, 0, '', NULL, 0, count(*), 0, 0 FROM deliveries INDEXED BY deliveries_mourned WHERE scope = ?1 AND mourned = 1 GROUP BY alert`
	err := s.reads.each(ctx, query, []any{scope}, func(scan func(...any) error) error {
		var name string
		var c sentinel.DeliveryCounts
		var sent sql.NullInt64
		if err := scan(&name, &c.Failures, &c.LastChannel, &sent, &c.Pending, &c.Dead, &c.Missed, &c.Skipped); err != nil {
			return err
		}
		sum := out[name]
		sum.Failures, sum.Pending, sum.Dead = sum.Failures+c.Failures, sum.Pending+c.Pending, sum.Dead+c.Dead
		sum.Missed, sum.Skipped = sum.Missed+c.Missed, sum.Skipped+c.Skipped
		if c.LastChannel != "" {
			sum.LastChannel, sum.LastSent = c.LastChannel, moment(sent)
		}
		out[name] = sum
		return nil
	})
	return out, s.wrap("count deliveries", err)
}

// Backlog implements sentinel.Outbox.
func (s *Store) Backlog(ctx context.Context, scope string) ([]sentinel.Backlog, error) {
	var all []sentinel.Backlog
	err := s.reads.each(ctx, `SELECT channel, count(*), sum(swept >= ?), min(ifnull(try_started, created)) FROM deliveries INDEXED BY deliveries_open
		WHERE scope = ? AND wake IS NOT NULL GROUP BY channel ORDER BY channel`, []any{sentinel.StuckAfter, scope}, func(scan func(...any) error) error {
		var b sentinel.Backlog
		var oldest sql.NullInt64
		err := scan(&b.Channel, &b.Pending, &b.Stuck, &oldest)
		b.Oldest = moment(oldest)
		all = append(all, b)
		return err
	})
	return all, s.wrap("count deliveries", err)
}
