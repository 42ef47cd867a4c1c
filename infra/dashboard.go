package main

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/jsii-runtime-go"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
)

// addDashboard makes a page of CloudWatch that shows, from top to bottom, what alerts say,
// what becomes of messages, and how the functions are.
func (s *stack) addDashboard() {
	board := awscloudwatch.NewDashboard(s.root, jsii.String("Dashboard"), &awscloudwatch.DashboardProps{
		DefaultInterval: awscdk.Duration_Days(jsii.Number(1)),
	})
	var waiting, dead, errors, durations []awscloudwatch.IMetric
	for _, channel := range cloud.Channels {
		waiting, dead = append(waiting, visible(s.queues[channel].messages)), append(dead, visible(s.queues[channel].letters))
	}
	for _, name := range functions {
		f := s.functions[name]
		errors = append(errors, f.MetricErrors(statistic("Sum")), f.MetricThrottles(statistic("Sum")))
		durations = append(durations, f.MetricDuration(statistic("p99")))
	}
	dead = append(dead, visible(s.tickLetters), visible(s.syncLetters))
	rows := [][]awscloudwatch.IWidget{
		{graph("Alerts by status", s.each("status", "alerts", "Maximum")), graph("Runs by result", s.each("status", "alerts_total", "Sum")), graph("Seconds of a run, p99", s.each("status", "alert_duration_seconds", "p99"))},
		{graph("Messages by channel and result", s.each("channel,status", "notifications_total", "Sum")),
			graph("Seconds of a delivery, p99", s.each("channel,status", "notification_duration_seconds", "p99")),
			graph("Standing", s.gauge("episodes_open", "Maximum"), s.gauge("silences_active", "Maximum"), s.gauge("pending_deliveries", "Maximum"),
				s.gauge("overdue_alerts", "Maximum"), s.gauge("dead_deliveries", "Maximum"), s.gauge("stuck_deliveries", "Maximum"), s.gauge("invalid_config", "Maximum"))},
		{graph("In the queues", waiting...), graph("On dead-letter queues", dead...), graph("Age of the oldest message, seconds", s.gauge("oldest_delivery_seconds", "Maximum"))},
		{graph("Errors and throttles of functions", errors...), graph("Milliseconds of functions, p99", durations...)},
	}
	for _, row := range rows {
		board.AddWidgets(row...)
	}
}

func graph(title string, metrics ...awscloudwatch.IMetric) awscloudwatch.IWidget {
	return awscloudwatch.NewGraphWidget(&awscloudwatch.GraphWidgetProps{Title: jsii.String(title), Left: &metrics, Width: jsii.Number(8)})
}

// each finds the metric for every value of its dimensions.
func (s *stack) each(dimensions, name, statistic string) awscloudwatch.IMetric {
	return awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
		Expression: jsii.String(fmt.Sprintf(`SEARCH('{%s,stack,%s} MetricName="%s" stack="%s"', '%s', 300)`, cloud.Namespace, dimensions, name, s.choices.Stack, statistic)),
		Label:      jsii.String(""), UsingMetrics: &map[string]awscloudwatch.IMetric{}, Period: awscdk.Duration_Minutes(jsii.Number(alarmPeriod)),
	})
}
