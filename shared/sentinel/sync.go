package sentinel

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// A SyncReport says what Sync found changed, by alert name.
type SyncReport struct {
	Added, Changed, Removed []string
	// Closed are the alerts whose open episodes were closed by the change.
	Closed []string
	// Deliveries are the messages about those.
	Deliveries []alert.Delivery
	// Definitions are those of the whole file, as they are stored now.
	Definitions []Definition
}

// Sync makes the stored definitions of a scope equal to the alerts of its file, which was
// read whole and is valid. An alert that is removed, disabled or has another key is retired
// and closes its open episodes first, so that no run opens one meanwhile, and that Sync can
// be stopped anywhere and begun again. The outage of a database that no alert uses any more
// is closed, for no run will see it answer.
// An empty list is refused: a missing or empty file removes nothing.
func (s *Sentinel) Sync(ctx context.Context, scope string, alerts []alert.Alert) (SyncReport, error) {
	var report SyncReport
	if len(alerts) == 0 {
		return report, errors.New("sync: the file has no alerts; nothing is removed")
	}
	stored, err := s.Store.Fingerprints(ctx, scope)
	if err != nil {
		return report, fmt.Errorf("sync: read definitions: %w", err)
	}
	put, err := s.changes(ctx, alerts, stored, &report)
	if err != nil {
		return report, err
	}
	if err := s.remove(ctx, scope, alerts, stored, &report); err != nil {
		return report, err
	}
	if len(put) > 0 {
		if err := s.Store.PutDefinitions(ctx, put); err != nil {
			return report, fmt.Errorf("sync: store definitions: %w", err)
		}
	}
	if err := s.closeUnwatched(ctx, scope, alerts, &report); err != nil {
		return report, err
	}
	if s.Schedules != nil {
		if err := s.Schedules.Schedule(ctx, scope, report.Definitions); err != nil {
			return report, fmt.Errorf("sync: %w", err)
		}
	}
	return report, nil
}

// Define stores the definition of one alert that the store does not have yet. It leaves all
// others as they are, where Sync would remove those that its file does not have.
func (s *Sentinel) Define(ctx context.Context, a alert.Alert) error {
	hash, err := Hash(a)
	if err != nil {
		return fmt.Errorf("define %q: %w", a.Name, err)
	}
	if err := s.Store.PutDefinitions(ctx, []Definition{{Alert: a, Fingerprint: hash, ScheduledSince: s.Now()}}); err != nil {
		return fmt.Errorf("define %q: %w", a.Name, err)
	}
	return nil
}

// changes lists the definitions to store and closes what a change ends.
func (s *Sentinel) changes(ctx context.Context, alerts []alert.Alert, stored map[string]Fingerprint, report *SyncReport) ([]Definition, error) {
	var put []Definition
	for _, a := range alerts {
		hash, err := Hash(a)
		if err != nil {
			return nil, fmt.Errorf("sync: %q: %w", a.Name, err)
		}
		old, known := stored[a.Name]
		if known && old.Hash == hash {
			report.Definitions = append(report.Definitions, Definition{Alert: a, Fingerprint: hash, ScheduledSince: old.ScheduledSince})
			continue
		}
		definition := Definition{Alert: a, Fingerprint: hash, ScheduledSince: s.Now()}
		if !known {
			report.Added = append(report.Added, a.Name)
		} else {
			report.Changed = append(report.Changed, a.Name)
			kept, err := s.changed(ctx, a, report)
			if err != nil {
				return nil, err
			}
			if kept {
				definition.ScheduledSince = old.ScheduledSince
			}
		}
		put = append(put, definition)
		report.Definitions = append(report.Definitions, definition)
	}
	return put, nil
}

// changed closes what the new definition of a known alert ends. It reports whether the
// schedule is what it was.
func (s *Sentinel) changed(ctx context.Context, a alert.Alert, report *SyncReport) (scheduleKept bool, err error) {
	snapshot, err := s.Store.Load(ctx, a.ID())
	if err != nil {
		return false, fmt.Errorf("sync: load %q: %w", a.Name, err)
	}
	was := snapshot.Definition.Alert
	kept := a.Schedule == was.Schedule && a.Timezone == was.Timezone && a.Enabled == was.Enabled
	code := alert.ClosedKey
	switch {
	case !a.Enabled && (was.Enabled || retired(snapshot.Definition)):
		code = alert.ClosedDisabled
	case slices.EqualFunc(a.Key, was.Key, strings.EqualFold):
		return kept, nil
	}
	if err := s.retire(ctx, snapshot.Definition); err != nil {
		return kept, err
	}
	return kept, s.close(ctx, a.ID(), code, report)
}

// retiring begins the fingerprint of a definition that is about to change or to leave. It
// equals no hash, so that a Sync that was stopped there begins again.
const retiring = "retiring "

func retired(d Definition) bool { return strings.HasPrefix(d.Fingerprint, retiring) }

