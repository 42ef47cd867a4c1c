package local

import (
	"context"
	"sync"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// preloadAge is how long a preloaded state is trusted. An older one costs a read; a stale
// one costs a conflict, for the commit is guarded by the version.
const preloadAge = 30 * time.Second

// memory spares reading and decoding: definitions by their fingerprint, and what Preload
// read, each state for one Load.
type memory struct {
	mu          sync.Mutex
	definitions map[alert.ID]sentinel.Definition
	rows        map[alert.ID]loaded
	shared      map[alert.ID]alert.Outage // by scope and subject, beside rows
	read        time.Time                 // when rows were
	changes     int                       // counts what may have made rows stale
}

// definition returns what is known of an alert.
func (m *memory) definition(id alert.ID) (sentinel.Definition, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.definitions[id]
	return d, ok
}

func (m *memory) remember(definitions ...sentinel.Definition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.definitions == nil {
		m.definitions = make(map[alert.ID]sentinel.Definition, len(definitions))
	}
	for _, d := range definitions {
		m.definitions[d.Alert.ID()] = d
	}
}

func (m *memory) forget(scope string, names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range names {
		delete(m.definitions, alert.ID{Scope: scope, Name: name})
	}
}

// stale drops everything preloaded.
func (m *memory) stale() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes++
	m.rows, m.shared = nil, nil
}

// committed keeps the preloaded in step with what this process wrote.
func (m *memory) committed(id alert.ID, outages []alert.Outage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes++
	delete(m.rows, id)
	if m.shared == nil {
		return
	}
	for _, o := range outages {
		o.Version++
		key := alert.ID{Scope: o.Scope, Name: o.Subject}
		if o.Version > m.shared[key].Version {
			m.shared[key] = o
		}
	}
}

// take removes and returns what was preloaded for an alert, with its definition.
func (m *memory) take(id alert.ID, now time.Time) (loaded, sentinel.Definition, alert.Outage, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	row, ok := m.rows[id]
	if !ok {
		return loaded{}, sentinel.Definition{}, alert.Outage{}, false
	}
	delete(m.rows, id)
	known := m.definitions[id]
	if age := now.Sub(m.read); age < 0 || age > preloadAge || known.Fingerprint != row.fingerprint {
		return loaded{}, known, alert.Outage{}, false
	}
	subject := alert.DatabaseSubject(known.Alert.Database)
	outage, ok := m.shared[alert.ID{Scope: id.Scope, Name: subject}]
	if !ok {
		outage = alert.Outage{Scope: id.Scope, Subject: subject}
	}
	return row, known, outage, true
}

func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changes
}

// fill puts what Preload read in place, unless something changed while it was read.
func (m *memory) fill(since int, rows map[alert.ID]loaded, shared map[alert.ID]alert.Outage, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.changes == since {
		m.rows, m.shared, m.read = rows, shared, now
	}
}

// Remember tells the store definitions that the caller has anyway, so that Load does not
// decode those whose stored fingerprint is the same. It writes nothing.
func (s *Store) Remember(definitions []sentinel.Definition) { s.known.remember(definitions...) }

// Preload reads the states of a whole scope at once, for a caller that is about to Load
// most of its alerts: each of the next Loads takes the state from there, once, within 30
// seconds. A state that another process changes meanwhile makes the Commit fail with
// ErrConflict, and the Load after that reads the file.
func (s *Store) Preload(ctx context.Context, scope string) error {
	since, now := s.known.count(), s.now()
	shared, err := s.allOutages(ctx, scope)
	if err != nil {
		return s.wrap("preload outages", err)
	}
	rows := map[alert.ID]loaded{}
	err = s.reads.each(ctx, preloadQuery, []any{scope}, func(scan func(...any) error) error {
		var row loaded
		var name string
		err := scan(&name, &row.fingerprint, &row.since, &row.stateVersion, &row.state, &row.last, &row.sharing)
		rows[alert.ID{Scope: scope, Name: name}] = row
		return err
	})
	if err != nil {
		return s.wrap("preload states", err)
	}
	s.known.fill(since, rows, shared, now)
	return nil
}

const preloadQuery = `
SELECT d.name, d.fingerprint, d.scheduled_since, s.version, s.body, s.last, n.alerts
FROM definitions d
LEFT JOIN states s ON s.scope = d.scope AND s.alert = d.name
LEFT JOIN sharing n ON n.scope = d.scope AND n.database = d.database
WHERE d.scope = ?`

// allOutages reads the outages of a scope, the closed ones too.
func (s *Store) allOutages(ctx context.Context, scope string) (map[alert.ID]alert.Outage, error) {
	all := map[alert.ID]alert.Outage{}
	err := s.reads.each(ctx, "SELECT subject, version, body FROM outages WHERE scope = ?", []any{scope}, func(scan func(...any) error) error {
		outage, err := scanOutage(scope, scan)
		all[alert.ID{Scope: scope, Name: outage.Subject}] = outage
		return err
	})
	return all, err
}

// preloaded is Load from what Preload read; false if that has nothing usable.
func (s *Store) preloaded(id alert.ID) (sentinel.Snapshot, bool, error) {
	row, known, outage, ok := s.known.take(id, s.now())
	if !ok {
		return sentinel.Snapshot{}, false, nil
	}
	known.ScheduledSince = moment(row.since)
	state, err := decodeState(row.stateVersion, row.state, row.last)
	return sentinel.Snapshot{Definition: known, State: state, Database: outage, Sharing: int(row.sharing.Int64)}, true, err
}
