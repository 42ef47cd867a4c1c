package main

import (
	"context"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud/control"
	"github.com/sqlsentinel/sqlsentinel/shared/config"
	"github.com/sqlsentinel/sqlsentinel/shared/notify"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

func wire() (*control.Syncer, error) {
	env, err := cloud.ReadEnvironment("SENTINEL_STACK", "SENTINEL_TABLE", "SENTINEL_BUCKET", "SENTINEL_SCHEDULE_GROUP", "SENTINEL_QUERY_ARN",
		"SENTINEL_SCHEDULE_ROLE_ARN", "SENTINEL_TICK_DEAD_LETTERS_ARN", "SENTINEL_QUEUE_EMAIL", "SENTINEL_QUEUE_SLACK", "SENTINEL_QUEUE_WEBHOOK")
	if err != nil {
		return nil, err
	}
	c, log := cloud.FunctionConfig(), cloud.NewLog(os.Stderr, env.LogLevel)
	store, err := env.Store(c)
	if err != nil {
		return nil, err
	}
	senders, err := notify.New(notify.Options{ // to check settings, not to send
		Secrets: alert.NewSecrets(nil), AWS: func() (aws.Config, error) { return c, nil },
	})
	if err != nil {
		return nil, err
	}
	var channels []config.Channel
	for _, c := range senders.Channels() {
		channels = append(channels, c)
	}
	schedules := control.NewSchedules(control.SchedulesOptions{
		AWS: c, Store: store, Group: env.Group, Target: env.Target, Role: env.Role, DeadLetters: env.TickLetters,
	})
	steps, err := sentinel.New(sentinel.Options{
		Store: store, Outbox: store, Queue: cloud.NewQueue(cloud.QueueOptions{AWS: c, URLs: env.Queues}), Schedules: schedules, Log: log.Logger,
	})
	if err != nil {
		return nil, err
	}
	return &control.Syncer{
		Sentinel: steps, Store: store, Configs: control.NewConfigs(c, env.Bucket), Schedules: schedules, Scope: env.Stack,
		Parse: func(data []byte, exists func(user, name string) bool) (*config.File, error) {
			return control.Parse(data, env.Stack, control.LimitsOf(env.QueryLimit, env.SenderLimit), channels, exists)
		},
		Parameters: func(ctx context.Context) (map[string]bool, error) { return cloud.Parameters(ctx, c, env.Stack) },
		Beat:       beat(c, env.Stack), Log: log, Metrics: &cloud.Metrics{Out: os.Stdout, Stack: env.Stack},
		Tick: sentinel.TickOptions{MissedAfter: env.QueryLimit, SweepAfter: env.SweepAfter},
	}, nil
}

// beat asks for the heartbeat's URL, whose secret is read when it is needed.
func beat(c aws.Config, stack string) func(context.Context, string) error {
	parameters := cloud.NewSecrets(cloud.SecretsOptions{AWS: c, Stack: stack, User: "sync"})
	return func(ctx context.Context, url string) error {
		senders, err := notify.New(notify.Options{Secrets: alert.NewSecrets(parameters.Lookup), EgressDenyLoopback: true})
		if err != nil {
			return err
		}
		return senders.Beat(ctx, url)
	}
}
