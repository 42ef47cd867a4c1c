package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
)

// everything chooses all that adds or changes resources.
var everything = map[string]any{
	"stack": "shop", "architecture": "x86_64", "alarmEmail": "oncall@example.com", "logRetentionDays": "60", "queryMemory": "512", "senderMemory": "300", "syncMemory": "400",
	"queryTimeout": "300", "senderTimeout": "90", "queryConcurrency": "5", "vpcId": "vpc-0000001a", "subnetIds": "subnet-0000001a,subnet-0000002b", "routeTableIds": "rtb-0000001a",
	"querySecurityGroupIds": "sg-0000001a", "senderSecurityGroupIds": "sg-0000002b", "syncSecurityGroupIds": "sg-0000003c", "vpcEndpoints": "create", "kmsKey": "create",
	"permissionsBoundary": "arn:aws:iam::123456789012:policy/boundary", "sesIdentity": "example.com", "environment": `{"EGRESS_ALLOW": "10.0.0.0/8"}`,
}

func TestTheConfigurationsAreInVersionsEncryptedAndClosed(t *testing.T) {
	tp := templateOf(t, nil)
	bucket := tp.one(t, "AWS::S3::Bucket")
	require.Equal(t, "Retain", bucket.body["DeletionPolicy"])
	require.Equal(t, "Retain", bucket.body["UpdateReplacePolicy"])
	require.Equal(t, map[string]any{
		"VersioningConfiguration":        map[string]any{"Status": "Enabled"},
		"PublicAccessBlockConfiguration": map[string]any{"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true},
		"OwnershipControls":              map[string]any{"Rules": []any{map[string]any{"ObjectOwnership": "BucketOwnerEnforced"}}},
		"NotificationConfiguration":      map[string]any{"EventBridgeConfiguration": map[string]any{"EventBridgeEnabled": true}},
		"BucketEncryption": map[string]any{"ServerSideEncryptionConfiguration": []any{map[string]any{
			"BucketKeyEnabled": false, "ServerSideEncryptionByDefault": map[string]any{"SSEAlgorithm": "AES256"}}}},
		"LifecycleConfiguration": map[string]any{"Rules": []any{map[string]any{
			"AbortIncompleteMultipartUpload": map[string]any{"DaysAfterInitiation": 7.0}, "Status": "Enabled",
			"NoncurrentVersionExpiration": map[string]any{"NewerNoncurrentVersions": 100.0, "NoncurrentDays": 365.0}}}},
	}, without(bucket.properties, "Tags"))
	require.Equal(t, []string{
		"Deny s3:* on ConfigBucket, ConfigBucket/* to * if Bool aws:SecureTransport=false",
		"Deny s3:* on ConfigBucket, ConfigBucket/* to * if NumericLessThan s3:TlsVersion=1.2",
	}, statements(tp.one(t, "AWS::S3::BucketPolicy").properties["PolicyDocument"]))
}

func TestStateAndHistoryOutliveTheStackAndMistakes(t *testing.T) {
	table := templateOf(t, nil).one(t, "AWS::DynamoDB::Table")
	require.Equal(t, "Retain", table.body["DeletionPolicy"])
	require.Equal(t, "Retain", table.body["UpdateReplacePolicy"])
	p := table.properties
	require.Equal(t, true, p["DeletionProtectionEnabled"])
	require.Equal(t, "PAY_PER_REQUEST", p["BillingMode"])
	require.Equal(t, map[string]any{"PointInTimeRecoveryEnabled": true}, p["PointInTimeRecoverySpecification"])
	require.Equal(t, map[string]any{"AttributeName": cloud.ExpiryAttribute, "Enabled": true}, p["TimeToLiveSpecification"])
	require.Equal(t, map[string]any{"SSEEnabled": true}, p["SSESpecification"])
	var indexes []string
	for _, one := range p["GlobalSecondaryIndexes"].([]any) {
		indexes = append(indexes, one.(map[string]any)["IndexName"].(string))
	}
	var want []string
	for _, index := range cloud.Indexes() {
		want = append(want, index.Name)
	}
	require.Equal(t, want, indexes)
}

func TestTheQueuesKeepMessagesLongEnoughAndHandNoneOutTwice(t *testing.T) {
	tp := templateOf(t, map[string]any{"senderTimeout": "90"})
	queues := tp.of("AWS::SQS::Queue")
	require.Equal(t, []string{"EmailDeadLetters", "EmailQueue", "SlackDeadLetters", "SlackQueue", "SyncDeadLetters", "TickDeadLetters", "WebhookDeadLetters", "WebhookQueue"}, sorted(queues))
	policies := tp.of("AWS::SQS::QueuePolicy")
	for name, queue := range queues {
		require.Equal(t, true, queue.properties["SqsManagedSseEnabled"], name)
		require.Contains(t, statements(policies[name+"Policy"].properties["PolicyDocument"]), "Deny sqs:* on "+name+" to * if Bool aws:SecureTransport=false")
		if strings.HasSuffix(name, "DeadLetters") {
			require.Equal(t, 14.0*24*3600, queue.properties["MessageRetentionPeriod"])
			require.Nil(t, queue.properties["RedrivePolicy"])
			continue
		}
		require.Equal(t, 4.0*24*3600, queue.properties["MessageRetentionPeriod"])
		require.Equal(t, map[string]any{"deadLetterTargetArn": strings.TrimSuffix(name, "Queue") + "DeadLetters", "maxReceiveCount": 100.0}, queue.properties["RedrivePolicy"])
		require.Equal(t, 6*90.0, queue.properties["VisibilityTimeout"])
	}
	require.Equal(t, 90.0, tp.of("AWS::Lambda::Function")["EmailFunction"].properties["Timeout"])
	require.Equal(t, "90", tp.of("AWS::Lambda::Function")["EmailFunction"].at("Environment", "Variables", "SENTINEL_LEASE_MARGIN"))
}

func TestEachFunctionIsCalledAsItExpects(t *testing.T) {
	tp := templateOf(t, nil)
	mappings := tp.of("AWS::Lambda::EventSourceMapping")
	require.Len(t, mappings, 3)
	for _, channel := range cloud.Channels {
		require.Equal(t, map[string]any{
			"BatchSize": 10.0, "EventSourceArn": title(channel) + "Queue", "FunctionName": title(channel) + "Function", "FunctionResponseTypes": []any{"ReportBatchItemFailures"},
		}, without(mappings[title(channel)+"Messages"].properties, "Tags"))
	}
	rules := tp.of("AWS::Events::Rule")
	require.Equal(t, []string{"ConfigChanged", "EachMinute"}, sorted(rules))
	for name, rule := range rules {
		require.Equal(t, "ENABLED", rule.properties["State"], name)
		require.Equal(t, []any{map[string]any{
			"Arn": "SyncFunction", "DeadLetterConfig": map[string]any{"Arn": "SyncDeadLetters"}, "Id": "Target0",
			"RetryPolicy": map[string]any{"MaximumEventAgeInSeconds": 900.0, "MaximumRetryAttempts": 2.0},
		}}, rule.properties["Targets"])
		require.Nil(t, rule.properties["Name"])
	}
	require.Equal(t, "rate(1 minute)", rules["EachMinute"].properties["ScheduleExpression"])
	require.Equal(t, map[string]any{
		"source": []any{"aws.s3"}, "detail-type": []any{"Object Created", "Object Deleted"},
		"detail": map[string]any{"bucket": map[string]any{"name": []any{"ConfigBucket"}}, "object": map[string]any{"key": []any{"alerts.yaml"}}},
	}, rules["ConfigChanged"].properties["EventPattern"])
	invoked := tp.of("AWS::Lambda::EventInvokeConfig")
	for name, letters := range map[string]string{"Query": "TickDeadLetters", "Sync": "SyncDeadLetters"} {
		require.Equal(t, map[string]any{
			"FunctionName": name + "Function", "Qualifier": "$LATEST", "MaximumEventAgeInSeconds": 900.0, "MaximumRetryAttempts": 2.0,
			"DestinationConfig": map[string]any{"OnFailure": map[string]any{"Destination": letters}},
		}, invoked[name+"OnFailure"].properties)
	}
	require.Equal(t, "sentinel", tp.one(t, "AWS::Scheduler::ScheduleGroup").properties["Name"])
	require.Empty(t, tp.of("AWS::Scheduler::Schedule"), "schedules belong to sync")
}

func TestTheFunctionsAreWhatWasChosen(t *testing.T) {
	plain := templateOf(t, nil).of("AWS::Lambda::Function")
	require.Equal(t, []string{"EmailFunction", "QueryFunction", "SlackFunction", "SyncFunction", "WebhookFunction"}, sorted(plain))
	for name, f := range plain {
		p := f.properties
		require.Equal(t, "provided.al2023", p["Runtime"])
		require.Equal(t, []any{"arm64"}, p["Architectures"])
		require.Equal(t, strings.TrimSuffix(name, "Function")+"Role", p["Role"])
		require.Equal(t, map[string]any{"LogGroup": strings.TrimSuffix(name, "Function") + "Log"}, p["LoggingConfig"])
		require.Equal(t, 256.0, p["MemorySize"])
		require.Nil(t, p["FunctionName"], "no physical names but the schedule group")
		require.Nil(t, p["VpcConfig"])
		require.Nil(t, p["ReservedConcurrentExecutions"], "a new account has ten in all")
	}
	require.Equal(t, 120.0, plain["QueryFunction"].properties["Timeout"])
	require.Equal(t, 300.0, plain["SyncFunction"].properties["Timeout"])
	chosen := templateOf(t, everything).of("AWS::Lambda::Function")
	subnets := []any{"subnet-0000001a", "subnet-0000002b"}
	for name, want := range map[string]map[string]any{
		"QueryFunction": {"MemorySize": 512.0, "Timeout": 300.0, "ReservedConcurrentExecutions": 5.0, "VpcConfig": map[string]any{"SubnetIds": subnets, "SecurityGroupIds": []any{"sg-0000001a"}}},
		"EmailFunction": {"MemorySize": 300.0, "Timeout": 90.0, "VpcConfig": map[string]any{"SubnetIds": subnets, "SecurityGroupIds": []any{"sg-0000002b"}}},
		"SyncFunction":  {"MemorySize": 400.0, "Timeout": 300.0, "VpcConfig": map[string]any{"SubnetIds": subnets, "SecurityGroupIds": []any{"sg-0000003c"}}},
	} {
		for key, value := range want {
			require.Equal(t, value, chosen[name].properties[key], name+" "+key)
		}
		require.Equal(t, []any{"x86_64"}, chosen[name].properties["Architectures"])
		require.Equal(t, "10.0.0.0/8", chosen[name].at("Environment", "Variables", "EGRESS_ALLOW"))
	}
}

func TestTheFunctionsHaveTheEnvironmentThatTheyRead(t *testing.T) {
	functions := templateOf(t, everything).of("AWS::Lambda::Function")
	always := []string{"EGRESS_ALLOW", "LOG_LEVEL", "SENTINEL_QUEUE_EMAIL", "SENTINEL_QUEUE_SLACK", "SENTINEL_QUEUE_WEBHOOK", "SENTINEL_STACK", "SENTINEL_TABLE"}
	for name, more := range map[string][]string{
		"QueryFunction":   {},
		"EmailFunction":   {"EMAIL_PROVIDER", "SENTINEL_DEAD_LETTERS_EMAIL", "SENTINEL_LEASE_MARGIN"},
		"SlackFunction":   {"SENTINEL_DEAD_LETTERS_SLACK", "SENTINEL_LEASE_MARGIN"},
		"WebhookFunction": {"SENTINEL_DEAD_LETTERS_WEBHOOK", "SENTINEL_LEASE_MARGIN"},
		"SyncFunction": {"EMAIL_PROVIDER", "SENTINEL_BUCKET", "SENTINEL_QUERY_ARN", "SENTINEL_QUERY_TIMEOUT", "SENTINEL_SCHEDULE_GROUP", "SENTINEL_SCHEDULE_ROLE_ARN",
			"SENTINEL_SENDER_TIMEOUT", "SENTINEL_TICK_DEAD_LETTERS_ARN"},
	} {
		has := functions[name].at("Environment", "Variables").(map[string]any)
		require.ElementsMatch(t, append(append([]string{}, always...), more...), sorted(has), name)
		for variable, value := range has { // as the functions read them
			t.Setenv(variable, value.(string))
		}
	}
	read, err := cloud.ReadEnvironment()
	require.NoError(t, err)
	require.Equal(t, "shop", read.Stack)
	require.Equal(t, "StateTable", read.Table)
	require.Equal(t, "ConfigBucket", read.Bucket)
	require.Equal(t, "shop", read.Group)
	require.Equal(t, "QueryFunction", read.Target)
	require.Equal(t, "SchedulerRole", read.Role)
	require.Equal(t, "TickDeadLetters", read.TickLetters)
	require.Equal(t, 300, int(read.QueryLimit.Seconds()))
	require.Equal(t, 90, int(read.SenderLimit.Seconds()))
	require.Equal(t, 90, int(read.LeaseMargin.Seconds()))
	for _, channel := range cloud.Channels {
		require.Equal(t, title(channel)+"Queue", read.Queues[channel])
		require.Equal(t, title(channel)+"DeadLetters", read.DeadLetters[channel])
	}
}

func TestLogsEnd(t *testing.T) {
	for days, context := range map[float64]map[string]any{30: nil, 60: everything} {
		groups := templateOf(t, context).of("AWS::Logs::LogGroup")
		require.Len(t, groups, 5)
		for name, g := range groups {
			require.Equal(t, days, g.properties["RetentionInDays"], name)
		}
	}
}

func TestOneKeyEncryptsEverythingAndNamesEachServiceThatUsesIt(t *testing.T) {
	tp := templateOf(t, everything)
	require.Equal(t, "Retain", tp.one(t, "AWS::KMS::Key").body["DeletionPolicy"])
	require.Equal(t, true, tp.one(t, "AWS::KMS::Key").properties["EnableKeyRotation"])
	require.Equal(t, []string{
		"Allow kms:* on * to arn:Partition:iam::AccountId:root",
		"Allow kms:Decrypt, kms:GenerateDataKey on * to cloudwatch.amazonaws.com if StringEquals aws:SourceAccount=AccountId",
		"Allow kms:Decrypt, kms:GenerateDataKey on * to events.amazonaws.com if StringEquals aws:SourceAccount=AccountId",
		"Allow kms:Decrypt, kms:DescribeKey, kms:Encrypt, kms:GenerateDataKey, kms:ReEncryptFrom, kms:ReEncryptTo on * to logs.Region.URLSuffix" +
			" if ArnLike kms:EncryptionContext:aws:logs:arn=arn:Partition:logs:Region:AccountId:log-group:*",
	}, statements(tp.one(t, "AWS::KMS::Key").properties["KeyPolicy"]))
	for _, q := range tp.of("AWS::SQS::Queue") {
		require.Equal(t, "Key", q.properties["KmsMasterKeyId"], q.name)
	}
	for _, g := range tp.of("AWS::Logs::LogGroup") {
		require.Equal(t, "Key", g.properties["KmsKeyId"], g.name)
	}
	require.Equal(t, map[string]any{"KMSMasterKeyId": "Key", "SSEEnabled": true, "SSEType": "KMS"}, tp.one(t, "AWS::DynamoDB::Table").properties["SSESpecification"])
	require.Equal(t, map[string]any{"KMSMasterKeyID": "Key", "SSEAlgorithm": "aws:kms"},
		tp.one(t, "AWS::S3::Bucket").at("BucketEncryption", "ServerSideEncryptionConfiguration", "ServerSideEncryptionByDefault"))
	require.Equal(t, "Key", tp.one(t, "AWS::SNS::Topic").properties["KmsMasterKeyId"])

	named := "arn:aws:kms:eu-west-1:123456789012:key/0a1b"
	given := templateOf(t, map[string]any{"kmsKey": named})
	require.Empty(t, given.of("AWS::KMS::Key"))
	require.Equal(t, named, given.of("AWS::SQS::Queue")["EmailQueue"].properties["KmsMasterKeyId"])
}

func TestTheBoundaryIsOnEveryRole(t *testing.T) {
	for name, role := range templateOf(t, everything).of("AWS::IAM::Role") {
		require.Equal(t, "arn:aws:iam::123456789012:policy/boundary", role.properties["PermissionsBoundary"], name)
	}
}

func TestTheDoorsOfAVPC(t *testing.T) {
	tp := templateOf(t, everything)
	endpoints := tp.of("AWS::EC2::VPCEndpoint")
	require.Equal(t, []string{"DynamodbEndpoint", "S3Endpoint", "SchedulerEndpoint", "SqsEndpoint", "SsmEndpoint"}, sorted(endpoints))
	for name, kind := range map[string]string{"DynamodbEndpoint": "Gateway", "S3Endpoint": "Gateway", "SchedulerEndpoint": "Interface", "SqsEndpoint": "Interface", "SsmEndpoint": "Interface"} {
		p := endpoints[name].properties
		require.Equal(t, kind, p["VpcEndpointType"], name)
		require.Equal(t, "vpc-0000001a", p["VpcId"])
		if kind == "Gateway" {
			require.Equal(t, []any{"rtb-0000001a"}, p["RouteTableIds"])
			continue
		}
		require.Equal(t, true, p["PrivateDnsEnabled"])
		require.Equal(t, []any{"subnet-0000001a", "subnet-0000002b"}, p["SubnetIds"])
		require.Equal(t, []any{"EndpointsGroup"}, p["SecurityGroupIds"])
	}
	var from []any
	for _, one := range tp.one(t, "AWS::EC2::SecurityGroup").properties["SecurityGroupIngress"].([]any) {
		rule := one.(map[string]any)
		require.Equal(t, 443.0, rule["FromPort"])
		require.Equal(t, 443.0, rule["ToPort"])
		require.Nil(t, rule["CidrIp"])
		from = append(from, rule["SourceSecurityGroupId"])
	}
	require.Equal(t, []any{"sg-0000001a", "sg-0000002b", "sg-0000003c"}, from)
	given := without(everything, "vpcEndpoints")
	require.Empty(t, templateOf(t, given).of("AWS::EC2::VPCEndpoint"))
}

func TestATrialLeavesNothing(t *testing.T) {
	for id, one := range templateOf(t, map[string]any{"removal": "destroy", "kmsKey": "create"})["Resources"].(map[string]any) {
		body := one.(map[string]any)
		require.NotContains(t, []any{"Retain", "Snapshot"}, body["DeletionPolicy"], id)
		if properties, ok := body["Properties"].(map[string]any); ok {
			require.NotEqual(t, true, properties["DeletionProtectionEnabled"], id)
		}
	}
}

func TestTheOutputsAreThoseThatTheCommandLineReads(t *testing.T) {
	tp := templateOf(t, everything)
	out := map[string]any{}
	for name, one := range tp["Outputs"].(map[string]any) {
		out[name] = plain(one).(map[string]any)["Value"]
	}
	require.Equal(t, map[string]any{
		"Table": "StateTable", "Bucket": "ConfigBucket", "QueryFunction": "QueryFunction", "SyncFunction": "SyncFunction", "QueryTimeout": "300", "SenderTimeout": "90",
		"QueueEmail": "EmailQueue", "QueueSlack": "SlackQueue", "QueueWebhook": "WebhookQueue",
		"DeadLettersEmail": "EmailDeadLetters", "DeadLettersSlack": "SlackDeadLetters", "DeadLettersWebhook": "WebhookDeadLetters", "AlarmTopic": "AlarmTopic",
	}, out)
}

func without(m map[string]any, key string) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		if k != key {
			out[k] = v
		}
	}
	return out
}
