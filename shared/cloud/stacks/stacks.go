// Package stacks finds what is deployed on AWS, for the programs of people: by the outputs
// of a stack, with the credentials that the SDK finds.
package stacks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud/control"
)

// A Stack is a deployed stack, as its outputs describe it: for programs of people. What
// runs in it knows itself by its environment.
type Stack struct {
	cloud.Environment
	// QueryFunction and SyncFunction are the ARNs of functions.
	QueryFunction, SyncFunction string
	// Limits are the longest timeouts of queries and targets that its functions leave.
	Limits     control.Limits
	config     aws.Config
	alarmTopic string
}

// Outputs are the names of the stack's outputs. What is in the braces is a channel.
const (
	OutputTable         = "Table"
	OutputBucket        = "Bucket"
	OutputQueryFunction = "QueryFunction"
	OutputSyncFunction  = "SyncFunction"
	OutputQuerySeconds  = "QueryTimeout"
	OutputSenderSeconds = "SenderTimeout"
	OutputAlarmTopic    = "AlarmTopic"  // only of a topic of the stack's own
	OutputQueue         = "Queue"       // + Email, Slack, Webhook
	OutputDeadLetters   = "DeadLetters" // + Email, Slack, Webhook
)

// OutputName is the output of a queue of a channel.
func OutputName(kind, channel string) string {
	return kind + strings.ToUpper(channel[:1]) + channel[1:]
}

// PersonConfig is the configuration that the SDK's own search gives: environment, profile,
// single sign-on. It takes a moment, so that only who needs AWS asks for it.
func PersonConfig() (aws.Config, error) {
	loaded, err := awsconfig.LoadDefaultConfig(context.Background(), awsconfig.WithLogger(logging.Nop{}))
	if err != nil {
		return aws.Config{}, cloud.Readable("read the configuration of AWS", err)
	}
	return cloud.Configured(loaded), nil
}

// Open finds a stack in the account and region that the SDK's own search gives:
// environment, profile, single sign-on. The error is one line that says what is missing.
func Open(ctx context.Context, name string) (*Stack, error) {
	what := fmt.Sprintf("find the stack %q", name)
	c, found, err := describe(ctx, name, what)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, fmt.Errorf("%s: there is none in the region %s of this account; see --stack, AWS_REGION and AWS_PROFILE", what, c.Region)
	}
	outputs := map[string]string{}
	for _, o := range found.Outputs {
		outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	seconds := func(name string) time.Duration {
		n, _ := strconv.Atoi(outputs[name]) // what is missing is the default
		return time.Duration(n) * time.Second
	}
	s := &Stack{
		config: c, QueryFunction: outputs[OutputQueryFunction], SyncFunction: outputs[OutputSyncFunction],
		alarmTopic: outputs[OutputAlarmTopic],
		Limits:     control.LimitsOf(seconds(OutputQuerySeconds), seconds(OutputSenderSeconds)),
	}
	s.Stack, s.Table, s.Bucket = name, outputs[OutputTable], outputs[OutputBucket]
	s.Queues, s.DeadLetters = map[string]string{}, map[string]string{}
	for _, channel := range cloud.Channels {
		s.Queues[channel], s.DeadLetters[channel] = outputs[OutputName(OutputQueue, channel)], outputs[OutputName(OutputDeadLetters, channel)]
	}
	if s.Table == "" || s.Bucket == "" {
		return nil, fmt.Errorf("%s: it is no stack of SQL Sentinel, for it has no outputs %s and %s", what, OutputTable, OutputBucket)
	}
	return s, nil
}

// describe asks for a stack; nil if there is none.
func describe(ctx context.Context, name, what string) (aws.Config, *types.Stack, error) {
	c, err := PersonConfig()
	if err != nil {
		return c, nil, fmt.Errorf("%s: %w", what, err)
	}
	if c.Region == "" {
		return c, nil, fmt.Errorf("%s: no AWS region; set AWS_REGION or AWS_PROFILE", what)
	}
	client := cloudformation.NewFromConfig(c, func(o *cloudformation.Options) { o.BaseEndpoint = cloud.Endpoint(c, "cloudformation") })
	answer, err := client.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "ValidationError" {
		return c, nil, nil
	}
	if err != nil {
		return c, nil, cloud.Readable(what, err)
	}
	return c, &answer.Stacks[0], nil
}

// Prepared returns nil if AWS can be reached, and the account and region are prepared for
// CDK, by its stack CDKToolkit.
func Prepared(ctx context.Context) error {
	const what = "look at the account"
	c, found, err := describe(ctx, "CDKToolkit", what)
	if err == nil && found == nil {
		err = fmt.Errorf("%s: CDK has not been bootstrapped in the region %s; do that once: make bootstrap REGION=%s", what, c.Region, c.Region)
	}
	return err
}

// Store is the stack's table.
func (s *Stack) Store() (*cloud.Store, error) { return s.Environment.Store(s.config) }

