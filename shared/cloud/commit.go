package cloud

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// A write is one item of a transaction, and what it means when its condition fails.
type write struct {
	types.TransactWriteItem
	// there holds when a failed condition means that the item is there already: it stays
	// as it is, and the transaction is made without it.
	there bool
	// otherwise is the error of a failed condition.
	otherwise error
}

// Commit implements sentinel.Store. A steady run is two writes and no transaction: the
// record of the run before goes into history, then the head is replaced under its version,
// with the record of this run in it. In this order no record is lost, and one that stands
// in both places is one. Everything else is one transaction.
func (s *Store) Commit(ctx context.Context, c sentinel.Commit) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	// What is begun is finished; each call has its own limits.
	ctx = context.WithoutCancel(ctx)
	if err := s.commit(ctx, c); err != nil {
		return fmt.Errorf("commit %q: %w", c.ID.Name, err)
	}
	return nil
}

func (s *Store) commit(ctx context.Context, c sentinel.Commit) error {
	p := &plan{store: s, c: c}
	if err := p.state(ctx); err != nil {
		return err
	}
	if err := p.record(); err != nil {
		return err
	}
	if err := p.outages(c.Outages); err != nil {
		return err
	}
	if err := p.deliveries(c.Deliveries); err != nil {
		return err
	}
	if err := p.perform(ctx); err != nil {
		return err
	}
	if c.State != nil {
		s.note(c.ID, p.next)
	}
	return nil
}

// A plan is what a commit writes.
type plan struct {
	store *Store
	c     sentinel.Commit
	next  known
	// history is the record that the new head replaces; it may be written before.
	history *write
	head    *write
	writes  []write
}

// state plans the head and, if it changed, the body.
func (p *plan) state(ctx context.Context) error {
	if p.c.State == nil {
		return nil
	}
	state, id := *p.c.State, p.c.ID
	var before known
	if state.Version > 0 {
		var err error
		if before, err = p.store.recall(ctx, id, state.Version); err != nil {
			return err
		}
	}
	expected := state.Version
	state.Version++
	encoded, err := encodeState(state)
	if err != nil {
		return err
	}
	if p.next, err = knownOf(state, encoded.hash); err != nil {
		return err
	}
	head := p.store.put(headItem(id, state, encoded, rand.Text()), "attribute_not_exists(pk)")
	if expected > 0 {
		head.Put.ConditionExpression = aws.String("version = :version")
		head.Put.ExpressionAttributeValues = item{":version": number(expected)}
	}
	p.head = &write{TransactWriteItem: head, otherwise: sentinel.ErrConflict}
	if encoded.hash != "" && encoded.hash != before.hash {
		body, err := bodyItem(id, encoded)
		if err != nil {
			return err
		}
		p.add(write{TransactWriteItem: p.store.put(body, "")})
	}
	p.replaced(before)
	return nil
}

// replaced plans the record of the last run for history, if another takes its place.
func (p *plan) replaced(before known) {
	if before.last == nil {
		return
	}
	kept := p.next.last != nil && p.next.last.run == before.last.run
	if kept && (p.c.Record == nil || p.c.Record.RunID != before.last.run) {
		return
	}
	p.history = &write{TransactWriteItem: p.store.put(p.store.runItem(*before.last, before.row), "attribute_not_exists(pk)"), there: true}
}

// record plans the run's own record, unless the head carries it.
func (p *plan) record() error {
	r := p.c.Record
	if r == nil {
		return nil
	}
	ref := refOf(r)
	if p.next.last == nil || p.next.last.run != r.RunID {
		body, err := encode("a record", r)
		if err != nil {
			return err
		}
		p.add(write{TransactWriteItem: p.store.put(p.store.runItem(ref, pack(body)), "attribute_not_exists(pk)"), there: true})
		if p.c.State == nil {
			p.add(write{TransactWriteItem: p.store.exists(ref.alert)})
		}
	}
	if len(r.Deliveries) > 0 {
		p.add(write{TransactWriteItem: p.store.put(p.store.pointerItem(ref, r.Deliveries), "attribute_not_exists(pk)"), there: true})
	}
	return nil
}

func (p *plan) add(w write) { p.writes = append(p.writes, w) }

