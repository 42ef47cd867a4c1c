package cloud

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// defaultLimit is what a zero limit of a filter means.
const defaultLimit = 100

// expire lets DynamoDB delete an item some time after its retention.
func (s *Store) expire(what item, at time.Time) {
	what["expires"] = number(at.Add(s.keep()).Unix())
}

// exists notes that an alert without a state has history.
func (s *Store) exists(id alert.ID) types.TransactWriteItem {
	return s.updating(countKey(id), change{set: item{"alert": text(id.Name)}})
}

// States implements sentinel.Store.
func (s *Store) States(ctx context.Context, scope string) (map[string]alert.State, error) {
	for range rereads {
		out, whole, err := s.states(ctx, scope)
		if err != nil || whole {
			return out, wrap("read states", err)
		}
	}
	return nil, fmt.Errorf("read states: some changed at each of %d reads", rereads)
}

func (s *Store) states(ctx context.Context, scope string) (map[string]alert.State, bool, error) {
	heads := map[string]item{}
	var withBody []key
	err := s.eachShard(ctx, "states", scope, dynamodb.QueryInput{}, func(got item) error {
		name := readText(got["alert"])
		heads[name] = got
		if got["body"] != nil {
			withBody = append(withBody, bodyKey(alert.ID{Scope: scope, Name: name}))
		}
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	bodies, err := s.get(ctx, withBody...)
	if err != nil {
		return nil, false, err
	}
	out := make(map[string]alert.State, len(heads))
	for name, head := range heads {
		state, whole, err := decodeState(head, bodies[bodyKey(alert.ID{Scope: scope, Name: name})])
		if err != nil || !whole {
			return nil, false, err
		}
		out[name] = state
	}
	return out, true, nil
}

// History implements sentinel.Store. History is the rows, and the record that each state
// carries. States are read first, so that a record which moves meanwhile is seen twice
// rather than never.
func (s *Store) History(ctx context.Context, f sentinel.HistoryFilter) ([]alert.Record, error) {
	if f.Limit == 0 {
		f.Limit = defaultLimit
	}
	if f.Channel != "" {
		out, err := s.announcing(ctx, f)
		return out, wrap("read history", err)
	}
	states, names, err := s.withHistory(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	m := &merge{store: s, filter: f, seen: map[string]bool{}}
	for _, name := range names {
		m.sources = append(m.sources, &source{id: alert.ID{Scope: f.Scope, Name: name}})
	}
	if err := m.read(ctx); err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	for _, name := range names {
		if last := states[name].Last; last != nil && !last.Scheduled.Before(f.Since) && !m.seen[last.RunID] {
			m.found = append(m.found, *last)
		}
	}
	return m.newest(), nil
}

// withHistory lists the alerts that a filter chooses and that may have history.
func (s *Store) withHistory(ctx context.Context, f sentinel.HistoryFilter) (map[string]alert.State, []string, error) {
	if len(f.Alerts) > 0 && len(f.Alerts) <= 10 {
		names := distinct(slices.Clone(f.Alerts))
		states, err := s.someStates(ctx, f.Scope, names)
		return states, names, err
	}
	states, err := s.States(ctx, f.Scope)
	if err != nil {
		return nil, nil, err
	}
	var names []string
	for name := range states {
		names = append(names, name)
	}
	counts, err := s.countItems(ctx, f.Scope)
	if err != nil {
		return nil, nil, err
	}
	for name := range counts {
		names = append(names, name)
	}
	names = distinct(names)
	if len(f.Alerts) > 0 {
		names = slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(f.Alerts, name) })
	}
	return states, names, nil
}

func (s *Store) someStates(ctx context.Context, scope string, names []string) (map[string]alert.State, error) {
	out := map[string]alert.State{}
	for _, name := range names {
		id := alert.ID{Scope: scope, Name: name}
		for range rereads {
			items, err := s.get(ctx, headKey(id), bodyKey(id))
			if err != nil {
				return nil, err
			}
			state, whole, err := decodeState(items[headKey(id)], items[bodyKey(id)])
			if err != nil {
				return nil, err
			}
			if out[name] = state; whole {
				break
			}
		}
	}
	return out, nil
}

// A merge reads the newest rows of many alerts, a page of each at a time, and goes on only
// where rows may still be among the newest.
type merge struct {
	store   *Store
	filter  sentinel.HistoryFilter
	sources []*source
	seen    map[string]bool
	found   []alert.Record
}

type source struct {
	id     alert.ID
	next   item      // where the next page begins
	oldest time.Time // the last row read
	ended  bool
	rows   []alert.Record
}

func (m *merge) read(ctx context.Context) error {
	page := int32(min(m.filter.Limit, 2+m.filter.Limit/max(len(m.sources), 1)))
	for {
		group, groupCtx := errgroup.WithContext(ctx)
		group.SetLimit(atOnce)
		horizon, going := m.horizon(), 0
		for _, src := range m.sources {
			if src.ended || !horizon.IsZero() && src.oldest.Before(horizon) && !src.oldest.IsZero() {
				continue
			}
			going++
			group.Go(func() error { return m.store.page(groupCtx, src, m.filter.Since, page) })
		}
		if going == 0 {
			return nil
		}
		if err := group.Wait(); err != nil {
			return err
		}
		for _, src := range m.sources {
			for _, row := range src.rows {
				m.seen[row.RunID] = true
				m.found = append(m.found, row)
			}
			src.rows = nil
		}
		page = min(page*2, int32(m.filter.Limit))
	}
}

// horizon is the scheduled time of the last row that still fits the limit; zero while
// there are fewer.
func (m *merge) horizon() time.Time {
	if len(m.found) < m.filter.Limit {
		return time.Time{}
	}
	m.sort()
	return m.found[m.filter.Limit-1].Scheduled
}

func (m *merge) sort() {
	slices.SortStableFunc(m.found, func(a, b alert.Record) int { return b.Scheduled.Compare(a.Scheduled) })
}

func (m *merge) newest() []alert.Record {
	m.sort()
	return m.found[:min(m.filter.Limit, len(m.found))]
}

// page reads the next rows of an alert, newest first.
func (s *Store) page(ctx context.Context, src *source, since time.Time, limit int32) error {
	q := &dynamodb.QueryInput{
		TableName: &s.table, KeyConditionExpression: aws.String("pk = :pk AND sk >= :since"), ScanIndexForward: aws.Bool(false),
		ExpressionAttributeValues: item{":pk": text(runsOf(src.id)), ":since": text(stamp(since))},
		ConsistentRead:            aws.Bool(true), Limit: aws.Int32(limit), ExclusiveStartKey: src.next,
	}
	answer, err := s.db.Query(ctx, q)
	if err != nil {
		return Readable("query DynamoDB", err)
	}
	for _, got := range answer.Items {
		var r alert.Record
		if err := unpack("a record", got["record"], &r); err != nil {
			return err
		}
		src.rows, src.oldest = append(src.rows, r), r.Scheduled
	}
	src.next, src.ended = answer.LastEvaluatedKey, answer.LastEvaluatedKey == nil
	return nil
}

// announcing reads the runs that decided a delivery for a channel.
func (s *Store) announcing(ctx context.Context, f sentinel.HistoryFilter) ([]alert.Record, error) {
	pointers, err := s.listing(ctx, "runs", f.Scope, f.Since, f.Limit, func(got item) bool {
		channels, _ := got["channels"].(*types.AttributeValueMemberSS)
		return channels != nil && slices.Contains(channels.Value, f.Channel) && (len(f.Alerts) == 0 || slices.Contains(f.Alerts, readText(got["alert"])))
	})
	if err != nil {
		return nil, err
	}
	out := []alert.Record{}
	for _, got := range pointers {
		record, err := s.pointed(ctx, f.Scope, got)
		if err != nil {
			return nil, err
		}
		out = append(out, record)
	}
	return out, nil
}

// pointed reads the record that a pointer leads to: a row, or what the state carries.
func (s *Store) pointed(ctx context.Context, scope string, pointer item) (alert.Record, error) {
	id := alert.ID{Scope: scope, Name: readText(pointer["alert"])}
	run := readText(pointer["pk"])
	// The state first: a record that moves meanwhile is then a row.
	states, err := s.someStates(ctx, scope, []string{id.Name})
	if err != nil {
		return alert.Record{}, err
	}
	k := runKey(runRef{id, run, readTime(pointer["scheduled"])})
	items, err := s.get(ctx, k)
	if err != nil {
		return alert.Record{}, err
	}
	var r alert.Record
	if row := items[k]; row != nil {
		return r, unpack("a record", row["record"], &r)
	}
	if last := states[id.Name].Last; last != nil && last.RunID == run {
		return *last, nil
	}
	return r, fmt.Errorf("run %s: %w", run, sentinel.ErrNotFound)
}

// Record implements sentinel.Store. A run with messages is found by its id; of the others
// the last of each alert at once, and older ones by reading through history.
func (s *Store) Record(ctx context.Context, scope, runID string) (alert.Record, error) {
	items, err := s.get(ctx, pointerKey(runID))
	if err != nil {
		return alert.Record{}, fmt.Errorf("read a record: %w", err)
	}
	if pointer := items[pointerKey(runID)]; pointer != nil && readText(pointer["scope"]) == scope {
		return s.pointed(ctx, scope, pointer)
	}
	states, names, err := s.withHistory(ctx, sentinel.HistoryFilter{Scope: scope})
	if err != nil {
		return alert.Record{}, fmt.Errorf("read a record: %w", err)
	}
	for _, name := range names {
		r, err := s.search(ctx, alert.ID{Scope: scope, Name: name}, runID)
		if err != nil || r != nil {
			return deref(r), wrap("read a record", err)
		}
	}
	for _, state := range states {
		if state.Last != nil && state.Last.RunID == runID {
			return *state.Last, nil
		}
	}
	return alert.Record{}, fmt.Errorf("run %s: %w", runID, sentinel.ErrNotFound)
}

func deref(r *alert.Record) alert.Record {
	if r == nil {
		return alert.Record{}
	}
	return *r
}

// search reads through the rows of an alert for a run.
func (s *Store) search(ctx context.Context, id alert.ID, runID string) (*alert.Record, error) {
	var out *alert.Record
	err := s.query(ctx, &dynamodb.QueryInput{
		KeyConditionExpression: aws.String("pk = :pk"), FilterExpression: aws.String("run_id = :run"), ConsistentRead: aws.Bool(true),
		ExpressionAttributeValues: item{":pk": text(runsOf(id)), ":run": text(runID)}, ScanIndexForward: aws.Bool(false),
	}, func(got item) (bool, error) {
		out = &alert.Record{}
		return false, unpack("a record", got["record"], out)
	})
	return out, err
}

// Prune implements sentinel.Store. On AWS nobody need call it: what has a retention is
// deleted by DynamoDB.
func (s *Store) Prune(ctx context.Context, scope string, before time.Time) error {
	_, names, err := s.withHistory(ctx, sentinel.HistoryFilter{Scope: scope})
	if err != nil {
		return fmt.Errorf("prune: %w", err)
	}
	var keys []key
	for _, name := range names {
		err := s.query(ctx, &dynamodb.QueryInput{
			KeyConditionExpression: aws.String("pk = :pk AND sk < :before"), ProjectionExpression: aws.String("pk, sk, run_id"),
			ExpressionAttributeValues: item{":pk": text(runsOf(alert.ID{Scope: scope, Name: name})), ":before": text(stamp(before))},
		}, func(got item) (bool, error) {
			keys = append(keys, key{readText(got["pk"]), readText(got["sk"])}, pointerKey(readText(got["run_id"])))
			return true, nil
		})
		if err != nil {
			return fmt.Errorf("prune: %w", err)
		}
	}
	settled, err := s.settledBefore(ctx, scope, before)
	if err != nil {
		return fmt.Errorf("prune: %w", err)
	}
	return wrap("prune", s.delete(ctx, append(keys, settled...)))
}
