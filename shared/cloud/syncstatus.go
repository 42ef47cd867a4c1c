package cloud

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// A SyncStatus is what the last sync came to, for the next one and for who waits for it.
type SyncStatus struct {
	// Version is that of the configuration that was looked at last, in S3.
	Version string `json:"version"`
	// Problem says why it is not in force; empty: it is.
	Problem string    `json:"problem,omitempty"`
	At      time.Time `json:"at"`
	// Full is when the schedules were last held against the definitions, Target the
	// function that they call.
	Full   time.Time `json:"full,omitzero"`
	Target string    `json:"target,omitempty"`
	Alerts int       `json:"alerts"`
	// Retention is how long history is kept.
	Retention alert.Duration `json:"retention,omitempty"`
	// What the sync changed, by alert name.
	Added   []string `json:"added,omitempty"`
	Changed []string `json:"changed,omitempty"`
	Removed []string `json:"removed,omitempty"`
	Closed  []string `json:"closed,omitempty"`
	// Heartbeat is the URL as written, Every how often it is asked for, Beaten when it was.
	Heartbeat string         `json:"heartbeat,omitempty"`
	Every     alert.Duration `json:"every,omitempty"`
	Beaten    time.Time      `json:"-"`
}

func syncKey(scope string) key { return key{"sync#" + part.Replace(scope), "state"} }

// SyncStatus reads the status; it is zero before the first sync.
func (s *Store) SyncStatus(ctx context.Context, scope string) (SyncStatus, error) {
	var out SyncStatus
	items, err := s.get(ctx, syncKey(scope))
	if err != nil {
		return out, wrap("read the status of sync", err)
	}
	got := items[syncKey(scope)]
	if got["status"] != nil {
		err = unpack("the status of sync", got["status"], &out)
	}
	out.Beaten = readTime(got["beaten"])
	return out, err
}

// PutSyncStatus writes what a sync came to; long lists are cut.
func (s *Store) PutSyncStatus(ctx context.Context, scope string, status SyncStatus) error {
	for _, list := range []*[]string{&status.Added, &status.Changed, &status.Removed, &status.Closed} {
		*list = (*list)[:min(len(*list), 100)]
	}
	body, err := encode("the status of sync", status)
	if err != nil {
		return err
	}
	return wrap("write the status of sync", s.update(ctx, syncKey(scope), change{set: item{"status": pack(body)}}))
}

// Beaten notes when the heartbeat was sent.
func (s *Store) Beaten(ctx context.Context, scope string, at time.Time) error {
	return wrap("write the status of sync", s.update(ctx, syncKey(scope), change{set: item{"beaten": millis(at)}}))
}

// LockSync takes the lease of sync. ErrConflict if another has it.
func (s *Store) LockSync(ctx context.Context, scope, token string, now, until time.Time) error {
	c := change{
		set:       item{"lease": text(token), "lease_until": millis(until)},
		condition: "attribute_not_exists(#lease) OR #lease_until <= :now OR #lease = :token",
		values:    item{":now": millis(now), ":token": text(token)},
	}
	update, names, values := c.expression()
	_, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: syncKey(scope).item(), UpdateExpression: &update, ConditionExpression: &c.condition,
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return sentinel.ErrConflict
	}
	return Readable("take the lease of sync", err)
}

// UnlockSync gives the lease back; a failure leaves it to its end.
func (s *Store) UnlockSync(ctx context.Context, scope, token string) {
	c := change{remove: []string{"lease", "lease_until"}, condition: "#lease = :token", values: item{":token": text(token)}}
	update, names, values := c.expression()
	_, _ = s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: syncKey(scope).item(), UpdateExpression: &update, ConditionExpression: &c.condition,
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	})
}