// Queue is the stack's queues.
func (s *Stack) Queue() *cloud.Queue {
	return cloud.NewQueue(cloud.QueueOptions{AWS: s.config, URLs: s.Queues})
}

// Configs is the stack's bucket.
func (s *Stack) Configs() *control.Configs { return control.NewConfigs(s.config, s.Bucket) }

// Parameters lists the secrets that exist, as USER/NAME.
func (s *Stack) Parameters(ctx context.Context) (map[string]bool, error) {
	return cloud.Parameters(ctx, s.config, s.Stack)
}

// PutSecret stores a value where a user may read it.
func (s *Stack) PutSecret(ctx context.Context, user, name, value string) error {
	return cloud.PutSecret(ctx, s.config, s.Stack, user, name, value)
}

// Invoke runs an alert by the query function, so that network and secrets are its own.
func (s *Stack) Invoke(ctx context.Context, tick cloud.Tick) (cloud.Answer, error) {
	var out cloud.Answer
	what := fmt.Sprintf("invoke the query function for %q", tick.Alert)
	payload, err := json.Marshal(tick)
	if err != nil {
		return out, err
	}
	answer, err := s.invoke(ctx, s.QueryFunction, payload, what)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		return out, fmt.Errorf("%s: read its answer: %w", what, err)
	}
	if out.Error != "" {
		return out, fmt.Errorf("%s: %s", what, out.Error)
	}
	return out, nil
}

// Settle calls sync until the schedules call the query function that stands now: a
// deployment may have made another. It returns whether there is a configuration at all.
func (s *Stack) Settle(ctx context.Context) (configured bool, err error) {
	store, err := s.Store()
	if err != nil {
		return false, err
	}
	for {
		status, err := store.SyncStatus(ctx, s.Stack)
		if err != nil {
			return false, err
		}
		if status.Version == "" || status.Target == s.QueryFunction {
			return status.Version != "", nil
		}
		if _, err := s.invoke(ctx, s.SyncFunction, []byte("{}"), "sync"); err != nil {
			return true, err
		}
		select {
		case <-ctx.Done():
			return true, fmt.Errorf("the schedules of the stack %q still call another function: %w; the log of its sync function says why", s.Stack, ctx.Err())
		case <-time.After(2 * time.Second):
		}
	}
}

// invoke calls a function and returns its answer.
func (s *Stack) invoke(ctx context.Context, function string, payload []byte, what string) ([]byte, error) {
	client := lambda.NewFromConfig(s.config, func(o *lambda.Options) {
		o.BaseEndpoint = cloud.Endpoint(s.config, "lambda")
		o.HTTPClient = awshttp.NewBuildableClient().WithTimeout(16 * time.Minute) // it answers when the function has
		o.RetryMaxAttempts = 1                                                    // a run is not asked for twice
	})
	answer, err := client.Invoke(ctx, &lambda.InvokeInput{FunctionName: &function, Payload: payload})
	if err != nil {
		return nil, cloud.Readable(what, err)
	}
	if answer.FunctionError != nil {
		return nil, fmt.Errorf("%s: the function failed: %s; its log says more", what, cloud.Clip(string(answer.Payload), 500))
	}
	return answer.Payload, nil
}

// Unconfirmed is the address that was asked to confirm that it wants to hear alarms, and
// did not yet; empty if there is none.
func (s *Stack) Unconfirmed(ctx context.Context) (string, error) {
	if s.alarmTopic == "" {
		return "", nil
	}
	client := sns.NewFromConfig(s.config, func(o *sns.Options) { o.BaseEndpoint = cloud.Endpoint(s.config, "sns") })
	answer, err := client.ListSubscriptionsByTopic(ctx, &sns.ListSubscriptionsByTopicInput{TopicArn: &s.alarmTopic})
	if err != nil {
		return "", cloud.Readable("list who hears alarms", err)
	}
	for _, subscription := range answer.Subscriptions {
		if !strings.HasPrefix(aws.ToString(subscription.SubscriptionArn), "arn:") { // AWS says PendingConfirmation
			return aws.ToString(subscription.Endpoint), nil
		}
	}
	return "", nil
}

// ReadObject reads an alert file from s3://BUCKET/KEY, as the person who asks may.
func ReadObject(ctx context.Context, url string) ([]byte, error) {
	bucket, key, ok := strings.Cut(strings.TrimPrefix(url, "s3://"), "/")
	if !ok || bucket == "" || key == "" {
		return nil, fmt.Errorf("%s names no object; write s3://BUCKET/KEY", url)
	}
	c, err := PersonConfig()
	if err != nil {
		return nil, err
	}
	got, err := control.NewConfigs(c, bucket).Read(ctx, key)
	if errors.Is(err, control.ErrNoConfig) {
		return nil, fmt.Errorf("%s does not exist", url)
	}
	return got.Data, err
}
