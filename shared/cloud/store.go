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

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// StoreOptions are what a Store needs. AWS and Table are required.
type StoreOptions struct {
	AWS   aws.Config
	Table string
	// Retention is how long history and settled deliveries are kept; zero means for ever.
	Retention time.Duration
}

// A Store keeps definitions, states, history, outages and deliveries in one DynamoDB
// table. It implements sentinel.Store and sentinel.Outbox. It is safe for concurrent use.
type Store struct {
	db    *dynamodb.Client
	table string

	mu        sync.Mutex
	retention time.Duration // the last that was seen
	known     map[alert.ID]known
	databases map[alert.ID]string // by what the definition last said
}

// NewStore makes a store. It makes no call.
func NewStore(o StoreOptions) (*Store, error) {
	if o.Table == "" {
		return nil, errors.New("open the store: the name of the table is required")
	}
	db := dynamodb.NewFromConfig(o.AWS, func(d *dynamodb.Options) { d.BaseEndpoint = Endpoint(o.AWS, "dynamodb") })
	return &Store{db: db, table: o.Table, retention: o.Retention, known: map[alert.ID]known{}, databases: map[alert.ID]string{}}, nil
}

// rereads is how often items are read again that do not belong together.
const rereads = 5

// Load implements sentinel.Store, with one strongly consistent call, unless the alert is
// seen for the first time or its database has changed.
func (s *Store) Load(ctx context.Context, id alert.ID) (sentinel.Snapshot, error) {
	for range rereads {
		snapshot, whole, err := s.load(ctx, id)
		if err != nil || whole {
			return snapshot, err
		}
	}
	return sentinel.Snapshot{}, fmt.Errorf("load %q: its state changed at each of %d reads", id.Name, rereads)
}

func (s *Store) load(ctx context.Context, id alert.ID) (sentinel.Snapshot, bool, error) {
	var out sentinel.Snapshot
	guess := s.database(id)
	subject := subjectKey(id.Scope, alert.DatabaseSubject(guess))
	items, err := s.get(ctx, definitionKey(id), headKey(id), bodyKey(id), subject)
	if err != nil {
		return out, false, fmt.Errorf("load %q: %w", id.Name, err)
	}
	definition := items[definitionKey(id)]
	if definition == nil {
		return out, false, fmt.Errorf("alert %q: %w", id.Name, sentinel.ErrNotFound)
	}
	if out.Definition, err = decodeDefinition(definition); err != nil {
		return out, false, err
	}
	state, whole, err := decodeState(items[headKey(id)], items[bodyKey(id)])
	if err != nil || !whole {
		return out, false, err
	}
	out.State = state
	if database := out.Definition.Alert.Database; database != guess {
		s.remember(id, database)
		subject = subjectKey(id.Scope, alert.DatabaseSubject(database))
		if items, err = s.get(ctx, subject); err != nil {
			return out, false, fmt.Errorf("load %q: %w", id.Name, err)
		}
	}
	if out.Database, err = decodeOutage(id.Scope, alert.DatabaseSubject(out.Definition.Alert.Database), items[subject]); err != nil {
		return out, false, err
	}
	out.Sharing = int(readNumber(items[subject]["sharing"]))
	if keep, ok := definition["keep"]; ok {
		s.Retain(time.Duration(readNumber(keep)) * time.Second)
	}
	return out, true, s.learn(id, state, readText(items[headKey(id)]["body"]))
}

func (s *Store) database(id alert.ID) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.databases[id]
}

func (s *Store) remember(id alert.ID, database string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.databases[id] = database
}

// Retain is told how long history is kept: sync knows it by the configuration, the others by
// the definitions that it stored.
func (s *Store) Retain(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retention = d
}

// forEver stands for a retention that never ends.
const forEver = 100 * 365 * 24 * time.Hour

// keep is how long an item is kept.
func (s *Store) keep() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retention == 0 {
		return forEver
	}
	return s.retention
}

// knownAlerts bounds what a store remembers of alerts.
const knownAlerts = 500

func (s *Store) learn(id alert.ID, state alert.State, hash string) error {
	k, err := knownOf(state, hash)
	if err != nil {
		return err
	}
	s.note(id, k)
	return nil
}

func (s *Store) note(id alert.ID, k known) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= knownAlerts {
		clear(s.known)
	}
	s.known[id] = k
}

// recall is what is known of a version of a state: from the last Load as a rule, else it is read.
func (s *Store) recall(ctx context.Context, id alert.ID, version int64) (known, error) {
	s.mu.Lock()
	k, ok := s.known[id]
	s.mu.Unlock()
	if ok && k.version == version {
		return k, nil
	}
	for range rereads {
		items, err := s.get(ctx, headKey(id), bodyKey(id))
		if err != nil {
			return known{}, err
		}
		state, whole, err := decodeState(items[headKey(id)], items[bodyKey(id)])
		if err != nil {
			return known{}, err
		}
		if state.Version != version {
			return known{}, sentinel.ErrConflict
		}
		if whole {
			return knownOf(state, readText(items[headKey(id)]["body"]))
		}
	}
	return known{}, fmt.Errorf("the state changed at each of %d reads: %w", rereads, sentinel.ErrConflict)
}

// getLimit is how many items one BatchGetItem reads.
const getLimit = 100

// get reads items by key, strongly consistent. What does not exist is left out.
func (s *Store) get(ctx context.Context, keys ...key) (map[key]item, error) {
	out := map[key]item{}
	var wanted []item
	seen := map[key]bool{}
	for _, k := range keys {
		if !seen[k] {
			seen[k] = true
			wanted = append(wanted, k.item())
		}
	}
	for pause := 20 * time.Millisecond; len(wanted) > 0; {
		now := wanted[:min(getLimit, len(wanted))]
		wanted = wanted[len(now):]
		answer, err := s.db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
			s.table: {Keys: now, ConsistentRead: aws.Bool(true)},
		}})
		if err != nil {
			return nil, Readable("read from DynamoDB", err)
		}
		for _, got := range answer.Responses[s.table] {
			out[key{readText(got["pk"]), readText(got["sk"])}] = got
		}
		left := answer.UnprocessedKeys[s.table].Keys
		if len(left) == len(now) {
			if pause > maxPause || !pauseFor(ctx, pause) {
				return nil, fmt.Errorf("read from DynamoDB: throttled: %w", context.Cause(ctx))
			}
			pause *= 2
		}
		wanted = append(wanted, left...)
	}
	return out, nil
}

// query reads all pages of a query, until more says that it has enough.
func (s *Store) query(ctx context.Context, q *dynamodb.QueryInput, each func(item) (more bool, err error)) error {
	q.TableName = &s.table
	for {
		page, err := s.db.Query(ctx, q)
		if err != nil {
			return Readable("query DynamoDB", err)
		}
		for _, got := range page.Items {
			if more, err := each(got); err != nil || !more {
				return err
			}
		}
		if page.LastEvaluatedKey == nil {
			return nil
		}
		q.ExclusiveStartKey = page.LastEvaluatedKey
	}
}
