package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/jsii-runtime-go"
)

// addKey makes the key that encrypts bucket, table, queues, logs and topic, or takes the
// one that was named. A service that works for the stack without a role of ours must be
// named in the key's policy; for a named key that is up to who owns it.
func (s *stack) addKey() {
	switch s.choices.KMSKey {
	case "":
		return
	case createKey:
		key := awskms.NewKey(s.root, jsii.String("Key"), &awskms.KeyProps{
			Description: jsii.String("SQL Sentinel " + s.choices.Stack), EnableKeyRotation: jsii.Bool(true), RemovalPolicy: s.kept(),
		})
		// Alarms are published to the topic, and events that nobody took are put on a
		// dead-letter queue, by the services themselves, for resources of this account.
		for _, service := range []string{"cloudwatch.amazonaws.com", "events.amazonaws.com"} {
			key.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
				Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String(service), nil)},
				Actions:    jsii.Strings("kms:Decrypt", "kms:GenerateDataKey"), Resources: jsii.Strings("*"),
				Conditions: &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": s.root.Account()}},
			}), nil)
		}
		key.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("logs."+*s.root.Region()+"."+*s.root.UrlSuffix()), nil)},
			Actions:    jsii.Strings("kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey", "kms:DescribeKey"), Resources: jsii.Strings("*"),
			Conditions: &map[string]any{"ArnLike": map[string]any{"kms:EncryptionContext:aws:logs:arn": s.arn("logs", "log-group:*")}},
		}), nil)
		s.key = key
	default:
		s.key = awskms.Key_FromKeyArn(s.root, jsii.String("Key"), jsii.String(s.choices.KMSKey))
	}
}
