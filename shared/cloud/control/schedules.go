package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"golang.org/x/sync/errgroup"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// SchedulesOptions are what Schedules needs. All are required.
type SchedulesOptions struct {
	AWS   aws.Config
	Store *cloud.Store
	// Group is the schedule group of the stack: all schedules in it are ours.
	Group string
	// Target is the ARN of the query function, Role that of the role which invokes it, and
	// DeadLetters that of the queue for ticks that could not be delivered.
	Target, Role, DeadLetters string
}

// Schedules are the schedules of EventBridge Scheduler: one an alert, or two where Unix
// cron says "or" and EventBridge cannot. It implements sentinel.Schedules.
type Schedules struct {
	SchedulesOptions
	client *scheduler.Client
}

// NewSchedules makes schedules. It makes no call.
func NewSchedules(o SchedulesOptions) *Schedules {
	return &Schedules{o, scheduler.NewFromConfig(o.AWS, func(s *scheduler.Options) { s.BaseEndpoint = cloud.Endpoint(o.AWS, "scheduler") })}
}

// scheduledTime is replaced by EventBridge Scheduler.
const scheduledTime = "<aws.scheduler.scheduled-time>"

const (
	// tickRetries and tickAge are how often, and for how many seconds, a tick is delivered
	// again that the function's service refused.
	tickRetries = 3
	tickAge     = 300
	// perAlert is how many schedules an alert has at most.
	perAlert = 2
	// schedulesAtOnce keeps below the rate that an account is allowed.
	schedulesAtOnce = 10
)

// scheduleName is derived from the alert's, for a name has 64 characters of a small alphabet.
func scheduleName(id alert.ID, n int) string {
	var readable strings.Builder
	for _, c := range id.Name {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			readable.WriteRune(c)
		case readable.Len() > 0 && !strings.HasSuffix(readable.String(), "-"):
			readable.WriteByte('-')
		}
		if readable.Len() >= 40 {
			break
		}
	}
	return fmt.Sprintf("%s-%s-%d", strings.Trim(readable.String(), "-"), alert.Digest(id.Scope+"\x00"+id.Name), n)
}

// wanted are the schedules that a definition asks for: none if it is disabled.
func (s *Schedules) wanted(d sentinel.Definition) ([]scheduler.CreateScheduleInput, error) {
	a := d.Alert
	if !a.Enabled {
		return nil, nil
	}
	timetable, err := TranslateCron(a.Schedule, a.Timezone)
	if err != nil {
		return nil, fmt.Errorf("schedule %q: %w", a.Name, err)
	}
	input, err := json.Marshal(cloud.Tick{Alert: a.Name, ScheduledTime: scheduledTime})
	if err != nil {
		return nil, err
	}
	text := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(input)) // JSON for HTML escapes them
	var out []scheduler.CreateScheduleInput
	for n, expression := range timetable.Expressions {
		out = append(out, scheduler.CreateScheduleInput{
			Name: aws.String(scheduleName(a.ID(), n+1)), GroupName: &s.Group, Description: aws.String(cloud.Clip(a.Name, 500)),
			ScheduleExpression: aws.String(expression), ScheduleExpressionTimezone: aws.String(timetable.Zone),
			FlexibleTimeWindow: &types.FlexibleTimeWindow{Mode: types.FlexibleTimeWindowModeOff}, State: types.ScheduleStateEnabled,
			Target: &types.Target{
				Arn: &s.Target, RoleArn: &s.Role, Input: &text, DeadLetterConfig: &types.DeadLetterConfig{Arn: &s.DeadLetters},
				RetryPolicy: &types.RetryPolicy{MaximumRetryAttempts: aws.Int32(tickRetries), MaximumEventAgeInSeconds: aws.Int32(tickAge)},
			},
		})
	}
	return out, nil
}

// fingerprint is equal for equal schedules.
func fingerprintOf(all []scheduler.CreateScheduleInput) (string, error) {
	text, err := json.Marshal(all) //nolint:gosec // no field that is set is secret
	if err != nil {
		return "", fmt.Errorf("write a schedule: %w", err)
	}
	return alert.Digest(string(text)), nil
}

