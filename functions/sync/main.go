// Command sync is the Lambda function that makes definitions and schedules what the
// configuration in S3 says, whenever that changes, and does the work of each minute.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	syncer, err := wire()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sync:", err)
		os.Exit(1)
	}
	// What the event says does not matter: sync looks at what is there now.
	lambda.Start(func(ctx context.Context, _ json.RawMessage) error { return syncer.Handle(ctx) })
}
