// Package estimate reckons what a stack costs on AWS in a month, how much of AWS's quotas it
// uses, and what becomes of its busiest minute. It is pure: what it knows of AWS are the
// prices and quotas that it is given, and the calls of a run, which tests hold against the
// functions.
package estimate

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// Stack is what of a deployment matters here.
type Stack struct {
	Architecture string `json:"architecture"`
	// Memory of each function, in MB.
	Memory int `json:"memory_mb"`
	// QueryTimeout is the query function's, in seconds.
	QueryTimeout int `json:"query_timeout_seconds"`
	// AsyncAge is for how many seconds Lambda keeps a tick that finds no free place.
	AsyncAge int `json:"async_age_seconds"`
	// LogDays is how long logs are kept, Retention how long history is; zero: for ever.
	LogDays   int     `json:"log_retention_days"`
	Retention float64 `json:"retention_days"`
	// Channels are those with a queue.
	Channels int `json:"channels"`
}

// Assumptions are what nobody can know from the alert file.
type Assumptions struct {
	// QuerySeconds is how long a query takes, OverheadSeconds what a run takes besides.
	QuerySeconds    float64 `json:"query_seconds"`
	OverheadSeconds float64 `json:"overhead_seconds"`
	// SendSeconds is how long a sender takes for a message.
	SendSeconds float64 `json:"send_seconds"`
	// Episodes is how often an alert opens and closes in a month. Each tells every target
	// that hears it, once when it opens and once when it closes.
	Episodes float64 `json:"episodes_per_month"`
}

// DefaultAssumptions are those of who says nothing.
func DefaultAssumptions() Assumptions {
	return Assumptions{QuerySeconds: 0.1, OverheadSeconds: 0.05, SendSeconds: 0.5, Episodes: 1}
}

// check says what is wrong with them.
func (a Assumptions) check() error {
	for name, n := range map[string]float64{"query": a.QuerySeconds, "overhead": a.OverheadSeconds, "send": a.SendSeconds} {
		if !(n >= 0 && n <= 900) {
			return fmt.Errorf("%v seconds (%s) are not possible; a function has 0 to 900", n, name)
		}
	}
	if !(a.Episodes >= 0 && a.Episodes <= minutes) {
		return fmt.Errorf("%v episodes a month are not possible; it is 0 to %d", a.Episodes, minutes)
	}
	return nil
}

// Options are what an estimate is made of. All are required.
type Options struct {
	Alerts      []alert.Alert
	Stack       Stack
	Assumptions Assumptions
	Prices      Prices
	// Secrets is how many secrets the databases name; none: Parameter Store is not asked.
	Secrets int
	// From is when the month begins.
	From time.Time
}

// An AlertCost is what one alert adds to the bill of the stack.
type AlertCost struct {
	Name     string `json:"name"`
	Schedule string `json:"schedule"`
	Runs     int    `json:"runs"`
	// Messages are those of its episodes, Seconds how long its runs take together.
	Messages float64 `json:"messages"`
	Seconds  float64 `json:"seconds"`
	Cost     float64 `json:"cost"`
}

// A Line is one price of the bill.
type Line struct {
	Service  string  `json:"service"`
	What     string  `json:"what"`
	Price    string  `json:"price"` // its name among the prices
	Quantity float64 `json:"quantity"`
	Cost     float64 `json:"cost"`
}

// A Report is an estimate.
type Report struct {
	From        time.Time   `json:"from"`
	Days        int         `json:"days"`
	Stack       Stack       `json:"stack"`
	Assumptions Assumptions `json:"assumptions"`
	Prices      Prices      `json:"prices"`
	// Runs are those of all alerts.
	Runs   int         `json:"runs"`
	Alerts []AlertCost `json:"alerts"` // the dearest first
	Lines  []Line      `json:"lines"`
	// Fixed is what of Total the stack costs whatever its alerts do.
	Fixed  float64 `json:"fixed"`
	Total  float64 `json:"total"`
	Peak   Peak    `json:"peak"`
	Quotas []Quota `json:"quotas"`
	// First is the quota that gives way first when the busiest minute grows.
	First Quota `json:"first"`
}

// New makes an estimate. The error says what cannot be.
func New(o Options) (Report, error) {
	if len(o.Alerts) == 0 {
		return Report{}, errors.New("there are no alerts")
	}
	if err := o.Assumptions.check(); err != nil {
		return Report{}, err
	}
	out := Report{From: o.From.UTC(), Days: Days, Stack: o.Stack, Assumptions: o.Assumptions, Prices: o.Prices}
	days := newCalendar(o.From)
	var total Usage
	schedules := 0
	for _, a := range o.Alerts {
		one := AlertCost{Name: a.Name, Schedule: a.Schedule}
		times := &Timetable{} // one that is disabled is read by sync, and no more
		if a.Enabled {
			var err error
			if times, err = days.timetable(a); err != nil {
				return out, err
			}
		}
		times.alerts++
		schedules += times.Schedules
		used, err := o.ofAlert(a, times, &one)
		if err != nil {
			return out, err
		}
		one.Cost = o.bill(used)
		total.add(used)
		out.Runs += one.Runs
		out.Alerts = append(out.Alerts, one)
	}
	load := days.load()
	fixed := o.ofStack(load)
	out.Fixed = o.bill(fixed)
	total.add(fixed)
	out.Lines, out.Total = o.lines(total)
	out.Peak = o.peak(load)
	out.Quotas = o.quotas(out.Peak, schedules)
	out.First = firstOf(out.Quotas)
	slices.SortStableFunc(out.Alerts, func(a, b AlertCost) int { return cmp.Compare(b.Cost, a.Cost) })
	return out, nil
}

// StoredBytes is what an alert takes in the table beside its history.
func StoredBytes(a alert.Alert) (int, error) {
	n, err := definitionBytes(a)
	return n + headBytes, err
}

// definitionBytes is what the definition of an alert takes in the table.
func definitionBytes(a alert.Alert) (int, error) {
	body, err := json.Marshal(a)
	if err != nil {
		return 0, fmt.Errorf("write the definition of %q: %w", a.Name, err)
	}
	return len(body) + definitionKeys + 2*len(a.Name), nil
}
