package functions_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud/control"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/databases"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/emulators"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/lambdas"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/mailserver"
)

// A world is a stack of its own: bucket, table, queues, schedule group, parameters; the
// functions; a shop's database; receivers of mail and of webhooks.
type world struct {
	testing.TB
	stack     string
	config    aws.Config
	env       map[string]string
	store     *cloud.Store
	configs   *control.Configs
	sqs       *sqs.Client
	schedules *scheduler.Client
	functions map[string]*lambdas.Function
	shop      *sql.DB
	shopURL   string
	mail      *mailserver.Server
	web       *receiver
}

var worlds atomic.Int64

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{TB: t, stack: fmt.Sprintf("stack%d", worlds.Add(1)), functions: map[string]*lambdas.Function{}, env: map[string]string{}}
	endpoint := emulators.AWS(t)
	w.config = cloud.Configured(aws.Config{Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	for name, value := range map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": endpoint,
		"SENTINEL_STACK": w.stack, "SENTINEL_TABLE": w.stack + "-table", "SENTINEL_BUCKET": w.stack + "-bucket", "SENTINEL_SCHEDULE_GROUP": w.stack,
		"SENTINEL_QUERY_ARN": "arn:aws:lambda:us-east-1:000000000000:function:" + w.stack, "SENTINEL_SCHEDULE_ROLE_ARN": "arn:aws:iam::000000000000:role/" + w.stack,
		"SENTINEL_TICK_DEAD_LETTERS_ARN": "arn:aws:sqs:us-east-1:000000000000:" + w.stack, "EGRESS_ALLOW": "127.0.0.0/8",
	} {
		w.env[name] = value
	}
	w.store = must(cloud.NewStore(cloud.StoreOptions{AWS: w.config, Table: w.env["SENTINEL_TABLE"]}))
	require.NoError(t, w.store.CreateTable(t.Context()))
	w.provision()
	w.receivers()
	return w
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// provision makes what the stack does.
func (w *world) provision() {
	ctx := w.Context()
	bucket := s3.NewFromConfig(w.config, func(o *s3.Options) { o.UsePathStyle = true })
	_, err := bucket.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(w.env["SENTINEL_BUCKET"])})
	require.NoError(w, err)
	_, err = bucket.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket: aws.String(w.env["SENTINEL_BUCKET"]), VersioningConfiguration: &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatusEnabled},
	})
	require.NoError(w, err)
	w.configs = control.NewConfigs(w.config, w.env["SENTINEL_BUCKET"])
	w.sqs = sqs.NewFromConfig(w.config)
	for _, channel := range cloud.Channels {
		for suffix, variable := range map[string]string{"": "SENTINEL_QUEUE_", "-dead": "SENTINEL_DEAD_LETTERS_"} {
			made, err := w.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(w.stack + "-" + channel + suffix)})
			require.NoError(w, err)
			w.env[variable+strings.ToUpper(channel)] = *made.QueueUrl
		}
	}
	w.schedules = scheduler.NewFromConfig(w.config)
	_, err = w.schedules.CreateScheduleGroup(ctx, &scheduler.CreateScheduleGroupInput{Name: &w.stack})
	require.NoError(w, err)
}

// receivers starts the shop's database and who takes the messages, and stores their
// addresses as parameters.
func (w *world) receivers() {
	url := databases.Postgres(w)
	w.shopURL, w.shop = url, must(sql.Open("postgres", url))
	w.Cleanup(func() { _ = w.shop.Close() })
	_, err := w.shop.Exec("CREATE TABLE orders (total numeric(12,2))")
	require.NoError(w, err)
	w.mail = must(mailserver.Start(mailserver.Options{}))
	w.Cleanup(func() { _ = w.mail.Close() })
	w.web = newReceiver(w)
	w.secret("query", "SHOP_URL", url)
	w.secret("webhook", "HOOK_URL", w.web.url+"/hook")
	w.secret("slack", "SLACK_WEBHOOK_URL", w.web.url+"/slack")
	w.secret("email", "SMTP_HOST", w.mail.Host())
	w.secret("email", "SMTP_PORT", fmt.Sprint(w.mail.Port()))
	w.secret("email", "SMTP_USE_TLS", "false")
	w.secret("email", "SMTP_FROM_ADDRESS", "sentinel@example.com")
}

func (w *world) secret(user, name, value string) {
	w.Helper()
	require.NoError(w, cloud.PutSecret(w.Context(), w.config, w.stack, user, name, value))
}

// function is the function of a name, started when it is first invoked.
func (w *world) function(name string) *lambdas.Function {
	if w.functions[name] == nil {
		w.functions[name] = lambdas.New(w, filepath.Join(binaries, name), w.env)
	}
	return w.functions[name]
}

