package functions_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// pending stores webhook deliveries that are due, without a run, and returns them.
func (w *world) pending(n int, change func(*alert.Delivery)) []alert.Delivery {
	w.Helper()
	var all []alert.Delivery
	now := time.Now().UTC().Truncate(time.Millisecond)
	for i := range n {
		id := fmt.Sprintf("dlv_%s_%d_%d", w.stack, now.UnixNano(), i)
		d := alert.Delivery{
			ID: id, Scope: w.stack, Alert: fmt.Sprintf("alert %d", i),
			Target:    alert.Target{ID: "hook", Channel: "webhook", Label: "hook", Settings: json.RawMessage(`{"url": "${HOOK_URL}"}`)},
			Message:   alert.Message{EventID: id, Event: alert.EventAlert, AlertName: fmt.Sprintf("alert %d", i), Status: alert.StatusAlert, Timestamp: now, RunID: "run_" + id},
			CreatedAt: now, Status: alert.Pending, Try: 1, DueAt: now,
		}
		if change != nil {
			change(&d)
		}
		all = append(all, d)
	}
	require.NoError(w, w.store.Commit(w.Context(), sentinel.Commit{ID: alert.ID{Scope: w.stack, Name: "x"}, Deliveries: all}))
	return all
}

// batch is an event of the deliveries' messages, as they come from SQS.
func batch(deliveries []alert.Delivery) events.SQSEvent {
	var out events.SQSEvent
	for i, d := range deliveries {
		body, _ := json.Marshal(sentinel.Ref{ID: d.ID, Try: d.Try})
		out.Records = append(out.Records, events.SQSMessage{MessageId: fmt.Sprint("m", i), ReceiptHandle: fmt.Sprint("r", i), Body: string(body), Attributes: map[string]string{"ApproximateReceiveCount": "1"}})
	}
	return out
}

// again are the ids of the messages that a sender wants back.
func (w *world) again(channel string, event events.SQSEvent) []string {
	w.Helper()
	var answer events.SQSEventResponse
	require.NoError(w, json.Unmarshal(w.invoke(channel, event), &answer))
	ids := []string{}
	for _, f := range answer.BatchItemFailures {
		ids = append(ids, f.ItemIdentifier)
	}
	return ids
}

func (w *world) read(id string) alert.Delivery {
	w.Helper()
	d, err := w.store.Delivery(w.Context(), id)
	require.NoError(w, err)
	return d
}

// letters are the bodies on a dead-letter queue.
func (w *world) letters(channel string) []string {
	w.Helper()
	out := []string{}
	for {
		got, err := w.sqs.ReceiveMessage(w.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(w.env["SENTINEL_DEAD_LETTERS_"+strings.ToUpper(channel)]), MaxNumberOfMessages: 10})
		require.NoError(w, err)
		if len(got.Messages) == 0 {
			return out
		}
		for _, m := range got.Messages {
			out = append(out, *m.Body)
		}
	}
}

func TestAPoisonMessageDoesNotHoldUpNineGoodOnes(t *testing.T) {
	w := newWorld(t)
	event := batch(w.pending(9, nil))
	event.Records = append(event.Records, events.SQSMessage{MessageId: "poison", ReceiptHandle: "r", Body: "<xml>what?</xml>"})
	require.Empty(t, w.again("webhook", event))
	require.Len(t, w.web.take(), 9)
	require.Equal(t, []string{"<xml>what?</xml>"}, w.letters("webhook"), "it is put where people look")
}

func TestMessagesForNothingAreDropped(t *testing.T) {
	w := newWorld(t)
	d := w.pending(1, nil)[0]
	old := d
	old.Try = 0
	unknown := d
	unknown.ID = "dlv_unknown"
	require.Empty(t, w.again("webhook", batch([]alert.Delivery{unknown, old})))
	require.Empty(t, w.web.take())
	w.logs("webhook", "unknown delivery")
	twice := batch([]alert.Delivery{d, d})
	w.again("webhook", twice)
	require.Len(t, w.web.take(), 1, "a message that comes twice is one notification")
}

