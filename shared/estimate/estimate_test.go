package estimate_test

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/estimate"
)

// from is a Tuesday.
var from = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

// alerts are n alerts of one schedule, each with one target.
func alerts(n int, schedule string) []alert.Alert {
	var out []alert.Alert
	for i := range n {
		out = append(out, alert.Alert{
			Scope: "shop", Name: fmt.Sprintf("alert %06d", i), Query: "SELECT 'OK' AS status", Schedule: schedule, Timezone: "UTC", Enabled: true,
			Notify: []alert.Target{{ID: "team", Channel: "webhook"}},
		})
	}
	return out
}

// options are those of a stack as it is deployed, without episodes.
func options(t testing.TB, all []alert.Alert) estimate.Options {
	t.Helper()
	prices, err := estimate.ListPrices()
	require.NoError(t, err)
	return estimate.Options{
		Alerts: all, Prices: prices, From: from,
		Stack:       estimate.Stack{Architecture: "arm64", Memory: 256, QueryTimeout: 120, AsyncAge: 900, LogDays: 30, Retention: 90, Channels: 3},
		Assumptions: estimate.Assumptions{QuerySeconds: 0.05, OverheadSeconds: 0.05, SendSeconds: 0.5},
	}
}

func report(t testing.TB, o estimate.Options) estimate.Report {
	t.Helper()
	r, err := estimate.New(o)
	require.NoError(t, err)
	return r
}

// line is the line of a price.
func line(t *testing.T, r estimate.Report, price string) estimate.Line {
	t.Helper()
	for _, l := range r.Lines {
		if l.Price == price {
			return l
		}
	}
	require.Fail(t, "there is no line", price)
	return estimate.Line{}
}

func TestAScheduleOfEachMinuteHas43200RunsIn30Days(t *testing.T) {
	for schedule, want := range map[string]int{
		"* * * * *": 43200, "*/5 * * * *": 8640, "@hourly": 720, "@daily": 30, "0 9 * * MON": 4, "0 9 * * TUE": 5, "0 0 1 * *": 1, "0 0 1 7 *": 0,
	} {
		r := report(t, options(t, alerts(1, schedule)))
		require.Equal(t, want, r.Alerts[0].Runs, schedule)
		require.Equal(t, want, r.Runs, schedule)
		require.EqualValues(t, want, line(t, r, "scheduler_million").Quantity, schedule)
	}
}

func TestATickThatTwoSchedulesNameIsTwoInvocationsAndOneRun(t *testing.T) {
	o := options(t, alerts(1, "0 9 1,15 * TUE")) // 1, 8, 15, 22 and 29 December are Tuesdays
	r := report(t, o)
	require.Equal(t, 5, r.Runs)
	require.EqualValues(t, 7, line(t, r, "scheduler_million").Quantity)
	require.EqualValues(t, 2, r.Quotas[0].Use, "schedules")
}

func TestAThousandAlertsEachFiveMinutesByHand(t *testing.T) {
	r := report(t, options(t, alerts(1000, "*/5 * * * *")))
	require.Equal(t, 8_640_000, r.Runs)
	require.InDelta(t, 8.64, line(t, r, "scheduler_million").Cost, 1e-9)
	require.InDelta(t, 8.6832*0.20, line(t, r, "lambda_requests_million").Cost, 1e-9, "runs, and the ticks of sync")
	runs := 8_640_000 * 0.1 * 0.25
	ticks := 43200 * 0.25 * (0.3 + 1000*0.0001)
	require.InDelta(t, (runs+ticks)*0.0000133334, line(t, r, "lambda_gb_second_arm64").Cost, 1e-9)
	require.InDelta(t, 8.64*3*0.625, line(t, r, "dynamodb_writes_million").Cost, 1e-9)
	reads := line(t, r, "dynamodb_reads_million").Quantity
	require.Greater(t, reads, 8_640_000*4.0)
	require.Less(t, reads, 8_640_000*4.0+43200*(30+1000*0.7)+2880*(24+1000*0.6))
	require.InDelta(t, 25_920_000*800.0/(1<<30), line(t, r, "dynamodb_gb_month").Quantity, 0.01, "90 days of history")
	require.Zero(t, line(t, r, "parameters_million").Quantity, "no secret is named")
}

