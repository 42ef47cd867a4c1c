package functions_test

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud/control"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// plain is a configuration of alerts that are OK.
func plain(names ...string) string {
	var out strings.Builder
	out.WriteString("database: {url: \"${SHOP_URL}\"}\nalerts:\n")
	for _, name := range names {
		fmt.Fprintf(&out, "  - {name: %q, query: \"SELECT 'OK' AS status\", schedule: \"*/5 * * * *\"}\n", name)
	}
	return out.String()
}

// noise is 800 KB of text that does not compress.
func noise() string {
	out := make([]byte, 400<<10)
	_, _ = rand.Read(out)
	return hex.EncodeToString(out)
}

func TestABrokenConfigurationLeavesTheLastGoodOneInForce(t *testing.T) {
	w := newWorld(t)
	require.Empty(t, w.upload(plain("a", "b")).Problem)
	for name, broken := range map[string]string{
		"no YAML": "alerts: [", "empty": "", "unknown key": plain("a") + "colour: red\n", "unknown secret": strings.ReplaceAll(plain("a"), "SHOP_URL", "NO_SUCH"),
		"a file as database": strings.ReplaceAll(plain("a"), "${SHOP_URL}", "sqlite:///shop.db"), "binary": "\x00\xff\x00", "truncated": plain("a", "b")[:90],
		"a huge query": strings.Replace(plain("a", "b"), "SELECT 'OK' AS status", "SELECT 'OK' AS status -- "+noise(), 1),
		"too large":    "# " + strings.Repeat("x", 33<<20), "loopback": strings.ReplaceAll(plain("a"), "${SHOP_URL}", "postgresql://localhost/shop"),
		"too patient": strings.ReplaceAll(plain("a"), "schedule:", "timeout: 10m, schedule:"),
	} {
		t.Run(name, func(t *testing.T) {
			status := w.upload(broken)
			require.NotEmpty(t, status.Problem)
			require.NotContains(t, status.Problem, "postgresql://", "no value of a secret is told")
			require.Len(t, w.ticks(time.Now()), 2, "the schedules stay")
			w.logs("sync", `"invalid_config":1`)
		})
	}
	require.Empty(t, w.upload(plain("a")).Problem)
	require.Len(t, w.ticks(time.Now()), 1)
}

func TestSchedulesFollowTheFunctionUnderABrokenConfigurationToo(t *testing.T) {
	w := newWorld(t)
	require.Empty(t, w.upload(plain("a")).Problem)
	require.NotEmpty(t, w.upload("alerts: [").Problem)
	w.function("sync").Kill()
	delete(w.functions, "sync")
	w.env["SENTINEL_QUERY_ARN"] += "-new"
	w.invoke("sync", eventFile(t, "sync.json"))
	list, err := w.schedules.ListSchedules(t.Context(), &scheduler.ListSchedulesInput{GroupName: &w.stack})
	require.NoError(t, err)
	require.Len(t, list.Schedules, 1)
	one, err := w.schedules.GetSchedule(t.Context(), &scheduler.GetScheduleInput{GroupName: &w.stack, Name: list.Schedules[0].Name})
	require.NoError(t, err)
	require.Contains(t, *one.Target.Arn, "-new")
}

func TestAConfigurationThatIsDeletedRemovesNothing(t *testing.T) {
	w := newWorld(t)
	w.invoke("sync", eventFile(t, "sync.json"))
	status, err := w.store.SyncStatus(t.Context(), w.stack)
	require.NoError(t, err)
	require.Empty(t, status.Problem, "there is no configuration yet, which is no problem")
	require.Empty(t, w.upload(plain("a")).Problem)
	bucket := s3.NewFromConfig(w.config, func(o *s3.Options) { o.UsePathStyle = true })
	_, err = bucket.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(w.env["SENTINEL_BUCKET"]), Key: aws.String(control.ConfigKey)})
	require.NoError(t, err)
	w.invoke("sync", eventFile(t, "sync-s3-deleted.json"))
	status, err = w.store.SyncStatus(t.Context(), w.stack)
	require.NoError(t, err)
	require.Contains(t, status.Problem, "no alerts.yaml")
	require.Len(t, w.ticks(time.Now()), 1)
	require.Empty(t, w.upload(plain("a")).Problem)
}

func TestRemovingManyAlertsNeedsAYes(t *testing.T) {
	w := newWorld(t)
	require.Empty(t, w.upload(plain("a", "b", "c", "d")).Problem)
	require.Contains(t, w.upload(plain("a", "b")).Problem, "2 of 4 alerts (c, d)")
	require.Len(t, w.ticks(time.Now()), 4)
	_, err := w.configs.Write(t.Context(), []byte(plain("a", "b")), true)
	require.NoError(t, err)
	w.invoke("sync", eventFile(t, "sync.json"))
	status, err := w.store.SyncStatus(t.Context(), w.stack)
	require.NoError(t, err)
	require.Equal(t, []string{"c", "d"}, status.Removed)
	require.Len(t, w.ticks(time.Now()), 2)
}

