package cloud_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
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
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/emulators"
)

// faults stand between the SDK and DynamoDB, below its retries: they count attempts and
// answer some of them with what AWS documents and no emulator says.
type faults struct {
	mu       sync.Mutex
	attempts []string
	// before answers an attempt in place of DynamoDB, after in place of its answer.
	before, after func(n int, operation string) error
	inputs        []any
}

// config is the configuration of the emulator with the faults in it.
func (f *faults) config(t testing.TB) aws.Config {
	c := at(emulators.DynamoDB(t))
	c.APIOptions = append(c.APIOptions, func(stack *middleware.Stack) error {
		keep := middleware.InitializeMiddlewareFunc("keep", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			f.mu.Lock()
			f.inputs = append(f.inputs, in.Parameters)
			f.mu.Unlock()
			return next.HandleInitialize(ctx, in)
		})
		fail := middleware.FinalizeMiddlewareFunc("fail", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			operation := middleware.GetOperationName(ctx)
			f.mu.Lock()
			f.attempts = append(f.attempts, operation)
			n := len(f.attempts)
			f.mu.Unlock()
			if f.before != nil {
				if err := f.before(n, operation); err != nil {
					return middleware.FinalizeOutput{}, middleware.Metadata{}, err
				}
			}
			out, metadata, err := next.HandleFinalize(ctx, in)
			if f.after != nil && err == nil {
				err = f.after(n, operation)
			}
			return out, metadata, err
		})
		if err := stack.Initialize.Add(keep, middleware.After); err != nil {
			return err
		}
		return stack.Finalize.Insert(fail, "Retry", middleware.After)
	})
	return c
}

// faulty is a store behind faults, with a table of its own.
func faulty(t testing.TB, f *faults) *cloud.Store {
	t.Helper()
	s, err := cloud.NewStore(cloud.StoreOptions{AWS: f.config(t), Table: fmt.Sprintf("table-%d", tables.Add(1))})
	require.NoError(t, err)
	require.NoError(t, s.CreateTable(t.Context()))
	return s
}

var errLost = errors.New("read tcp 127.0.0.1: connection reset by peer")

// lost is what the SDK sees of an answer that never came.
type lost struct{ error }

// ConnectionError makes the SDK try again.
func (lost) ConnectionError() bool { return true }

func conflict() error {
	return &types.TransactionCanceledException{Message: aws.String("Transaction cancelled"), CancellationReasons: []types.CancellationReason{
		{Code: aws.String("None")}, {Code: aws.String("TransactionConflict")},
	}}
}

var id = alert.ID{Scope: "shop", Name: "revenue"}

// sentence is an alert with three targets.
func sentence(t testing.TB, store *cloud.Store, change func(*alert.Alert)) {
	t.Helper()
	a := alert.Alert{
		Scope: id.Scope, Name: id.Name, Severity: alert.Critical, Query: "SELECT 'OK' AS status", Schedule: "*/10 * * * *", Timezone: "UTC", Enabled: true,
		OnNoData: alert.NoDataError, Timeout: alert.Duration(30 * time.Second), Notify: sentineltest.Targets("a", "b", "c"), Owners: sentineltest.Targets("owner"),
		OnError: alert.ErrorPolicy{After: alert.Count{Runs: 2}, Notify: sentineltest.Targets("owner")},
	}
	if change != nil {
		change(&a)
	}
	require.NoError(t, store.PutDefinitions(t.Context(), []sentinel.Definition{{Alert: a, Fingerprint: "1", ScheduledSince: time.Now()}}))
}

// answers is a query that gives the same result, and does something meanwhile.
type answers struct {
	result alert.Result
	during func()
}

// Query implements sentinel.Querier.
func (a answers) Query(context.Context, alert.Alert, alert.Run) alert.Result {
	if a.during != nil {
		a.during()
	}
	return a.result
}

