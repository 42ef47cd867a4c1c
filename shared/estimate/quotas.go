package estimate

import (
	"math"
	"time"
)

// A Quota is one that AWS sets, and how much of it the busiest minute uses.
type Quota struct {
	Name  string  `json:"name"`
	Use   float64 `json:"use"`
	Quota float64 `json:"quota"`
	Unit  string  `json:"unit"`
	// Adjustable tells whether AWS raises it on request.
	Adjustable bool `json:"adjustable"`
	// Runs is how many runs a minute it allows; zero where it does not depend on them.
	Runs float64 `json:"runs_per_minute,omitempty"`
	// Setting is what moves it, or what moves the use.
	Setting string `json:"setting"`
}

// Share is the part of the quota that is used.
func (q Quota) Share() float64 { return q.Use / q.Quota }

// A Peak is the busiest minute, and what becomes of it and the hour that follows.
type Peak struct {
	Minute time.Time `json:"minute"`
	Runs   int       `json:"runs"`
	// Average is how many runs a minute has on average.
	Average float64 `json:"average"`
	// Places is how many runs are under way together if they begin evenly over their minute.
	Places float64 `json:"places"`
	// Even and AtOnce are simulations: Scheduler begins the runs of a minute evenly over it,
	// or all in its first second.
	Even   Outcome `json:"even"`
	AtOnce Outcome `json:"at_once"`
}

// missedGrace is how long after the query function's timeout sync waits for a run, in
// seconds: two minutes, and the minute of its own tick.
const missedGrace = 180

func (o Options) peak(l load) Peak {
	minute := l.peak()
	total := 0
	for _, n := range l {
		total += n
	}
	seconds := o.Assumptions.QuerySeconds + o.Assumptions.OverheadSeconds
	out := Peak{
		Minute: o.From.UTC().Truncate(time.Minute).Add(time.Duration(minute) * time.Minute), Runs: l[minute],
		Average: float64(total) / minutes, Places: float64(l[minute]) * seconds / 60,
	}
	b := Burst{
		PerMinute: l.around(minute), Concurrency: int(o.Prices.Quotas["lambda_concurrency"]),
		Rate: o.Prices.Quotas["scheduler_invocations_per_second"], Environments: o.Prices.Quotas["lambda_environments_per_10_seconds"],
		RunSeconds: seconds, StaleSeconds: o.Assumptions.OverheadSeconds,
		LateAfter: 60, MissedAfter: float64(o.Stack.QueryTimeout + missedGrace), DropAfter: float64(o.Stack.AsyncAge),
	}
	out.AtOnce = b.Simulate()
	b.Even = true
	out.Even = b.Simulate()
	return out
}

const (
	// shards is over how many partition keys the states of a stack are spread.
	shards = 8
	raise  = "Service Quotas"
	spread = "spread the schedules over the minutes"
)

// quotas are those that a stack meets, in the order in which its runs meet them.
func (o Options) quotas(p Peak, schedules int) []Quota {
	q, runs := o.Prices.Quotas, float64(p.Runs)
	seconds := math.Max(o.Assumptions.QuerySeconds+o.Assumptions.OverheadSeconds, 0.001)
	second := runs / 60
	steady := Steady(0)
	out := []Quota{
		{"Scheduler: schedules", float64(schedules), q["schedules"], "", true, 0, raise},
		{"Scheduler: invocations", second, q["scheduler_invocations_per_second"], "a second", true, 60 * q["scheduler_invocations_per_second"], raise + "; " + spread},
		{"Lambda: runs at once", p.Places, q["lambda_concurrency"], "", true, 60 * q["lambda_concurrency"] / seconds, raise + "; faster queries; " + spread},
		{"Lambda: new environments", math.Min(runs, q["lambda_concurrency"]), q["lambda_environments_per_10_seconds"], "in 10 seconds", false, 0, spread + "; -c queryConcurrency"},
	}
	if o.Secrets > 0 {
		out = append(out, Quota{"Parameter Store: reads", math.Min(math.Min(runs, q["lambda_concurrency"]), q["lambda_environments_per_10_seconds"]) / 10, q["parameters_per_second"],
			"a second, of functions that start together", true, 0, "higher throughput of Parameter Store; -c queryConcurrency"})
	}
	return append(out,
		Quota{"DynamoDB: writes of a new table", second * steady.Writes, q["dynamodb_new_table_writes_per_second"], "a second", false, 60 * q["dynamodb_new_table_writes_per_second"] / steady.Writes, "grow within hours, not at once; warm throughput"},
		Quota{"DynamoDB: writes of a table", second * steady.Writes, q["dynamodb_table_writes_per_second"], "a second", true, 60 * q["dynamodb_table_writes_per_second"] / steady.Writes, raise},
		Quota{"DynamoDB: reads of a new table", second * steady.Reads, q["dynamodb_new_table_reads_per_second"], "a second", false, 60 * q["dynamodb_new_table_reads_per_second"] / steady.Reads, "grow within hours, not at once; warm throughput"},
		Quota{"DynamoDB: reads of a table", second * steady.Reads, q["dynamodb_table_reads_per_second"], "a second", true, 60 * q["dynamodb_table_reads_per_second"] / steady.Reads, raise},
		Quota{"DynamoDB: writes of one of 8 keys of states", second * headKB / shards, q["dynamodb_partition_writes_per_second"], "a second", false, 60 * q["dynamodb_partition_writes_per_second"] * shards / headKB, "several stacks"},
		Quota{"DynamoDB: reads of a database's one item", o.busiest(p) / 60, q["dynamodb_partition_reads_per_second"], "a second", false, 60 * q["dynamodb_partition_reads_per_second"], "several databases in the file, or several stacks"},
		Quota{"DynamoDB: writes of a target's one item, if all alert", runs / 60, q["dynamodb_partition_writes_per_second"], "a second", false, 0, "nothing is lost: messages come later"},
		Quota{"SQS: messages in flight, if all alert", runs * o.targets(), q["sqs_in_flight"], "a queue", true, 0, "nothing is lost: messages come later"},
	)
}

// firstOf is the quota that allows the fewest runs a minute.
func firstOf(all []Quota) Quota {
	var out Quota
	for _, q := range all {
		if q.Runs > 0 && (out.Runs == 0 || q.Runs < out.Runs) {
			out = q
		}
	}
	return out
}

// busiest is how many of the runs of the peak ask the database that most alerts share.
func (o Options) busiest(p Peak) float64 {
	shares, most, all := map[string]int{}, 0, 0
	for _, a := range o.Alerts {
		if a.Enabled {
			shares[a.Database]++
			most = max(most, shares[a.Database])
			all++
		}
	}
	return float64(p.Runs) * float64(most) / math.Max(float64(all), 1)
}

// targets is how many targets an alert has on average.
func (o Options) targets() float64 {
	n := 0
	for _, a := range o.Alerts {
		n += len(a.Notify)
	}
	return float64(n) / float64(len(o.Alerts))
}