func TestWhatSomebodyDidToTheSchedulesIsMended(t *testing.T) {
	w := newWorld(t)
	require.Empty(t, w.upload(plain("a", "b")).Problem)
	list, err := w.schedules.ListSchedules(t.Context(), &scheduler.ListSchedulesInput{GroupName: &w.stack})
	require.NoError(t, err)
	require.Len(t, list.Schedules, 2)
	_, err = w.schedules.DeleteSchedule(t.Context(), &scheduler.DeleteScheduleInput{GroupName: &w.stack, Name: list.Schedules[0].Name})
	require.NoError(t, err)
	one, err := w.schedules.GetSchedule(t.Context(), &scheduler.GetScheduleInput{GroupName: &w.stack, Name: list.Schedules[1].Name})
	require.NoError(t, err)
	_, err = w.schedules.CreateSchedule(t.Context(), &scheduler.CreateScheduleInput{
		GroupName: &w.stack, Name: aws.String("left-over"), ScheduleExpression: aws.String("rate(1 hour)"), FlexibleTimeWindow: one.FlexibleTimeWindow, Target: one.Target,
	})
	require.NoError(t, err)
	require.Empty(t, w.upload(plain("a", "b")).Problem)
	list, err = w.schedules.ListSchedules(t.Context(), &scheduler.ListSchedulesInput{GroupName: &w.stack})
	require.NoError(t, err)
	require.Len(t, list.Schedules, 2)
	require.Len(t, w.ticks(time.Now()), 2)
}

func TestAnAlertThatIsDisabledHasNoSchedule(t *testing.T) {
	w := newWorld(t)
	require.Empty(t, w.upload(plain("a", "b")).Problem)
	require.Empty(t, w.upload(strings.Replace(plain("a", "b"), "{name: \"a\"", "{enabled: false, name: \"a\"", 1)).Problem)
	require.Len(t, w.ticks(time.Now()), 1)
	require.Contains(t, string(w.invoke("query", cloud.Tick{Alert: "a"})), "SKIPPED")
}

func TestTheTickRecordsRunsThatNeverCameAndTellsTheOwners(t *testing.T) {
	w := newWorld(t)
	w.env["SENTINEL_SWEEP_AFTER"] = "1"
	hourly := fmt.Sprint(time.Now().Add(-20*time.Minute).Minute(), " *") // one tick is missed, and the next is far
	text := strings.ReplaceAll(plain("late"), "*/5 *", hourly) + "owners: [{channel: webhook, url: \"${HOOK_URL}\"}]\n"
	require.Empty(t, w.upload(text).Problem)
	definitions, err := w.store.Definitions(t.Context(), w.stack)
	require.NoError(t, err)
	d := definitions["late"]
	d.ScheduledSince = time.Now().Add(-time.Hour)
	require.NoError(t, w.store.PutDefinitions(t.Context(), []sentinel.Definition{d}))
	w.invoke("query", cloud.Tick{Alert: "late", ScheduledTime: time.Now().Add(-40 * time.Minute).UTC().Format(time.RFC3339)})
	w.invoke("sync", eventFile(t, "sync.json"))
	history, err := w.store.History(t.Context(), sentinel.HistoryFilter{Scope: w.stack})
	require.NoError(t, err)
	require.Len(t, history, 2)
	require.Equal(t, alert.StatusError, history[0].Status)
	require.Equal(t, alert.ErrorMissed, history[0].Reasons[0].Code)
	w.logs("sync", `"missed_runs_total":1`)
	w.invoke("sync", eventFile(t, "sync.json"))
	require.Eventually(t, func() bool { return strings.Count(w.function("sync").Log(), `"overdue_alerts":1`) == 2 }, 60*time.Second, 10*time.Millisecond, "it stays overdue until a run comes")
	require.Equal(t, 1, strings.Count(w.function("sync").Log(), `"missed_runs_total":1`), "and is recorded once")
}

func TestTheHeartbeatBeatsWhileAllIsWell(t *testing.T) {
	w := newWorld(t)
	w.secret("sync", "BEAT_URL", w.web.url+"/beat")
	text := plain("a") + "heartbeat: {url: \"${BEAT_URL}\", every: 1s}\n"
	require.Empty(t, w.upload(text).Problem)
	require.Equal(t, "/beat", w.web.take()[0].path)
	require.NotEmpty(t, w.upload(text+"colour: red\n").Problem)
	require.Empty(t, w.web.take(), "an invalid configuration stops it")
	w.web.answer(http.StatusInternalServerError)
	require.Empty(t, w.upload(text).Problem, "a heartbeat that fails fails nothing")
}
