package alert

import "time"

// Event is what a message tells.
type Event string

// The events, most urgent first.
const (
	EventAlert         Event = "alert"
	EventEscalation    Event = "escalation"
	EventReminder      Event = "reminder"
	EventRecovery      Event = "recovery"
	EventError         Event = "error"
	EventErrorRecovery Event = "error_recovery"
	EventTest          Event = "test"
)

// Events lists every event, in the order of the constants.
var Events = []Event{EventAlert, EventEscalation, EventReminder, EventRecovery, EventError, EventErrorRecovery, EventTest}

var urgency = map[Event]int{EventAlert: 3, EventEscalation: 2, EventReminder: 1, EventRecovery: 0}

// Action is what an incident tool should do with the event: trigger, acknowledge or
// resolve. A recovery resolves; nothing of ours acknowledges, for only a person can.
func (e Event) Action() string {
	if e == EventRecovery || e == EventErrorRecovery {
		return "resolve"
	}
	return "trigger"
}

// A Message is the standard payload: what is told, complete, without secrets.
type Message struct {
	// EventID is the idempotency key: the same for every attempt at one message.
	EventID string `json:"event_id"`
	// EpisodeID is the same from announcement to recovery.
	EpisodeID   string            `json:"episode_id"`
	Event       Event             `json:"event"`
	AlertName   string            `json:"alert_name"`
	Description string            `json:"description"`
	Severity    Severity          `json:"severity"`
	Labels      map[string]string `json:"labels"`
	RunbookURL  string            `json:"runbook_url"`
	// Status is ALERT, OK, ERROR, NO_DATA or CLOSED.
	Status      Status `json:"status"`
	Reason      string `json:"reason"`
	ActualValue Value  `json:"actual_value"`
	Threshold   Value  `json:"threshold"`
	Context     Fields `json:"context"`
	// Instance names the instance that the message is about; empty for all or none.
	Instance Fields `json:"instance"`
	// Instances are the first 20 of what changed or is still open, for an alert with a key.
	Instances []InstanceNews `json:"instances"`
	// Firing counts the instances with an open episode; 1 or 0 without a key.
	Firing int `json:"firing"`
	// Timestamp is the scheduled time of the run.
	Timestamp time.Time `json:"timestamp"`
	RunID     string    `json:"run_id"`
}

// InstanceNews is one instance in a message: new, open, escalated or recovered.
type InstanceNews struct {
	Instance    Fields `json:"instance"`
	Change      string `json:"change"`
	Status      Status `json:"status"`
	EpisodeID   string `json:"episode_id"`
	ActualValue Value  `json:"actual_value"`
	Threshold   Value  `json:"threshold"`
	Context     Fields `json:"context,omitempty"`
}

// DeliveryStatus is where a delivery stands.
type DeliveryStatus string

// The statuses of a delivery. Sent, Dead and Superseded are settled.
const (
	Pending    DeliveryStatus = "pending"
	Sending    DeliveryStatus = "sending"
	Sent       DeliveryStatus = "sent"
	Dead       DeliveryStatus = "dead"
	Superseded DeliveryStatus = "superseded"
)

// Settled tells whether nothing more happens to the delivery by itself.
func (s DeliveryStatus) Settled() bool { return s == Sent || s == Dead || s == Superseded }

// A Delivery is one message to one target, decided and durable. It carries all that
// sending needs, so that a config that changes meanwhile does not strand it.
type Delivery struct {
	// ID is derived from run, target and subject; it is also the message's EventID.
	ID    string `json:"id"`
	Scope string `json:"scope"`
	// Alert is the alert's name, or the subject of an outage.
	Alert   string  `json:"alert"`
	Target  Target  `json:"target"`
	Message Message `json:"message"`
	// After names the deliveries that must be settled first, so that messages of one
	// alert to one target arrive in run order.
	After []string `json:"after,omitempty"`
	// Supersedable holds when the message only reminds or escalates: once the episode
	// Message.EpisodeID is closed, it is not worth sending.
	Supersedable bool `json:"supersedable,omitempty"`
	// Owners are told when the delivery dies.
	Owners []Target `json:"owners,omitempty"`
	// CreatedAt is when it was decided, by the clock of the process that did.
	CreatedAt time.Time `json:"created_at"`

	// What follows changes while it is delivered.

	Status DeliveryStatus `json:"status"`
	// Try is the generation: it grows when a dead delivery is opened again.
	Try int `json:"try"`
	// TryStarted is when a redriven delivery was opened again; GiveUpAfter counts from it.
	TryStarted time.Time `json:"try_started,omitzero"`
	// Attempts counts sends that failed, Crashes claims that found an expired lease.
	Attempts int       `json:"attempts"`
	Crashes  int       `json:"crashes"`
	DueAt    time.Time `json:"due_at"`
	// LeaseUntil and Lease belong to who is sending it now.
	LeaseUntil time.Time `json:"lease_until,omitzero"`
	Lease      string    `json:"lease,omitempty"`
	SettledAt  time.Time `json:"settled_at,omitzero"`
	// LastError says why the last attempt failed, without secrets.
	LastError string `json:"last_error,omitempty"`
	// Swept counts how often it was found past due and enqueued again.
	Swept int `json:"swept,omitempty"`
}

// A SendError is a failed attempt at a delivery. Its message holds no secret.
type SendError struct {
	Message string
	// Permanent means that no later attempt can succeed.
	Permanent bool
	// RetryAfter is how long the receiver asked to wait: a wait, not an attempt. Zero: it
	// did not ask.
	RetryAfter time.Duration
}

// Error returns the message.
func (e *SendError) Error() string { return e.Message }