func TestADeliveryThatIsToldToWaitThirtyTimesIsNotDead(t *testing.T) {
	w := newWorld(t)
	w.web.answer(http.StatusTooManyRequests)
	d := w.pending(1, nil)[0]
	url := w.env["SENTINEL_QUEUE_WEBHOOK"]
	body, err := json.Marshal(sentinel.Ref{ID: d.ID, Try: 1})
	require.NoError(t, err)
	_, err = w.sqs.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String(string(body))})
	require.NoError(t, err)
	for deadline := time.Now().Add(90 * time.Second); len(w.web.peek()) < 30; {
		require.True(t, time.Now().Before(deadline), "%d attempts", len(w.web.peek()))
		w.deliver("webhook")
	}
	got := w.read(d.ID)
	require.Equal(t, alert.Pending, got.Status)
	require.Zero(t, got.Attempts, "a wait is no attempt")
	require.Empty(t, w.letters("webhook"))
	w.web.answer(http.StatusOK)
	for w.read(d.ID).Status != alert.Sent {
		w.deliver("webhook")
	}
}

func TestADeadDeliveryHasALetterThatOpensItAgain(t *testing.T) {
	w := newWorld(t)
	w.web.answer(http.StatusNotFound)
	d := w.pending(1, nil)[0]
	require.Empty(t, w.again("webhook", batch([]alert.Delivery{d})))
	require.Equal(t, alert.Dead, w.read(d.ID).Status)
	letters := w.letters("webhook")
	require.Len(t, letters, 1)
	var ref sentinel.Ref
	require.NoError(t, json.Unmarshal([]byte(letters[0]), &ref))
	require.Equal(t, sentinel.Ref{ID: d.ID, Try: 2}, ref)
	w.web.take()
	w.web.answer(http.StatusOK)
	require.Empty(t, w.again("webhook", batch([]alert.Delivery{d})), "its old message opens nothing")
	require.Empty(t, w.web.take())
	d.Try = 2
	require.Empty(t, w.again("webhook", batch([]alert.Delivery{d})))
	require.Equal(t, alert.Sent, w.read(d.ID).Status)
	require.Len(t, w.web.take(), 1)
}

func TestASenderDoesNotSendToItsOwnQueue(t *testing.T) {
	w := newWorld(t)
	w.web.answer(http.StatusNotFound)
	owner := alert.Target{ID: "owner", Channel: "webhook", Label: "owner", Settings: json.RawMessage(`{"url": "${HOOK_URL}/owner"}`)}
	mail := alert.Target{ID: "mail", Channel: "email", Label: "mail", Settings: json.RawMessage(`{"recipients": ["owner@example.com"]}`)}
	d := w.pending(1, func(d *alert.Delivery) { d.Owners = []alert.Target{owner, mail} })
	w.again("webhook", batch(d))
	require.Equal(t, 1, w.deliver("email"), "the owner's mail is on its way")
	require.Zero(t, w.deliver("webhook"), "what goes over the same channel waits for the sweeper")
	due, err := w.store.Due(t.Context(), w.stack, time.Now(), 0)
	require.NoError(t, err)
	require.Len(t, due, 1)
	w.env["SENTINEL_SWEEP_AFTER"] = "1"
	require.Empty(t, w.upload(plain("a")).Problem)
	require.Eventually(t, func() bool {
		w.invoke("sync", eventFile(t, "sync.json"))
		return w.deliver("webhook") == 1
	}, 60*time.Second, 100*time.Millisecond, "the sweeper enqueues it once it is past its time")
}

func TestASenderThatIsOutOfTimeGivesTheRestBack(t *testing.T) {
	w := newWorld(t)
	all := w.pending(3, nil)
	answer := w.function("webhook").Invoke(batch(all), 4*time.Second)
	require.NoError(t, answer.Err)
	require.Equal(t, 3, strings.Count(string(answer.Payload), "itemIdentifier"))
	for _, d := range all {
		require.Equal(t, alert.Pending, w.read(d.ID).Status, "it was not claimed")
	}
}