// Schedule implements sentinel.Schedules. The fingerprint of what stands in EventBridge is
// kept beside the definition, so that nothing is asked about what did not change.
func (s *Schedules) Schedule(ctx context.Context, scope string, definitions []sentinel.Definition) error {
	stored, err := s.Store.ScheduleFingerprints(ctx, scope)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(schedulesAtOnce)
	for _, d := range definitions {
		all, err := s.wanted(d)
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		fingerprint, err := fingerprintOf(all)
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		if before := stored[d.Alert.Name]; before != fingerprint {
			group.Go(func() error { return s.apply(ctx, d.Alert.ID(), all, fingerprint) })
		}
	}
	return group.Wait()
}

// apply makes the schedules of an alert those that are wanted.
func (s *Schedules) apply(ctx context.Context, id alert.ID, all []scheduler.CreateScheduleInput, fingerprint string) error {
	for n := range perAlert {
		var err error
		if n < len(all) {
			err = s.put(ctx, all[n])
		} else {
			err = s.remove(ctx, scheduleName(id, n+1))
		}
		if err != nil {
			return fmt.Errorf("schedule %q: %w", id.Name, err)
		}
	}
	return s.Store.PutScheduleFingerprint(ctx, id, fingerprint)
}

// put creates a schedule, or replaces all of it: an update sets what it does not name back
// to its default.
func (s *Schedules) put(ctx context.Context, in scheduler.CreateScheduleInput) error {
	_, err := s.client.CreateSchedule(ctx, &in)
	var there *types.ConflictException
	if !errors.As(err, &there) {
		return cloud.Readable("create a schedule", err)
	}
	_, err = s.client.UpdateSchedule(ctx, &scheduler.UpdateScheduleInput{
		Name: in.Name, GroupName: in.GroupName, Description: in.Description, ScheduleExpression: in.ScheduleExpression,
		ScheduleExpressionTimezone: in.ScheduleExpressionTimezone, FlexibleTimeWindow: in.FlexibleTimeWindow, State: in.State, Target: in.Target,
	})
	return cloud.Readable("update a schedule", err)
}

func (s *Schedules) remove(ctx context.Context, name string) error {
	_, err := s.client.DeleteSchedule(ctx, &scheduler.DeleteScheduleInput{Name: &name, GroupName: &s.Group})
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		return nil
	}
	return cloud.Readable("delete a schedule", err)
}

// Unschedule implements sentinel.Schedules.
func (s *Schedules) Unschedule(ctx context.Context, scope string, names []string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(schedulesAtOnce)
	for _, name := range names {
		group.Go(func() error {
			for n := range perAlert {
				if err := s.remove(ctx, scheduleName(alert.ID{Scope: scope, Name: name}, n+1)); err != nil {
					return fmt.Errorf("unschedule %q: %w", name, err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// Reconcile holds what stands in the group against the definitions, whatever the
// fingerprints say: it removes what nobody asked for, and puts back what somebody else
// removed, disabled or pointed elsewhere. It returns how many schedules it mended.
func (s *Schedules) Reconcile(ctx context.Context, definitions []sentinel.Definition) (int, error) {
	wrong := map[string]sentinel.Definition{} // by the name of the schedule
	for _, d := range definitions {
		all, err := s.wanted(d)
		if err != nil {
			return 0, err
		}
		for _, in := range all {
			wrong[*in.Name] = d
		}
	}
	mended := 0
	pages := scheduler.NewListSchedulesPaginator(s.client, &scheduler.ListSchedulesInput{GroupName: &s.Group, MaxResults: aws.Int32(100)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return mended, cloud.Readable("list the schedules", err)
		}
		for _, found := range page.Schedules {
			name := aws.ToString(found.Name)
			if _, ok := wrong[name]; !ok {
				mended++
				if err := s.remove(ctx, name); err != nil {
					return mended, err
				}
			}
			if found.State == types.ScheduleStateEnabled && found.Target != nil && aws.ToString(found.Target.Arn) == s.Target {
				delete(wrong, name)
			}
		}
	}
	return mended + len(wrong), s.renew(ctx, wrong)
}

// renew makes the schedules of definitions anew, each once.
func (s *Schedules) renew(ctx context.Context, wrong map[string]sentinel.Definition) error {
	done := map[string]bool{}
	for _, d := range wrong {
		if done[d.Alert.Name] {
			continue
		}
		done[d.Alert.Name] = true
		all, err := s.wanted(d)
		if err != nil {
			return err
		}
		fingerprint, err := fingerprintOf(all)
		if err != nil {
			return err
		}
		if err := s.apply(ctx, d.Alert.ID(), all, fingerprint); err != nil {
			return err
		}
	}
	return nil
}
