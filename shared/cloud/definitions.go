package cloud

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// definitionSize bounds a definition, compressed: DynamoDB takes 400 KB an item.
const definitionSize = 300 << 10

// atOnce is how many calls of one operation are under way together.
const atOnce = 32

func decodeDefinition(from item) (sentinel.Definition, error) {
	var d sentinel.Definition
	return d, unpack("a definition", from["definition"], &d)
}

// eachShard reads all items of a sharded kind, several shards at once. each is called by
// one goroutine at a time.
func (s *Store) eachShard(ctx context.Context, kind, scope string, q dynamodb.QueryInput, each func(item) error) error {
	group, ctx := errgroup.WithContext(ctx)
	var one sync.Mutex
	for n := range shards {
		group.Go(func() error {
			q := q
			q.KeyConditionExpression = aws.String("pk = :pk")
			q.ExpressionAttributeValues = item{":pk": text(sharded(kind, scope, n))}
			q.ConsistentRead = aws.Bool(true)
			return s.query(ctx, &q, func(got item) (bool, error) {
				one.Lock()
				defer one.Unlock()
				return true, each(got)
			})
		})
	}
	return group.Wait()
}

// Definitions implements sentinel.Store.
func (s *Store) Definitions(ctx context.Context, scope string) (map[string]sentinel.Definition, error) {
	out := map[string]sentinel.Definition{}
	err := s.eachShard(ctx, "definitions", scope, dynamodb.QueryInput{}, func(got item) error {
		d, err := decodeDefinition(got)
		out[d.Alert.Name] = d
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read definitions: %w", err)
	}
	return out, nil
}

// An outline of a definition is what of it stands in attributes of their own.
type outline struct {
	sentinel.Fingerprint
	database string
	enabled  bool
	schedule string // fingerprint of the schedule that stands in EventBridge Scheduler
}

func (s *Store) outlines(ctx context.Context, scope string) (map[string]outline, error) {
	out := map[string]outline{}
	q := dynamodb.QueryInput{
		ProjectionExpression:     aws.String("alert, fingerprint, since, #database, enabled, schedule"),
		ExpressionAttributeNames: map[string]string{"#database": "database"},
	}
	err := s.eachShard(ctx, "definitions", scope, q, func(got item) error {
		out[readText(got["alert"])] = outline{
			Fingerprint: sentinel.Fingerprint{Hash: readText(got["fingerprint"]), ScheduledSince: readTime(got["since"])},
			database:    readText(got["database"]), enabled: readTruth(got["enabled"]), schedule: readText(got["schedule"]),
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read definitions: %w", err)
	}
	return out, nil
}

// Fingerprints implements sentinel.Store.
func (s *Store) Fingerprints(ctx context.Context, scope string) (map[string]sentinel.Fingerprint, error) {
	all, err := s.outlines(ctx, scope)
	if err != nil {
		return nil, err
	}
	out := make(map[string]sentinel.Fingerprint, len(all))
	for name, o := range all {
		out[name] = o.Fingerprint
	}
	return out, nil
}

// PutDefinitions implements sentinel.Store. One that is cut off is completed by the next
// sync, which finds the fingerprints of the rest unequal.
func (s *Store) PutDefinitions(ctx context.Context, definitions []sentinel.Definition) error {
	byScope := map[string][]sentinel.Definition{}
	for _, d := range definitions {
		byScope[d.Alert.Scope] = append(byScope[d.Alert.Scope], d)
	}
	for scope, list := range byScope {
		err := s.share(ctx, scope, func(all map[string]outline) {
			for _, d := range list {
				all[d.Alert.Name] = outline{database: d.Alert.Database, enabled: d.Alert.Enabled}
			}
		})
		if err != nil {
			return fmt.Errorf("store definitions: %w", err)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, d := range definitions {
		group.Go(func() error { return s.putDefinition(ctx, d) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("store definitions: %w", err)
	}
	return nil
}

// packDefinition is a definition as it is stored. The error names one that is too large.
func packDefinition(d sentinel.Definition) (types.AttributeValue, error) {
	body, err := encode("a definition", d)
	if err != nil {
		return nil, err
	}
	packed := pack(body)
	if n := packedSize(packed); n > definitionSize {
		return nil, fmt.Errorf("alert %q has %d KB, compressed; %d are possible: shorten its query or its payloads: %w", d.Alert.Name, n>>10, definitionSize>>10, sentinel.ErrTooLarge)
	}
	return packed, nil
}

// Storable tells which alerts are too large to be stored, before any is.
func Storable(alerts []alert.Alert) error {
	var wrong []error
	for _, a := range alerts {
		_, err := packDefinition(sentinel.Definition{Alert: a})
		wrong = append(wrong, err)
	}
	return errors.Join(wrong...)
}

// putDefinition leaves the fingerprint of the schedule alone.
func (s *Store) putDefinition(ctx context.Context, d sentinel.Definition) error {
	packed, err := packDefinition(d)
	if err != nil {
		return err
	}
	return s.update(ctx, definitionKey(d.Alert.ID()), change{set: item{
		"definition": packed, "alert": text(d.Alert.Name), "fingerprint": text(d.Fingerprint), "since": millis(d.ScheduledSince),
		"database": text(d.Alert.Database), "enabled": truth(d.Alert.Enabled), "keep": number(int64(s.keep() / time.Second)),
	}})
}

// ScheduleFingerprints are those of the schedules that stand in EventBridge Scheduler, by
// alert; empty where none was made.
func (s *Store) ScheduleFingerprints(ctx context.Context, scope string) (map[string]string, error) {
	all, err := s.outlines(ctx, scope)
	out := make(map[string]string, len(all))
	for name, o := range all {
		out[name] = o.schedule
	}
	return out, err
}

// PutScheduleFingerprint notes what stands there now.
func (s *Store) PutScheduleFingerprint(ctx context.Context, id alert.ID, fingerprint string) error {
	return s.update(ctx, definitionKey(id), change{set: item{"schedule": text(fingerprint)}})
}

// RemoveDefinitions implements sentinel.Store.
func (s *Store) RemoveDefinitions(ctx context.Context, scope string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	keys := make([]key, len(names))
	for i, name := range names {
		keys[i] = definitionKey(alert.ID{Scope: scope, Name: name})
	}
	err := s.share(ctx, scope, func(all map[string]outline) {
		for _, name := range names {
			delete(all, name)
		}
	})
	if err == nil {
		err = s.delete(ctx, keys)
	}
	return wrap("remove definitions", err)
}

// share writes how many enabled alerts share each database after a change, where that is
// another number. It does so before the change: if that is cut off, so is this, and both
// are done again.
func (s *Store) share(ctx context.Context, scope string, alter func(map[string]outline)) error {
	all, err := s.outlines(ctx, scope)
	if err != nil {
		return err
	}
	before := sharing(all)
	alter(all)
	after := sharing(all)
	for database := range before {
		if _, ok := after[database]; !ok {
			after[database] = 0
		}
	}
	for database, n := range after {
		subject := alert.DatabaseSubject(database)
		if err := s.update(ctx, subjectKey(scope, subject), change{set: item{"sharing": number(n), "subject": text(subject)}}); err != nil {
			return err
		}
	}
	return nil
}

func sharing(all map[string]outline) map[string]int {
	out := map[string]int{}
	for _, o := range all {
		if o.enabled {
			out[o.database]++
		}
	}
	return out
}

// deleteLimit is how many items one BatchWriteItem takes.
const deleteLimit = 25

func (s *Store) delete(ctx context.Context, keys []key) error {
	var requests []types.WriteRequest
	for _, k := range keys {
		requests = append(requests, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: k.item()}})
	}
	for len(requests) > 0 {
		now := requests[:min(deleteLimit, len(requests))]
		requests = requests[len(now):]
		answer, err := s.db.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{s.table: now}})
		if err != nil {
			return Readable("delete from DynamoDB", err)
		}
		left := answer.UnprocessedItems[s.table]
		if len(left) > 0 && !pauseFor(ctx, maxPause/8) {
			return fmt.Errorf("delete from DynamoDB: throttled: %w", context.Cause(ctx))
		}
		requests = append(requests, left...)
	}
	return nil
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
