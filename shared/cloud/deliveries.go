package cloud

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// fitSize is what the deliveries of one transaction may weigh: DynamoDB takes 4 MB, and
// the state needs a part of them.
const fitSize = 3 << 20

// cutName is the context field that says what was cut.
const cutName = "sqlsentinel_cut"

// fit packs deliveries. If they are too large together, or one is alone, their context is
// cut, visibly; nothing else ever is.
func fit(all []alert.Delivery) ([]types.AttributeValue, error) {
	out, size, err := packDeliveries(all)
	if err != nil || size <= fitSize && largestOf(out) <= bodySize {
		return out, err
	}
	cut := slices.Clone(all)
	for i := range cut {
		m := &cut[i].Message
		note := alert.Field{Name: cutName, Value: alert.TextValue(fmt.Sprintf("%d columns of context are left out, for the messages of this run are too large together", len(m.Context)))}
		m.Context = alert.Fields{note}
		m.Instances = slices.Clone(m.Instances)
		for n := range m.Instances {
			m.Instances[n].Context = nil
		}
	}
	if out, size, err = packDeliveries(cut); err == nil && (size > fitSize || largestOf(out) > bodySize) {
		err = fmt.Errorf("%d messages have %d KB together, %d are possible: %w", len(all), size>>10, fitSize>>10, sentinel.ErrTooLarge)
	}
	return out, err
}

func packDeliveries(all []alert.Delivery) (out []types.AttributeValue, size int, err error) {
	for _, d := range all {
		body, err := encode("a delivery", d)
		if err != nil {
			return nil, 0, err
		}
		packed := pack(body)
		size += packedSize(packed)
		out = append(out, packed)
	}
	return out, size, nil
}

func largestOf(packed []types.AttributeValue) int {
	n := 0
	for _, p := range packed {
		n = max(n, packedSize(p))
	}
	return n
}

// Delivery implements sentinel.Outbox.
func (s *Store) Delivery(ctx context.Context, id string) (alert.Delivery, error) {
	all, err := s.readDeliveries(ctx, []string{id})
	if err == nil && len(all) == 0 {
		err = sentinel.ErrNotFound
	}
	if err != nil {
		return alert.Delivery{}, fmt.Errorf("delivery %s: %w", id, err)
	}
	return all[0], nil
}

// readDeliveries reads deliveries in the order of the ids; one that is gone is left out.
func (s *Store) readDeliveries(ctx context.Context, ids []string) ([]alert.Delivery, error) {
	keys := make([]key, len(ids))
	for i, id := range ids {
		keys[i] = deliveryKey(id)
	}
	items, err := s.get(ctx, keys...)
	if err != nil {
		return nil, err
	}
	out := make([]alert.Delivery, 0, len(ids))
	for _, k := range keys {
		if got := items[k]; got != nil {
			d, err := decodeDelivery(got)
			if err != nil {
				return nil, err
			}
			out = append(out, d)
		}
	}
	return out, nil
}

// An entry is one of an index.
type entry struct {
	id, alert, target string
	at                int64
}

// look reads the entries of the index of open deliveries from one time to another, in the
// order of time, at most limit of each shard. The index follows the table within moments.
func (s *Store) look(ctx context.Context, scope string, from, to int64, limit int) ([]entry, error) {
	var all []entry
	var one sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for n := range shards {
		group.Go(func() error {
			left := limit
			return s.query(ctx, &dynamodb.QueryInput{
				IndexName: aws.String(openIndex), KeyConditionExpression: aws.String("#open = :open AND look_at BETWEEN :from AND :to"),
				ExpressionAttributeNames:  map[string]string{"#open": "open"},
				ExpressionAttributeValues: item{":open": text(sharded("open", scope, n)), ":from": number(from), ":to": number(to)},
				Limit:                     aws.Int32(int32(min(limit, 1000))),
			}, func(got item) (bool, error) {
				one.Lock()
				defer one.Unlock()
				all = append(all, entry{readText(got["pk"]), readText(got["alert"]), readText(got["target"]), readNumber(got["look_at"])})
				left--
				return left > 0, nil
			})
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b entry) int { return int(min(max(a.at-b.at, -1), 1)) })
	return all[:min(len(all), limit)], nil
}

// everything is more than an index has.
const (
	everything = 1 << 30
	farFuture  = 1 << 52
)

// Due implements sentinel.Outbox.
func (s *Store) Due(ctx context.Context, scope string, now time.Time, limit int) ([]alert.Delivery, error) {
	if limit == 0 {
		limit = defaultLimit
	}
	entries, err := s.look(ctx, scope, 0, now.UnixMilli(), limit)
	if err != nil {
		return nil, fmt.Errorf("read due deliveries: %w", err)
	}
	all, err := s.readDeliveries(ctx, idsOf(entries))
	if err != nil {
		return nil, fmt.Errorf("read due deliveries: %w", err)
	}
	return slices.DeleteFunc(all, func(d alert.Delivery) bool {
		return d.Status.Settled() || d.Status == alert.Pending && d.DueAt.After(now) || d.Status == alert.Sending && d.LeaseUntil.After(now)
	}), nil
}

func idsOf(entries []entry) []string {
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = e.id
	}
	return out
}

