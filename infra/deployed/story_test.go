package deployed_test

import (
	"encoding/json"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"
)

// machine is that of the functions: the emulator runs them as processes of this one.
var machine = map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]

// shopConfig has an alert of each minute, one whose receiver refuses it, and one that only
// people run.
const shopConfig = `
name: shop
database: {url: "${SHOP_URL}"}
channels:
  mail: {channel: email, recipients: [team@example.com]}
  hook: {channel: webhook, url: "${HOOK_URL}/hook"}
  chat: {channel: slack}
  sour: {channel: webhook, url: "${HOOK_URL}/sour"}
  slow: {channel: webhook, url: "${HOOK_URL}/slow"}
alerts:
  - name: "Revenue"
    query: |
      SELECT CASE WHEN coalesce(sum(total), 0) < 100 THEN 'ALERT' ELSE 'OK' END AS status,
             coalesce(sum(total), 0) AS actual_value, 100 AS threshold
      FROM orders
    schedule: "* * * * *"
    notify: [mail, hook, chat]
  - name: "Refused"
    query: "SELECT 'ALERT' AS status"
    schedule: "* * * * *"
    notify: [sour]
    on_error: {notify: [mail]}
  - name: "By hand"
    query: "SELECT 'ALERT' AS status"
    schedule: "0 0 1 1 *"
    notify: [slow]
`

type message struct {
	Event   string `json:"event"`
	Alert   string `json:"alert_name"`
	Episode string `json:"episode_id"`
}

func read(t testing.TB, r request) message {
	var m message
	require.NoError(t, json.Unmarshal([]byte(r.body), &m), r.body)
	return m
}

func TestAStackIsDeployedUsedUpdatedDestroyedAndDeployedAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	s.deploy()
	s.secrets()
	s.web.answers("/sour", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) })
	s.apply(shopConfig)

	s.eventually(240*time.Second, "a schedule fires by itself and its message arrives everywhere", func() bool {
		return len(s.web.at("/hook")) == 1 && len(s.web.at("/slack")) == 1
	})
	announced := read(t, s.web.at("/hook")[0])
	require.Equal(t, message{"alert", "Revenue", announced.Episode}, announced)
	mails, err := s.mail.Wait(t.Context(), 1)
	require.NoError(t, err)
	require.Contains(t, string(mails[0].Data), "Revenue")

	dead := s.redrive()
	s.poison()
	killed := s.kill()
	s.update(announced)
	s.eventually(4*time.Minute, "the message of the killed sender arrives", func() bool { return len(s.web.at("/slow")) >= 2 })
	require.Equal(t, killed, s.web.at("/slow")[1].key, "it is the same message")
	require.Len(t, s.web.at("/sour"), dead+1)
	require.Len(t, s.web.at("/hook"), 2, "nothing was told twice")
	s.destroyed()
}

// redrive waits for the dead delivery of the receiver that refuses, mends the receiver and
// sends again. It returns how many requests there were before.
func (s *site) redrive() int {
	s.Helper()
	var id string
	s.eventually(60*time.Second, "the refused message is dead", func() bool {
		for _, d := range ask[deliveries](s, "deliveries", "list", "--alert", "Refused").Deliveries {
			if d.Status == "dead" {
				id = d.ID
			}
		}
		return id != ""
	})
	s.eventually(120*time.Second, "it is on the dead-letter queue", func() bool { return s.letters("Webhook", id) == 1 })
	before := len(s.web.at("/sour"))
	s.web.answers("/sour", nil)
	s.sentinel("deliveries", "redrive", id, "--state", "dynamodb://"+stackName)
	s.eventually(120*time.Second, "it is sent", func() bool { return len(s.web.at("/sour")) == before+1 })
	s.eventually(120*time.Second, "it has left the dead-letter queue", func() bool { return s.letters("Webhook", id) == 0 })
	return before
}

