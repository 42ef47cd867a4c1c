package local

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// Outage implements sentinel.Store.
func (s *Store) Outage(ctx context.Context, scope, subject string) (alert.Outage, error) {
	out, err := readOutage(ctx, s.reads, scope, subject)
	return out, s.wrap("read an outage", err)
}

func readOutage(ctx context.Context, from *statements, scope, subject string) (alert.Outage, error) {
	var version sql.NullInt64
	var body []byte
	_, err := from.first(ctx, "SELECT version, body FROM outages WHERE scope = ? AND subject = ?", []any{scope, subject}, &version, &body)
	if err != nil {
		return alert.Outage{}, err
	}
	return decodeOutage(scope, subject, version, body)
}

// decodeOutage reads an outage; without a version there never was one.
func decodeOutage(scope, subject string, version sql.NullInt64, body []byte) (alert.Outage, error) {
	if !version.Valid {
		return alert.Outage{Scope: scope, Subject: subject}, nil
	}
	var out alert.Outage
	if err := decode("an outage", body, &out); err != nil {
		return out, err
	}
	out.Scope, out.Subject, out.Version = scope, subject, version.Int64
	return out, nil
}

// Outages implements sentinel.Store.
func (s *Store) Outages(ctx context.Context, scope string) ([]alert.Outage, error) {
	var all []alert.Outage
	query := "SELECT subject, version, body FROM outages WHERE scope = ? AND open = 1 ORDER BY subject"
	err := s.reads.each(ctx, query, []any{scope}, func(scan func(...any) error) error {
		outage, err := scanOutage(scope, scan)
		all = append(all, outage)
		return err
	})
	return all, s.wrap("read outages", err)
}

func scanOutage(scope string, scan func(...any) error) (alert.Outage, error) {
	var subject string
	var version sql.NullInt64
	var body sql.RawBytes
	if err := scan(&subject, &version, &body); err != nil {
		return alert.Outage{}, err
	}
	return decodeOutage(scope, subject, version, body)
}

// An outageWrite is an outage made ready to be written.
type outageWrite struct {
	alert.Outage
	body string
}

func encodeOutages(outages []alert.Outage) ([]outageWrite, error) {
	var all []outageWrite
	for _, o := range outages {
		next := o
		next.Version++
		body, err := encode("an outage", next)
		if err != nil {
			return nil, err
		}
		all = append(all, outageWrite{o, body})
	}
	return all, nil
}

// checkOutages refuses a change whose outages are not what its caller read.
func checkOutages(t *txn, outages []outageWrite) error {
	for _, o := range outages {
		var have int64
		if _, err := t.first("SELECT version FROM outages WHERE scope = ? AND subject = ?", []any{o.Scope, o.Subject}, &have); err != nil {
			return err
		}
		if have != o.Version {
			return fmt.Errorf("the outage of %s: %w", o.Subject, sentinel.ErrConflict)
		}
	}
	return nil
}

func writeOutages(t *txn, outages []outageWrite) error {
	for _, o := range outages {
		_, err := t.exec(`INSERT INTO outages (scope, subject, version, open, body) VALUES (?1, ?2, ?3, ?4, ?5)
			ON CONFLICT DO UPDATE SET version = ?3, open = ?4, body = ?5`, o.Scope, o.Subject, o.Version+1, o.Episode != nil, o.body)
		if err != nil {
			return err
		}
	}
	return nil
}
