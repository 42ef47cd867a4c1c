package estimate

import (
	"math"
	"slices"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// What is billed, in the order of the lines.
const (
	invocations = iota
	requests
	gbSeconds
	readUnits
	writeUnits
	tableGB
	backupGB
	queueRequests
	logGB
	keptLogGB
	metrics
	alarms
	dashboards
	objectReads
	parameterReads
	decryptions
	resources
)

// Usage is how much of each there is in a month.
type Usage [resources]float64

func (u *Usage) add(more Usage) {
	for i, n := range more {
		u[i] += n
	}
}

// A resource is something that is billed: its price stands for so many units.
type resource struct {
	service, what, price string
	per                  float64
}

const million = 1e6

// billed lists the resources.
func (o Options) billed() [resources]resource {
	return [resources]resource{
		invocations:    {"Scheduler", "invocations", "scheduler_million", million},
		requests:       {"Lambda", "requests", "lambda_requests_million", million},
		gbSeconds:      {"Lambda", "GB-seconds, " + o.Stack.Architecture, "lambda_gb_second_" + o.Stack.Architecture, 1},
		readUnits:      {"DynamoDB", "read units", "dynamodb_reads_million", million},
		writeUnits:     {"DynamoDB", "write units", "dynamodb_writes_million", million},
		tableGB:        {"DynamoDB", "GB stored", "dynamodb_gb_month", 1},
		backupGB:       {"DynamoDB", "GB of point-in-time recovery", "dynamodb_backup_gb_month", 1},
		queueRequests:  {"SQS", "requests", "sqs_million", million},
		logGB:          {"CloudWatch", "GB of logs", "logs_gb", 1},
		keptLogGB:      {"CloudWatch", "GB of logs kept", "logs_gb_month", 1},
		metrics:        {"CloudWatch", "metrics", "metric_month", 1},
		alarms:         {"CloudWatch", "alarms", "alarm_month", 1},
		dashboards:     {"CloudWatch", "dashboards", "dashboard_month", 1},
		objectReads:    {"S3", "reads", "s3_reads_million", million},
		parameterReads: {"Parameter Store", "reads", "parameters_million", million},
		decryptions:    {"KMS", "decryptions", "decryptions_million", million},
	}
}

// bill is what a usage costs.
func (o Options) bill(u Usage) float64 {
	total := 0.0
	for i, r := range o.billed() {
		total += u[i] / r.per * o.Prices.Prices[r.price]
	}
	return total
}

// lines is the bill, line by line.
func (o Options) lines(u Usage) (out []Line, total float64) {
	for i, r := range o.billed() {
		cost := u[i] / r.per * o.Prices.Prices[r.price]
		out = append(out, Line{r.service, r.what, r.price, u[i], cost})
		total += cost
	}
	return out, total
}

const (
	kb, gb = 1 << 10, 1 << 30
	// headBytes, recordBytes and messageBytes are what items take as a rule, itemBytes what
	// DynamoDB adds to each for its own index, definitionKeys the attributes beside a
	// definition.
	headBytes, recordBytes, messageBytes, itemBytes, definitionKeys = 1000, 700, 2000, 100, 250
	// PlatformLogBytes are the lines in which Lambda itself reports an invocation.
	PlatformLogBytes = 350
	// RunLogBytes are what a run logs with them.
	RunLogBytes = 1200
	// MessageLogBytes are what a message logs with them.
	MessageLogBytes = 1300
	// tickLogBytes are what a tick of sync logs: its gauges.
	tickLogBytes = 3800
	// fullsPerTick is how often a tick also compares everything.
	fullsPerTick = 1.0 / 15
)

// ofAlert is what an alert uses in the month, beside the stack.
func (o Options) ofAlert(a alert.Alert, times *Timetable, out *AlertCost) (Usage, error) {
	var u Usage
	size, err := definitionBytes(a)
	if err != nil {
		return u, err
	}
	runs := float64(times.Runs)
	announcing, messages, announced := o.episodes(a, size, runs)
	out.Runs, out.Messages, out.Seconds = times.Runs, messages, runs*(o.Assumptions.QuerySeconds+o.Assumptions.OverheadSeconds)
	steady, delivering := Steady(size), Delivering()
	twice := float64(times.Invocations - times.Runs) // the second of two schedules: read, and nothing else
	u[invocations] = float64(times.Invocations)
	u[requests] = float64(times.Invocations) + messages
	u[gbSeconds] = float64(o.Stack.Memory) / kb * (out.Seconds + twice*o.Assumptions.OverheadSeconds + messages*o.Assumptions.SendSeconds)
	u[readUnits] = (runs-announcing+twice)*steady.Reads + announced.Reads + messages*delivering.Reads
	u[writeUnits] = (runs-announcing)*steady.Writes + announced.Writes + messages*delivering.Writes
	u[queueRequests] = announced.Queues + messages*delivering.Queues
	o.sync(&u, float64(size))
	o.store(&u, float64(size), runs, messages)
	o.logs(&u, (runs+twice)*RunLogBytes+messages*MessageLogBytes)
	return u, nil
}

// episodes are the runs that announce, their messages, and what those runs use together.
func (o Options) episodes(a alert.Alert, size int, runs float64) (announcing, messages float64, used Run) {
	for _, event := range []alert.Event{alert.EventAlert, alert.EventRecovery} {
		n, channels := 0, map[string]bool{}
		for _, target := range a.Notify {
			if target.Hears(event) {
				n++
				channels[target.Channel] = true
			}
		}
		if n == 0 {
			continue
		}
		times := min(o.Assumptions.Episodes, runs/2) // it takes a run to open, and one to close
		one := Announcing(size, n, len(channels))
		announcing += times
		messages += times * float64(n)
		used.Reads += times * one.Reads
		used.Writes += times * one.Writes
		used.Queues += times * one.Queues
	}
	return announcing, messages, used
}

// sync is what reading an alert each minute takes.
func (o Options) sync(u *Usage, definition float64) {
	empty := Tick(0).Reads
	u[readUnits] += minutes*(Tick(definition+headBytes).Reads-empty) + minutes*fullsPerTick*(Full(definition).Reads-Full(0).Reads)
	u[gbSeconds] += minutes * float64(o.Stack.Memory) / kb * tickSecondsAnAlert
}

// store is what an alert keeps in the table once its retention is full; of one that keeps for
// ever, what a year brings.
func (o Options) store(u *Usage, definition, runs, messages float64) {
	days := o.Stack.Retention
	if days == 0 {
		days = 365
	}
	u[tableGB] = (definition + headBytes + 2*itemBytes + days/Days*(runs*(recordBytes+itemBytes)+messages*(messageBytes+itemBytes))) / gb
	u[backupGB] = u[tableGB]
}

func (o Options) logs(u *Usage, bytes float64) {
	u[logGB] = bytes / gb
	u[keptLogGB] = bytes / gb * float64(o.Stack.LogDays) / Days
}

const (
	// tickSeconds is how long a tick of sync takes, tickSecondsAnAlert what each alert adds.
	tickSeconds, tickSecondsAnAlert = 0.3, 0.0001
	// stackAlarms and stackDashboards are those of the stack, stackMetrics the series of its
	// gauges: nine, and eight of alerts by standing.
	stackAlarms, stackDashboards, stackMetrics = 25, 1, 17
	// runStatuses and messageStatuses are how many of them a month sees as a rule; each has a
	// count and a duration.
	runStatuses, messageStatuses = 3, 1
	// pollsPerMinute is how often Lambda asks an empty queue: five pollers, 20 s each.
	pollsPerMinute = 15
	// parametersKept is for how many minutes a function uses what it read.
	parametersKept = 5
)

// ofStack is what a stack uses that has no alerts, and what its functions share.
func (o Options) ofStack(l load) Usage {
	var u Usage
	u[requests] = minutes
	u[gbSeconds] = minutes * float64(o.Stack.Memory) / kb * tickSeconds
	u[readUnits] = minutes*Tick(0).Reads + minutes*fullsPerTick*Full(0).Reads
	u[queueRequests] = float64(minutes * pollsPerMinute * o.Stack.Channels)
	u[metrics] = stackMetrics + 2*runStatuses + 2*messageStatuses*float64(o.Stack.Channels)
	u[alarms], u[dashboards] = stackAlarms, stackDashboards
	u[objectReads] = minutes * (1 + 2*fullsPerTick)
	o.logs(&u, minutes*tickLogBytes)
	if o.Secrets > 0 {
		u[parameterReads] = o.reading(l)
		u[decryptions] = u[parameterReads] * float64(o.Secrets)
	}
	return u
}

// reading is how often the environments of the query function read their secrets: in each
// five minutes as many as its busiest minute needs, if its runs begin evenly over it.
func (o Options) reading(l load) float64 {
	seconds, total := o.Assumptions.QuerySeconds+o.Assumptions.OverheadSeconds, 0.0
	for from := 0; from < len(l); from += parametersKept {
		most := float64(slices.Max(l[from : from+parametersKept]))
		total += math.Min(math.Ceil(most*seconds/60), o.Prices.Quotas["lambda_concurrency"])
	}
	return total
}