// letters counts the dead letters of a channel that say something. What it looks at is
// visible again at once.
func (s *site) letters(channel, text string) int {
	s.Helper()
	queue := s.outputs()["DeadLetters"+channel]
	got, err := sqs.NewFromConfig(s.config).ReceiveMessage(s.Context(), &sqs.ReceiveMessageInput{QueueUrl: &queue, MaxNumberOfMessages: 10, VisibilityTimeout: 0})
	require.NoError(s, err)
	n := 0
	for _, m := range got.Messages {
		if strings.Contains(*m.Body, text) {
			n++
		}
	}
	return n
}

// poison puts what nobody can read into a queue; it must not come again for ever.
func (s *site) poison() {
	s.Helper()
	queue := s.outputs()["QueueWebhook"]
	_, err := sqs.NewFromConfig(s.config).SendMessage(s.Context(), &sqs.SendMessageInput{QueueUrl: &queue, MessageBody: aws.String("<what is this?>")})
	require.NoError(s, err)
	s.eventually(60*time.Second, "the poison message is on the dead-letter queue", func() bool { return s.letters("Webhook", "<what is this?>") == 1 })
}

// kill ends a sender while its receiver still has the message. It returns the message's key.
func (s *site) kill() string {
	s.Helper()
	entered, ended := make(chan struct{}), make(chan struct{})
	s.Cleanup(func() { close(ended) })
	first := true
	s.web.answers("/slow", func(_ http.ResponseWriter, req *http.Request) {
		if first {
			first = false
			close(entered)
			select {
			case <-req.Context().Done():
			case <-ended:
			}
		}
	})
	s.sentinel("run", "--alert", "By hand", "--state", "dynamodb://"+stackName)
	select {
	case <-entered:
	case <-time.After(60 * time.Second):
		s.Fatal("the sender does not send")
	}
	require.True(s, s.cloud.Kill("SENTINEL_DEAD_LETTERS_WEBHOOK"), "there is a sender to kill")
	return s.web.at("/slow")[0].key
}

// update deploys a change while an alert is open, and ends the alert.
func (s *site) update(announced message) {
	s.Helper()
	s.deploy("queryMemory=300", "logRetentionDays=60")
	_, err := s.shop.Exec("INSERT INTO orders VALUES (500)")
	require.NoError(s, err)
	s.eventually(240*time.Second, "the recovery arrives", func() bool { return len(s.web.at("/hook")) == 2 })
	require.Equal(s, message{"recovery", "Revenue", announced.Episode}, read(s, s.web.at("/hook")[1]))
}

// destroyed removes the stack: data stays, schedules go, and a new one can be deployed.
func (s *site) destroyed() {
	s.Helper()
	before := s.outputs()
	s.cdk(append([]string{"destroy", "--force"}, s.choices()...)...)
	_, err := cloudformation.NewFromConfig(s.config).DescribeStacks(s.Context(), &cloudformation.DescribeStacksInput{StackName: aws.String(stackName)})
	require.ErrorContains(s, err, "does not exist")
	_, err = dynamodb.NewFromConfig(s.config).DescribeTable(s.Context(), &dynamodb.DescribeTableInput{TableName: aws.String(before["Table"])})
	require.NoError(s, err, "state and history stay")
	client := s3.NewFromConfig(s.config, func(o *s3.Options) { o.UsePathStyle = true })
	_, err = client.HeadObject(s.Context(), &s3.HeadObjectInput{Bucket: aws.String(before["Bucket"]), Key: aws.String("alerts.yaml")})
	require.NoError(s, err, "the configuration stays")
	list, err := scheduler.NewFromConfig(s.config).ListSchedules(s.Context(), &scheduler.ListSchedulesInput{})
	require.NoError(s, err)
	require.Empty(s, list.Schedules, "nothing fires any more")

	s.deploy()
	s.apply(shopConfig)
	list, err = scheduler.NewFromConfig(s.config).ListSchedules(s.Context(), &scheduler.ListSchedulesInput{})
	require.NoError(s, err)
	require.Len(s, list.Schedules, 3)
}