func rows(n int, status alert.Status) alert.Result {
	var out alert.Result
	for i := range n {
		row := alert.Row{Status: status, Actual: alert.IntValue(int64(i)), Threshold: alert.IntValue(100)}
		if n > 1 {
			row.Instance = alert.Fields{{Name: "region", Value: alert.TextValue(fmt.Sprintf("region %04d", i))}}
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}

func steps(t testing.TB, store *cloud.Store, q sentinel.Querier) *sentinel.Sentinel {
	t.Helper()
	s, err := sentinel.New(sentinel.Options{Store: store, Outbox: store, Queue: sentineltest.NoQueue{}, Query: q})
	require.NoError(t, err)
	return s
}

func TestConflictsThrottlingAndLostAnswersOfEachCallAreOvercome(t *testing.T) {
	for name, fault := range map[string]func(f *faults, n int){
		"a conflict of transactions": func(f *faults, n int) {
			f.before = func(at int, operation string) error {
				if at == n && operation == "TransactWriteItems" {
					return conflict()
				}
				return nil
			}
		},
		"throttling": func(f *faults, n int) {
			f.before = func(at int, _ string) error {
				if at == n {
					return &types.ProvisionedThroughputExceededException{Message: aws.String("slow down")}
				}
				return nil
			}
		},
		"an answer that is lost": func(f *faults, n int) {
			f.after = func(at int, _ string) error {
				if at == n {
					return lost{errLost}
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for n := 1; n <= 6; n++ {
				f := &faults{}
				store := faulty(t, f)
				sentence(t, store, nil)
				f.attempts = nil
				fault(f, n)
				at := time.Now().Truncate(time.Minute)
				for i, status := range []alert.Status{alert.StatusOK, alert.StatusOK, alert.StatusAlert} {
					got, err := steps(t, store, answers{result: rows(1, status)}).Evaluate(t.Context(), id, at.Add(time.Duration(i)*time.Minute))
					require.NoError(t, err)
					require.Equal(t, alert.Fresh, got.Order)
				}
				f.before, f.after = nil, nil
				history, err := store.History(t.Context(), sentinel.HistoryFilter{Scope: "shop"})
				require.NoError(t, err)
				require.Len(t, history, 3)
				deliveries, err := store.Deliveries(t.Context(), sentinel.DeliveryFilter{Scope: "shop"})
				require.NoError(t, err)
				require.Len(t, deliveries, 3)
				snapshot, err := store.Load(t.Context(), id)
				require.NoError(t, err)
				require.EqualValues(t, 3, snapshot.State.Version, "nothing was written twice")
			}
		})
	}
}

func TestASenderOvercomesLostAnswersToo(t *testing.T) {
	for n := 1; n <= 5; n++ {
		f := &faults{}
		store := faulty(t, f)
		sentence(t, store, nil)
		_, err := steps(t, store, answers{result: rows(1, alert.StatusAlert)}).Evaluate(t.Context(), id, time.Now())
		require.NoError(t, err)
		deliveries, err := store.Deliveries(t.Context(), sentinel.DeliveryFilter{Scope: "shop"})
		require.NoError(t, err)
		sent := 0
		s, err := sentinel.New(sentinel.Options{Store: store, Outbox: store, Queue: sentineltest.NoQueue{}, Send: sends(func() { sent++ })})
		require.NoError(t, err)
		f.attempts = nil
		f.after = func(at int, _ string) error {
			if at == n {
				return lost{errLost}
			}
			return nil
		}
		_, err = s.Deliver(t.Context(), sentinel.Ref{ID: deliveries[0].ID, Try: 1})
		require.NoError(t, err)
		require.Equal(t, 1, sent)
		got, err := store.Delivery(t.Context(), deliveries[0].ID)
		require.NoError(t, err)
		require.Equal(t, alert.Sent, got.Status, "lost answer %d of %v", n, f.attempts)
		require.Zero(t, got.Crashes)
	}
}

type sends func()

// Send implements sentinel.Sender.
func (s sends) Send(context.Context, alert.Delivery) error { s(); return nil }

func TestASilenceThatIsSetDuringTheQueryHolds(t *testing.T) {
	store := store(t)
	sentence(t, store, nil)
	now := time.Now()
	query := answers{result: rows(1, alert.StatusAlert), during: func() {
		other := steps(t, store, nil)
		require.NoError(t, other.Silence(t.Context(), id, alert.Silence{Created: now, Until: now.Add(time.Hour), Author: "ada"}))
	}}
	got, err := steps(t, store, query).Evaluate(t.Context(), id, now)
	require.NoError(t, err)
	require.Empty(t, got.Deliveries, "the run is decided again, on the state with the silence")
	snapshot, err := store.Load(t.Context(), id)
	require.NoError(t, err)
	require.Len(t, snapshot.State.Silences, 1)
	require.Equal(t, alert.StatusAlert, snapshot.State.Status)
}

// errKilled ends the process, as far as the store can tell.
var errKilled = errors.New("killed")

func TestAThousandInstancesAndThreeTargetsKilledBetweenAllCalls(t *testing.T) {
	f := &faults{}
	store := faulty(t, f)
	sentence(t, store, func(a *alert.Alert) { a.Key = []string{"region"} })
	at := time.Now().Add(-24 * time.Hour).Truncate(time.Minute)
	runs := 0
	for n, killed := 1, true; killed; n++ {
		killed = false
		for _, before := range []bool{true, false} {
			kill := func(attempt int, _ string) error {
				if attempt < n {
					return nil
				}
				killed = true
				return errKilled // and all that follow: the process is gone
			}
			status := alert.StatusAlert
			if runs%2 == 1 {
				status = alert.StatusOK
			}
			runs++
			at = at.Add(time.Minute)
			f.attempts = nil
			if before {
				f.before = kill
			} else {
				f.after = kill
			}
			_, _ = steps(t, store, answers{result: rows(1000, status)}).Evaluate(t.Context(), id, at)
			f.before, f.after = nil, nil
			fresh, err := cloud.NewStore(cloud.StoreOptions{AWS: f.config(t), Table: fmt.Sprintf("table-%d", tables.Load())})
			require.NoError(t, err)
			store = fresh
			_, err = steps(t, store, answers{result: rows(1000, status)}).Evaluate(t.Context(), id, at)
			require.NoError(t, err)
		}
	}
	require.Greater(t, runs, 4)
	deliveries, err := store.Deliveries(t.Context(), sentinel.DeliveryFilter{Scope: "shop", Limit: 1000})
	require.NoError(t, err)
	require.Len(t, deliveries, 3*runs, "each run told its three targets, once")
	history, err := store.History(t.Context(), sentinel.HistoryFilter{Scope: "shop", Limit: 1000})
	require.NoError(t, err)
	require.Len(t, history, runs)
	snapshot, err := store.Load(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, runs%2*1000, snapshot.State.Open())
}

func TestASteadyRunIsOneReadOfFourKBAndTwoSmallItems(t *testing.T) {
	f := &faults{}
	store := faulty(t, f)
	sentence(t, store, nil)
	result := rows(1, alert.StatusOK)
	result.Rows[0].Context = alert.Fields{{Name: "region", Value: alert.TextValue("eu-west")}, {Name: "orders", Value: alert.IntValue(1234)}}
	at := time.Now().Truncate(time.Minute)
	s := steps(t, store, answers{result: result})
	for n := range 3 {
		f.mu.Lock()
		f.attempts, f.inputs = nil, nil
		f.mu.Unlock()
		_, err := s.Evaluate(t.Context(), id, at.Add(time.Duration(n)*time.Minute))
		require.NoError(t, err)
	}
	require.Equal(t, []string{"BatchGetItem", "PutItem", "PutItem"}, f.attempts)
	require.Len(t, f.inputs, 3)
	db := dynamodb.NewFromConfig(at2(t))
	read, err := db.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{
		RequestItems: f.inputs[0].(*dynamodb.BatchGetItemInput).RequestItems, ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
	})
	require.NoError(t, err)
	require.LessOrEqual(t, *read.ConsumedCapacity[0].CapacityUnits, 4.0, "each item is within 4 KB")
	for i, most := range map[int]float64{1: 1, 2: 2} { // history, then the head
		in := *f.inputs[i].(*dynamodb.PutItemInput)
		in.ConditionExpression, in.ExpressionAttributeValues, in.ReturnConsumedCapacity = nil, nil, types.ReturnConsumedCapacityTotal
		wrote, err := db.PutItem(t.Context(), &in)
		require.NoError(t, err)
		require.LessOrEqual(t, *wrote.ConsumedCapacity.CapacityUnits, most, "write %d", i)
	}
}

func at2(t testing.TB) aws.Config { return at(emulators.DynamoDB(t)) }

func TestAStateThatIsTooLargeIsAnErrorRun(t *testing.T) {
	store := store(t)
	sentence(t, store, func(a *alert.Alert) { a.Key = []string{"region"} })
	result := rows(1000, alert.StatusAlert)
	for i := range result.Rows {
		noise := make([]byte, 1500)
		_, err := rand.Read(noise)
		require.NoError(t, err)
		result.Rows[i].Actual = alert.TextValue(hex.EncodeToString(noise))
	}
	got, err := steps(t, store, answers{result: result}).Evaluate(t.Context(), id, time.Now())
	require.NoError(t, err)
	require.Equal(t, alert.StatusError, got.Record.Status)
	require.Equal(t, alert.ErrorInstances, got.Record.Reasons[0].Code)
	require.Contains(t, got.Record.Error, "300 are kept")
	snapshot, err := store.Load(t.Context(), id)
	require.NoError(t, err)
	require.Zero(t, snapshot.State.Open())
}

func TestADefinitionThatIsTooLargeIsRefusedByName(t *testing.T) {
	noise := make([]byte, 300<<10)
	_, err := rand.Read(noise)
	require.NoError(t, err)
	err = store(t).PutDefinitions(t.Context(), []sentinel.Definition{{Alert: alert.Alert{Scope: "shop", Name: "huge", Query: hex.EncodeToString(noise)}}})
	require.ErrorIs(t, err, sentinel.ErrTooLarge)
	require.ErrorContains(t, err, `"huge"`)
}

func TestDeliveriesThatAreTooLargeTogetherLoseTheirContextVisibly(t *testing.T) {
	store := store(t)
	var all []alert.Delivery
	for i := range 60 {
		noise := make([]byte, 60<<10)
		_, err := rand.Read(noise)
		require.NoError(t, err)
		all = append(all, alert.Delivery{
			ID: fmt.Sprint("dlv_", i), Scope: "shop", Alert: "revenue", Target: alert.Target{ID: fmt.Sprint(i), Channel: "webhook"}, Status: alert.Pending, Try: 1,
			Message: alert.Message{Context: alert.Fields{{Name: "blob", Value: alert.TextValue(hex.EncodeToString(noise))}}},
		})
	}
	require.NoError(t, store.Commit(t.Context(), sentinel.Commit{ID: id, Deliveries: all}))
	d, err := store.Delivery(t.Context(), "dlv_0")
	require.NoError(t, err)
	require.Len(t, d.Message.Context, 1)
	require.Contains(t, d.Message.Context[0].Value.String(), "1 columns of context are left out")
}
