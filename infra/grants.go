package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
)

// What each function may do stands here, action by action: the grants of the constructs
// are wider than what the functions call.

func allow(actions *[]*string, resources ...*string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{Actions: actions, Resources: &resources})
}

// queryPermissions: it reads and writes single items, tells the queues, reads its secrets.
func (s *stack) queryPermissions() []awsiam.PolicyStatement {
	return s.withKey(s.items(), s.telling(cloud.Channels...), s.secrets("query"), s.writing(s.tickLetters))
}

// senderPermissions: it takes messages of its own queue, and tells the others of owners'
// messages. It never writes to the queue that calls it.
func (s *stack) senderPermissions(channel string) []awsiam.PolicyStatement {
	var others []string
	for _, c := range cloud.Channels {
		if c != channel {
			others = append(others, c)
		}
	}
	own := s.queues[channel]
	out := []awsiam.PolicyStatement{
		s.items(), s.telling(others...), s.writing(own.letters), s.secrets(channel),
		allow(jsii.Strings("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"), own.messages.QueueArn()),
	}
	if identity := s.choices.SESIdentity; channel == "email" && identity != "" {
		out = append(out, allow(jsii.Strings("ses:SendEmail", "ses:SendRawEmail"), s.arn("ses", "identity/"+identity)),
			allow(jsii.Strings("ses:GetAccount"), jsii.String("*"))) // it is of no resource
	}
	return s.withKey(out...)
}

// syncPermissions: it reads the configuration, writes definitions and schedules, lists
// which secrets exist without reading them, and hands its role to nobody but Scheduler.
func (s *stack) syncPermissions() []awsiam.PolicyStatement {
	table := s.table.TableArn()
	passRole := allow(jsii.Strings("iam:PassRole"), s.scheduler.RoleArn())
	passRole.AddCondition(jsii.String("StringEquals"), map[string]any{"iam:PassedToService": "scheduler.amazonaws.com"})
	indexes := []*string{table}
	for _, index := range cloud.Indexes() {
		indexes = append(indexes, jsii.String(*table+"/index/"+index.Name))
	}
	return s.withKey(
		s.items(), allow(jsii.Strings("dynamodb:Query"), indexes...), allow(jsii.Strings("dynamodb:BatchWriteItem"), table),
		s.telling(cloud.Channels...), s.writing(s.syncLetters), s.secrets("sync"),
		allow(jsii.Strings("ssm:DescribeParameters"), jsii.String("*")), // it is of no resource
		allow(jsii.Strings("s3:GetObject"), s.bucket.ArnForObjects(jsii.String(configKey))),
		allow(jsii.Strings("s3:ListBucket"), s.bucket.BucketArn()), // else an object that is missing looks forbidden
		allow(jsii.Strings("scheduler:CreateSchedule", "scheduler:UpdateSchedule", "scheduler:DeleteSchedule"), s.arn("scheduler", "schedule/"+s.choices.Stack+"/*")),
		allow(jsii.Strings("scheduler:ListSchedules"), jsii.String("*")), // it is of no resource
		passRole,
	)
}

// items are the calls that Load, Commit, Claim and Settle make.
func (s *stack) items() awsiam.PolicyStatement {
	return allow(jsii.Strings("dynamodb:BatchGetItem", "dynamodb:ConditionCheckItem", "dynamodb:PutItem", "dynamodb:UpdateItem"), s.table.TableArn())
}

func (s *stack) telling(channels ...string) awsiam.PolicyStatement {
	var queues []awssqs.Queue
	for _, c := range channels {
		queues = append(queues, s.queues[c].messages)
	}
	return s.writing(queues...)
}

func (s *stack) writing(queues ...awssqs.Queue) awsiam.PolicyStatement {
	var arns []*string
	for _, q := range queues {
		arns = append(arns, q.QueueArn())
	}
	return allow(jsii.Strings("sqs:SendMessage"), arns...)
}

// secrets are the parameters of one user, by path.
func (s *stack) secrets(user string) awsiam.PolicyStatement {
	path := "parameter/" + s.choices.Stack + "/" + user
	return allow(jsii.Strings("ssm:GetParametersByPath"), s.arn("ssm", path), s.arn("ssm", path+"/*"))
}

// withKey adds what the stack's key is used for, if there is one: only through the
// services that encrypt with it.
func (s *stack) withKey(statements ...awsiam.PolicyStatement) []awsiam.PolicyStatement {
	if s.key == nil {
		return statements
	}
	use := allow(jsii.Strings("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"), s.key.KeyArn())
	var through []string
	for _, service := range []string{"dynamodb", "s3", "sqs", "ssm"} {
		through = append(through, service+"."+*s.root.Region()+"."+*s.root.UrlSuffix())
	}
	use.AddCondition(jsii.String("StringEquals"), map[string]any{"kms:ViaService": through})
	return append(statements, use)
}

// networkPermissions are what Lambda needs to put a function into a VPC; EC2 knows no
// resource for them before they exist.
// Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
func networkPermissions() awsiam.PolicyStatement {
	return allow(jsii.Strings("ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface",
		"ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"), jsii.String("*"))
}