// invoke hands an event to a function, which must succeed.
func (w *world) invoke(name string, event any) []byte {
	w.Helper()
	answer := w.function(name).Invoke(event, 30*time.Second)
	require.NoError(w, answer.Err, w.function(name).Log())
	return answer.Payload
}

// upload stores a configuration and lets sync see it.
func (w *world) upload(text string) cloud.SyncStatus {
	w.Helper()
	_, err := w.configs.Write(w.Context(), []byte(text), false)
	require.NoError(w, err)
	w.invoke("sync", eventFile(w, "sync-s3-created.json"))
	status, err := w.store.SyncStatus(w.Context(), w.stack)
	require.NoError(w, err)
	return status
}

// ticks are the very payloads that the schedules carry, at a scheduled time.
func (w *world) ticks(at time.Time) map[string][]byte {
	w.Helper()
	out := map[string][]byte{}
	list, err := w.schedules.ListSchedules(w.Context(), &scheduler.ListSchedulesInput{GroupName: &w.stack})
	require.NoError(w, err)
	for _, s := range list.Schedules {
		got, err := w.schedules.GetSchedule(w.Context(), &scheduler.GetScheduleInput{GroupName: &w.stack, Name: s.Name})
		require.NoError(w, err)
		payload := strings.ReplaceAll(*got.Target.Input, "<aws.scheduler.scheduled-time>", at.UTC().Format("2006-01-02T15:04:05Z"))
		var tick cloud.Tick
		require.NoError(w, json.Unmarshal([]byte(payload), &tick))
		out[tick.Alert] = []byte(payload)
	}
	return out
}

// deliver hands what a channel's queue holds to its sender, as AWS does: what the sender
// does not report as failed is deleted. It returns how many messages there were.
func (w *world) deliver(channel string) int {
	w.Helper()
	url := w.env["SENTINEL_QUEUE_"+strings.ToUpper(channel)]
	got, err := w.sqs.ReceiveMessage(w.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 60, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
	})
	require.NoError(w, err)
	if len(got.Messages) == 0 {
		return 0
	}
	answer := w.invoke(channel, sqsEvent(got.Messages))
	var failed events.SQSEventResponse
	require.NoError(w, json.Unmarshal(answer, &failed))
	again := map[string]bool{}
	for _, f := range failed.BatchItemFailures {
		again[f.ItemIdentifier] = true
	}
	for _, m := range got.Messages {
		if !again[*m.MessageId] {
			_, err := w.sqs.DeleteMessage(w.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle})
			require.NoError(w, err)
		}
	}
	return len(got.Messages)
}

// sqsEvent is what Lambda makes of received messages.
func sqsEvent(messages []types.Message) events.SQSEvent {
	var out events.SQSEvent
	for _, m := range messages {
		out.Records = append(out.Records, events.SQSMessage{
			MessageId: *m.MessageId, ReceiptHandle: *m.ReceiptHandle, Body: *m.Body, Attributes: m.Attributes, EventSource: "aws:sqs",
		})
	}
	return out
}

// A receiver keeps the requests that it is sent, and answers as it is told.
type receiver struct {
	url    string
	mu     sync.Mutex
	got    []request
	status int
	paths  map[string]int // the status of some paths
	during func()         // is called while a request is answered
}

type request struct {
	path, key, body string
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{status: http.StatusOK, paths: map[string]int{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// ServeHTTP takes a message.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, request{req.URL.Path, req.Header.Get("Idempotency-Key"), string(body)})
	if r.during != nil {
		r.during()
	}
	if status, ok := r.paths[req.URL.Path]; ok {
		w.WriteHeader(status)
		return
	}
	if r.status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(r.status)
}

// hang calls a function while a request is answered.
func (r *receiver) hang(during func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.during = during
}

// refuse answers a path with a status.
func (r *receiver) refuse(path string, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paths[path] = status
}

// peek returns what came, and leaves it.
func (r *receiver) peek() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

// take returns what came since the last call.
func (r *receiver) take() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.got
	r.got = nil
	return out
}

// unlock ends the lease of a sync that was killed, as time does.
func (w *world) unlock() error {
	_, err := dynamodb.NewFromConfig(w.config).UpdateItem(w.Context(), &dynamodb.UpdateItemInput{
		TableName:        aws.String(w.env["SENTINEL_TABLE"]),
		Key:              map[string]ddbtypes.AttributeValue{"pk": &ddbtypes.AttributeValueMemberS{Value: "sync#" + w.stack}, "sk": &ddbtypes.AttributeValueMemberS{Value: "state"}},
		UpdateExpression: aws.String("REMOVE lease, lease_until"),
	})
	return err
}

// logs waits until the log of a function holds a text: it comes through a pipe, a moment
// after the answer.
func (w *world) logs(name, text string) {
	w.Helper()
	require.Eventually(w, func() bool { return strings.Contains(w.function(name).Log(), text) }, 60*time.Second, 10*time.Millisecond, text)
}
