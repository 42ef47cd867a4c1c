// Package local keeps everything that SQL Sentinel remembers on one machine in one SQLite
// file: definitions, states, history, outages and the outbox. Several processes may use
// the file at the same time.
package local

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// A Store is the state on one machine: a sentinel.Store, sentinel.Outbox and
// sentinel.Queue. It is safe for concurrent use.
type Store struct {
	path  string
	now   func() time.Time
	db    *sql.DB // for reading
	reads *statements
	write *writer // nil: read-only
	known *memory
	wake  chan struct{}

	closing sync.Once
	closed  error
}

var (
	_ sentinel.Store  = (*Store)(nil)
	_ sentinel.Outbox = (*Store)(nil)
	_ sentinel.Queue  = (*Store)(nil)
)

// change runs a mutation in the next transaction.
func (s *Store) change(ctx context.Context, what string, do func(*txn) error) error {
	return s.hand(ctx, what, false, do)
}

// changeSoon runs a mutation that a message waits for: before others.
func (s *Store) changeSoon(ctx context.Context, what string, do func(*txn) error) error {
	return s.hand(ctx, what, true, do)
}

func (s *Store) hand(ctx context.Context, what string, urgent bool, do func(*txn) error) error {
	if s.write == nil {
		return s.wrap(what, ErrReadOnly)
	}
	queue := s.write.changes
	if urgent {
		queue = s.write.urgent
	}
	return s.wrap(what, s.write.apply(ctx, queue, do))
}

// wrap says what failed on which file. The named errors of the interfaces stay
// recognisable.
func (s *Store) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s in %s: %w", what, s.path, explain(err))
}

const loadQuery = `
SELECT d.fingerprint, d.scheduled_since, CASE WHEN d.fingerprint = ? THEN NULL ELSE d.body END,
	s.version, s.body, s.last, o.version, o.body, n.alerts
FROM definitions d
LEFT JOIN states s ON s.scope = d.scope AND s.alert = d.name
LEFT JOIN outages o ON o.scope = d.scope AND o.subject = CASE d.database WHEN '' THEN ? ELSE ? || d.database END
LEFT JOIN sharing n ON n.scope = d.scope AND n.database = d.database
WHERE d.scope = ? AND d.name = ?`

// loaded is a row of loadQuery.
type loaded struct {
	fingerprint   string
	since         sql.NullInt64
	definition    []byte
	stateVersion  sql.NullInt64
	state, last   []byte
	outageVersion sql.NullInt64
	outage        []byte
	sharing       sql.NullInt64
}

func (l *loaded) into() []any {
	return []any{
		&l.fingerprint, &l.since, &l.definition, &l.stateVersion, &l.state, &l.last,
		&l.outageVersion, &l.outage, &l.sharing,
	}
}

// Load implements sentinel.Store.
func (s *Store) Load(ctx context.Context, id alert.ID) (sentinel.Snapshot, error) {
	if snapshot, ok, err := s.preloaded(id); ok || err != nil {
		return snapshot, s.wrap("load an alert", err)
	}
	known, isKnown := s.known.definition(id)
	fingerprint := sql.NullString{String: known.Fingerprint, Valid: isKnown} // null equals nothing
	var row loaded
	found, err := s.reads.first(ctx, loadQuery,
		[]any{fingerprint, alert.DatabaseSubject(""), databasePrefix, id.Scope, id.Name}, row.into()...)
	if err != nil {
		return sentinel.Snapshot{}, s.wrap("load an alert", err)
	}
	if !found {
		return sentinel.Snapshot{}, fmt.Errorf("alert %q: %w", id.Name, sentinel.ErrNotFound)
	}
	snapshot, err := s.snapshot(id, known, row)
	return snapshot, s.wrap("load an alert", err)
}

// databasePrefix is what alert.DatabaseSubject puts before a name.
const databasePrefix = "database "

// snapshot decodes a row, but for a definition that is known already.
func (s *Store) snapshot(id alert.ID, known sentinel.Definition, row loaded) (sentinel.Snapshot, error) {
	out := sentinel.Snapshot{Definition: known, Sharing: int(row.sharing.Int64)}
	if row.definition != nil {
		out.Definition = sentinel.Definition{Fingerprint: row.fingerprint}
		if err := decode("a definition", row.definition, &out.Definition.Alert); err != nil {
			return out, err
		}
		s.known.remember(out.Definition)
	}
	out.Definition.ScheduledSince = moment(row.since)
	state, err := decodeState(row.stateVersion, row.state, row.last)
	if err != nil {
		return out, err
	}
	out.State = state
	out.Database, err = decodeOutage(id.Scope, alert.DatabaseSubject(out.Definition.Alert.Database), row.outageVersion, row.outage)
	return out, err
}