// retire disables stored definitions whose episodes are about to be closed: a run that
// begins now is not evaluated, and one that began before finds at its commit that the
// closing has changed the state. Otherwise it could open an episode that nobody closes.
func (s *Sentinel) retire(ctx context.Context, definitions ...Definition) error {
	for i := range definitions {
		if d := &definitions[i]; !retired(*d) {
			d.Alert.Enabled, d.Fingerprint = false, retiring+d.Fingerprint
		}
	}
	if err := s.Store.PutDefinitions(ctx, definitions); err != nil {
		return fmt.Errorf("sync: retire definitions: %w", err)
	}
	return nil
}

func (s *Sentinel) remove(ctx context.Context, scope string, alerts []alert.Alert, stored map[string]Fingerprint, report *SyncReport) error {
	here := make(map[string]bool, len(alerts))
	for _, a := range alerts {
		here[a.Name] = true
	}
	for name := range stored {
		if !here[name] {
			report.Removed = append(report.Removed, name)
		}
	}
	if len(report.Removed) == 0 {
		return nil
	}
	slices.Sort(report.Removed)
	if s.Schedules != nil { // first: a tick of an unknown alert is nobody's
		if err := s.Schedules.Unschedule(ctx, scope, report.Removed); err != nil {
			return fmt.Errorf("sync: %w", err)
		}
	}
	var leaving []Definition
	for _, name := range report.Removed {
		snapshot, err := s.Store.Load(ctx, alert.ID{Scope: scope, Name: name})
		if err != nil {
			return fmt.Errorf("sync: load %q: %w", name, err)
		}
		leaving = append(leaving, snapshot.Definition)
	}
	if err := s.retire(ctx, leaving...); err != nil {
		return err
	}
	for _, name := range report.Removed {
		if err := s.close(ctx, alert.ID{Scope: scope, Name: name}, alert.ClosedRemoved, report); err != nil {
			return err
		}
	}
	if err := s.Store.RemoveDefinitions(ctx, scope, report.Removed); err != nil {
		return fmt.Errorf("sync: remove definitions: %w", err)
	}
	return nil
}

// close ends the open episodes of an alert. It changes the state even if none is open and
// if there is none yet, so that no run that began before can commit after it.
func (s *Sentinel) close(ctx context.Context, id alert.ID, code alert.Code, report *SyncReport) error {
	decision, err := s.decideBetweenRuns(ctx, id, func(snapshot Snapshot) (alert.Decision, bool) {
		return alert.Close(snapshot.Definition.Alert, snapshot.State, code, s.Now()), true
	})
	if err != nil {
		return fmt.Errorf("sync: close %q: %w", id.Name, err)
	}
	if len(decision.Deliveries) > 0 {
		report.Closed = append(report.Closed, id.Name)
		report.Deliveries = append(report.Deliveries, decision.Deliveries...)
	}
	return nil
}

// closeUnwatched closes the outages of databases that no enabled alert of the file uses.
func (s *Sentinel) closeUnwatched(ctx context.Context, scope string, alerts []alert.Alert, report *SyncReport) error {
	open, err := s.Store.Outages(ctx, scope)
	if err != nil {
		return fmt.Errorf("sync: read outages: %w", err)
	}
	for _, outage := range open {
		watched := slices.ContainsFunc(alerts, func(a alert.Alert) bool {
			return a.Enabled && alert.DatabaseSubject(a.Database) == outage.Subject
		})
		if watched || !outage.OfDatabase() {
			continue
		}
		closed, deliveries := alert.Unwatched(outage, s.Now())
		err := s.Store.Commit(ctx, Commit{ID: alert.ID{Scope: scope, Name: outage.Subject}, Outages: []alert.Outage{closed}, Deliveries: deliveries})
		if errors.Is(err, ErrConflict) {
			continue // a run that began before has seen it answer, or told somebody: the next Sync looks again
		}
		if err != nil {
			return fmt.Errorf("sync: close the outage of the %s: %w", outage.Subject, err)
		}
		report.Deliveries = append(report.Deliveries, deliveries...)
		s.enqueue(ctx, deliveries)
	}
	return nil
}

// decideBetweenRuns loads, decides, commits and enqueues something that is no run.
func (s *Sentinel) decideBetweenRuns(ctx context.Context, id alert.ID, decide func(Snapshot) (alert.Decision, bool)) (alert.Decision, error) {
	var decision alert.Decision
	err := onConflict(ctx, "commit", func() error {
		snapshot, err := s.Store.Load(ctx, id)
		if err != nil {
			return err
		}
		var change bool
		if decision, change = decide(snapshot); !change {
			return nil
		}
		commit := Commit{ID: id, State: &decision.State, Deliveries: decision.Deliveries}
		if len(decision.Record.Reasons) > 0 {
			commit.Record = &decision.Record
		}
		return s.Store.Commit(ctx, commit)
	})
	if err != nil {
		return alert.Decision{}, err
	}
	s.enqueue(ctx, decision.Deliveries)
	return decision, nil
}

// Hash is equal for equal alerts: Definition.Fingerprint.
func Hash(a alert.Alert) (string, error) {
	text, err := json.Marshal(a)
	if err != nil {
		return "", fmt.Errorf("write the definition: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16]), nil
}
