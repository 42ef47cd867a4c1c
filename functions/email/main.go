// Command email is the Lambda function that sends e-mail: SQS calls it with batches of the
// channel's queue.
package main

import (
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/sqlsentinel/sqlsentinel/functions/internal/sender"
)

func main() {
	consumer, err := sender.New("email")
	if err != nil {
		fmt.Fprintln(os.Stderr, "email:", err)
		os.Exit(1)
	}
	lambda.Start(consumer.Handle)
}
