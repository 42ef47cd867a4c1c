package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/jsii-runtime-go"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
)

// addTable makes the table of definitions, states, history and messages, as
// docs/data-model.md describes it.
func (s *stack) addTable() {
	encryption := awsdynamodb.TableEncryption_AWS_MANAGED
	if s.key != nil {
		encryption = awsdynamodb.TableEncryption_CUSTOMER_MANAGED
	}
	s.table = awsdynamodb.NewTable(s.root, jsii.String("StateTable"), &awsdynamodb.TableProps{
		PartitionKey: attribute("pk", awsdynamodb.AttributeType_STRING), SortKey: attribute("sk", awsdynamodb.AttributeType_STRING),
		BillingMode: awsdynamodb.BillingMode_PAY_PER_REQUEST, TimeToLiveAttribute: jsii.String(cloud.ExpiryAttribute),
		PointInTimeRecoverySpecification: &awsdynamodb.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: jsii.Bool(true)},
		Encryption:                       encryption, EncryptionKey: s.key,
		DeletionProtection: jsii.Bool(!s.choices.RemoveData), RemovalPolicy: s.kept(),
	})
	for _, index := range cloud.Indexes() {
		kind := awsdynamodb.AttributeType_STRING
		if index.SortIsNumber {
			kind = awsdynamodb.AttributeType_NUMBER
		}
		s.table.AddGlobalSecondaryIndex(&awsdynamodb.GlobalSecondaryIndexProps{
			IndexName: jsii.String(index.Name), PartitionKey: attribute(index.Partition, awsdynamodb.AttributeType_STRING), SortKey: attribute(index.Sort, kind),
			ProjectionType: awsdynamodb.ProjectionType_INCLUDE, NonKeyAttributes: jsii.Strings(index.Attributes...),
		})
	}
}

func attribute(name string, kind awsdynamodb.AttributeType) *awsdynamodb.Attribute {
	return &awsdynamodb.Attribute{Name: jsii.String(name), Type: kind}
}
