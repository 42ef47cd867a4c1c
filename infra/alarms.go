package main

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssnssubscriptions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud/stacks"
)

// An alarm is one sentence about the stack and when it is true. docs/operations.md says
// what to do about each.
type alarm struct {
	name, says string
	metric     awscloudwatch.IMetric
	// The metric is at least this, in so many of the last three periods; one if zero.
	atLeast float64
	periods float64
	// absent: it is also true when there is no metric at all.
	absent bool
	below  bool // the metric is below instead
}

const alarmPeriod = 5 // minutes

// addAlarms makes the alarms, and the topic that tells of them.
func (s *stack) addAlarms() {
	topic := s.alarmTopic()
	for _, a := range s.alarms() {
		made := awscloudwatch.NewAlarm(s.root, jsii.String(a.name), &awscloudwatch.AlarmProps{
			AlarmDescription: jsii.String(fmt.Sprintf("SQL Sentinel %s: %s. What to do: docs/operations.md, %s.", s.choices.Stack, a.says, a.name)),
			Metric:           a.metric, Threshold: jsii.Number(a.atLeast), ComparisonOperator: a.operator(),
			EvaluationPeriods: jsii.Number(a.evaluated()), DatapointsToAlarm: jsii.Number(max(a.periods, 1)), TreatMissingData: a.missing(),
		})
		if topic != nil {
			action := awscloudwatchactions.NewSnsAction(topic)
			made.AddAlarmAction(action)
			made.AddOkAction(action)
		}
	}
}

func (a alarm) operator() awscloudwatch.ComparisonOperator {
	if a.below {
		return awscloudwatch.ComparisonOperator_LESS_THAN_THRESHOLD
	}
	return awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD
}

func (a alarm) evaluated() float64 {
	if a.periods > 1 {
		return 3
	}
	return 1
}

func (a alarm) missing() awscloudwatch.TreatMissingData {
	if a.absent {
		return awscloudwatch.TreatMissingData_BREACHING
	}
	return awscloudwatch.TreatMissingData_NOT_BREACHING
}

// alarms are all of them.
func (s *stack) alarms() []alarm {
	out := []alarm{
		{name: "SyncNotRunning", says: "sync did not run for five minutes: nobody looks for overdue alerts", metric: s.gauge("invalid_config", "SampleCount"), atLeast: 1, below: true, absent: true},
		{name: "InvalidConfig", says: "the configuration is invalid; the last good one is in force", metric: s.gauge("invalid_config", "Maximum"), atLeast: 1},
		{name: "AlertOverdue", says: "an alert did not run when it should have", metric: s.gauge("overdue_alerts", "Maximum"), atLeast: 1},
		{name: "RunMissed", says: "a run never came and was recorded as an error", metric: s.gauge("missed_runs_total", "Sum"), atLeast: 1},
		{name: "DeadDeliveries", says: "a message could not be delivered and is given up", metric: s.gauge("dead_deliveries", "Maximum"), atLeast: 1},
		{name: "StuckDeliveries", says: "nobody takes a message from its queue", metric: s.gauge("stuck_deliveries", "Maximum"), atLeast: 1},
		{name: "MessageWaits", says: "a message has waited for an hour", metric: s.gauge("oldest_delivery_seconds", "Maximum"), atLeast: 3600},
		{name: "TickDeadLetters", says: "a tick never reached the query function", metric: visible(s.tickLetters), atLeast: 1},
		{name: "SyncDeadLetters", says: "an event never reached sync", metric: visible(s.syncLetters), atLeast: 1},
	}
	for _, channel := range cloud.Channels {
		pair := s.queues[channel]
		out = append(out,
			alarm{name: title(channel) + "DeadLetters", says: "a message of " + channel + " is on the dead-letter queue", metric: visible(pair.letters), atLeast: 1},
			alarm{name: title(channel) + "QueueOld", says: "a message has been in the queue of " + channel + " for an hour", atLeast: 3600,
				metric: pair.messages.MetricApproximateAgeOfOldestMessage(statistic("Maximum"))})
	}
	for _, name := range functions {
		function := s.functions[name]
		out = append(out,
			alarm{name: title(name) + "Errors", says: "the function " + name + " keeps failing", metric: function.MetricErrors(statistic("Sum")), atLeast: 1, periods: 2},
			alarm{name: title(name) + "Throttles", says: "the function " + name + " keeps being throttled", metric: function.MetricThrottles(statistic("Sum")), atLeast: 1, periods: 2})
	}
	for i := range out {
		out[i].name += "Alarm"
	}
	return out
}

func statistic(name string) *awscloudwatch.MetricOptions {
	return &awscloudwatch.MetricOptions{Statistic: jsii.String(name), Period: awscdk.Duration_Minutes(jsii.Number(alarmPeriod))}
}

// gauge is a metric that sync sends each minute.
func (s *stack) gauge(name, statistic string) awscloudwatch.IMetric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String(cloud.Namespace), MetricName: jsii.String(name), DimensionsMap: &map[string]*string{"stack": jsii.String(s.choices.Stack)},
		Statistic: jsii.String(statistic), Period: awscdk.Duration_Minutes(jsii.Number(alarmPeriod)),
	})
}

func visible(q awssqs.Queue) awscloudwatch.IMetric {
	return q.MetricApproximateNumberOfMessagesVisible(statistic("Maximum"))
}

// alarmTopic is who is told; nil if nobody is, which the synthesis warns of.
func (s *stack) alarmTopic() awssns.ITopic {
	switch {
	case s.choices.AlarmTopic != "":
		return awssns.Topic_FromTopicArn(s.root, jsii.String("AlarmTopic"), jsii.String(s.choices.AlarmTopic))
	case s.choices.AlarmEmail != "":
		topic := awssns.NewTopic(s.root, jsii.String("AlarmTopic"), &awssns.TopicProps{
			DisplayName: jsii.String("SQL Sentinel " + s.choices.Stack), EnforceSSL: jsii.Bool(true), MasterKey: s.key,
		})
		// A topic with a policy of its own has lost the one that lets its account publish.
		topic.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("cloudwatch.amazonaws.com"), nil)},
			Actions:    jsii.Strings("sns:Publish"), Resources: &[]*string{topic.TopicArn()},
			Conditions: &map[string]any{
				"StringEquals": map[string]any{"aws:SourceAccount": s.root.Account()},
				"ArnLike":      map[string]any{"aws:SourceArn": s.arn("cloudwatch", "alarm:*")},
			},
		}))
		topic.AddSubscription(awssnssubscriptions.NewEmailSubscription(jsii.String(s.choices.AlarmEmail), nil))
		s.output(stacks.OutputAlarmTopic, topic.TopicArn(), "AWS asks its address to confirm; until then nobody hears an alarm")
		return topic
	}
	awscdk.Annotations_Of(s.root).AddWarningV2(jsii.String("sqlsentinel:alarms"),
		jsii.String("nobody is told of alarms; choose -c alarmEmail=you@example.com or -c alarmTopic=ARN"))
	return nil
}
