package cloud

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// A delivery's item has what changes as attributes, and the rest, which never changes, as
// one: `delivery`. `look_at` is when someone must look at it: when it is due, when its
// lease ends, or later where the sweeper has just enqueued it again.

// deliveries plans new deliveries; those already there stay as they are.
func (p *plan) deliveries(all []alert.Delivery) error {
	writes, err := p.store.newDeliveries(all)
	p.writes = append(p.writes, writes...)
	return err
}

func (s *Store) newDeliveries(all []alert.Delivery) ([]write, error) {
	items, err := fit(all)
	if err != nil {
		return nil, err
	}
	var out []write
	for i, d := range all {
		what := deliveryKey(d.ID).item()
		what["delivery"] = items[i]
		what["scope"], what["alert"], what["channel"], what["target"] = text(d.Scope), text(d.Alert), text(d.Target.Channel), text(d.Target.ID)
		what["keep"] = number(int64(s.keep() / time.Second))
		what["run_id"], what["created"] = text(d.Message.RunID), millis(d.CreatedAt)
		what["status"], what["try"], what["attempts"], what["crashes"] = text(string(d.Status)), number(d.Try), number(d.Attempts), number(d.Crashes)
		what["due_at"], what["swept"], what["last_error"] = millis(d.DueAt), number(d.Swept), text(d.LastError)
		what["open"], what["look_at"] = text(sharded("open", d.Scope, shard(d.ID))), millis(d.DueAt)
		what["listed"], what["listed_at"] = text(sharded("deliveries", d.Scope, shard(d.ID))), text(stamp(d.CreatedAt)+"#"+d.ID)
		if !d.TryStarted.IsZero() {
			what["try_started"] = millis(d.TryStarted)
		}
		out = append(out, write{TransactWriteItem: s.put(what, "attribute_not_exists(pk)"), there: true})
	}
	return out, nil
}

func decodeDelivery(from item) (alert.Delivery, error) {
	var d alert.Delivery
	if err := unpack("a delivery", from["delivery"], &d); err != nil {
		return d, err
	}
	d.Status, d.Try = alert.DeliveryStatus(readText(from["status"])), int(readNumber(from["try"]))
	d.Attempts, d.Crashes, d.Swept = int(readNumber(from["attempts"])), int(readNumber(from["crashes"])), int(readNumber(from["swept"]))
	d.DueAt, d.TryStarted, d.SettledAt = readTime(from["due_at"]), readTime(from["try_started"]), readTime(from["settled_at"])
	d.Lease, d.LeaseUntil, d.LastError = readText(from["lease"]), readTime(from["lease_until"]), readText(from["last_error"])
	return d, nil
}

// change makes a change of a delivery. It returns the item after it, or before it if old;
// errRefused with what is stored if the condition fails. An attempt whose answer was lost
// is known by its token.
func (s *Store) change(ctx context.Context, id string, c change, old bool) (item, error) {
	token := rand.Text()
	c.set["token"] = text(token)
	update, names, values := c.expression()
	give := types.ReturnValueAllNew
	if old {
		give = types.ReturnValueAllOld
	}
	answer, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: deliveryKey(id).item(), UpdateExpression: &update, ConditionExpression: &c.condition,
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
		ReturnValues: give, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var failed *types.ConditionalCheckFailedException
	switch {
	case errors.As(err, &failed) && readText(failed.Item["token"]) == token:
		return failed.Item, nil
	case errors.As(err, &failed):
		return failed.Item, errRefused
	case err != nil:
		return nil, Readable("write to DynamoDB", err)
	}
	return answer.Attributes, nil
}

var errRefused = errors.New("the condition failed")

// Claim implements sentinel.Outbox.
func (s *Store) Claim(ctx context.Context, d alert.Delivery, now, until time.Time) (sentinel.Claim, error) {
	claim, err := s.claim(ctx, sentinel.Ref{ID: d.ID, Try: d.Try}, now, until)
	if errors.Is(err, errRefused) {
		err = sentinel.ErrUnclaimable
	}
	return claim, wrap("claim "+d.ID, err)
}