func decodeState(version sql.NullInt64, body, last []byte) (alert.State, error) {
	var state alert.State
	if !version.Valid {
		return state, nil
	}
	if err := decode("a state", body, &state); err != nil {
		return state, err
	}
	state.Version = version.Int64
	if last == nil {
		return state, nil
	}
	state.Last = new(alert.Record)
	return state, decode("the last run", last, state.Last)
}

// Commit implements sentinel.Store.
func (s *Store) Commit(ctx context.Context, c sentinel.Commit) error {
	w, err := encodeCommit(c)
	if err != nil {
		return err
	}
	if err := s.hand(ctx, "commit", len(c.Deliveries) > 0, w.apply); err != nil {
		return err
	}
	s.known.committed(c.ID, c.Outages)
	return nil
}

// A commitWrite is a sentinel.Commit made ready by its caller's goroutine, so that the
// writer only writes.
type commitWrite struct {
	id         alert.ID
	version    int64
	state      string // empty: unchanged
	last       any
	record     *alert.Record
	recordBody string
	outages    []outageWrite
	deliveries []deliveryWrite
	missed     int
	skipped    int
}

func encodeCommit(c sentinel.Commit) (*commitWrite, error) {
	w := &commitWrite{id: c.ID, record: c.Record, missed: c.Missed, skipped: c.Skipped}
	var err error
	if c.Record != nil {
		if w.recordBody, err = encode("a run", c.Record); err != nil {
			return nil, err
		}
	}
	if c.State != nil {
		if err := w.encodeState(*c.State); err != nil {
			return nil, err
		}
	}
	if w.outages, err = encodeOutages(c.Outages); err != nil {
		return nil, err
	}
	w.deliveries, err = encodeDeliveries(c.Deliveries)
	return w, err
}

// encodeState puts the record of the last run beside the state: mostly it is the one that
// goes into history, and is encoded once for both.
func (w *commitWrite) encodeState(state alert.State) error {
	var err error
	switch last := state.Last; {
	case last == nil:
	case w.record != nil && sameRecord(last, w.record):
		w.last = w.recordBody
	default:
		if w.last, err = encode("the last run", last); err != nil {
			return err
		}
	}
	w.version, state.Last = state.Version, nil
	state.Version++
	w.state, err = encode("a state", state)
	return err
}

// apply writes the commit. Every guard but the state's is read first; the state's is the
// first write, so that a conflict leaves nothing behind.
func (w *commitWrite) apply(t *txn) error {
	if err := checkOutages(t, w.outages); err != nil {
		return err
	}
	if w.state != "" {
		if err := w.writeState(t); err != nil {
			return err
		}
	}
	if err := writeOutages(t, w.outages); err != nil {
		return err
	}
	if err := writeDeliveries(t, w.deliveries); err != nil {
		return err
	}
	if w.record == nil {
		return nil
	}
	added, err := writeRecord(t, w.record, w.recordBody)
	if err != nil || !added || w.missed+w.skipped == 0 {
		return err
	}
	_, err = t.exec(`INSERT INTO counters (scope, alert, failures, last_channel, last_sent, missed, skipped) VALUES (?1, ?2, 0, '', NULL, ?3, ?4)
		ON CONFLICT DO UPDATE SET missed = missed + ?3, skipped = skipped + ?4`, w.id.Scope, w.id.Name, w.missed, w.skipped)
	return err
}

func (w *commitWrite) writeState(t *txn) error {
	var changed int64
	var err error
	if w.version == 0 {
		changed, err = t.exec("INSERT INTO states (scope, alert, version, body, last) VALUES (?, ?, 1, ?, ?) ON CONFLICT DO NOTHING",
			w.id.Scope, w.id.Name, w.state, w.last)
	} else {
		changed, err = t.exec("UPDATE states SET version = version + 1, body = ?, last = ? WHERE scope = ? AND alert = ? AND version = ?",
			w.state, w.last, w.id.Scope, w.id.Name, w.version)
	}
	if err == nil && changed == 0 {
		return fmt.Errorf("the state of %q: %w", w.id.Name, sentinel.ErrConflict)
	}
	return err
}

// States implements sentinel.Store.
func (s *Store) States(ctx context.Context, scope string) (map[string]alert.State, error) {
	out := map[string]alert.State{}
	err := s.reads.each(ctx, "SELECT alert, version, body, last FROM states WHERE scope = ?", []any{scope}, func(scan func(...any) error) error {
		var name string
		var version sql.NullInt64
		var body, last sql.RawBytes
		if err := scan(&name, &version, &body, &last); err != nil {
			return err
		}
		state, err := decodeState(version, body, last)
		out[name] = state
		return err
	})
	return out, s.wrap("read states", err)
}
