package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud/stacks"
)

// addOutputs says what the command line needs to find.
func (s *stack) addOutputs() {
	s.output(stacks.OutputTable, s.table.TableName(), "definitions, states, history and messages")
	s.output(stacks.OutputBucket, s.bucket.BucketName(), "holds "+configKey)
	s.output(stacks.OutputQueryFunction, s.functions["query"].FunctionArn(), "runs one alert")
	s.output(stacks.OutputSyncFunction, s.functions["sync"].FunctionArn(), "makes schedules what the configuration says")
	s.output(stacks.OutputQuerySeconds, digits(s.choices.QueryTimeout), "timeout of the query function")
	s.output(stacks.OutputSenderSeconds, digits(s.choices.SenderTimeout), "timeout of the sender functions")
	for _, channel := range cloud.Channels {
		s.output(stacks.OutputName(stacks.OutputQueue, channel), s.queues[channel].messages.QueueUrl(), "messages that wait to be sent")
		s.output(stacks.OutputName(stacks.OutputDeadLetters, channel), s.queues[channel].letters.QueueUrl(), "messages that could not be sent")
	}
}

// output adds one whose name is exactly this.
func (s *stack) output(name string, value *string, what string) {
	awscdk.NewCfnOutput(s.root, jsii.String("Output"+name), &awscdk.CfnOutputProps{Value: value, Description: jsii.String(what)}).OverrideLogicalId(jsii.String(name))
}
