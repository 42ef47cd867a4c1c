package cloud_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"
	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/estimate"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/emulators"
)

// A meter asks DynamoDB with each call what it consumed, and adds it up. DynamoDB Local says
// nothing of keys that hold no item, and counts transactions otherwise than AWS: a missing
// item is a unit, and what a transaction writes is reckoned from its items, as AWS documents.
// Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
type meter struct {
	mu          sync.Mutex
	calls       []string
	read, write float64
}

// reset forgets what was counted.
func (m *meter) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls, m.read, m.write = nil, 0, 0
}

// config is the configuration of the emulator with the meter in it.
func (m *meter) config(t testing.TB) aws.Config {
	c := at(emulators.DynamoDB(t))
	c.APIOptions = append(c.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("meter", m.measure), middleware.After)
	})
	return c
}

func (m *meter) measure(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	const all = types.ReturnConsumedCapacityTotal
	wanted, transaction := 0, 0.0
	switch in := in.Parameters.(type) {
	case *dynamodb.BatchGetItemInput:
		in.ReturnConsumedCapacity = all
		for _, keys := range in.RequestItems {
			wanted += len(keys.Keys)
		}
	case *dynamodb.QueryInput:
		in.ReturnConsumedCapacity = all
	case *dynamodb.PutItemInput:
		in.ReturnConsumedCapacity = all
	case *dynamodb.UpdateItemInput:
		in.ReturnConsumedCapacity = all
	case *dynamodb.TransactWriteItemsInput:
		for _, w := range in.TransactItems {
			transaction += unitsOf(w)
		}
	}
	out, metadata, err := next.HandleInitialize(ctx, in)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, middleware.GetOperationName(ctx))
	switch answer := out.Result.(type) {
	case *dynamodb.BatchGetItemOutput:
		for _, got := range answer.Responses {
			wanted -= len(got)
		}
		m.read += *answer.ConsumedCapacity[0].CapacityUnits + float64(wanted)
	case *dynamodb.QueryOutput:
		m.read += *answer.ConsumedCapacity.CapacityUnits
	case *dynamodb.PutItemOutput:
		m.write += *answer.ConsumedCapacity.CapacityUnits
	case *dynamodb.UpdateItemOutput:
		m.write += *answer.ConsumedCapacity.CapacityUnits
	case *dynamodb.TransactWriteItemsOutput:
		m.write += transaction
	}
	return out, metadata, err
}

// unitsOf are the write units of an item in a transaction: two for each begun KB, and one for
// each index that it stands in.
func unitsOf(w types.TransactWriteItem) float64 {
	put := w.Put
	if put == nil {
		panic("the meter knows no other write than Put")
	}
	size := 0
	for name, value := range put.Item {
		size += len(name) + sizeOf(value)
	}
	out := 2 * math.Ceil(float64(size)/1024)
	for _, index := range cloud.Indexes() {
		if put.Item[index.Partition] != nil {
			out++
		}
	}
	return out
}

func sizeOf(value types.AttributeValue) int {
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberB:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		return len(v.Value)/2 + 1
	case *types.AttributeValueMemberSS:
		n := 0
		for _, s := range v.Value {
			n += len(s)
		}
		return n
	case *types.AttributeValueMemberBOOL:
		return 1
	}
	panic(fmt.Sprintf("the meter does not know the size of %T", value))
}

// metered is a store behind a meter, with a table of its own.
func metered(t *testing.T) (*cloud.Store, *meter) {
	m := &meter{}
	store, err := cloud.NewStore(cloud.StoreOptions{AWS: m.config(t), Table: fmt.Sprintf("table-%d", tables.Add(1))})
	require.NoError(t, err)
	require.NoError(t, store.CreateTable(t.Context()))
	return store, m
}

// described is an alert of ordinary length, with so many targets.
func described(t *testing.T, store *cloud.Store, name string, targets ...string) alert.ID {
	sentence(t, store, func(a *alert.Alert) {
		a.Name, a.Description, a.RunbookURL = name, "Yesterday's revenue fell below what a day of this season brings", "https://wiki.example.com/runbooks/revenue"
		a.Labels, a.Notify = map[string]string{"team": "sales", "tier": "1"}, sentineltest.Targets(targets...)
	})
	return alert.ID{Scope: id.Scope, Name: name}
}

