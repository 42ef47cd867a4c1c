// Command hello is the floor of a function's start: the SDK's core and the clients that
// the query function has, and a handler that does nothing.
package main

import (
	"context"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

func main() {
	c := aws.Config{
		Region:      os.Getenv("AWS_REGION"),
		Credentials: credentials.NewStaticCredentialsProvider(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
	}
	table, queue, parameters := dynamodb.NewFromConfig(c), sqs.NewFromConfig(c), ssm.NewFromConfig(c)
	lambda.Start(func(context.Context) (string, error) {
		return table.Options().Region + queue.Options().Region + parameters.Options().Region, nil
	})
}
