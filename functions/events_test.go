package functions_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/lambdas"
)

// failedPayments is the alert that the events of the folder name.
const failedPayments = `
database: {url: "${SHOP_URL}"}
alerts:
  - {name: "Failed payments", query: "SELECT 'OK' AS status, 12.50 AS actual_value", schedule: "0 9 * * *"}
`

func TestEveryEventOfTheFolderIsHandled(t *testing.T) {
	w := newWorld(t)
	require.Empty(t, w.upload(failedPayments).Problem)
	files, err := os.ReadDir("../events")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	tick := slices.IndexFunc(files, func(f os.DirEntry) bool { return f.Name() == "query-tick.json" })
	files[0], files[tick] = files[tick], files[0] // before a run of now, after which it would be late
	for _, file := range files {
		t.Run(file.Name(), func(t *testing.T) {
			name, _, _ := strings.Cut(strings.TrimSuffix(file.Name(), ".json"), "-")
			payload := w.invoke(name, eventFile(t, file.Name()))
			switch name {
			case "query":
				var answer cloud.Answer
				require.NoError(t, json.Unmarshal(payload, &answer))
				require.Empty(t, answer.Error)
				require.Equal(t, alert.StatusOK, answer.Run.Status)
				require.Equal(t, "12.50", answer.Run.Actual.String())
			case "email", "slack", "webhook":
				var answer events.SQSEventResponse
				require.NoError(t, json.Unmarshal(payload, &answer))
				require.Empty(t, answer.BatchItemFailures, "what stands for nothing is dropped")
			}
		})
	}
	require.Equal(t, []string{"<xml>what?</xml>"}, w.letters("webhook"))
}

func TestEventsThatNothingCanBeDoneAboutAreRefusedAndNotRepeated(t *testing.T) {
	w := newWorld(t)
	require.Empty(t, w.upload(failedPayments).Problem)
	for event, cause := range map[string]string{
		`[]`: "no JSON object", `{}`: "names no alert", `{"alert": "nobody"}`: `no alert \"nobody\"`, `{"alert": "nobody", "dry_run": true}`: `no alert \"nobody\"`,
		`{"alert": "Failed payments", "scheduled_time": "<aws.scheduler.scheduled-time>"}`: "is no time such as",
	} {
		answer := w.function("query").Invoke([]byte(event), 10*time.Second)
		require.NoError(t, answer.Err, "an error would be tried again")
		require.Contains(t, strings.ReplaceAll(string(answer.Payload), `\u003c`, "<"), cause)
	}
	w.logs("query", "events_refused_total")
}

func TestAQueryThatKillsItsProcessIsAnErrorInTheEnd(t *testing.T) {
	w := newWorld(t)
	require.Empty(t, w.upload(strings.ReplaceAll(failedPayments, `SELECT 'OK' AS status, 12.50 AS actual_value`, `SELECT 'OK' AS status FROM pg_sleep(20)`)).Problem)
	f := w.function("query")
	answer := make(chan lambdas.Answer, 1)
	go func() { answer <- f.Invoke(eventFile(t, "query.json"), 60*time.Second) }()
	require.Eventually(t, func() bool {
		var n int
		err := w.shop.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'").Scan(&n)
		return err == nil && n > 0
	}, 30*time.Second, 10*time.Millisecond, "the database never had the query")
	f.Kill()
	require.ErrorIs(t, (<-answer).Err, lambdas.ErrKilled)
	snapshot, err := w.store.Load(t.Context(), alert.ID{Scope: w.stack, Name: "Failed payments"})
	require.NoError(t, err)
	require.Nil(t, snapshot.State.Last, "nothing is recorded; the tick does it when the run is overdue")
}
