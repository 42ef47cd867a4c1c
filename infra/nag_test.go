package main

import (
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
	"github.com/stretchr/testify/require"
)

// accepted are the findings of cdk-nag's AwsSolutions rules that stay: where, which, why.
var accepted = []struct{ where, id, finding, why string }{
	{"ConfigBucket", "AwsSolutions-S1", "", "the one object in it is written by people, whose calls CloudTrail records; a bucket of access logs would hold no more"},
	{"TickDeadLetters", "AwsSolutions-SQS3", "", "it is the dead-letter queue of the schedules, which CDK does not make"},
	{"SyncDeadLetters", "AwsSolutions-SQS3", "", "it is the dead-letter queue of two rules and of a function's failures"},
	{"QueryRole", "AwsSolutions-IAM5", "/parameter/shop/query/\\*$/", "all secrets of one user, and no other's; people choose the names"},
	{"SyncRole", "AwsSolutions-IAM5", "/parameter/shop/sync/\\*$/", "all secrets of one user, and no other's; people choose the names"},
	{"EmailRole", "AwsSolutions-IAM5", "/parameter/shop/email/\\*$/", "all secrets of one user, and no other's; people choose the names"},
	{"SlackRole", "AwsSolutions-IAM5", "/parameter/shop/slack/\\*$/", "all secrets of one user, and no other's; people choose the names"},
	{"WebhookRole", "AwsSolutions-IAM5", "/parameter/shop/webhook/\\*$/", "all secrets of one user, and no other's; people choose the names"},
	{"SyncRole", "AwsSolutions-IAM5", "/schedule/shop/\\*$/", "one schedule an alert, in the group of the stack and in no other"},
	{"SyncRole", "AwsSolutions-IAM5", "/^Resource::\\*$/", "ListSchedules, DescribeParameters and Lambda's network interfaces are of no resource"},
	{"QueryRole", "AwsSolutions-IAM5", "/^Resource::\\*$/", "Lambda's network interfaces in a VPC are of no resource"},
	{"EmailRole", "AwsSolutions-IAM5", "/^Resource::\\*$/", "ses:GetAccount and Lambda's network interfaces in a VPC are of no resource"},
	{"SlackRole", "AwsSolutions-IAM5", "/^Resource::\\*$/", "Lambda's network interfaces in a VPC are of no resource"},
	{"WebhookRole", "AwsSolutions-IAM5", "/^Resource::\\*$/", "Lambda's network interfaces in a VPC are of no resource"},
}

func TestTheRulesOfAWSSolutionsFindNothingElse(t *testing.T) {
	for name, context := range map[string]map[string]any{"nothing chosen": {"stack": "shop"}, "everything chosen": everything} {
		app, s := synthesized(t, context)
		for _, a := range accepted {
			suppression := &cdknag.NagPackSuppression{Id: jsii.String(a.id), Reason: jsii.String(a.why)}
			if a.finding != "" {
				suppression.AppliesTo = &[]any{&cdknag.RegexAppliesTo{Regex: jsii.String(a.finding)}}
			}
			cdknag.NagSuppressions_AddResourceSuppressions(s.root.Node().FindChild(jsii.String(a.where)), &[]*cdknag.NagPackSuppression{suppression}, jsii.Bool(true))
		}
		awscdk.Aspects_Of(app).Add(cdknag.NewAwsSolutionsChecks(nil), nil)
		annotations := assertions.Annotations_FromStack(s.root)
		rule := assertions.Match_StringLikeRegexp(jsii.String("AwsSolutions-.*|CdkNag.*"))
		// A finding is a panic of the construct that looks for it.
		require.NotPanics(t, func() { annotations.HasNoError(jsii.String("*"), rule) }, name)
		require.NotPanics(t, func() { annotations.HasNoWarning(jsii.String("*"), rule) }, name)
	}
}