// ordinary is a result with some context.
func ordinary(status alert.Status) alert.Result {
	out := rows(1, status)
	out.Rows[0].Context = alert.Fields{{Name: "region", Value: alert.TextValue("eu-west")}, {Name: "orders", Value: alert.IntValue(1234)}, {Name: "day", Value: alert.TextValue("2026-11-23")}}
	return out
}

func TestTheEstimateOfARunAndOfAMessageIsWhatTheyUse(t *testing.T) {
	for _, targets := range [][]string{{"a"}, {"a", "b", "c"}} {
		store, m := metered(t)
		id := described(t, store, "Daily revenue", targets...)
		at := time.Now().Add(-time.Hour).Truncate(time.Minute)
		run := func(status alert.Status) sentinel.Evaluation {
			at = at.Add(time.Minute)
			m.reset()
			got, err := steps(t, store, answers{result: ordinary(status)}).Evaluate(t.Context(), id, at)
			require.NoError(t, err)
			return got
		}
		run(alert.StatusOK) // the first has no record before it
		run(alert.StatusOK)
		steady := estimate.Steady(1000)
		require.Equal(t, steady.Calls, m.calls)
		require.Equal(t, steady.Reads, m.read)
		require.InDelta(t, steady.Writes-0.5, m.write, 0.5, "a head may fit into one unit")

		require.Len(t, run(alert.StatusAlert).Deliveries, len(targets))
		announcing := estimate.Announcing(1000, len(targets), 0) // the store sends to no queue
		require.Equal(t, announcing.Calls, m.calls)
		require.Equal(t, announcing.Reads, m.read)
		require.InDelta(t, announcing.Writes-1, m.write, 1, "%d messages; a head may fit into one unit", len(targets))

		run(alert.StatusAlert)
		require.Equal(t, steady.Calls, m.calls)
		require.Equal(t, steady.Writes, m.write, "while an episode is open")
		require.Len(t, run(alert.StatusOK).Deliveries, len(targets))
		require.InDelta(t, announcing.Writes-1, m.write, 1)
		deliverAll(t, store, m)
	}
}

// deliverAll delivers what waits, the oldest first.
func deliverAll(t *testing.T, store *cloud.Store, m *meter) {
	t.Helper()
	all, err := store.Deliveries(t.Context(), sentinel.DeliveryFilter{Scope: id.Scope})
	require.NoError(t, err)
	s, err := sentinel.New(sentinel.Options{Store: store, Outbox: store, Queue: sentineltest.NoQueue{}, Send: sends(func() {})})
	require.NoError(t, err)
	want := estimate.Delivering()
	for _, d := range slices.Backward(all) {
		m.reset()
		got, err := s.Deliver(t.Context(), sentinel.Ref{ID: d.ID, Try: 1})
		require.NoError(t, err)
		require.Equal(t, alert.Sent, got.Delivery.Status)
		require.Equal(t, want.Calls, m.calls)
		require.Equal(t, want.Writes, m.write)
		require.LessOrEqual(t, m.read, want.Reads, "what stands before a message is read with it")
	}
}

func TestTheEstimateOfATickGrowsWithTheAlertsAsTheTickDoes(t *testing.T) {
	store, m := metered(t)
	s := steps(t, store, answers{result: ordinary(alert.StatusOK)})
	tick := func() float64 {
		m.reset()
		_, err := s.Tick(t.Context(), sentinel.TickOptions{Scope: id.Scope})
		require.NoError(t, err)
		return m.read
	}
	tick()
	require.Len(t, m.calls, estimate.TickCalls-1, "beside the one of sync for its own status")
	const n = 150
	size := 0
	for i := range n {
		one := described(t, store, fmt.Sprintf("Revenue of shop %03d", i), "a")
		_, err := s.Evaluate(t.Context(), one, time.Now().Truncate(time.Minute))
		require.NoError(t, err)
		snapshot, err := store.Load(t.Context(), one)
		require.NoError(t, err)
		bytes, err := estimate.StoredBytes(snapshot.Definition.Alert)
		require.NoError(t, err)
		size += bytes
	}
	got, want := tick(), estimate.Tick(float64(size)).Reads-estimate.Tick(0).Reads // the emulator counts nothing where nothing is
	require.InEpsilon(t, want, got, 0.25, "%d alerts: %v units, %v reckoned", n, got, want)
}