func (s *Store) claim(ctx context.Context, ref sentinel.Ref, now, until time.Time) (sentinel.Claim, error) {
	take := func() change {
		return change{
			set: item{
				"status": text(string(alert.Sending)), "lease": text(rand.Text()), "lease_until": millis(until), "look_at": millis(until), "swept": number(0),
			},
			values: item{":try": number(ref.Try), ":now": millis(now)},
		}
	}
	first := take()
	first.condition, first.values[":pending"] = "#status = :pending AND #try = :try AND #due_at <= :now", text(string(alert.Pending))
	got, err := s.change(ctx, ref.ID, first, false)
	if errors.Is(err, errRefused) && expired(got, ref, now) {
		second := take()
		second.condition = "#status = :sending AND #try = :try AND #lease = :old AND #lease_until <= :now"
		second.values[":sending"], second.values[":old"] = text(string(alert.Sending)), got["lease"]
		second.add = item{"crashes": number(1)}
		got, err = s.change(ctx, ref.ID, second, false)
	}
	if err != nil {
		return sentinel.Claim{}, err
	}
	return s.surroundings(ctx, got)
}

// expired tells whether a delivery was claimed by someone whose lease has ended.
func expired(got item, ref sentinel.Ref, now time.Time) bool {
	return readText(got["status"]) == string(alert.Sending) && int(readNumber(got["try"])) == ref.Try && readNumber(got["lease_until"]) <= now.UnixMilli()
}

// surroundings reads what a claim brings beside its delivery.
func (s *Store) surroundings(ctx context.Context, got item) (sentinel.Claim, error) {
	d, err := decodeDelivery(got)
	if err != nil {
		return sentinel.Claim{}, err
	}
	out := sentinel.Claim{Delivery: d, Lease: d.Lease}
	subject := subjectKey(d.Scope, alert.TargetSubject(d.Target.ID))
	items, err := s.get(ctx, append(deliveryKeys(d.After), subject)...)
	if err != nil {
		return out, err
	}
	if out.Outage, err = decodeOutage(d.Scope, alert.TargetSubject(d.Target.ID), items[subject]); err != nil {
		return out, err
	}
	out.Waiting, err = s.unsettled(ctx, d.After, items)
	return out, err
}

func deliveryKeys(ids []string) []key {
	keys := make([]key, len(ids))
	for i, id := range ids {
		keys[i] = deliveryKey(id)
	}
	return keys
}

// unsettled are those of the deliveries, read as items, that still stand before another;
// what stands before a superseded one stands before its follower.
func (s *Store) unsettled(ctx context.Context, ids []string, items map[key]item) ([]alert.Delivery, error) {
	var out []alert.Delivery
	for _, id := range ids {
		before := items[deliveryKey(id)]
		if before == nil {
			continue
		}
		d, err := decodeDelivery(before)
		if err != nil {
			return nil, err
		}
		switch {
		case d.Status == alert.Superseded && len(d.After) > 0:
			more, err := s.get(ctx, deliveryKeys(d.After)...)
			if err != nil {
				return nil, err
			}
			behind, err := s.unsettled(ctx, d.After, more)
			if err != nil {
				return nil, err
			}
			out = append(out, behind...)
		case !d.Status.Settled():
			out = append(out, d)
		}
	}
	return out, nil
}

// Settle implements sentinel.Outbox. The counters follow by themselves: a process that
// dies before them miscounts, and loses nothing.
func (s *Store) Settle(ctx context.Context, t sentinel.Settlement) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	before, err := s.settle(ctx, t)
	if errors.Is(err, errRefused) {
		err = fmt.Errorf("the lease is lost: %w", sentinel.ErrUnclaimable)
	}
	if err != nil {
		return fmt.Errorf("settle %s: %w", t.ID, err)
	}
	return wrap("count "+t.ID, s.count(ctx, before, t))
}

