package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
)

func TestEveryAlarmIsExplained(t *testing.T) {
	page, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	var explained []string
	for line := range strings.Lines(string(page)) {
		if first, _, ok := strings.Cut(strings.TrimPrefix(line, "|"), "|"); ok && strings.HasPrefix(line, "|") {
			explained = append(explained, named.FindAllString(first, -1)...)
		}
	}
	require.ElementsMatch(t, sorted(templateOf(t, nil).of("AWS::CloudWatch::Alarm")), explained)
}

var named = regexp.MustCompile(`\b[A-Z]\w+Alarm\b`)

func TestAnAlarmIsHeardWhenItStartsAndWhenItIsOver(t *testing.T) {
	for name, a := range templateOf(t, everything).of("AWS::CloudWatch::Alarm") {
		require.Equal(t, []any{"AlarmTopic"}, a.properties["AlarmActions"], name)
		require.Equal(t, []any{"AlarmTopic"}, a.properties["OKActions"], name)
		require.Contains(t, a.properties["AlarmDescription"], "docs/operations.md, "+name)
	}
	tp := templateOf(t, everything)
	require.Equal(t, []string{
		"Deny sns:Publish on AlarmTopic to * if Bool aws:SecureTransport=false",
		"Allow sns:Publish on AlarmTopic to cloudwatch.amazonaws.com if ArnLike aws:SourceArn=arn:Partition:cloudwatch:Region:AccountId:alarm:* if StringEquals aws:SourceAccount=AccountId",
	}, statements(tp.one(t, "AWS::SNS::TopicPolicy").properties["PolicyDocument"]))
	subscription := tp.one(t, "AWS::SNS::Subscription").properties
	require.Equal(t, map[string]any{"Endpoint": "oncall@example.com", "Protocol": "email", "TopicArn": "AlarmTopic"}, subscription)

	topic := "arn:aws:sns:eu-west-1:123456789012:alarms"
	given := templateOf(t, map[string]any{"alarmTopic": topic})
	require.Empty(t, given.of("AWS::SNS::Topic"))
	require.Equal(t, []any{topic}, given.of("AWS::CloudWatch::Alarm")["AlertOverdueAlarm"].properties["AlarmActions"])
}

func TestAnAlarmRingsWhenItShould(t *testing.T) {
	alarms := templateOf(t, nil).of("AWS::CloudWatch::Alarm")
	for name, a := range alarms {
		missing := "notBreaching"
		if name == "SyncNotRunningAlarm" {
			missing = "breaching"
		}
		require.Equal(t, missing, a.properties["TreatMissingData"], name)
		require.Equal(t, 300.0, a.properties["Period"], name)
	}
	for name, want := range map[string][]any{ // metric, statistic, comparison, threshold, datapoints
		"SyncNotRunningAlarm":   {"invalid_config", "SampleCount", "LessThanThreshold", 1.0, 1.0},
		"InvalidConfigAlarm":    {"invalid_config", "Maximum", "GreaterThanOrEqualToThreshold", 1.0, 1.0},
		"AlertOverdueAlarm":     {"overdue_alerts", "Maximum", "GreaterThanOrEqualToThreshold", 1.0, 1.0},
		"RunMissedAlarm":        {"missed_runs_total", "Sum", "GreaterThanOrEqualToThreshold", 1.0, 1.0},
		"DeadDeliveriesAlarm":   {"dead_deliveries", "Maximum", "GreaterThanOrEqualToThreshold", 1.0, 1.0},
		"StuckDeliveriesAlarm":  {"stuck_deliveries", "Maximum", "GreaterThanOrEqualToThreshold", 1.0, 1.0},
		"MessageWaitsAlarm":     {"oldest_delivery_seconds", "Maximum", "GreaterThanOrEqualToThreshold", 3600.0, 1.0},
		"TickDeadLettersAlarm":  {"ApproximateNumberOfMessagesVisible", "Maximum", "GreaterThanOrEqualToThreshold", 1.0, 1.0},
		"EmailDeadLettersAlarm": {"ApproximateNumberOfMessagesVisible", "Maximum", "GreaterThanOrEqualToThreshold", 1.0, 1.0},
		"SlackQueueOldAlarm":    {"ApproximateAgeOfOldestMessage", "Maximum", "GreaterThanOrEqualToThreshold", 3600.0, 1.0},
		"QueryErrorsAlarm":      {"Errors", "Sum", "GreaterThanOrEqualToThreshold", 1.0, 2.0},
		"WebhookThrottlesAlarm": {"Throttles", "Sum", "GreaterThanOrEqualToThreshold", 1.0, 2.0},
	} {
		p := alarms[name].properties
		require.Equal(t, want, []any{p["MetricName"], p["Statistic"], p["ComparisonOperator"], p["Threshold"], p["DatapointsToAlarm"]}, name)
		if p["Namespace"] == cloud.Namespace {
			require.Equal(t, []any{map[string]any{"Name": "stack", "Value": "sentinel"}}, p["Dimensions"], name)
		}
	}
}

func TestTheDashboardShowsWhatTheFunctionsMeasure(t *testing.T) {
	body := templateOf(t, nil).one(t, "AWS::CloudWatch::Dashboard").properties["DashboardBody"].(string)
	for _, metric := range []string{"alerts_total", "alert_duration_seconds", "notifications_total", "notification_duration_seconds", "episodes_open", "overdue_alerts", "dead_deliveries"} {
		require.Contains(t, body, metric)
	}
}
