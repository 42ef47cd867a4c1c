package local

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// sameRecord is cheap where both share their slices, as a decision's two copies do.
func sameRecord(a, b *alert.Record) bool {
	return a == b || a.RunID == b.RunID && reflect.DeepEqual(a, b)
}

// It tells whether the run was new.
func writeRecord(t *txn, r *alert.Record, body string) (bool, error) {
	added, err := t.exec("INSERT INTO history (run_id, scope, alert, scheduled, channels, body) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		r.RunID, r.Scope, r.Alert, sortable(r.Scheduled), channels(r.Deliveries), body)
	return added == 1, err
}

// channels lists the channels of a run's deliveries, each between commas; nil for none.
func channels(refs []alert.DeliveryRef) any {
	if len(refs) == 0 {
		return nil
	}
	var list strings.Builder
	for _, ref := range refs {
		if !strings.Contains(list.String(), ","+ref.Channel+",") {
			list.WriteString("," + ref.Channel + ",")
		}
	}
	return list.String()
}

// History implements sentinel.Store.
func (s *Store) History(ctx context.Context, filter sentinel.HistoryFilter) ([]alert.Record, error) {
	q := query{text: "SELECT body FROM history"}
	if filter.Scope != "" {
		q.where("scope = ?", filter.Scope)
	}
	if err := q.in("alert", filter.Alerts); err != nil {
		return nil, err
	}
	if filter.Channel != "" {
		q.where("channels IS NOT NULL AND instr(channels, ?) > 0", ","+filter.Channel+",")
	}
	if !filter.Since.IsZero() {
		q.where("scheduled >= ?", sortable(filter.Since))
	}
	q.end("ORDER BY scheduled DESC LIMIT ?", limit(filter.Limit))
	var all []alert.Record
	err := s.reads.each(ctx, q.text, q.args, func(scan func(...any) error) error {
		var body sql.RawBytes
		if err := scan(&body); err != nil {
			return err
		}
		var r alert.Record
		err := decode("a run", body, &r)
		all = append(all, r)
		return err
	})
	return all, s.wrap("read history", err)
}

// Record implements sentinel.Store. A run that notified is found by its id; any other by
// going through the ids of the scope, which are read without the rows.
func (s *Store) Record(ctx context.Context, scope, runID string) (alert.Record, error) {
	var r alert.Record
	var body []byte
	args := []any{scope, runID}
	found, err := s.reads.first(ctx, "SELECT body FROM history WHERE scope = ? AND run_id = ? AND channels IS NOT NULL", args, &body)
	if err == nil && !found {
		found, err = s.reads.first(ctx, `SELECT body FROM history WHERE id =
			(SELECT id FROM history INDEXED BY history_by_alert WHERE scope = ? AND run_id = ?)`, args, &body)
	}
	if err != nil {
		return r, s.wrap("read a run", err)
	}
	if !found {
		return r, fmt.Errorf("run %s: %w", runID, sentinel.ErrNotFound)
	}
	return r, s.wrap("read a run", decode("a run", body, &r))
}

// pruneStep is how many rows one transaction deletes, so that pruning holds nobody up.
const pruneStep = 1000

// Prune implements sentinel.Store. It deletes in several transactions, each short.
func (s *Store) Prune(ctx context.Context, scope string, before time.Time) error {
	for _, text := range []string{
		"DELETE FROM history WHERE id IN (SELECT id FROM history WHERE scope = ? AND scheduled < ? LIMIT ?)",
		`DELETE FROM deliveries WHERE n IN (SELECT n FROM deliveries
			WHERE scope = ?1 AND created < ?2 AND settled < ?2 AND status <> 'dead' LIMIT ?3)`,
	} {
		for more := true; more; {
			err := s.change(ctx, "prune history", func(t *txn) error {
				deleted, err := t.exec(text, scope, sortable(before), pruneStep)
				more = deleted == pruneStep
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// query is a SELECT that grows by its filter.
type query struct {
	text string
	args []any
}

func (q *query) where(condition string, args ...any) {
	word := " AND "
	if len(q.args) == 0 {
		word = " WHERE "
	}
	q.text += word + condition
	q.args = append(q.args, args...)
}

// in adds a condition on a column, if there are values to choose from. They travel as one
// JSON text, so that the query's text does not depend on their number.
func (q *query) in(column string, values []string) error {
	switch len(values) {
	case 0:
		return nil
	case 1: // which an index can put in order
		q.where(column+" = ?", values[0])
		return nil
	}
	list, err := encode("a filter", values)
	q.where(column+" IN (SELECT value FROM json_each(?))", list)
	return err
}

func (q *query) end(text string, args ...any) {
	q.text += " " + text
	q.args = append(q.args, args...)
}

// defaultLimit is how many rows a filter without a limit chooses.
const defaultLimit = 100

func limit(n int) int {
	if n <= 0 {
		return defaultLimit
	}
	return n
}
