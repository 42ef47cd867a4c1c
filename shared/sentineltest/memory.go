// Package sentineltest holds what every runtime must pass: the contract of its stores,
// and the stories, which tell what people hear in which case.
package sentineltest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// Memory is a runtime that forgets everything when it ends: the simplest one that keeps
// the contract, for tests that play many histories.
type Memory struct {
	mu          sync.Mutex
	definitions map[alert.ID]sentinel.Definition
	states      map[alert.ID]alert.State
	records     map[string]alert.Record
	order       []string // run ids as they came
	outages     map[[2]string]alert.Outage
	deliveries  map[string]alert.Delivery
	swept       map[string]time.Time // until when Due leaves it out
	decided     []string             // delivery ids as they came
	counts      map[alert.ID]sentinel.DeliveryCounts
	claims      int
}

// NewMemory returns an empty runtime.
func NewMemory() *Memory {
	return &Memory{
		definitions: map[alert.ID]sentinel.Definition{}, states: map[alert.ID]alert.State{}, records: map[string]alert.Record{},
		outages: map[[2]string]alert.Outage{}, deliveries: map[string]alert.Delivery{}, swept: map[string]time.Time{}, counts: map[alert.ID]sentinel.DeliveryCounts{},
	}
}

// copied returns a deep copy, as a store that writes JSON gives one. Deliveries and
// definitions are copied when they are written only: nobody changes what they point to.
func copied[T any](v T) T {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("sentineltest: a value that does not marshal: %v", err))
	}
	var out T
	if err := json.Unmarshal(text, &out); err != nil {
		panic(fmt.Sprintf("sentineltest: a value that does not unmarshal: %v", err))
	}
	return out
}

// Enqueue does nothing: whoever drains asks the outbox.
func (m *Memory) Enqueue(context.Context, []alert.Delivery) error { return nil }

// Load implements sentinel.Store.
func (m *Memory) Load(_ context.Context, id alert.ID) (sentinel.Snapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	definition, ok := m.definitions[id]
	if !ok {
		return sentinel.Snapshot{}, sentinel.ErrNotFound
	}
	out := sentinel.Snapshot{Definition: definition}
	if state, ran := m.states[id]; ran {
		out.State = copied(state)
	}
	out.Database = m.outage(id.Scope, alert.DatabaseSubject(definition.Alert.Database))
	for other, d := range m.definitions {
		if other.Scope == id.Scope && d.Alert.Enabled && d.Alert.Database == definition.Alert.Database {
			out.Sharing++
		}
	}
	return out, nil
}

func (m *Memory) outage(scope, subject string) alert.Outage {
	out, known := m.outages[[2]string{scope, subject}]
	if known {
		out = copied(out)
	}
	out.Scope, out.Subject = scope, subject
	return out
}

// Commit implements sentinel.Store.
func (m *Memory) Commit(ctx context.Context, c sentinel.Commit) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.State != nil && m.states[c.ID].Version != c.State.Version || !m.current(c.Outages) {
		return sentinel.ErrConflict
	}
	if c.State != nil {
		state := copied(*c.State)
		state.Version++
		m.states[c.ID] = state
	}
	if c.Record != nil {
		if _, known := m.records[c.Record.RunID]; !known {
			m.records[c.Record.RunID] = copied(*c.Record)
			m.order = append(m.order, c.Record.RunID)
		}
	}
	m.add(c.Outages, c.Deliveries)
	return nil
}

func (m *Memory) current(outages []alert.Outage) bool {
	for _, o := range outages {
		if m.outages[[2]string{o.Scope, o.Subject}].Version != o.Version {
			return false
		}
	}
	return true
}

func (m *Memory) add(outages []alert.Outage, deliveries []alert.Delivery) {
	for _, o := range outages {
		o = copied(o)
		o.Version++
		m.outages[[2]string{o.Scope, o.Subject}] = o
	}
	for _, d := range deliveries {
		if _, known := m.deliveries[d.ID]; !known {
			m.deliveries[d.ID] = copied(d)
			m.decided = append(m.decided, d.ID)
		}
	}
}

// Outage implements sentinel.Store.
func (m *Memory) Outage(_ context.Context, scope, subject string) (alert.Outage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.outage(scope, subject), nil
}

// Outages implements sentinel.Store.
func (m *Memory) Outages(_ context.Context, scope string) ([]alert.Outage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []alert.Outage
	for key, o := range m.outages {
		if key[0] == scope && o.Episode != nil {
			out = append(out, copied(o))
		}
	}
	slices.SortFunc(out, func(a, b alert.Outage) int { return cmp.Compare(a.Subject, b.Subject) })
	return out, nil
}

