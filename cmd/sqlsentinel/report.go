package main

import (
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// runJSON is a run in JSON, in the output of every command.
type runJSON struct {
	Alert         string               `json:"alert"`
	RunID         string               `json:"run_id"`
	ScheduledTime time.Time            `json:"scheduled_time"`
	Status        alert.Status         `json:"status"`
	ActualValue   alert.Value          `json:"actual_value"`
	Threshold     alert.Value          `json:"threshold"`
	Context       alert.Fields         `json:"context"`
	Instances     []alert.InstanceNews `json:"instances"`
	Firing        int                  `json:"firing"`
	Error         *string              `json:"error"`
	Reasons       []alert.Reason       `json:"reasons"`
	DurationMS    int64                `json:"duration_ms"`
	Deliveries    []refJSON            `json:"deliveries"`
	Usage         *alert.Usage         `json:"usage,omitempty"`
	Preview       *previewJSON         `json:"preview,omitempty"`
}

// refJSON is a run's delivery in JSON.
type refJSON struct {
	ID      string               `json:"id"`
	Event   alert.Event          `json:"event"`
	Channel string               `json:"channel"`
	Target  string               `json:"target"`
	Status  alert.DeliveryStatus `json:"status"`
}

// runOf is a record in JSON. statusOf tells where a delivery stands.
func (s *session) runOf(r alert.Record, statusOf func(id string) alert.DeliveryStatus) runJSON {
	out := runJSON{
		Alert: r.Alert, RunID: r.RunID, ScheduledTime: r.Scheduled, Status: r.Status, ActualValue: r.Actual, Threshold: r.Threshold,
		Context: r.Context, Instances: list(r.Instances), Firing: r.Firing, Error: optional(s.file.Secrets.Clean(r.Error)),
		Reasons: list(r.Reasons), DurationMS: r.DurationMS, Deliveries: []refJSON{}, Usage: r.Usage,
	}
	for _, d := range r.Deliveries {
		out.Deliveries = append(out.Deliveries, refJSON{d.ID, d.Event, d.Channel, d.Target, statusOf(d.ID)})
	}
	return out
}

// list is a list that is [] in JSON where it is empty.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

// optional is null in JSON for an empty text.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// when is null in JSON for the zero time.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// why is a record's failure, else its most telling reason, in one line.
func (s *session) why(r alert.Record) string {
	if r.Error != "" {
		return s.file.Secrets.Clean(r.Error)
	}
	for _, reason := range r.Reasons {
		if reason.Code != alert.ResultCut {
			return reason.Text
		}
	}
	return ""
}
