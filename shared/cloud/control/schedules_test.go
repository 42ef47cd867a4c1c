package control_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/smithy-go/middleware"
	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud/control"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/emulators"
)

// definitions are alerts of every ten minutes.
func definitions(names ...string) []sentinel.Definition {
	var out []sentinel.Definition
	for _, name := range names {
		out = append(out, sentinel.Definition{Fingerprint: "1", Alert: alert.Alert{Scope: "stack", Name: name, Schedule: "*/10 * * * *", Timezone: "UTC", Enabled: true}})
	}
	return out
}

// A group is a schedule group of its own, and a client that looks at it.
type group struct {
	*scheduler.Client
	name string
}

func newGroup(t *testing.T) (group, aws.Config) {
	c := at(emulators.AWS(t))
	g := group{scheduler.NewFromConfig(c), fmt.Sprintf("group-%d", tables.Add(1))}
	_, err := g.CreateScheduleGroup(t.Context(), &scheduler.CreateScheduleGroupInput{Name: &g.name})
	require.NoError(t, err)
	return g, c
}

func (g group) schedules(t *testing.T, c aws.Config, store *cloud.Store, target string) *control.Schedules {
	t.Helper()
	return control.NewSchedules(control.SchedulesOptions{AWS: c, Store: store, Group: g.name, Target: "arn:aws:lambda:us-east-1:000000000000:function:" + target, Role: "arn:aws:iam::000000000000:role/r", DeadLetters: "arn:aws:sqs:us-east-1:000000000000:d"})
}

func (g group) names(t *testing.T) []string {
	t.Helper()
	list, err := g.ListSchedules(t.Context(), &scheduler.ListSchedulesInput{GroupName: &g.name})
	require.NoError(t, err)
	out := []string{}
	for _, s := range list.Schedules {
		out = append(out, *s.Name)
	}
	return out
}

func TestASchedulesTargetFollowsTheFunction(t *testing.T) {
	g, c := newGroup(t)
	store := store(t)
	require.NoError(t, store.PutDefinitions(t.Context(), definitions("a", "b/ö")))
	require.NoError(t, g.schedules(t, c, store, "old").Schedule(t.Context(), "stack", definitions("a", "b/ö")))
	require.Len(t, g.names(t), 2)
	require.NoError(t, g.schedules(t, c, store, "new").Schedule(t.Context(), "stack", definitions("a", "b/ö")))
	for _, name := range g.names(t) {
		got, err := g.GetSchedule(t.Context(), &scheduler.GetScheduleInput{GroupName: &g.name, Name: &name})
		require.NoError(t, err)
		require.Contains(t, *got.Target.Arn, "function:new")
		require.EqualValues(t, 3, *got.Target.RetryPolicy.MaximumRetryAttempts, "an update sends the whole schedule")
		require.NotNil(t, got.Target.DeadLetterConfig)
		require.Contains(t, *got.Target.Input, "<aws.scheduler.scheduled-time>")
	}
}

func TestAScheduleThatBecomesTwoAndOneAgain(t *testing.T) {
	g, c := newGroup(t)
	store := store(t)
	s := g.schedules(t, c, store, "f")
	d := definitions("a")
	require.NoError(t, store.PutDefinitions(t.Context(), d))
	for expr, n := range map[string]int{"0 9 1 * MON": 2, "0 9 1 * *": 1} {
		d[0].Alert.Schedule = expr
		require.NoError(t, s.Schedule(t.Context(), "stack", d))
		require.Len(t, g.names(t), n, expr)
	}
	require.NoError(t, s.Unschedule(t.Context(), "stack", []string{"a", "never was"}))
	require.Empty(t, g.names(t))
}

// TestSchedulesOnTheSecondPageAreSeenToo answers ListSchedules in two pages, as AWS does
// and the emulator does not.
func TestSchedulesOnTheSecondPageAreSeenToo(t *testing.T) {
	g, c := newGroup(t)
	store := store(t)
	require.NoError(t, store.PutDefinitions(t.Context(), definitions("a", "b")))
	require.NoError(t, g.schedules(t, c, store, "f").Schedule(t.Context(), "stack", definitions("a", "b")))
	all, err := g.ListSchedules(t.Context(), &scheduler.ListSchedulesInput{GroupName: &g.name})
	require.NoError(t, err)
	orphan := all.Schedules[1]
	c.APIOptions = append(c.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("pages", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			list, ok := in.Parameters.(*scheduler.ListSchedulesInput)
			if !ok {
				return next.HandleInitialize(ctx, in)
			}
			page := &scheduler.ListSchedulesOutput{NextToken: aws.String("more"), Schedules: []types.ScheduleSummary{all.Schedules[0]}}
			if list.NextToken != nil {
				page = &scheduler.ListSchedulesOutput{Schedules: []types.ScheduleSummary{orphan}}
			}
			return middleware.InitializeOutput{Result: page}, middleware.Metadata{}, nil
		}), middleware.After)
	})
	kept := "a"
	if strings.HasPrefix(*all.Schedules[0].Name, "b") {
		kept = "b"
	}
	mended, err := g.schedules(t, c, store, "f").Reconcile(t.Context(), definitions(kept))
	require.NoError(t, err)
	require.Equal(t, 1, mended)
	require.Equal(t, []string{*all.Schedules[0].Name}, g.names(t), "what nobody asked for is gone, though it stood on the second page")
}

// TestASyncThatIsCutOffGoesOnWhereItWas ends a sync in the midst of its schedules, as the
// timeout of the function does: what it made is not made again.
func TestASyncThatIsCutOffGoesOnWhereItWas(t *testing.T) {
	g, c := newGroup(t)
	store := store(t)
	var names []string
	for i := range 60 {
		names = append(names, fmt.Sprintf("alert %02d", i))
	}
	all := definitions(names...)
	require.NoError(t, store.PutDefinitions(t.Context(), all))
	ctx, cut := context.WithCancel(t.Context())
	var created, after atomic.Int64
	c.APIOptions = append(c.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("count", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			if _, ok := in.Parameters.(*scheduler.CreateScheduleInput); ok && created.Add(1) == after.Load() {
				cut()
			}
			return next.HandleInitialize(ctx, in)
		}), middleware.After)
	})
	s := g.schedules(t, c, store, "f")
	after.Store(25)
	require.Error(t, s.Schedule(ctx, "stack", all))
	done, err := store.ScheduleFingerprints(t.Context(), "stack")
	require.NoError(t, err)
	noted := 0
	for _, fingerprint := range done {
		if fingerprint != "" {
			noted++
		}
	}
	require.GreaterOrEqual(t, noted, 10, "what was made is noted at once")
	require.Less(t, noted, 30)

	created.Store(0)
	after.Store(0)
	require.NoError(t, s.Schedule(t.Context(), "stack", all))
	require.LessOrEqual(t, created.Load(), int64(len(all)-noted), "the rest, and nothing twice; a call that was cut off may have been done")
	require.GreaterOrEqual(t, created.Load(), int64(len(all)-25), "what was not begun is made now")
	require.Len(t, g.names(t), len(all))
	created.Store(0)
	require.NoError(t, s.Schedule(t.Context(), "stack", all))
	require.Zero(t, created.Load(), "nothing is asked about what did not change")
}
