package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// ports are where docker-compose.yaml puts the functions.
var ports = map[string]int{"query": 9000, "email": 9001, "slack": 9002, "webhook": 9003, "sync": 9004}

// invoke posts an event to a function that runs from the image, and prints its answer. The
// event stands in a file. For a sender it may be `queue`: this stands in for the event source
// mapping of AWS, and takes one batch from the queue, and deletes what did not fail.
func invoke(ctx context.Context, function, event string) error {
	if ports[function] == 0 {
		return fmt.Errorf("there is no function %q: name query, sync, email, slack or webhook", function)
	}
	if event == "queue" {
		return invokeFromQueue(ctx, function)
	}
	data, err := os.ReadFile(event)
	if err != nil {
		return fmt.Errorf("read the event: %w", err)
	}
	answer, err := post(ctx, function, data)
	if err != nil {
		return err
	}
	fmt.Println(string(answer))
	return nil
}

// post is one call of a function.
func post(ctx context.Context, function string, event []byte) ([]byte, error) {
	url := fmt.Sprintf("http://127.0.0.1:%d/2015-03-31/functions/function/invocations", ports[function])
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(event))
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w; do the functions run? docker compose --profile lambda up", function, err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 16<<20))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", function, err)
	}
	if answer.StatusCode != http.StatusOK || bytes.Contains(body, []byte(`"errorMessage"`)) {
		return nil, fmt.Errorf("%s failed: %s %s", function, answer.Status, body)
	}
	return body, nil
}

// invokeFromQueue does with one batch what AWS does.
func invokeFromQueue(ctx context.Context, channel string) error {
	settings, err := readVariables(in(containersFile))
	if err != nil {
		return fmt.Errorf("%w; is the local stack up? make aws-local", err)
	}
	url := settings["SENTINEL_QUEUE_"+strings.ToUpper(channel)]
	if url == "" {
		return fmt.Errorf("%s has no queue: only email, slack and webhook do", channel)
	}
	c, err := clients(ctx, settings)
	if err != nil {
		return err
	}
	if err := takeOver(ctx, lambda.NewFromConfig(c), url); err != nil {
		return err
	}
	queue := sqs.NewFromConfig(c)
	got, err := queue.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: 10, WaitTimeSeconds: 2, MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil {
		return fmt.Errorf("receive from %s: %w", url, err)
	}
	if len(got.Messages) == 0 {
		say("no message waits for " + channel)
		return nil
	}
	event, err := json.Marshal(batch(got.Messages))
	if err != nil {
		return err
	}
	answer, err := post(ctx, channel, event)
	if err != nil {
		return err
	}
	fmt.Println(string(answer))
	return deleteSent(ctx, queue, url, got.Messages, answer)
}

// takeOver switches off the local stack's own mapping of the queue.
func takeOver(ctx context.Context, c *lambda.Client, url string) error {
	name := url[strings.LastIndex(url, "/")+1:]
	all, err := c.ListEventSourceMappings(ctx, &lambda.ListEventSourceMappingsInput{})
	if err != nil {
		return fmt.Errorf("look for the mapping of the queue: %w", err)
	}
	for _, m := range all.EventSourceMappings {
		if !strings.HasSuffix(aws.ToString(m.EventSourceArn), ":"+name) || aws.ToString(m.State) == "Disabled" {
			continue
		}
		if _, err := c.UpdateEventSourceMapping(ctx, &lambda.UpdateEventSourceMappingInput{UUID: m.UUID, Enabled: aws.Bool(false)}); err != nil {
			return fmt.Errorf("switch off the mapping of the queue: %w", err)
		}
		say("the stack itself takes nothing from this queue any more: what is enqueued from now on waits for you")
	}
	return nil
}

// batch is the event that SQS sends to a function.
func batch(messages []types.Message) events.SQSEvent {
	var out events.SQSEvent
	for _, m := range messages {
		out.Records = append(out.Records, events.SQSMessage{
			MessageId: aws.ToString(m.MessageId), ReceiptHandle: aws.ToString(m.ReceiptHandle), Body: aws.ToString(m.Body),
			Attributes: m.Attributes, EventSource: "aws:sqs",
		})
	}
	return out
}

// deleteSent deletes the messages that the function's answer does not name as failed.
func deleteSent(ctx context.Context, queue *sqs.Client, url string, messages []types.Message, answer []byte) error {
	var failed events.SQSEventResponse
	if err := json.Unmarshal(answer, &failed); err != nil {
		return fmt.Errorf("read the answer %s: %w", answer, err)
	}
	var wrong []error
	for _, m := range messages {
		if slices.ContainsFunc(failed.BatchItemFailures, func(f events.SQSBatchItemFailure) bool { return f.ItemIdentifier == aws.ToString(m.MessageId) }) {
			continue
		}
		_, err := queue.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle})
		wrong = append(wrong, err)
	}
	return errors.Join(wrong...)
}

func clients(ctx context.Context, settings map[string]string) (aws.Config, error) {
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		if err := os.Setenv(name, settings[name]); err != nil {
			return aws.Config{}, err
		}
	}
	return config.LoadDefaultConfig(ctx)
}

func readVariables(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, one := range variables(string(text)) {
		name, value, _ := strings.Cut(one, "=")
		out[name] = value
	}
	return out, nil
}

// writeContainers writes the variables of the stack's functions for docker-compose.yaml.
func writeContainers(ctx context.Context, environment []string) error {
	settings := map[string]string{}
	for _, one := range environment {
		name, value, _ := strings.Cut(one, "=")
		if strings.HasPrefix(name, "AWS_") {
			settings[name] = value
		}
	}
	c, err := clients(ctx, settings)
	if err != nil {
		return err
	}
	pages := lambda.NewListFunctionsPaginator(lambda.NewFromConfig(c), &lambda.ListFunctionsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("read the settings of the functions: %w", err)
		}
		for _, f := range page.Functions {
			if f.Environment == nil || f.Environment.Variables["SENTINEL_STACK"] != stack {
				continue
			}
			for name, value := range f.Environment.Variables {
				settings[name] = value
			}
		}
	}
	var lines []string
	for name, value := range settings {
		lines = append(lines, name+"="+value+"\n")
	}
	slices.Sort(lines)
	return os.WriteFile(in(containersFile), []byte(strings.Join(lines, "")), 0o600)
}
