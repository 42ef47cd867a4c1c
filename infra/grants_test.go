package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
)

// statements writes a policy as lines: what is allowed or denied, on what, to whom, if what.
func statements(document any) []string {
	var out []string
	for _, one := range document.(map[string]any)["Statement"].([]any) {
		s := one.(map[string]any)
		line := fmt.Sprintf("%s %s", s["Effect"], all(s["Action"]))
		if s["Resource"] != nil {
			line += " on " + all(s["Resource"])
		}
		if s["Principal"] != nil {
			line += " to " + who(s["Principal"])
		}
		if conditions, ok := s["Condition"].(map[string]any); ok {
			for _, operator := range sorted(conditions) {
				values := conditions[operator].(map[string]any)
				for _, key := range sorted(values) {
					line += fmt.Sprintf(" if %s %s=%s", operator, key, all(values[key]))
				}
			}
		}
		out = append(out, line)
	}
	return out
}

// all writes a value or a list of them.
func all(value any) string {
	list, ok := value.([]any)
	if !ok {
		return fmt.Sprint(value)
	}
	var out []string
	for _, one := range list {
		out = append(out, fmt.Sprint(one))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func who(principal any) string {
	object, ok := principal.(map[string]any)
	if !ok {
		return fmt.Sprint(principal)
	}
	var out []string
	for _, kind := range sorted(object) {
		out = append(out, all(object[kind]))
	}
	return strings.Join(out, ", ")
}

// allowed are the statements of a role; it has no other policies.
func allowed(t *testing.T, tp template, role string) []string {
	t.Helper()
	r := tp.of("AWS::IAM::Role")[role]
	require.Nil(t, r.properties["ManagedPolicyArns"], role)
	policies := r.properties["Policies"].([]any)
	require.Len(t, policies, 1, role)
	return statements(policies[0].(map[string]any)["PolicyDocument"])
}

const items = "Allow dynamodb:BatchGetItem, dynamodb:ConditionCheckItem, dynamodb:PutItem, dynamodb:UpdateItem on StateTable"

func secretsOf(user string) string {
	path := "arn:Partition:ssm:Region:AccountId:parameter/sentinel/" + user
	return "Allow ssm:GetParametersByPath on " + path + ", " + path + "/*"
}

func logsOf(function string) string {
	return "Allow logs:CreateLogStream, logs:PutLogEvents on " + function + "Log"
}

// granted is exactly what each role may do in a stack without choices.
var granted = map[string][]string{
	"QueryRole": {
		items, "Allow sqs:SendMessage on EmailQueue, SlackQueue, WebhookQueue", secretsOf("query"), "Allow sqs:SendMessage on TickDeadLetters", logsOf("Query"),
	},
	"EmailRole":   sender("Email", "SlackQueue, WebhookQueue"),
	"SlackRole":   sender("Slack", "EmailQueue, WebhookQueue"),
	"WebhookRole": sender("Webhook", "EmailQueue, SlackQueue"),
	"SyncRole": {
		items, "Allow dynamodb:Query on StateTable, StateTable/index/listing, StateTable/index/open", "Allow dynamodb:BatchWriteItem on StateTable",
		"Allow sqs:SendMessage on EmailQueue, SlackQueue, WebhookQueue", "Allow sqs:SendMessage on SyncDeadLetters", secretsOf("sync"),
		"Allow ssm:DescribeParameters on *",
		"Allow s3:GetObject on ConfigBucket/alerts.yaml", "Allow s3:ListBucket on ConfigBucket",
		"Allow scheduler:CreateSchedule, scheduler:DeleteSchedule, scheduler:UpdateSchedule on arn:Partition:scheduler:Region:AccountId:schedule/sentinel/*",
		"Allow scheduler:ListSchedules on *",
		"Allow iam:PassRole on SchedulerRole if StringEquals iam:PassedToService=scheduler.amazonaws.com",
		logsOf("Sync"),
	},
	"SchedulerRole": {"Allow lambda:InvokeFunction on QueryFunction", "Allow sqs:SendMessage on TickDeadLetters"},
}

func sender(name, others string) []string {
	return []string{
		items, "Allow sqs:SendMessage on " + others, "Allow sqs:SendMessage on " + name + "DeadLetters", secretsOf(strings.ToLower(name)),
		"Allow sqs:ChangeMessageVisibility, sqs:DeleteMessage, sqs:GetQueueAttributes, sqs:ReceiveMessage on " + name + "Queue", logsOf(name),
	}
}

func TestEachRoleMayDoExactlyThis(t *testing.T) {
	tp := templateOf(t, nil)
	require.Equal(t, sorted(granted), sorted(tp.of("AWS::IAM::Role")))
	for role, want := range granted {
		require.ElementsMatch(t, want, allowed(t, tp, role), role)
	}
	require.Empty(t, tp.of("AWS::IAM::Policy"), "nothing is granted elsewhere")
	require.Empty(t, tp.of("AWS::IAM::ManagedPolicy"))
	var invokers []string
	for name, p := range tp.of("AWS::Lambda::Permission") {
		require.Equal(t, "SyncFunction", p.properties["FunctionName"])
		require.Equal(t, "events.amazonaws.com", p.properties["Principal"])
		require.Contains(t, name, p.properties["SourceArn"])
		invokers = append(invokers, p.properties["SourceArn"].(string))
	}
	require.ElementsMatch(t, []string{"ConfigChanged", "EachMinute"}, invokers)
}

func TestWhoMayTakeARole(t *testing.T) {
	for name, role := range templateOf(t, nil).of("AWS::IAM::Role") {
		want := []string{"Allow sts:AssumeRole to lambda.amazonaws.com"}
		if name == "SchedulerRole" {
			want = []string{"Allow sts:AssumeRole to scheduler.amazonaws.com if StringEquals aws:SourceAccount=AccountId" +
				" if StringEquals aws:SourceArn=arn:Partition:scheduler:Region:AccountId:schedule-group/sentinel"}
		}
		require.Equal(t, want, statements(role.properties["AssumeRolePolicyDocument"]), name)
	}
}

func TestWhatChoicesAddToRoles(t *testing.T) {
	plain, chosen := templateOf(t, map[string]any{"stack": "shop"}), templateOf(t, everything)
	key := "Allow kms:Decrypt, kms:DescribeKey, kms:Encrypt, kms:GenerateDataKey, kms:ReEncryptFrom, kms:ReEncryptTo on Key if StringEquals kms:ViaService=" +
		"dynamodb.Region.URLSuffix, s3.Region.URLSuffix, sqs.Region.URLSuffix, ssm.Region.URLSuffix"
	network := "Allow ec2:AssignPrivateIpAddresses, ec2:CreateNetworkInterface, ec2:DeleteNetworkInterface, ec2:DescribeNetworkInterfaces, ec2:DescribeSubnets, ec2:UnassignPrivateIpAddresses on *"
	for role := range granted {
		more := []string{key}
		if role != "SchedulerRole" {
			more = append(more, network)
		}
		if role == "EmailRole" {
			more = append(more, "Allow ses:SendEmail, ses:SendRawEmail on arn:Partition:ses:Region:AccountId:identity/example.com", "Allow ses:GetAccount on *")
		}
		require.ElementsMatch(t, append(allowed(t, plain, role), more...), allowed(t, chosen, role), role)
	}
}

func TestNoSenderWritesToTheQueueThatCallsIt(t *testing.T) {
	tp := templateOf(t, everything)
	for _, channel := range cloud.Channels {
		for _, line := range allowed(t, tp, title(channel)+"Role") {
			if strings.Contains(line, "sqs:SendMessage") {
				require.NotContains(t, line, title(channel)+"Queue", "Lambda stops a loop, and the messages in it")
			}
		}
	}
}