func TestTwiceTheAlertsCostTwiceButForTheStackItself(t *testing.T) {
	o := options(t, alerts(100, "*/10 * * * *"))
	o.Assumptions.Episodes = 3
	one := report(t, o)
	o.Alerts = alerts(200, "*/10 * * * *")
	two := report(t, o)
	require.InDelta(t, one.Fixed, two.Fixed, 1e-9)
	require.InEpsilon(t, 2*(one.Total-one.Fixed), two.Total-two.Fixed, 1e-9)
	sum := one.Fixed
	for _, a := range one.Alerts {
		sum += a.Cost
	}
	require.InEpsilon(t, one.Total, sum, 1e-9, "the bill is the stack and its alerts")
	lines := 0.0
	for _, l := range one.Lines {
		lines += l.Cost
	}
	require.InEpsilon(t, one.Total, lines, 1e-9, "and the sum of its lines")
}

func TestMoreOfAnythingNeverCostsLess(t *testing.T) {
	base := report(t, options(t, alerts(10, "*/10 * * * *"))).Total
	for name, change := range map[string]func(*estimate.Options){
		"episodes":      func(o *estimate.Options) { o.Assumptions.Episodes = 5 },
		"a slow query":  func(o *estimate.Options) { o.Assumptions.QuerySeconds = 5 },
		"retention":     func(o *estimate.Options) { o.Stack.Retention = 365 },
		"logs":          func(o *estimate.Options) { o.Stack.LogDays = 365 },
		"memory":        func(o *estimate.Options) { o.Stack.Memory = 512 },
		"architecture":  func(o *estimate.Options) { o.Stack.Architecture = "x86_64" },
		"more often":    func(o *estimate.Options) { o.Alerts = alerts(10, "*/5 * * * *") },
		"a long query":  func(o *estimate.Options) { o.Alerts[0].Query = fmt.Sprintf("%09000d", 1) },
		"a secret":      func(o *estimate.Options) { o.Secrets = 1 },
		"another alert": func(o *estimate.Options) { o.Alerts = alerts(11, "*/10 * * * *") },
	} {
		o := options(t, alerts(10, "*/10 * * * *"))
		change(&o)
		require.Greater(t, report(t, o).Total, base, name)
	}
}

func TestAnEpisodeIsAMessageWhenItOpensAndOneWhenItCloses(t *testing.T) {
	o := options(t, alerts(1, "@hourly"))
	o.Alerts[0].Notify = []alert.Target{{ID: "team", Channel: "email"}, {ID: "oncall", Channel: "webhook", Events: []alert.Event{alert.EventAlert}}}
	quiet := report(t, o)
	o.Assumptions.Episodes = 10
	r := report(t, o)
	require.EqualValues(t, 30, r.Alerts[0].Messages)
	more := func(price string) float64 { return line(t, r, price).Quantity - line(t, quiet, price).Quantity }
	require.InDelta(t, 30, more("lambda_requests_million"), 1e-6)
	// Announcing two messages writes 2 × (1+2+1+4) + 5 units in place of 3, one message 2 × (1+2+1+2) + 3.
	require.InDelta(t, 10*(21-3)+10*(15-3)+30*11, more("dynamodb_writes_million"), 1e-6)
	require.InDelta(t, 10*2+10*1+30*2, more("sqs_million"), 1e-6)
	o.Assumptions.Episodes = 43200
	require.EqualValues(t, 360*3, report(t, o).Alerts[0].Messages, "720 runs open and close 360 times at most")
}

