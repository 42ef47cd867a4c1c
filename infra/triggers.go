package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseventstargets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud/control"
)

const configKey = control.ConfigKey

const (
	// batchSize is how many messages a sender gets at once; they are sent concurrently.
	batchSize = 10
	// asyncRetries and asyncAge are how often, and for how many seconds, Lambda calls a
	// function again whose invocation failed, before the event is a dead letter. An
	// older tick is late, and sync records it as missed.
	asyncRetries, asyncAge = 2, cloud.AsyncAge
)

// addTriggers connects what calls the functions: queues, the configuration, the minute.
func (s *stack) addTriggers() {
	for _, channel := range cloud.Channels {
		awslambda.NewEventSourceMapping(s.root, jsii.String(title(channel)+"Messages"), &awslambda.EventSourceMappingProps{
			Target: s.functions[channel], EventSourceArn: s.queues[channel].messages.QueueArn(),
			BatchSize: jsii.Number(batchSize), ReportBatchItemFailures: jsii.Bool(true),
		})
	}
	changed := awsevents.NewRule(s.root, jsii.String("ConfigChanged"), &awsevents.RuleProps{
		Description: jsii.String("The configuration was uploaded or deleted: sync looks at it"),
		EventPattern: &awsevents.EventPattern{
			Source: jsii.Strings("aws.s3"), DetailType: jsii.Strings("Object Created", "Object Deleted"),
			Detail: &map[string]any{
				"bucket": map[string]any{"name": []any{s.bucket.BucketName()}}, "object": map[string]any{"key": []any{configKey}},
			},
		},
	})
	minute := awsevents.NewRule(s.root, jsii.String("EachMinute"), &awsevents.RuleProps{
		Description: jsii.String("The tick of sync: overdue alerts, ended silences, stranded messages, the heartbeat, the gauges of alarms"),
		Schedule:    awsevents.Schedule_Rate(awscdk.Duration_Minutes(jsii.Number(1))),
	})
	for _, rule := range []awsevents.Rule{changed, minute} {
		rule.AddTarget(awseventstargets.NewLambdaFunction(s.functions["sync"], &awseventstargets.LambdaFunctionProps{
			DeadLetterQueue: s.syncLetters, RetryAttempts: jsii.Number(asyncRetries), MaxEventAge: secondsOf(asyncAge),
		}))
	}
	s.onFailure("query", s.tickLetters)
	s.onFailure("sync", s.syncLetters)
}

// onFailure says where the event of an invocation goes that failed for good.
func (s *stack) onFailure(name string, letters awssqs.Queue) {
	awslambda.NewCfnEventInvokeConfig(s.root, jsii.String(title(name)+"OnFailure"), &awslambda.CfnEventInvokeConfigProps{
		FunctionName: s.functions[name].FunctionName(), Qualifier: jsii.String("$LATEST"),
		MaximumRetryAttempts: jsii.Number(asyncRetries), MaximumEventAgeInSeconds: jsii.Number(asyncAge),
		DestinationConfig: &awslambda.CfnEventInvokeConfig_DestinationConfigProperty{
			OnFailure: &awslambda.CfnEventInvokeConfig_OnFailureProperty{Destination: letters.QueueArn()},
		},
	})
}