// settle returns the delivery as it stood before.
func (s *Store) settle(ctx context.Context, t sentinel.Settlement) (item, error) {
	c := s.settlement(t)
	if t.Outage == nil && len(t.Deliveries) == 0 {
		return s.change(ctx, t.ID, c, true)
	}
	k := deliveryKey(t.ID)
	items, err := s.get(ctx, k)
	if err != nil {
		return nil, err
	}
	writes := []write{{TransactWriteItem: s.updating(k, c), otherwise: errRefused}}
	if t.Outage != nil {
		w, err := s.outage(*t.Outage)
		if err != nil {
			return nil, err
		}
		writes = append(writes, w)
	}
	told, err := s.newDeliveries(t.Deliveries)
	if err != nil {
		return nil, err
	}
	return items[k], s.transact(ctx, append(writes, told...))
}

// settlement is the change of a delivery that is settled, or due again.
func (s *Store) settlement(t sentinel.Settlement) change {
	c := change{
		set: item{
			"status": text(string(t.Status)), "attempts": number(t.Attempts), "crashes": number(t.Crashes), "last_error": text(t.LastError),
		},
		remove:    []string{"lease", "lease_until"},
		condition: "#status = :sending AND #lease = :lease",
		values:    item{":sending": text(string(alert.Sending)), ":lease": text(t.Lease)},
	}
	if t.DueAt.IsZero() {
		c.remove = append(c.remove, "due_at")
	} else {
		c.set["due_at"] = millis(t.DueAt)
	}
	switch {
	case t.Status == alert.Dead:
		// The dead stay in the index, before all times: they must be seen.
		c.set["settled_at"], c.set["look_at"] = millis(t.At), number(-t.At.UnixMilli())
	case t.Status.Settled():
		s.closed(&c, t.At)
	default:
		c.set["look_at"] = millis(t.DueAt)
	}
	return c
}

// closed settles a delivery that nobody need look at any more.
func (s *Store) closed(c *change, at time.Time) {
	c.set["settled_at"] = millis(at)
	c.remove = append(c.remove, "open", "look_at")
	c.plus = map[string]sum{"expires": {number(at.Unix()), "keep"}}
}

// Supersede implements sentinel.Outbox.
func (s *Store) Supersede(ctx context.Context, id string, at time.Time) (bool, error) {
	c := change{
		set: item{"status": text(string(alert.Superseded))}, condition: "#status = :pending",
		values: item{":pending": text(string(alert.Pending))},
	}
	s.closed(&c, at)
	_, err := s.change(ctx, id, c, true)
	if errors.Is(err, errRefused) {
		return false, nil
	}
	return err == nil, wrap("supersede "+id, err)
}

// Sweep implements sentinel.Outbox.
func (s *Store) Sweep(ctx context.Context, ref sentinel.Ref, now, until time.Time) error {
	_, err := s.change(ctx, ref.ID, change{
		set: item{"look_at": millis(until)}, add: item{"swept": number(1)},
		condition: "#try = :try AND #look_at BETWEEN :zero AND :now",
		values:    item{":try": number(ref.Try), ":zero": number(0), ":now": millis(now)},
	}, true)
	if errors.Is(err, errRefused) {
		err = sentinel.ErrUnclaimable
	}
	return wrap("sweep "+ref.ID, err)
}

// Redrive implements sentinel.Outbox.
func (s *Store) Redrive(ctx context.Context, id string, now time.Time) (sentinel.Ref, error) {
	got, err := s.change(ctx, id, change{
		set: item{
			"status": text(string(alert.Pending)), "attempts": number(0), "crashes": number(0), "swept": number(0), "last_error": text(""),
			"due_at": millis(now), "look_at": millis(now), "try_started": millis(now),
		},
		add: item{"try": number(1)}, remove: []string{"settled_at"},
		condition: "#status = :dead", values: item{":dead": text(string(alert.Dead))},
	}, false)
	if errors.Is(err, errRefused) {
		err = fmt.Errorf("there is no such dead delivery: %w", sentinel.ErrNotFound)
	}
	return sentinel.Ref{ID: id, Try: int(readNumber(got["try"]))}, wrap("redrive "+id, err)
}