func TestADisabledAlertHasNoRunsAndIsReadBySync(t *testing.T) {
	o := options(t, alerts(2, "* * * * *"))
	o.Alerts[1].Enabled = false
	r := report(t, o)
	require.Equal(t, 43200, r.Runs)
	require.Equal(t, 1, r.Peak.Runs)
	require.Positive(t, r.Alerts[1].Cost)
	require.Less(t, r.Alerts[1].Cost, r.Alerts[0].Cost/2)
}

func TestTheBusiestMinuteIsFound(t *testing.T) {
	o := options(t, append(alerts(3, "*/15 * * * *"), alerts(4, "30 9 * * *")...))
	o.Assumptions.QuerySeconds = 59.95
	r := report(t, o)
	require.Equal(t, 7, r.Peak.Runs)
	require.Equal(t, "2026-12-01T09:30:00Z", r.Peak.Minute.Format(time.RFC3339))
	require.InDelta(t, 7, r.Peak.Places, 1e-9, "a run of a minute occupies a place for a minute")
	require.Equal(t, 7, r.Peak.AtOnce.Places)
	require.InDelta(t, (3*4*24+4)/1440.0, r.Peak.Average, 1e-9)
}

func TestEachQuotaSaysWhatMovesIt(t *testing.T) {
	o := options(t, alerts(100, "* * * * *"))
	o.Secrets = 1
	for _, q := range report(t, o).Quotas {
		require.NotEmpty(t, q.Setting, q.Name)
		require.Positive(t, q.Quota, q.Name)
		require.False(t, math.IsNaN(q.Share()) || math.IsInf(q.Share(), 0), q.Name)
	}
}

func TestTheStackHasAsManyAlarmsAsAreReckoned(t *testing.T) {
	template, err := os.ReadFile("../../infra/testdata/default.json")
	require.NoError(t, err)
	r := report(t, options(t, alerts(1, "@daily")))
	for price, kind := range map[string]string{"alarm_month": "AWS::CloudWatch::Alarm", "dashboard_month": "AWS::CloudWatch::Dashboard"} {
		require.EqualValues(t, strings.Count(string(template), `"Type": "`+kind+`"`), line(t, r, price).Quantity, kind)
	}
}

func TestWhatGivesWayFirst(t *testing.T) {
	o := options(t, alerts(100, "* * * * *"))
	o.Assumptions.QuerySeconds, o.Assumptions.OverheadSeconds = 1.95, 0.05
	r := report(t, o)
	require.Equal(t, "Lambda: runs at once", r.First.Name)
	require.InDelta(t, 30_000, r.First.Runs, 1e-6)
	o.Prices.Quotas["lambda_concurrency"] = 10_000
	r = report(t, o)
	require.Equal(t, "Scheduler: invocations", r.First.Name)
	require.InDelta(t, 60_000, r.First.Runs, 1e-6)
	o.Prices.Quotas["scheduler_invocations_per_second"] = 10_000
	r = report(t, o)
	require.Equal(t, "DynamoDB: writes of a new table", r.First.Name)
	require.InDelta(t, 80_000, r.First.Runs, 1e-6)
}

func TestWhatCannotBeIsRefused(t *testing.T) {
	for want, change := range map[string]func(*estimate.Options){
		"there are no alerts":                    func(o *estimate.Options) { o.Alerts = nil },
		"-1 seconds (query) are not possible":    func(o *estimate.Options) { o.Assumptions.QuerySeconds = -1 },
		"NaN seconds (query) are not possible":   func(o *estimate.Options) { o.Assumptions.QuerySeconds = math.NaN() },
		"-1 episodes a month are not possible":   func(o *estimate.Options) { o.Assumptions.Episodes = -1 },
		`read the schedule of "alert 000000"`:    func(o *estimate.Options) { o.Alerts[0].Schedule = "every day" },
		"1000 seconds (send) are not possible; ": func(o *estimate.Options) { o.Assumptions.SendSeconds = 1000 },
	} {
		o := options(t, alerts(1, "@daily"))
		change(&o)
		_, err := estimate.New(o)
		require.ErrorContains(t, err, want)
	}
}
