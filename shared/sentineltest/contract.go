package sentineltest

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// TestStore holds a runtime to the contract. open is called once a test and may return the
// same runtime each time: every test works in a scope of its own.
func TestStore(t *testing.T, open func(t *testing.T) Runtime) {
	for name, tests := range map[string][]contractTest{
		"definitions": definitionTests, "commit": commitTests, "history": historyTests, "claim": claimTests,
		"settle": settleTests, "queue": queueTests, "concurrency": concurrencyTests,
	} {
		t.Run(name, func(t *testing.T) {
			for _, test := range tests {
				t.Run(test.sentence, func(t *testing.T) {
					test.run(newBench(t, open(t)))
				})
			}
		})
	}
}

// A contractTest is one sentence of the contract.
type contractTest struct {
	sentence string
	run      func(b *bench)
}

// A bench is a runtime with a scope of its own, and a clock that stands still.
type bench struct {
	*testing.T
	Runtime
	ctx   context.Context
	scope string
	now   time.Time
}

func newBench(t *testing.T, r Runtime) *bench {
	now := time.Now().UTC().Truncate(time.Millisecond)
	return &bench{T: t, Runtime: r, ctx: t.Context(), scope: fmt.Sprintf("%s at %d", t.Name(), time.Now().UnixNano()), now: now}
}

// at is a time n minutes after the bench's now.
func (b *bench) at(n int) time.Time { return b.now.Add(time.Duration(n) * time.Minute) }

func (b *bench) id(name string) alert.ID { return alert.ID{Scope: b.scope, Name: name} }

// define stores a plain definition of each name.
func (b *bench) define(names ...string) {
	b.Helper()
	var all []sentinel.Definition
	for _, name := range names {
		all = append(all, b.definition(name))
	}
	require.NoError(b, b.PutDefinitions(b.ctx, all))
}

func (b *bench) definition(name string) sentinel.Definition {
	return sentinel.Definition{
		Alert:          alert.Alert{Scope: b.scope, Name: name, Enabled: true, Query: "SELECT 'OK' AS status"},
		Fingerprint:    "fingerprint of " + name,
		ScheduledSince: b.now,
	}
}

// load reads an alert that must be there.
func (b *bench) load(name string) sentinel.Snapshot {
	b.Helper()
	snapshot, err := b.Load(b.ctx, b.id(name))
	require.NoError(b, err)
	return snapshot
}

// record is a run of an alert at a time.
func (b *bench) record(name string, scheduled time.Time) *alert.Record {
	return &alert.Record{
		RunID: alert.RunID(b.id(name), scheduled), Scope: b.scope, Alert: name, Scheduled: scheduled,
		Started: scheduled, Status: alert.StatusOK, Reasons: []alert.Reason{{Code: alert.OKSteady, Text: "steady"}},
	}
}

// next is the commit of a run on top of what is stored.
func (b *bench) next(name string, scheduled time.Time) sentinel.Commit {
	b.Helper()
	state := b.load(name).State
	record := b.record(name, scheduled)
	state.Last, state.ConsecutiveOKs = record, state.ConsecutiveOKs+1
	return sentinel.Commit{ID: b.id(name), State: &state, Record: record}
}

// delivery is a pending message of an alert, due at a time.
func (b *bench) delivery(name, target string, due time.Time) alert.Delivery {
	id := "dlv_" + alert.Digest(b.scope+name+target+due.String())
	return alert.Delivery{
		ID: id, Scope: b.scope, Alert: name, Target: alert.Target{ID: target, Channel: "webhook", Label: target, Settings: json.RawMessage(`{}`)},
		Message:   alert.Message{EventID: id, Event: alert.EventAlert, AlertName: name, Timestamp: due, RunID: alert.RunID(b.id(name), due)},
		CreatedAt: due, Status: alert.Pending, Try: 1, DueAt: due,
	}
}

// enqueue commits deliveries.
func (b *bench) enqueue(deliveries ...alert.Delivery) {
	b.Helper()
	require.NoError(b, b.Commit(b.ctx, sentinel.Commit{ID: b.id(deliveries[0].Alert), Deliveries: deliveries}))
	require.NoError(b, b.Enqueue(b.ctx, deliveries))
}

// lease is how long the bench claims.
const lease = time.Minute

// claim takes a delivery that must be there, at a time.
func (b *bench) claim(d alert.Delivery, now time.Time) sentinel.Claim {
	b.Helper()
	d.Try = b.read(d.ID).Try
	claim, err := b.Claim(b.ctx, d, now, now.Add(lease))
	require.NoError(b, err)
	return claim
}

// settle ends a claim.
func (b *bench) settle(c sentinel.Claim, status alert.DeliveryStatus, at time.Time) {
	b.Helper()
	require.NoError(b, b.Settle(b.ctx, settlement(c, status, at)))
}

func settlement(c sentinel.Claim, status alert.DeliveryStatus, at time.Time) sentinel.Settlement {
	s := sentinel.Settlement{ID: c.Delivery.ID, Lease: c.Lease, Status: status, At: at, Attempts: c.Delivery.Attempts, Crashes: c.Delivery.Crashes}
	if status == alert.Pending {
		s.DueAt = at
	}
	return s
}

// read reads a delivery that must be there.
func (b *bench) read(id string) alert.Delivery {
	b.Helper()
	d, err := b.Delivery(b.ctx, id)
	require.NoError(b, err)
	return d
}

// ids lists deliveries by id.
func ids(deliveries []alert.Delivery) []string {
	out := []string{}
	for _, d := range deliveries {
		out = append(out, d.ID)
	}
	return out
}

// equal compares by every digit of the JSON form: what a store must give back.
func equal(t testing.TB, want, got any) {
	t.Helper()
	require.Equal(t, text(t, want), text(t, got))
}

func text(t testing.TB, v any) string {
	t.Helper()
	body, err := json.MarshalIndent(v, "", " ")
	require.NoError(t, err)
	return string(body)
}
