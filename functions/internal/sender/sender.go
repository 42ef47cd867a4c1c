// Package sender wires the sender functions, which differ in their channel only. It links
// no database driver.
package sender

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/notify"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// New wires the sender of a channel. It makes no call. The error says what the environment
// lacks.
func New(channel string) (*cloud.Consumer, error) {
	suffix := strings.ToUpper(channel)
	env, err := cloud.ReadEnvironment("SENTINEL_STACK", "SENTINEL_TABLE", "SENTINEL_QUEUE_"+suffix, "SENTINEL_DEAD_LETTERS_"+suffix)
	if err != nil {
		return nil, err
	}
	c, log := cloud.FunctionConfig(), cloud.NewLog(os.Stderr, env.LogLevel)
	store, err := env.Store(c)
	if err != nil {
		return nil, err
	}
	parameters := cloud.NewSecrets(cloud.SecretsOptions{AWS: c, Stack: env.Stack, User: channel, Failed: func(err error) {
		log.Error("read the secrets", "error", err)
	}})
	queue := cloud.NewQueue(cloud.QueueOptions{AWS: c, URLs: env.Queues, Except: channel})
	steps, err := sentinel.New(sentinel.Options{Store: store, Outbox: store, Queue: queue, Send: lazily(c, parameters), LeaseMargin: env.LeaseMargin, Log: log.Logger})
	if err != nil {
		return nil, err
	}
	return &cloud.Consumer{
		Sentinel: steps, Queue: queue, Channel: channel, DeadLetters: env.DeadLetters[channel],
		Log: log, Metrics: &cloud.Metrics{Out: os.Stdout, Stack: env.Stack},
	}, nil
}

// A sender makes the channels at the first message, for they ask for settings, which may be
// parameters.
type sender struct {
	channels   func() (*notify.Senders, error)
	parameters *cloud.Secrets
}

func lazily(c aws.Config, parameters *cloud.Secrets) sender {
	return sender{sync.OnceValues(func() (*notify.Senders, error) {
		return notify.New(notify.Options{
			Secrets: alert.NewSecrets(parameters.Lookup), EgressDenyLoopback: true, AWS: func() (aws.Config, error) { return c, nil },
		})
	}), parameters}
}

// Send implements sentinel.Sender. What a receiver refuses for good is sent again, once, if
// the secrets are others by now: a refused message was not accepted. What failed while the
// secrets could not be read may succeed later.
func (s sender) Send(ctx context.Context, d alert.Delivery) error {
	channels, err := s.channels()
	if err != nil {
		return &alert.SendError{Message: err.Error()}
	}
	err = channels.Send(ctx, d)
	var refused *alert.SendError
	if errors.As(err, &refused) && refused.Permanent && s.parameters.Refresh() {
		err = channels.Send(ctx, d)
	}
	if cause := s.parameters.Unread(); err != nil && cause != nil {
		return &alert.SendError{Message: err.Error() + "; " + cause.Error()}
	}
	return err
}
