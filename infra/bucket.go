package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"
)

// addBucket makes the bucket of the configuration: in versions, for the last good one must
// be found again; encrypted, closed, by TLS only.
func (s *stack) addBucket() {
	encryption := awss3.BucketEncryption_S3_MANAGED
	if s.key != nil {
		encryption = awss3.BucketEncryption_KMS
	}
	s.bucket = awss3.NewBucket(s.root, jsii.String("ConfigBucket"), &awss3.BucketProps{
		Versioned: jsii.Bool(true), Encryption: encryption, EncryptionKey: s.key, BucketKeyEnabled: jsii.Bool(s.key != nil),
		EnforceSSL: jsii.Bool(true), MinimumTLSVersion: jsii.Number(1.2), BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		ObjectOwnership: awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		LifecycleRules: &[]*awss3.LifecycleRule{{
			AbortIncompleteMultipartUploadAfter: awscdk.Duration_Days(jsii.Number(7)),
			NoncurrentVersionExpiration:         awscdk.Duration_Days(jsii.Number(365)), NoncurrentVersionsToRetain: jsii.Number(100),
		}},
		RemovalPolicy: s.kept(), AutoDeleteObjects: jsii.Bool(s.choices.RemoveData),
	})
	// The construct's own way to turn EventBridge on is a function that calls S3; the
	// property needs none.
	resource := s.bucket.Node().DefaultChild().(awss3.CfnBucket)
	resource.AddPropertyOverride(jsii.String("NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled"), true)
}
