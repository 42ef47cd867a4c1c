package main

import (
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
)

// describe reads the context of an app, has the functions built and adds the stack.
func describe(app awscdk.App) error {
	context, _ := app.Node().GetAllContext(nil).(map[string]any)
	choices, err := ReadChoices(context)
	if err != nil {
		return err
	}
	folder := ""
	if choices.Packaging == "zip" {
		if folder, err = binaries(choices); err != nil {
			return err
		}
	}
	newStack(app, choices, folder)
	return nil
}

// A stack is everything of one installation, part by part in the order in which they need
// each other.
type stack struct {
	root     awscdk.Stack
	choices  Choices
	binaries string

	key         awskms.IKey // nil: the services' own keys
	bucket      awss3.Bucket
	table       awsdynamodb.Table
	queues      map[string]queuePair // by channel
	tickLetters awssqs.Queue         // ticks that never reached the query function
	syncLetters awssqs.Queue         // events that never reached sync
	functions   map[string]awslambda.Function
	group       awsscheduler.CfnScheduleGroup
	scheduler   awsiam.Role
}

// newStack adds the stack to an app. The folder has the functions' binaries.
func newStack(app awscdk.App, c Choices, folder string) *stack {
	s := &stack{choices: c, binaries: folder, queues: map[string]queuePair{}, functions: map[string]awslambda.Function{}}
	s.root = awscdk.NewStack(app, jsii.String(c.Stack), &awscdk.StackProps{
		Env:         &awscdk.Environment{Account: fromEnvironment("CDK_DEFAULT_ACCOUNT"), Region: fromEnvironment("CDK_DEFAULT_REGION")},
		Description: jsii.String("SQL Sentinel: alerts from SQL"),
		Synthesizer: awscdk.NewDefaultStackSynthesizer(&awscdk.DefaultStackSynthesizerProps{GenerateBootstrapVersionRule: jsii.Bool(false)}),
		Tags:        &map[string]*string{"application": jsii.String("sqlsentinel"), "stack": jsii.String(c.Stack)},
	})
	s.addKey()
	s.addBucket()
	s.addTable()
	s.addQueues()
	s.addFunction("query", s.queryPermissions(), s.queryVariables())
	s.addSchedules()
	s.addFunction("sync", s.syncPermissions(), s.syncVariables())
	for _, channel := range cloud.Channels {
		s.addFunction(channel, s.senderPermissions(channel), s.senderVariables(channel))
	}
	s.addTriggers()
	s.addEndpoints()
	s.addAlarms()
	s.addDashboard()
	s.addOutputs()
	if c.PermissionsBoundary != "" {
		boundary := awsiam.ManagedPolicy_FromManagedPolicyArn(s.root, jsii.String("Boundary"), jsii.String(c.PermissionsBoundary))
		awsiam.PermissionsBoundary_Of(s.root).Apply(boundary)
	}
	return s
}

// fromEnvironment is nil where a variable is not set: then the stack is of no account or
// region until it is deployed.
func fromEnvironment(name string) *string {
	if v := os.Getenv(name); v != "" {
		return &v
	}
	return nil
}

// kept is what becomes of data when the stack is destroyed.
func (s *stack) kept() awscdk.RemovalPolicy {
	if s.choices.RemoveData {
		return awscdk.RemovalPolicy_DESTROY
	}
	return awscdk.RemovalPolicy_RETAIN
}

// arn is the name of a resource in the account and region of the stack.
func (s *stack) arn(service, resource string) *string {
	return jsii.String("arn:" + *s.root.Partition() + ":" + service + ":" + *s.root.Region() + ":" + *s.root.Account() + ":" + resource)
}