// perform writes the plan.
func (p *plan) perform(ctx context.Context) error {
	if p.head != nil && len(p.writes) == 0 {
		return p.steady(ctx)
	}
	if p.history != nil {
		p.add(*p.history)
	}
	if p.head != nil {
		p.add(*p.head)
	}
	return p.store.transact(ctx, p.writes)
}

// steady writes history, then the head.
func (p *plan) steady(ctx context.Context) error {
	if p.history != nil {
		if err := p.store.putAlone(ctx, p.history.Put, ""); err != nil && !errors.Is(err, sentinel.ErrConflict) {
			return err
		}
	}
	return p.store.putAlone(ctx, p.head.Put, readText(p.head.Put.Item["token"]))
}

// putAlone puts one item. ErrConflict if its condition fails, unless the item that is
// there bears the token: then an earlier attempt of this very call wrote it, and its
// answer was lost.
func (s *Store) putAlone(ctx context.Context, put *types.Put, token string) error {
	_, err := s.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &s.table, Item: put.Item, ConditionExpression: put.ConditionExpression, ExpressionAttributeValues: put.ExpressionAttributeValues,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		if token != "" && readText(failed.Item["token"]) == token {
			return nil
		}
		return sentinel.ErrConflict
	}
	return Readable("write to DynamoDB", err)
}

// put is a Put under a condition; an empty one is none.
func (s *Store) put(what item, condition string) types.TransactWriteItem {
	out := &types.Put{TableName: &s.table, Item: what}
	if condition != "" {
		out.ConditionExpression = &condition
	}
	return types.TransactWriteItem{Put: out}
}

// transactionLimit is how many items a transaction has at most.
const transactionLimit = 100

// transact writes all or nothing. Items that are there already are left out; the first
// other condition that fails is the error. The SDK sends the same token with each attempt,
// so that an attempt whose answer was lost is not made twice.
func (s *Store) transact(ctx context.Context, writes []write) error {
	for len(writes) > 0 {
		if len(writes) > transactionLimit {
			return fmt.Errorf("%d items in one transaction, %d are possible: %w", len(writes), transactionLimit, sentinel.ErrTooLarge)
		}
		items := make([]types.TransactWriteItem, len(writes))
		for i, w := range writes {
			items[i] = w.TransactWriteItem
		}
		_, err := s.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items, ClientRequestToken: aws.String(rand.Text())})
		var canceled *types.TransactionCanceledException
		if !errors.As(err, &canceled) {
			return Readable("write to DynamoDB", err)
		}
		left, err := remaining(writes, canceled)
		if err != nil {
			return err
		}
		if len(left) == len(writes) {
			return Readable("write to DynamoDB", canceled)
		}
		writes = left
	}
	return nil
}

// remaining is what is still to be written after a transaction was cancelled.
func remaining(writes []write, canceled *types.TransactionCanceledException) ([]write, error) {
	var left []write
	for i, w := range writes {
		failed := i < len(canceled.CancellationReasons) && aws.ToString(canceled.CancellationReasons[i].Code) == "ConditionalCheckFailed"
		if failed && w.otherwise != nil {
			return nil, w.otherwise
		}
		if !failed || !w.there {
			left = append(left, w)
		}
	}
	return left, nil
}

// runItem is a record of history.
func (s *Store) runItem(ref runRef, row types.AttributeValue) item {
	out := runKey(ref).item()
	out["alert"], out["run_id"], out["record"] = text(ref.alert.Name), text(ref.run), row
	s.expire(out, ref.scheduled)
	return out
}

// pointerItem leads from the id of a run with messages to its record.
func (s *Store) pointerItem(ref runRef, deliveries []alert.DeliveryRef) item {
	out := pointerKey(ref.run).item()
	var channels []string
	for _, d := range deliveries {
		channels = append(channels, d.Channel)
	}
	out["scope"], out["alert"], out["scheduled"] = text(ref.alert.Scope), text(ref.alert.Name), millis(ref.scheduled)
	out["channels"] = &types.AttributeValueMemberSS{Value: distinct(channels)}
	out["listed"], out["listed_at"] = text(sharded("runs", ref.alert.Scope, shard(ref.run))), text(stamp(ref.scheduled)+"#"+ref.run)
	s.expire(out, ref.scheduled)
	return out
}