// Fingerprints implements sentinel.Store.
func (m *Memory) Fingerprints(_ context.Context, scope string) (map[string]sentinel.Fingerprint, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]sentinel.Fingerprint{}
	for id, d := range m.definitions {
		if id.Scope == scope {
			out[id.Name] = sentinel.Fingerprint{Hash: d.Fingerprint, ScheduledSince: d.ScheduledSince}
		}
	}
	return out, nil
}

// Definitions implements sentinel.Store.
func (m *Memory) Definitions(_ context.Context, scope string) (map[string]sentinel.Definition, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]sentinel.Definition{}
	for id, d := range m.definitions {
		if id.Scope == scope {
			out[id.Name] = d
		}
	}
	return out, nil
}

// States implements sentinel.Store.
func (m *Memory) States(_ context.Context, scope string) (map[string]alert.State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return inScope(m.states, scope), nil
}

// Counts implements sentinel.Outbox.
func (m *Memory) Counts(_ context.Context, scope string) (map[string]sentinel.DeliveryCounts, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := inScope(m.counts, scope)
	for _, d := range m.deliveries {
		if d.Scope != scope {
			continue
		}
		c := out[d.Alert]
		switch d.Status {
		case alert.Pending, alert.Sending:
			c.Pending++
		case alert.Dead:
			if !m.answeredSince(d) {
				c.Dead++
			}
		case alert.Sent, alert.Superseded:
		}
		out[d.Alert] = c
	}
	return out, nil
}

// Backlog implements sentinel.Outbox.
func (m *Memory) Backlog(_ context.Context, scope string) ([]sentinel.Backlog, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var open []alert.Delivery
	for _, d := range m.deliveries {
		if d.Scope == scope && !d.Status.Settled() {
			open = append(open, d)
		}
	}
	return sentinel.BacklogOf(open), nil
}

// answeredSince tells whether the target of a dead delivery took a message since.
func (m *Memory) answeredSince(dead alert.Delivery) bool {
	for _, d := range m.deliveries {
		if d.Scope == dead.Scope && d.Target.ID == dead.Target.ID && d.Status == alert.Sent && d.SettledAt.After(dead.SettledAt) {
			return true
		}
	}
	return false
}

func inScope[T any](m map[alert.ID]T, scope string) map[string]T {
	out := map[string]T{}
	for id, v := range m {
		if id.Scope == scope {
			out[id.Name] = copied(v)
		}
	}
	return out
}

// PutDefinitions implements sentinel.Store.
func (m *Memory) PutDefinitions(_ context.Context, definitions []sentinel.Definition) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range definitions {
		m.definitions[d.Alert.ID()] = copied(d)
	}
	return nil
}

// RemoveDefinitions implements sentinel.Store.
func (m *Memory) RemoveDefinitions(_ context.Context, scope string, names []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range names {
		delete(m.definitions, alert.ID{Scope: scope, Name: name})
	}
	return nil
}

// History implements sentinel.Store.
func (m *Memory) History(_ context.Context, f sentinel.HistoryFilter) ([]alert.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []alert.Record
	for _, id := range m.order {
		r := m.records[id]
		hasChannel := f.Channel == "" || slices.ContainsFunc(r.Deliveries, func(d alert.DeliveryRef) bool { return d.Channel == f.Channel })
		if r.Scope == f.Scope && chosen(f.Alerts, r.Alert) && hasChannel && !r.Scheduled.Before(f.Since) {
			out = append(out, copied(r))
		}
	}
	slices.SortStableFunc(out, func(a, b alert.Record) int { return b.Scheduled.Compare(a.Scheduled) })
	return out[:min(len(out), limit(f.Limit))], nil
}

func chosen(names []string, name string) bool {
	return len(names) == 0 || slices.Contains(names, name)
}

func limit(n int) int {
	if n == 0 {
		return 100
	}
	return n
}

// Record implements sentinel.Store.
func (m *Memory) Record(_ context.Context, scope, runID string) (alert.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[runID]
	if !ok || r.Scope != scope {
		return alert.Record{}, sentinel.ErrNotFound
	}
	return copied(r), nil
}

// Prune implements sentinel.Store.
func (m *Memory) Prune(_ context.Context, scope string, before time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.order = slices.DeleteFunc(m.order, func(id string) bool {
		old := m.records[id].Scope == scope && m.records[id].Scheduled.Before(before)
		if old {
			delete(m.records, id)
		}
		return old
	})
	m.decided = slices.DeleteFunc(m.decided, func(id string) bool {
		d := m.deliveries[id]
		old := d.Scope == scope && (d.Status == alert.Sent || d.Status == alert.Superseded) && d.SettledAt.Before(before)
		if old {
			delete(m.deliveries, id)
		}
		return old
	})
	return nil
}
