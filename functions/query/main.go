// Command query is the Lambda function that runs one alert: EventBridge Scheduler calls it
// at each tick of the alert's schedule, people by hand.
package main

import (
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

func main() {
	evaluator, err := wire()
	if err != nil {
		fmt.Fprintln(os.Stderr, "query:", err)
		os.Exit(1)
	}
	lambda.Start(evaluator.Handle)
}

func wire() (*cloud.Evaluator, error) {
	env, err := cloud.ReadEnvironment("SENTINEL_STACK", "SENTINEL_TABLE", "SENTINEL_QUEUE_EMAIL", "SENTINEL_QUEUE_SLACK", "SENTINEL_QUEUE_WEBHOOK")
	if err != nil {
		return nil, err
	}
	aws, log := cloud.FunctionConfig(), cloud.NewLog(os.Stderr, env.LogLevel)
	store, err := env.Store(aws)
	if err != nil {
		return nil, err
	}
	parameters := cloud.NewSecrets(cloud.SecretsOptions{AWS: aws, Stack: env.Stack, User: "query", Failed: func(err error) {
		log.Error("read the secrets", "error", err)
	}})
	runner, err := query.New(query.Options{Databases: map[string]alert.Database{}, Secrets: alert.NewSecrets(parameters.Lookup), Credentials: cloud.DatabaseToken(aws)})
	if err != nil {
		return nil, err
	}
	steps, err := sentinel.New(sentinel.Options{
		Store: store, Outbox: store, Queue: cloud.NewQueue(cloud.QueueOptions{AWS: aws, URLs: env.Queues}),
		Query: cloud.FreshQuerier{Querier: runner, Secrets: parameters}, Log: log.Logger,
	})
	if err != nil {
		return nil, err
	}
	return &cloud.Evaluator{Sentinel: steps, Scope: env.Stack, Log: log, Metrics: &cloud.Metrics{Out: os.Stdout, Stack: env.Stack}}, nil
}
