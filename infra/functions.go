package main

import (
	"maps"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecrassets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/jsii-runtime-go"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
)

// syncTimeout is how long sync may take, in seconds: as long as its lease.
const syncTimeout = 300

// memory, timeout and security groups of a function.
func (s *stack) size(name string) (memory, timeout int, groups []string) {
	switch c := s.choices; name {
	case "query":
		return c.QueryMemory, c.QueryTimeout, c.QueryGroups
	case "sync":
		return c.SyncMemory, syncTimeout, c.SyncGroups
	default:
		return c.SenderMemory, c.SenderTimeout, c.SenderGroups
	}
}

// addFunction makes a function with its log group and a role that may do what is listed,
// and no more.
func (s *stack) addFunction(name string, permissions []awsiam.PolicyStatement, variables map[string]*string) {
	memory, timeout, groups := s.size(name)
	logs := awslogs.NewLogGroup(s.root, jsii.String(title(name)+"Log"), &awslogs.LogGroupProps{
		EncryptionKey: s.key, RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	})
	logs.Node().DefaultChild().(awslogs.CfnLogGroup).SetRetentionInDays(jsii.Number(s.choices.LogRetentionDays))
	permissions = append(permissions, allow(jsii.Strings("logs:CreateLogStream", "logs:PutLogEvents"), logs.LogGroupArn()))
	if len(groups) > 0 {
		permissions = append(permissions, networkPermissions())
	}
	role := awsiam.NewRole(s.root, jsii.String(title(name)+"Role"), &awsiam.RoleProps{
		AssumedBy:      awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
		InlinePolicies: &map[string]awsiam.PolicyDocument{"allowed": awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &permissions})},
	})
	maps.Copy(variables, map[string]*string{
		"SENTINEL_STACK": jsii.String(s.choices.Stack), "SENTINEL_TABLE": s.table.TableName(), "LOG_LEVEL": jsii.String("info"),
	})
	for key, value := range s.choices.Environment {
		variables[key] = jsii.String(value)
	}
	props := &awslambda.FunctionProps{
		Description: jsii.String("SQL Sentinel " + s.choices.Stack + ": " + name), Architecture: s.architecture(),
		MemorySize: jsii.Number(memory), Timeout: secondsOf(timeout), Role: role, LogGroup: logs, Environment: &variables,
	}
	if name == "query" && s.choices.QueryConcurrency > 0 {
		props.ReservedConcurrentExecutions = jsii.Number(s.choices.QueryConcurrency)
	}
	function := s.packaged(name, props)
	if len(groups) > 0 {
		function.Node().DefaultChild().(awslambda.CfnFunction).SetVpcConfig(&awslambda.CfnFunction_VpcConfigProperty{
			SubnetIds: jsii.Strings(s.choices.Subnets...), SecurityGroupIds: jsii.Strings(groups...),
		})
	}
	s.functions[name] = function
}

// packaged makes the function from its zip, or from the image of the Dockerfile. CloudFormation
// does not change one into the other, so that they have other names.
func (s *stack) packaged(name string, props *awslambda.FunctionProps) awslambda.Function {
	if s.choices.Packaging == "image" {
		platform := awsecrassets.Platform_LINUX_ARM64()
		if s.choices.Architecture == "x86_64" {
			platform = awsecrassets.Platform_LINUX_AMD64()
		}
		props.Runtime, props.Handler = awslambda.Runtime_FROM_IMAGE(), awslambda.Handler_FROM_IMAGE()
		props.Code = awslambda.Code_FromAssetImage(jsii.String(".."), &awslambda.AssetImageCodeProps{
			Target: jsii.String("lambda"), Cmd: jsii.Strings(name), Platform: platform, IgnoreMode: awscdk.IgnoreMode_DOCKER,
		})
		return awslambda.NewFunction(s.root, jsii.String(title(name)+"ImageFunction"), props)
	}
	props.Runtime, props.Handler = awslambda.Runtime_PROVIDED_AL2023(), jsii.String("bootstrap")
	props.Code = awslambda.Code_FromAsset(jsii.String(filepath.Join(s.binaries, name)), &awss3assets.AssetOptions{})
	return awslambda.NewFunction(s.root, jsii.String(title(name)+"Function"), props)
}

func (s *stack) architecture() awslambda.Architecture {
	if s.choices.Architecture == "x86_64" {
		return awslambda.Architecture_X86_64()
	}
	return awslambda.Architecture_ARM_64()
}

// queryVariables are the environment of the query function, as shared/cloud reads it.
func (s *stack) queryVariables() map[string]*string { return s.queueVariables() }

func (s *stack) queueVariables() map[string]*string {
	out := map[string]*string{}
	for _, channel := range cloud.Channels {
		out["SENTINEL_QUEUE_"+strings.ToUpper(channel)] = s.queues[channel].messages.QueueUrl()
	}
	return out
}

func (s *stack) syncVariables() map[string]*string {
	out := s.queueVariables()
	maps.Copy(out, map[string]*string{
		"SENTINEL_BUCKET": s.bucket.BucketName(), "SENTINEL_SCHEDULE_GROUP": jsii.String(s.choices.Stack),
		"SENTINEL_QUERY_ARN": s.functions["query"].FunctionArn(), "SENTINEL_SCHEDULE_ROLE_ARN": s.scheduler.RoleArn(),
		"SENTINEL_TICK_DEAD_LETTERS_ARN": s.tickLetters.QueueArn(),
		"SENTINEL_QUERY_TIMEOUT":         digits(s.choices.QueryTimeout), "SENTINEL_SENDER_TIMEOUT": digits(s.choices.SenderTimeout),
	})
	if s.choices.SESIdentity != "" {
		out["EMAIL_PROVIDER"] = jsii.String("ses")
	}
	return out
}

func (s *stack) senderVariables(channel string) map[string]*string {
	out := s.queueVariables()
	out["SENTINEL_DEAD_LETTERS_"+strings.ToUpper(channel)] = s.queues[channel].letters.QueueUrl()
	out["SENTINEL_LEASE_MARGIN"] = digits(s.choices.leaseMargin())
	if channel == "email" && s.choices.SESIdentity != "" {
		out["EMAIL_PROVIDER"] = jsii.String("ses")
	}
	return out
}

func digits(n int) *string { return jsii.String(strconv.Itoa(n)) }