func TestASenderThatDiesIsFollowedByAnother(t *testing.T) {
	w := newWorld(t)
	w.env["SENTINEL_LEASE_MARGIN"] = "10"
	w.web.hang(func() { w.function("webhook").Kill() })
	d := w.pending(1, func(d *alert.Delivery) { d.Target.Timeout = alert.Duration(time.Second) })[0]
	answer := w.function("webhook").Invoke(batch([]alert.Delivery{d}), 20*time.Second)
	require.Error(t, answer.Err)
	require.Equal(t, alert.Sending, w.read(d.ID).Status)
	w.web.hang(nil)
	event := batch([]alert.Delivery{d})
	event.Records[0].Attributes["ApproximateReceiveCount"] = "2"
	require.Equal(t, []string{"m0"}, w.again("webhook", event), "the lease of the dead sender holds")
	require.Eventually(t, func() bool { return len(w.again("webhook", event)) == 0 }, 60*time.Second, 100*time.Millisecond, "then it ends")
	got := w.read(d.ID)
	require.Equal(t, alert.Sent, got.Status)
	require.Equal(t, 1, got.Crashes)
	posts := w.web.take()
	require.Len(t, posts, 2)
	require.Equal(t, posts[0].key, posts[1].key, "twice, with one idempotency key")
}

func TestARotatedSecretIsReadAgain(t *testing.T) {
	w := newWorld(t)
	w.again("webhook", batch(w.pending(1, nil)))
	require.Equal(t, "/hook", w.web.take()[0].path)
	w.web.refuse("/hook", http.StatusUnauthorized)
	w.secret("webhook", "HOOK_URL", w.web.url+"/new")
	require.Eventually(t, func() bool { // parameters that were just read are not read again
		d := w.pending(1, nil)
		w.again("webhook", batch(d))
		return w.read(d[0].ID).Status == alert.Sent
	}, 60*time.Second, 100*time.Millisecond)
}

func TestWhatFailsWhileSecretsCannotBeReadIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	require.Empty(t, w.upload(shopConfig).Problem)
	forbidden := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
		rw.WriteHeader(http.StatusBadRequest)
	}))
	t.Cleanup(forbidden.Close)
	w.env["AWS_ENDPOINT_URL_SSM"] = forbidden.URL
	d := w.pending(1, func(d *alert.Delivery) { d.Target.Settings = []byte(`{"url": "${HOOK_URL}"}`) })[0]
	w.again("webhook", batch([]alert.Delivery{d}))
	got := w.read(d.ID)
	require.Equal(t, alert.Pending, got.Status, "it is not dead")
	require.Contains(t, got.LastError, "AccessDenied")
	var answer cloud.Answer
	require.NoError(t, json.Unmarshal(w.invoke("query", w.ticks(time.Now())["Revenue"]), &answer))
	require.Equal(t, alert.StatusError, answer.Run.Status)
	require.Contains(t, answer.Run.Error, "AccessDenied")
}

func TestLoopbackIsRefusedUnlessAllowed(t *testing.T) {
	w := newWorld(t)
	delete(w.env, "EGRESS_ALLOW")
	d := w.pending(1, nil)
	w.again("webhook", batch(d))
	require.Equal(t, alert.Dead, w.read(d[0].ID).Status)
	require.Contains(t, w.read(d[0].ID).LastError, "EGRESS_ALLOW")
	require.Empty(t, w.web.take())
}

func TestMailGoesBySES(t *testing.T) {
	w := newWorld(t)
	w.secret("email", "EMAIL_PROVIDER", "ses")
	ses := sesv2.NewFromConfig(w.config)
	_, err := ses.CreateEmailIdentity(t.Context(), &sesv2.CreateEmailIdentityInput{EmailIdentity: aws.String("sentinel@example.com")})
	require.NoError(t, err)
	require.Empty(t, w.upload(strings.ReplaceAll(shopConfig, "notify: [mail, hook, chat]", "notify: [mail]")).Problem)
	w.invoke("query", w.ticks(time.Now().UTC().Truncate(time.Minute))["Revenue"])
	require.Equal(t, 1, w.deliver("email"))
	all, err := w.store.Deliveries(t.Context(), sentinel.DeliveryFilter{Scope: w.stack})
	require.NoError(t, err)
	require.Equal(t, alert.Sent, all[0].Status, all[0].LastError)
	require.Empty(t, w.mail.Messages(), "not by SMTP")
}
