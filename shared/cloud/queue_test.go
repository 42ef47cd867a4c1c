package cloud_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/emulators"
)

// queues are two queues with the limits of the real ones, and a client that looks at them.
func queues(t *testing.T) (*sqs.Client, map[string]string) {
	t.Helper()
	client, urls := sqs.NewFromConfig(at(emulators.SQS(t))), map[string]string{}
	for _, channel := range []string{"email", "webhook"} {
		made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(fmt.Sprintf("%s-%d", channel, tables.Add(1)))})
		require.NoError(t, err)
		urls[channel] = *made.QueueUrl
	}
	return client, urls
}

func receive(t *testing.T, client *sqs.Client, url string) []types.Message {
	t.Helper()
	var out []types.Message
	for {
		got, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 30})
		require.NoError(t, err)
		if len(got.Messages) == 0 {
			return out
		}
		out = append(out, got.Messages...)
	}
}

func waiting(n int, channel string, due time.Time) []alert.Delivery {
	var out []alert.Delivery
	for i := range n {
		out = append(out, alert.Delivery{ID: fmt.Sprintf("dlv_%d", i), Try: 3, Target: alert.Target{Channel: channel}, DueAt: due})
	}
	return out
}

func TestDeliveriesGoToTheQueueOfTheirChannel(t *testing.T) {
	client, urls := queues(t)
	q := cloud.NewQueue(cloud.QueueOptions{AWS: at(emulators.SQS(t)), URLs: urls})
	require.NoError(t, q.Enqueue(t.Context(), append(waiting(25, "email", time.Now()), waiting(1, "webhook", time.Now())...)))
	got := receive(t, client, urls["email"])
	require.Len(t, got, 25)
	var ref sentinel.Ref
	require.NoError(t, json.Unmarshal([]byte(*got[0].Body), &ref))
	require.Equal(t, 3, ref.Try)
	require.Len(t, receive(t, client, urls["webhook"]), 1)
	err := q.Enqueue(t.Context(), append(waiting(1, "pigeon", time.Now()), waiting(1, "webhook", time.Now())...))
	require.ErrorContains(t, err, "pigeon")
	require.Len(t, receive(t, client, urls["webhook"]), 1, "the others are sent all the same")
	require.NoError(t, q.Enqueue(t.Context(), waiting(1, "webhook", time.Now().Add(48*time.Hour))), "SQS holds 15 minutes at most")
	require.Empty(t, receive(t, client, urls["webhook"]))
}

func TestAnotherChannelsQueueOnlyWhereALoopWouldBe(t *testing.T) {
	client, urls := queues(t)
	q := cloud.NewQueue(cloud.QueueOptions{AWS: at(emulators.SQS(t)), URLs: urls, Except: "email"})
	require.NoError(t, q.Enqueue(t.Context(), append(waiting(1, "email", time.Now()), waiting(1, "webhook", time.Now())...)))
	require.Empty(t, receive(t, client, urls["email"]))
	require.Len(t, receive(t, client, urls["webhook"]), 1)
}

func TestAMessageIsHiddenForASecondOrAnHour(t *testing.T) {
	client, urls := queues(t)
	q := cloud.NewQueue(cloud.QueueOptions{AWS: at(emulators.SQS(t)), URLs: urls})
	require.NoError(t, q.Enqueue(t.Context(), waiting(2, "email", time.Now())))
	got := receive(t, client, urls["email"])
	require.NoError(t, q.Hide(t.Context(), urls["email"], *got[0].ReceiptHandle, 24*time.Hour), "an hour is the most at a time")
	require.NoError(t, q.Hide(t.Context(), urls["email"], *got[1].ReceiptHandle, 100*time.Millisecond))
	require.Eventually(t, func() bool { return len(receive(t, client, urls["email"])) == 1 }, 60*time.Second, 200*time.Millisecond)
}

func TestADeadLetterIsTakenOutFromAmongOthers(t *testing.T) {
	client, urls := queues(t)
	q := cloud.NewQueue(cloud.QueueOptions{AWS: at(emulators.SQS(t)), URLs: urls})
	require.NoError(t, q.Enqueue(t.Context(), waiting(25, "email", time.Now())))
	require.NoError(t, q.Put(t.Context(), urls["email"], "poison"))
	found, err := q.Take(t.Context(), urls["email"], "dlv_17")
	require.NoError(t, err)
	require.True(t, found)
	require.Len(t, receive(t, client, urls["email"]), 25, "the others are there at once")
	found, err = q.Take(t.Context(), urls["webhook"], "dlv_17")
	require.NoError(t, err)
	require.False(t, found)
}
