package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// QueueOptions are what a Queue needs.
type QueueOptions struct {
	AWS aws.Config
	// URLs of the queues, by channel.
	URLs map[string]string
	// Except is a channel whose deliveries are left to the sweeper: a function that sends
	// to the queue it is fed from is taken for a loop, and stopped.
	Except string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// A Queue is one SQS queue a channel. A message is a sentinel.Ref; what it stands for is in
// the table.
type Queue struct {
	QueueOptions
	client *sqs.Client
}

// NewQueue makes a queue. It makes no call.
func NewQueue(o QueueOptions) *Queue {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Queue{o, sqs.NewFromConfig(o.AWS, func(q *sqs.Options) { q.BaseEndpoint = Endpoint(o.AWS, "sqs") })}
}

const (
	// longestDelay is the most that SQS holds a new message back.
	longestDelay = 15 * time.Minute
	// batchSize is how many messages one call sends.
	batchSize = 10
)

// Enqueue implements sentinel.Queue. What cannot be sent is in the error; the rest is sent.
func (q *Queue) Enqueue(ctx context.Context, deliveries []alert.Delivery) error {
	byChannel := map[string][]types.SendMessageBatchRequestEntry{}
	var failed []error
	for i, d := range deliveries {
		if d.Target.Channel == q.Except {
			continue
		}
		if q.URLs[d.Target.Channel] == "" {
			failed = append(failed, fmt.Errorf("enqueue %s: there is no queue for the channel %q", d.ID, d.Target.Channel))
			continue
		}
		body, err := encode("a message", sentinel.Ref{ID: d.ID, Try: d.Try})
		if err != nil {
			return err
		}
		byChannel[d.Target.Channel] = append(byChannel[d.Target.Channel], types.SendMessageBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String(string(body)), DelaySeconds: q.delay(d.DueAt),
		})
	}
	for channel, entries := range byChannel {
		for len(entries) > 0 {
			now := entries[:min(batchSize, len(entries))]
			entries = entries[len(now):]
			failed = append(failed, q.send(ctx, q.URLs[channel], now))
		}
	}
	return errors.Join(failed...)
}

// delay is how long a message is held back, in seconds. One that waits longer than SQS
// allows comes early and is put back.
func (q *Queue) delay(due time.Time) int32 {
	return int32(min(max(due.Sub(q.Now()), 0), longestDelay) / time.Second)
}

// sends is how often messages that SQS took no blame for are sent again.
const sends = 3

func (q *Queue) send(ctx context.Context, url string, entries []types.SendMessageBatchRequestEntry) error {
	for n := 1; ; n++ {
		answer, err := q.client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: entries})
		if err != nil {
			return Readable("send to the queue", err)
		}
		if len(answer.Failed) == 0 {
			return nil
		}
		again := map[string]bool{}
		for _, f := range answer.Failed {
			again[aws.ToString(f.Id)] = !f.SenderFault
		}
		var left []types.SendMessageBatchRequestEntry
		for _, e := range entries {
			if again[*e.Id] {
				left = append(left, e)
			}
		}
		if n == sends || len(left) == 0 {
			return fmt.Errorf("send to the queue: %d messages are refused: %s", len(answer.Failed), aws.ToString(answer.Failed[0].Message))
		}
		entries = left
	}
}

// Put sends one message as it is, and is used for dead-letter queues.
func (q *Queue) Put(ctx context.Context, url, body string) error {
	_, err := q.client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body})
	return Readable("send to the queue", err)
}

// Hide makes a received message visible again after a time, an hour at most.
func (q *Queue) Hide(ctx context.Context, url, receipt string, d time.Duration) error {
	seconds := int32((min(max(d, 0), longestHide) + time.Second - 1) / time.Second)
	_, err := q.client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: &receipt, VisibilityTimeout: seconds})
	return Readable("change the visibility of a message", err)
}

// longestHide is how long a message waits at a time. A wait costs one receive, so that
// queues allow many.
const longestHide = time.Hour

// takes is how many messages of a dead-letter queue Take looks at.
const takes = 1000

// Take removes the message of a delivery from a queue, if it finds it: once a delivery is
// redriven, its dead letter is done with. The others are visible again at once.
func (q *Queue) Take(ctx context.Context, url, id string) (bool, error) {
	var seen []types.Message
	defer func() {
		for _, m := range seen {
			_ = q.Hide(context.WithoutCancel(ctx), url, aws.ToString(m.ReceiptHandle), 0) // it comes back by itself
		}
	}()
	for len(seen) < takes {
		answer, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: batchSize, WaitTimeSeconds: 1, VisibilityTimeout: 30})
		if err != nil {
			return false, Readable("read the dead-letter queue", err)
		}
		if len(answer.Messages) == 0 {
			return false, nil
		}
		for i, m := range answer.Messages {
			var ref sentinel.Ref
			if json.Unmarshal([]byte(aws.ToString(m.Body)), &ref) == nil && ref.ID == id {
				seen = append(seen, answer.Messages[i+1:]...)
				_, err := q.client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle})
				return err == nil, Readable("delete from the dead-letter queue", err)
			}
			seen = append(seen, m)
		}
	}
	return false, nil
}
