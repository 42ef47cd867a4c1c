package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/jsii-runtime-go"
)

// addSchedules makes the group that holds one schedule an alert, which sync makes, and the
// role with which EventBridge Scheduler calls the query function. The group has the
// stack's name, so that nothing outside it can be touched by sync; it goes with the stack,
// and the schedules with it.
func (s *stack) addSchedules() {
	s.group = awsscheduler.NewCfnScheduleGroup(s.root, jsii.String("ScheduleGroup"), &awsscheduler.CfnScheduleGroupProps{Name: jsii.String(s.choices.Stack)})
	// The role trusts Scheduler for this group alone: else another account's schedule could
	// borrow it.
	// Source: https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
	trust := awsiam.NewServicePrincipal(jsii.String("scheduler.amazonaws.com"), &awsiam.ServicePrincipalOpts{
		Conditions: &map[string]any{"StringEquals": map[string]any{
			"aws:SourceAccount": s.root.Account(), "aws:SourceArn": s.arn("scheduler", "schedule-group/"+s.choices.Stack),
		}},
	})
	statements := s.withKey(allow(jsii.Strings("lambda:InvokeFunction"), s.functions["query"].FunctionArn()), s.writing(s.tickLetters))
	s.scheduler = awsiam.NewRole(s.root, jsii.String("SchedulerRole"), &awsiam.RoleProps{
		AssumedBy:      trust,
		InlinePolicies: &map[string]awsiam.PolicyDocument{"allowed": awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &statements})},
	})
}
