package local

import (
	"context"
	"database/sql"

	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// Scopes lists the scopes that have alerts, in the order of their names.
func (s *Store) Scopes(ctx context.Context) ([]string, error) {
	var all []string
	err := s.reads.each(ctx, "SELECT DISTINCT scope FROM definitions ORDER BY scope", nil, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		all = append(all, name)
		return err
	})
	return all, s.wrap("read scopes", err)
}

// Definitions implements sentinel.Store.
func (s *Store) Definitions(ctx context.Context, scope string) (map[string]sentinel.Definition, error) {
	out := map[string]sentinel.Definition{}
	query := "SELECT name, fingerprint, scheduled_since, body FROM definitions WHERE scope = ?"
	err := s.reads.each(ctx, query, []any{scope}, func(scan func(...any) error) error {
		var name string
		var d sentinel.Definition
		var since sql.NullInt64
		var body sql.RawBytes
		if err := scan(&name, &d.Fingerprint, &since, &body); err != nil {
			return err
		}
		d.ScheduledSince = moment(since)
		err := decode("a definition", body, &d.Alert)
		out[name] = d
		return err
	})
	return out, s.wrap("read definitions", err)
}

// Fingerprints implements sentinel.Store.
func (s *Store) Fingerprints(ctx context.Context, scope string) (map[string]sentinel.Fingerprint, error) {
	out := map[string]sentinel.Fingerprint{}
	query := "SELECT name, fingerprint, scheduled_since FROM definitions WHERE scope = ?"
	err := s.reads.each(ctx, query, []any{scope}, func(scan func(...any) error) error {
		var name string
		var f sentinel.Fingerprint
		var since sql.NullInt64
		err := scan(&name, &f.Hash, &since)
		f.ScheduledSince = moment(since)
		out[name] = f
		return err
	})
	return out, s.wrap("read fingerprints", err)
}

// PutDefinitions implements sentinel.Store.
func (s *Store) PutDefinitions(ctx context.Context, definitions []sentinel.Definition) error {
	if len(definitions) == 0 {
		return nil
	}
	bodies := make([]string, len(definitions))
	scopes := map[string]bool{}
	for i, d := range definitions {
		body, err := encode("a definition", d.Alert)
		if err != nil {
			return err
		}
		bodies[i] = body
		scopes[d.Alert.Scope] = true
	}
	err := s.change(ctx, "put definitions", func(t *txn) error {
		for i, d := range definitions {
			if err := putDefinition(t, d, bodies[i]); err != nil {
				return err
			}
		}
		for scope := range scopes {
			if err := countSharing(t, scope); err != nil {
				return err
			}
		}
		return nil
	})
	s.known.stale()
	if err == nil {
		s.known.remember(definitions...)
	}
	return err
}

func putDefinition(t *txn, d sentinel.Definition, body string) error {
	_, err := t.exec(`INSERT INTO definitions (scope, name, fingerprint, scheduled_since, database, enabled, body)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
		ON CONFLICT DO UPDATE SET fingerprint = ?3, scheduled_since = ?4, database = ?5, enabled = ?6, body = ?7`,
		d.Alert.Scope, d.Alert.Name, d.Fingerprint, nanos(d.ScheduledSince), d.Alert.Database, d.Alert.Enabled, body)
	return err
}

// countSharing counts again which alerts share a database.
func countSharing(t *txn, scope string) error {
	if _, err := t.exec("DELETE FROM sharing WHERE scope = ?", scope); err != nil {
		return err
	}
	_, err := t.exec(`INSERT INTO sharing (scope, database, alerts)
		SELECT scope, database, sum(enabled) FROM definitions WHERE scope = ? GROUP BY database`, scope)
	return err
}

// RemoveDefinitions implements sentinel.Store.
func (s *Store) RemoveDefinitions(ctx context.Context, scope string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	err := s.change(ctx, "remove definitions", func(t *txn) error {
		for _, name := range names {
			if _, err := t.exec("DELETE FROM definitions WHERE scope = ? AND name = ?", scope, name); err != nil {
				return err
			}
		}
		return countSharing(t, scope)
	})
	s.known.stale()
	s.known.forget(scope, names)
	return err
}
