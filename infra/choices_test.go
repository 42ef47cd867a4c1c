package main

import (
	"debug/elf"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAChoiceThatIsWrongStopsTheSynthesisWithAdvice(t *testing.T) {
	vpc := map[string]any{"vpcId": "vpc-0000001a", "subnetIds": "subnet-0000001a", "querySecurityGroupIds": "sg-0000001a"}
	for _, test := range []struct {
		context map[string]any
		says    []string
	}{
		{map[string]any{"stak": "shop"}, []string{"stak: there is no such key of the context; did you mean stack?"}},
		{map[string]any{"colour": "red"}, []string{"colour: there is no such key of the context; docs/aws.md lists them"}},
		{map[string]any{"stack": "my stack"}, []string{"stack: my stack is not right; it is letters, digits and hyphens"}},
		{map[string]any{"stack": "9shop"}, []string{"a letter first"}},
		{map[string]any{"stack": ""}, []string{"stack:"}},
		{map[string]any{"stack": "aws-alerts"}, []string{"Parameter Store refuses paths that begin with aws or ssm"}},
		{map[string]any{"stack": "a" + string(make([]byte, 60))}, []string{"60 characters at most"}},
		{map[string]any{"architecture": "amd64"}, []string{"architecture: amd64 is not right; it is one of arm64, x86_64"}},
		{map[string]any{"alarmEmail": "nobody"}, []string{"an e-mail address"}},
		{map[string]any{"alarmTopic": "alarms"}, []string{"the ARN of an SNS topic"}},
		{map[string]any{"alarmEmail": "a@example.com", "alarmTopic": "arn:aws:sns:eu-west-1:123456789012:alarms"}, []string{"alarmEmail and alarmTopic: give one"}},
		{map[string]any{"logRetentionDays": "31"}, []string{"logRetentionDays: 31 is not right; it is one of 1 3 5 7"}},
		{map[string]any{"queryMemory": "64"}, []string{"128 to 10240 MB"}},
		{map[string]any{"queryMemory": "lots"}, []string{"128 to 10240 MB"}},
		{map[string]any{"queryTimeout": 901}, []string{"40 to 900 seconds"}},
		{map[string]any{"senderTimeout": "10"}, []string{"20 to 900 seconds"}},
		{map[string]any{"queryConcurrency": 0}, []string{"1 to 10000"}},
		{map[string]any{"vpcId": "vpc-0000001a"}, []string{"vpcId: the functions need subnets in it; add -c subnetIds="}},
		{map[string]any{"vpcId": "vpc-0000001a", "subnetIds": "subnet-0000001a"}, []string{"vpcId: no function is in it"}},
		{map[string]any{"vpcId": "main"}, []string{"the id of a VPC"}},
		{map[string]any{"subnetIds": "subnet-0000001a"}, []string{"belong to a VPC; add -c vpcId="}},
		{map[string]any{"vpcId": "vpc-0000001a", "subnetIds": "subnet-0000001a,,"}, []string{`subnetIds: "" is not right`}},
		{with(vpc, "vpcEndpoints", "create"), []string{"add -c routeTableIds="}},
		{with(vpc, "vpcEndpoints", "yes"), []string{"create or given"}},
		{map[string]any{"kmsKey": "alias/mine"}, []string{"`create`, or the ARN of a key"}},
		{map[string]any{"permissionsBoundary": "boundary"}, []string{"the ARN of a managed policy"}},
		{map[string]any{"sesIdentity": "*"}, []string{"a domain or an address"}},
		{map[string]any{"removal": "delete"}, []string{"destroy or retain"}},
		{map[string]any{"environment": "LOG_LEVEL=debug"}, []string{"it is an object, such as"}},
		{map[string]any{"environment": map[string]any{"A": 1.0}}, []string{"the value of A is no text"}},
		{map[string]any{"environment": map[string]any{"A-B": "1"}}, []string{`"A-B" is no name of a variable`}},
		{map[string]any{"environment": map[string]any{"SENTINEL_TABLE": "x"}}, []string{"SENTINEL_TABLE is set by AWS or by the stack"}},
		{map[string]any{"stak": "x", "queryTimeout": 1, "removal": "no"}, []string{"stak:", "queryTimeout:", "removal:"}}, // all at once
	} {
		_, err := ReadChoices(test.context)
		for _, says := range test.says {
			require.ErrorContains(t, err, says, "%v", test.context)
		}
		require.NotContains(t, err.Error(), "\n", "%v: one line", test.context)
	}
}

func TestChoicesOfTheCommandLineAndOfAFileAreTheSame(t *testing.T) {
	typed, err := ReadChoices(map[string]any{"queryTimeout": "300", "vpcId": "vpc-0000001a", "subnetIds": "subnet-0000001a, subnet-0000002b", "querySecurityGroupIds": "sg-0000001a", "environment": `{"A": "b"}`, "aws:cdk:version": 1, "@aws-cdk/core:x": true})
	require.NoError(t, err)
	written, err := ReadChoices(map[string]any{"queryTimeout": 300.0, "vpcId": "vpc-0000001a", "subnetIds": []any{"subnet-0000001a", "subnet-0000002b"}, "querySecurityGroupIds": []any{"sg-0000001a"}, "environment": map[string]any{"A": "b"}})
	require.NoError(t, err)
	require.Equal(t, written, typed)
}

func TestEverySenderTimeoutKeepsTheRuleOfTheQueues(t *testing.T) {
	for seconds := 20; seconds <= 900; seconds++ {
		c := defaults()
		c.SenderTimeout = seconds
		require.NoError(t, c.waits())
		target, lease := seconds-10, seconds-10+c.leaseMargin()
		require.True(t, target < seconds && seconds <= lease && lease < c.visibility() && c.visibility() <= 12*3600)
	}
	c := defaults()
	c.SenderTimeout = 5 // a claim would end while its function still sends
	require.ErrorContains(t, c.waits(), "does not hold")
}

func TestABinaryForAnotherMachineIsRefused(t *testing.T) {
	right := bootstraps(t, "arm64")
	c := defaults()
	c.Binaries = right
	folder, err := binaries(c)
	require.NoError(t, err)
	require.Equal(t, right, folder)

	program(t, filepath.Join(right, "slack", "bootstrap"), elf.EM_X86_64)
	_, err = binaries(c)
	require.ErrorContains(t, err, "the function slack: ")
	require.ErrorContains(t, err, "is for EM_X86_64, the stack for arm64")

	require.NoError(t, os.WriteFile(filepath.Join(right, "slack", "bootstrap"), []byte("#!/bin/sh\n"), 0o600))
	_, err = binaries(c)
	require.ErrorContains(t, err, "is no program of Linux")

	require.NoError(t, os.Remove(filepath.Join(right, "slack", "bootstrap")))
	_, err = binaries(c)
	require.ErrorContains(t, err, "there is no")
	require.ErrorContains(t, err, "or leave `binaries` out")
}

func with(m map[string]any, key string, value any) map[string]any {
	out := without(m, key)
	out[key] = value
	return out
}
