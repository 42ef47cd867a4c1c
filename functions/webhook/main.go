// Command webhook is the Lambda function that sends webhooks: SQS calls it with batches of the
// channel's queue.
package main

import (
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/sqlsentinel/sqlsentinel/functions/internal/sender"
)

func main() {
	consumer, err := sender.New("webhook")
	if err != nil {
		fmt.Fprintln(os.Stderr, "webhook:", err)
		os.Exit(1)
	}
	lambda.Start(consumer.Handle)
}