// NextDue implements sentinel.Outbox.
func (s *Store) NextDue(ctx context.Context, scope string) (time.Time, error) {
	entries, err := s.look(ctx, scope, 0, farFuture, 1)
	if err != nil || len(entries) == 0 {
		return time.Time{}, wrap("read due deliveries", err)
	}
	return time.UnixMilli(entries[0].at).UTC(), nil
}

// Deliveries implements sentinel.Outbox.
func (s *Store) Deliveries(ctx context.Context, f sentinel.DeliveryFilter) ([]alert.Delivery, error) {
	if f.Limit == 0 {
		f.Limit = defaultLimit
	}
	ids, err := s.chosen(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	all, err := s.readDeliveries(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	all = slices.DeleteFunc(all, func(d alert.Delivery) bool {
		return len(f.Statuses) > 0 && !slices.Contains(f.Statuses, d.Status) || d.CreatedAt.Before(f.Since)
	})
	slices.SortStableFunc(all, func(a, b alert.Delivery) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return all[:min(len(all), f.Limit)], nil
}

// chosen lists the ids of the deliveries that a filter chooses, by the index of the open
// and the dead if it asks for no others.
func (s *Store) chosen(ctx context.Context, f sentinel.DeliveryFilter) ([]string, error) {
	settled := func(status alert.DeliveryStatus) bool { return status == alert.Sent || status == alert.Superseded }
	matches := func(got item) bool {
		return (len(f.Alerts) == 0 || slices.Contains(f.Alerts, readText(got["alert"]))) && (f.Channel == "" || f.Channel == readText(got["channel"])) &&
			(f.RunID == "" || f.RunID == readText(got["run_id"])) &&
			(len(f.Statuses) == 0 || slices.Contains(f.Statuses, alert.DeliveryStatus(readText(got["status"]))))
	}
	if len(f.Statuses) > 0 && !slices.ContainsFunc(f.Statuses, settled) {
		var ids []string
		entries, err := s.look(ctx, f.Scope, -farFuture, farFuture, everything)
		if err != nil {
			return nil, err
		}
		keys := make([]key, len(entries))
		for i, e := range entries {
			keys[i] = deliveryKey(e.id)
		}
		items, err := s.get(ctx, keys...)
		for k, got := range items {
			if matches(got) {
				ids = append(ids, k.pk)
			}
		}
		return ids, err
	}
	found, err := s.listing(ctx, "deliveries", f.Scope, f.Since, f.Limit, matches)
	var ids []string
	for _, got := range found {
		ids = append(ids, readText(got["pk"]))
	}
	return ids, err
}

// listing reads the newest entries of a kind that match, by the index of all by time.
func (s *Store) listing(ctx context.Context, kind, scope string, since time.Time, limit int, matches func(item) bool) ([]item, error) {
	var all []item
	var one sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for n := range shards {
		group.Go(func() error {
			left := limit
			return s.query(ctx, &dynamodb.QueryInput{
				IndexName: aws.String(listingIndex), KeyConditionExpression: aws.String("listed = :listed AND listed_at >= :since"), ScanIndexForward: aws.Bool(false),
				ExpressionAttributeValues: item{":listed": text(sharded(kind, scope, n)), ":since": text(stamp(since))},
			}, func(got item) (bool, error) {
				one.Lock()
				defer one.Unlock()
				if !matches(got) {
					return true, nil
				}
				all = append(all, got)
				left--
				return left > 0, nil
			})
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b item) int {
		if x, y := readText(a["listed_at"]), readText(b["listed_at"]); x != y {
			if x > y {
				return -1
			}
			return 1
		}
		return 0
	})
	return all[:min(len(all), limit)], nil
}

// settledBefore lists the deliveries that are settled, but not dead, since before a time.
func (s *Store) settledBefore(ctx context.Context, scope string, before time.Time) ([]key, error) {
	found, err := s.listing(ctx, "deliveries", scope, time.Time{}, everything, func(got item) bool {
		status := alert.DeliveryStatus(readText(got["status"]))
		return status == alert.Sent || status == alert.Superseded
	})
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(found))
	for i, got := range found {
		ids[i] = readText(got["pk"])
	}
	all, err := s.readDeliveries(ctx, ids)
	var out []key
	for _, d := range all {
		if (d.Status == alert.Sent || d.Status == alert.Superseded) && d.SettledAt.Before(before) {
			out = append(out, deliveryKey(d.ID))
		}
	}
	return out, err
}

// count adds a settlement to the counters of its alert, and notes the success of a target.
func (s *Store) count(ctx context.Context, before item, t sentinel.Settlement) error {
	scope, name := readText(before["scope"]), readText(before["alert"])
	failures := max(t.Attempts-int(readNumber(before["attempts"])), 0)
	if failures == 0 && t.Status != alert.Sent {
		return nil
	}
	c := change{set: item{"alert": text(name)}, add: item{"failures": number(failures)}}
	if t.Status == alert.Sent {
		c.set["last_channel"], c.set["last_sent"] = before["channel"], millis(t.At)
		target := alert.TargetSubject(readText(before["target"]))
		if err := s.update(ctx, subjectKey(scope, target), change{set: item{"subject": text(target), "last_sent": millis(t.At)}}); err != nil {
			return err
		}
	}
	return s.update(ctx, countKey(alert.ID{Scope: scope, Name: name}), c)
}

// countItems reads the counters of a scope, by alert.
func (s *Store) countItems(ctx context.Context, scope string) (map[string]item, error) {
	out := map[string]item{}
	err := s.query(ctx, &dynamodb.QueryInput{
		KeyConditionExpression: aws.String("pk = :pk"), ExpressionAttributeValues: item{":pk": text(countsOf(scope))}, ConsistentRead: aws.Bool(true),
	}, func(got item) (bool, error) {
		out[readText(got["alert"])] = got
		return true, nil
	})
	return out, err
}

// Counts implements sentinel.Outbox.
func (s *Store) Counts(ctx context.Context, scope string) (map[string]sentinel.DeliveryCounts, error) {
	items, err := s.countItems(ctx, scope)
	if err != nil {
		return nil, fmt.Errorf("count deliveries: %w", err)
	}
	entries, err := s.look(ctx, scope, -farFuture, farFuture, everything)
	if err != nil {
		return nil, fmt.Errorf("count deliveries: %w", err)
	}
	answered, err := s.answered(ctx, scope, entries)
	if err != nil {
		return nil, fmt.Errorf("count deliveries: %w", err)
	}
	out := map[string]sentinel.DeliveryCounts{}
	for name, got := range items {
		out[name] = sentinel.DeliveryCounts{
			Failures: int(readNumber(got["failures"])), LastChannel: readText(got["last_channel"]), LastSent: readTime(got["last_sent"]),
		}
	}
	for _, e := range entries {
		c := out[e.alert]
		switch {
		case e.at >= 0:
			c.Pending++
		case answered[e.target] <= -e.at:
			c.Dead++
		}
		out[e.alert] = c
	}
	return out, nil
}

// Backlog implements sentinel.Outbox.
func (s *Store) Backlog(ctx context.Context, scope string) ([]sentinel.Backlog, error) {
	open, err := s.Deliveries(ctx, sentinel.DeliveryFilter{Scope: scope, Statuses: []alert.DeliveryStatus{alert.Pending, alert.Sending}, Limit: everything})
	return sentinel.BacklogOf(open), err
}

// answered is when the targets of dead deliveries last took a message.
func (s *Store) answered(ctx context.Context, scope string, entries []entry) (map[string]int64, error) {
	keys := map[key]string{}
	for _, e := range entries {
		if e.at < 0 {
			keys[subjectKey(scope, alert.TargetSubject(e.target))] = e.target
		}
	}
	var list []key
	for k := range keys {
		list = append(list, k)
	}
	items, err := s.get(ctx, list...)
	out := map[string]int64{}
	for k, got := range items {
		out[keys[k]] = readNumber(got["last_sent"])
	}
	return out, err
}
