package alert

import "time"

// A Record is one run as history keeps it.
type Record struct {
	RunID     string    `json:"run_id"`
	Scope     string    `json:"scope"`
	Alert     string    `json:"alert"`
	Scheduled time.Time `json:"scheduled_time"`
	Started   time.Time `json:"started_at"`
	// Status is OK, ALERT, ERROR, NO_DATA or SKIPPED.
	Status    Status `json:"status"`
	Actual    Value  `json:"actual_value"`
	Threshold Value  `json:"threshold"`
	Context   Fields `json:"context"`
	// Instances are the first 20 that are not plainly OK, for an alert with a key.
	Instances []InstanceNews `json:"instances,omitempty"`
	// Rows counts the rows of the result, Firing the instances with an open episode.
	Rows       int           `json:"rows"`
	Firing     int           `json:"firing"`
	Error      string        `json:"error,omitempty"`
	Reasons    []Reason      `json:"reasons"`
	DurationMS int64         `json:"duration_ms"`
	Deliveries []DeliveryRef `json:"deliveries,omitempty"`
	// Usage is what the query used, of a database that says so.
	Usage *Usage `json:"usage,omitempty"`
}

// DeliveryRef names a delivery that the run decided.
type DeliveryRef struct {
	ID      string `json:"id"`
	Event   Event  `json:"event"`
	Channel string `json:"channel"`
	Target  string `json:"target"` // the target's label
}

// Reason says why a run did or did not notify: a documented code, and words with numbers.
type Reason struct {
	Code Code   `json:"code"`
	Text string `json:"text"`
}
