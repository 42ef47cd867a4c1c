package cloud

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// decodeOutage reads the outage of a subject; the item also exists where there is none.
func decodeOutage(scope, subject string, from item) (alert.Outage, error) {
	out := alert.Outage{Scope: scope, Subject: subject}
	if from["outage"] == nil {
		return out, nil
	}
	return out, unpack("an outage", from["outage"], &out)
}

// outages plans the outages of a commit, each under its own version.
func (p *plan) outages(all []alert.Outage) error {
	for _, o := range all {
		w, err := p.store.outage(o)
		if err != nil {
			return err
		}
		p.add(w)
	}
	return nil
}

func (s *Store) outage(o alert.Outage) (write, error) {
	expected := o.Version
	o.Version++
	body, err := encode("an outage", o)
	if err != nil {
		return write{}, err
	}
	c := change{
		set:       item{"outage": pack(body), "version": number(o.Version), "subject": text(o.Subject), "ongoing": truth(o.Episode != nil)},
		condition: "attribute_not_exists(#version)",
	}
	if expected > 0 {
		c.condition, c.values = "#version = :expected", item{":expected": number(expected)}
	}
	return write{TransactWriteItem: s.updating(subjectKey(o.Scope, o.Subject), c), otherwise: sentinel.ErrConflict}, nil
}

// Outage implements sentinel.Store.
func (s *Store) Outage(ctx context.Context, scope, subject string) (alert.Outage, error) {
	k := subjectKey(scope, subject)
	items, err := s.get(ctx, k)
	if err != nil {
		return alert.Outage{}, fmt.Errorf("read an outage: %w", err)
	}
	return decodeOutage(scope, subject, items[k])
}

// Outages implements sentinel.Store.
func (s *Store) Outages(ctx context.Context, scope string) ([]alert.Outage, error) {
	var out []alert.Outage
	err := s.query(ctx, &dynamodb.QueryInput{
		KeyConditionExpression: aws.String("pk = :pk"), FilterExpression: aws.String("ongoing = :true"), ConsistentRead: aws.Bool(true),
		ExpressionAttributeValues: item{":pk": text(subjectsOf(scope)), ":true": truth(true)},
	}, func(got item) (bool, error) {
		o, err := decodeOutage(scope, readText(got["subject"]), got)
		out = append(out, o)
		return true, err
	})
	return out, wrap("read outages", err)
}
