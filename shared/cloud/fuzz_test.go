package cloud_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest"
)

// always is a database that says OK and a channel that takes everything.
type always struct{}

func (always) Query(context.Context, alert.Alert, alert.Run) alert.Result {
	return alert.Read(alert.Table{Columns: []string{"status"}, Rows: [][]alert.Value{{alert.TextValue("OK")}}}, nil)
}

func (always) Send(context.Context, alert.Delivery) error { return nil }

// fuzzSteps are the steps over a runtime in memory with one alert, called Known.
func fuzzSteps(f *testing.F) *sentinel.Sentinel {
	memory := sentineltest.NewMemory()
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	steps, err := sentinel.New(sentinel.Options{Store: memory, Outbox: memory, Queue: memory, Query: always{}, Send: always{}, Now: func() time.Time { return now }})
	require.NoError(f, err)
	a := alert.Alert{Scope: "stack", Name: "Known", Query: "SELECT 1", Schedule: "@daily", Timezone: "UTC", Enabled: true}
	_, err = steps.Sync(context.Background(), "stack", []alert.Alert{a})
	require.NoError(f, err)
	return steps
}

// seeds adds the recorded events of a kind.
func seeds(f *testing.F, names ...string) {
	for _, name := range names {
		data, err := os.ReadFile("../../events/" + name + ".json")
		require.NoError(f, err)
		f.Add(data)
	}
}

// Any input of the query function is a run of an alert that exists, or an answer that says
// what is wrong with it. None is an error, which would be tried again for hours.
func FuzzTick(f *testing.F) {
	seeds(f, "query", "query-tick", "query-dry-run")
	for _, text := range []string{`{"alert":"Known","scheduled_time":"2026-11-23T09:00:00Z"}`, `{"alert":"Known"}`, `{"alert":"Known","dry_run":true}`, `{"alert":"Known","scheduled_time":"9999-12-31T23:59:59.999999999+23:59"}`, `{"alert":"Known","scheduled_time":"<aws.scheduler.scheduled-time>"}`, `null`, `[]`, `{"alert":null}`} {
		f.Add([]byte(text))
	}
	e := &cloud.Evaluator{Sentinel: fuzzSteps(f), Scope: "stack", Log: cloud.NewLog(io.Discard, ""), Metrics: &cloud.Metrics{Out: io.Discard, Stack: "stack"}}
	f.Fuzz(func(t *testing.T, event []byte) {
		got, err := e.Handle(t.Context(), event)
		require.NoError(t, err)
		require.True(t, (got.Run == nil) == (got.Error != ""), "a run or a reason: %+v", got)
		if got.Run != nil {
			require.Equal(t, "Known", got.Run.Alert)
		}
		raw, err := json.Marshal(got)
		require.NoError(t, err)
		require.True(t, json.Valid(raw))
	})
}

// An inbox stands for SQS: it takes what is put on the dead-letter queue.
type inbox struct {
	mu     sync.Mutex
	bodies []string
}

func (i *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct{ MessageBody string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	i.mu.Lock()
	i.bodies = append(i.bodies, in.MessageBody)
	i.mu.Unlock()
	sum := md5.Sum([]byte(in.MessageBody))
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	_ = json.NewEncoder(w).Encode(map[string]string{"MessageId": "1", "MD5OfMessageBody": hex.EncodeToString(sum[:])})
}

// Any batch of SQS is handled: each message is done with, comes again, or lies on the
// dead-letter queue as it came. Nothing else comes again.
func FuzzBatch(f *testing.F) {
	seeds(f, "email", "slack", "webhook", "webhook-batch", "webhook-poison", "webhook-redriven")
	for _, body := range []string{`{"id":"","try":1}`, `{"id":7}`, `null`, `{"id":"dlv_x","try":-9223372036854775808}`, `{"ID":"dlv_x"}`, "\x00", ``} {
		raw, err := json.Marshal(events.SQSEvent{Records: []events.SQSMessage{{MessageId: "a", Body: body, Attributes: map[string]string{"ApproximateReceiveCount": "7"}}, {MessageId: "b", Body: body}}})
		require.NoError(f, err)
		f.Add(raw)
	}
	dead := &inbox{}
	server := httptest.NewServer(dead)
	f.Cleanup(server.Close)
	config := at(server.URL)
	steps := fuzzSteps(f)
	f.Fuzz(func(t *testing.T, event []byte) {
		var batch events.SQSEvent
		if json.NewDecoder(bytes.NewReader(event)).Decode(&batch) != nil || len(batch.Records) > 10 {
			return // Lambda hands on no such batch
		}
		dead.mu.Lock()
		dead.bodies = nil
		dead.mu.Unlock()
		c := &cloud.Consumer{
			Sentinel: steps, Queue: cloud.NewQueue(cloud.QueueOptions{AWS: config, URLs: map[string]string{"webhook": server.URL + "/queue"}}), Channel: "webhook",
			DeadLetters: server.URL + "/dead", Log: cloud.NewLog(io.Discard, ""), Metrics: &cloud.Metrics{Out: io.Discard, Stack: "stack"},
		}
		answer, err := c.Handle(t.Context(), batch)
		require.NoError(t, err)
		came := map[string]bool{}
		for _, m := range batch.Records {
			came[m.MessageId] = true
		}
		for _, again := range answer.BatchItemFailures {
			require.True(t, came[again.ItemIdentifier])
		}
		for _, m := range batch.Records {
			var ref sentinel.Ref
			if json.Unmarshal([]byte(m.Body), &ref) != nil || ref.ID == "" {
				require.Contains(t, dead.bodies, m.Body)
			}
		}
	})
}
