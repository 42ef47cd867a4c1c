package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// An Evaluator runs the alert that an event names: the body of the query function.
type Evaluator struct {
	Sentinel *sentinel.Sentinel
	Scope    string
	Log      *Log
	Metrics  *Metrics
	// Reserve is how long before its end the invocation gives up the query, so that there
	// is time to record that; zero means 5 s.
	Reserve time.Duration
}

// A Tick is the input of the query function: what a schedule sends, and what people send
// who invoke it by hand.
type Tick struct {
	Alert string `json:"alert"`
	// ScheduledTime is the time that the run stands for; empty means now. A schedule sends
	// it, and not the time of the call, so that a repeated tick is the same run.
	ScheduledTime string `json:"scheduled_time,omitempty"`
	// DryRun queries, but stores and sends nothing.
	DryRun bool `json:"dry_run,omitempty"`
}

// An Answer is what a direct invocation gets.
type Answer struct {
	// Run is the record of the run; nil if there was none.
	Run        *alert.Record    `json:"run,omitempty"`
	Deliveries []alert.Delivery `json:"deliveries,omitempty"`
	// Order says "repeat" or "late" if the query was not sent.
	Order string `json:"order,omitempty"`
	// Table is what the query gave, in a dry run.
	Table *alert.Table `json:"table,omitempty"`
	// Error says why nothing was done: no repetition would help.
	Error string `json:"error,omitempty"`
}

// Handle runs an alert. An error means that the run is not recorded and must be tried
// again; what no repetition can mend is in the answer, and in the log.
func (e *Evaluator) Handle(ctx context.Context, event json.RawMessage) (Answer, error) {
	e.Log.Begin(ctx)
	tick, at, err := e.read(event)
	if err != nil {
		return e.refuse(err), nil
	}
	if end, ok := ctx.Deadline(); ok {
		reserve := e.Reserve
		if reserve == 0 {
			reserve = 5 * time.Second
		}
		limited, cancel := context.WithDeadline(ctx, end.Add(-reserve))
		defer cancel()
		ctx = limited
	}
	id := alert.ID{Scope: e.Scope, Name: tick.Alert}
	if tick.DryRun {
		return e.preview(ctx, id, at)
	}
	got, err := e.Sentinel.Evaluate(ctx, id, at)
	switch {
	case errors.Is(err, sentinel.ErrNotFound):
		return e.refuse(fmt.Errorf("there is no alert %q; a schedule that is left over is removed by the next sync", tick.Alert)), nil
	case err != nil:
		e.Log.Error("evaluate", "alert_name", tick.Alert, "error", err)
		return Answer{}, err
	}
	r := got.Record
	e.Log.Info("evaluated", "alert_name", r.Alert, "run_id", r.RunID, "status", r.Status, "duration_ms", r.DurationMS, "error", r.Error, "deliveries", len(got.Deliveries))
	if got.Order == alert.Fresh && r.Status != alert.StatusSkipped {
		e.Metrics.Run(r)
	}
	return Answer{Run: &r, Deliveries: got.Deliveries, Order: orderName(got.Order)}, nil
}

func orderName(o alert.RunOrder) string {
	switch o {
	case alert.Repeat:
		return "repeat"
	case alert.Older:
		return "late"
	}
	return ""
}

// read reads an event.
func (e *Evaluator) read(event json.RawMessage) (Tick, time.Time, error) {
	var tick Tick
	if err := json.Unmarshal(event, &tick); err != nil {
		return tick, time.Time{}, fmt.Errorf("the event is no JSON object with an alert: %w", err)
	}
	if tick.Alert == "" {
		return tick, time.Time{}, errors.New(`the event names no alert; send {"alert": "NAME"}`)
	}
	if tick.ScheduledTime == "" {
		return tick, e.Sentinel.Now(), nil
	}
	at, err := time.Parse(time.RFC3339, tick.ScheduledTime)
	if err != nil {
		return tick, at, fmt.Errorf("scheduled_time %q is no time such as 2026-11-23T09:00:00Z", Clip(tick.ScheduledTime, 60))
	}
	return tick, at, nil
}

func (e *Evaluator) refuse(err error) Answer {
	e.Log.Error("an event is refused", "error", err)
	e.Metrics.Refused()
	return Answer{Error: err.Error()}
}

func (e *Evaluator) preview(ctx context.Context, id alert.ID, at time.Time) (Answer, error) {
	snapshot, err := e.Sentinel.Store.Load(ctx, id)
	if errors.Is(err, sentinel.ErrNotFound) {
		return e.refuse(fmt.Errorf("there is no alert %q", id.Name)), nil
	}
	if err != nil {
		return Answer{}, fmt.Errorf("dry run of %q: %w", id.Name, err)
	}
	got := e.Sentinel.Preview(ctx, snapshot, at)
	return Answer{Run: &got.Record, Deliveries: got.Deliveries, Table: got.Result.Table}, nil
}

// A FreshQuerier asks again, once, with secrets read anew, when no session with the
// database came about: the password may have been changed meanwhile.
type FreshQuerier struct {
	sentinel.Querier
	Secrets *Secrets
}

// Query implements sentinel.Querier.
func (f FreshQuerier) Query(ctx context.Context, a alert.Alert, run alert.Run) alert.Result {
	result := f.Querier.Query(ctx, a, run)
	if result.Failure != nil && result.Failure.Unreachable && ctx.Err() == nil && f.Secrets.Refresh() {
		result = f.Querier.Query(ctx, a, run)
	}
	if cause := f.Secrets.Unread(); result.Failure != nil && cause != nil {
		result.Failure.Message += "; " + cause.Error()
	}
	return result
}
