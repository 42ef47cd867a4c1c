// Package alert is the vocabulary of SQL Sentinel and the rules of its decision.
// It is pure: it imports the standard library only, reads no clock, no file and no
// network, and everything it decides follows from its arguments.
package alert

import (
	"encoding/json"
	"time"
)

// Severity says how urgent an alert is. It is shown, never interpreted.
type Severity string

// The severities, most urgent first. Critical is the default.
const (
	Critical Severity = "critical"
	Warning  Severity = "warning"
	Info     Severity = "info"
)

// NoDataPolicy says what a result without data means.
type NoDataPolicy string

// The policies. The default is NoDataError, and NoDataOK for an alert with a key.
const (
	NoDataError NoDataPolicy = "error"
	NoDataOK    NoDataPolicy = "ok"
	NoDataAlert NoDataPolicy = "alert"
	NoDataKeep  NoDataPolicy = "keep"
)

// An Alert is one entry of the alert file with all defaults applied. It is stored as
// its definition, so it holds secrets only as the ${NAME} references that were written.
type Alert struct {
	// Scope is the name of the file's state; Scope and Name together identify the alert.
	Scope       string            `json:"scope"`
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Severity    Severity          `json:"severity"`
	RunbookURL  string            `json:"runbook_url,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`

	// Query is sent to the database verbatim. Database names an entry of `databases`,
	// or is empty for the file's one database.
	Query    string `json:"query"`
	Database string `json:"database,omitempty"`
	// Params has :scheduled_time and :previous_time in the query bound by the driver.
	Params bool `json:"params,omitempty"`
	// Connection is the database itself, for a runtime whose queries run where the file is
	// not; nil: the runner knows the databases.
	Connection *Database `json:"connection,omitempty"`
	// Key names the columns that tell one instance from another; empty: exactly one row.
	Key []string `json:"key,omitempty"`
	// Timeout is the deadline of the query.
	Timeout Duration `json:"timeout"`

	// Schedule is a Unix cron expression as written, Timezone its IANA zone.
	Schedule string `json:"schedule"`
	Timezone string `json:"timezone"`
	Enabled  bool   `json:"enabled"`

	For          Count        `json:"for"`
	RecoverAfter Count        `json:"recover_after"`
	RemindEvery  Duration     `json:"remind_every,omitempty"` // zero: never
	OnNoData     NoDataPolicy `json:"on_no_data"`
	OnError      ErrorPolicy  `json:"on_error"`
	Escalate     []Escalation `json:"escalate,omitempty"`
	Notify       []Target     `json:"notify,omitempty"`
	// Owners hear of what is wrong with the watching itself: dead deliveries and, by
	// default, errors. Config fills it with Notify where the file names no owners.
	Owners []Target `json:"owners,omitempty"`
}

// ErrorPolicy says when a failing query is announced and to whom.
type ErrorPolicy struct {
	After  Count    `json:"after"`
	Notify []Target `json:"notify,omitempty"`
}

// Escalation adds targets while an episode stays open. Each step fires once an episode.
type Escalation struct {
	After  Count    `json:"after"`
	Notify []Target `json:"notify"`
}

// A Target is one receiver of messages.
type Target struct {
	// ID is the target's identity: its name in `channels`, or its channel and a digest
	// of its address as written. It never contains a secret.
	ID string `json:"id"`
	// Channel names the kind of sender: email, slack, webhook.
	Channel string `json:"channel"`
	// Label is what a person reads: the name, or the address with secrets removed.
	Label string `json:"label"`
	// Settings is the channel's own JSON object, as written: secrets are references.
	Settings json.RawMessage `json:"settings"`
	// Events is what the target hears; empty means all.
	Events []Event `json:"events,omitempty"`
	// PerInstance asks for one message an instance instead of one a run.
	PerInstance bool `json:"per_instance,omitempty"`

	Attempts    int      `json:"attempts,omitempty"`      // fast attempts; zero means 3
	Backoff     Duration `json:"backoff,omitempty"`       // before the second attempt, doubling; zero means 1 s
	Timeout     Duration `json:"timeout,omitempty"`       // of one send; zero means 10 s
	GiveUpAfter Duration `json:"give_up_after,omitempty"` // from the decision; zero means 24 h
}

// Hears tells whether the target wants events of this kind.
func (t Target) Hears(e Event) bool {
	if len(t.Events) == 0 {
		return true
	}
	for _, x := range t.Events {
		if x == e {
			return true
		}
	}
	return false
}

// The defaults of a target's delivery policy.
const (
	DefaultAttempts    = 3
	DefaultBackoff     = time.Second
	DefaultSendTimeout = 10 * time.Second
	DefaultGiveUpAfter = 24 * time.Hour
	// MaxGiveUpAfter bounds GiveUpAfter, so that the order of messages can be kept
	// without remembering them forever.
	MaxGiveUpAfter = 7 * 24 * time.Hour
)

// WithDefaults returns t with every zero of its delivery policy replaced.
func (t Target) WithDefaults() Target {
	if t.Attempts == 0 {
		t.Attempts = DefaultAttempts
	}
	if t.Backoff == 0 {
		t.Backoff = Duration(DefaultBackoff)
	}
	if t.Timeout == 0 {
		t.Timeout = Duration(DefaultSendTimeout)
	}
	if t.GiveUpAfter == 0 {
		t.GiveUpAfter = Duration(DefaultGiveUpAfter)
	}
	return t
}

// Database is one database of the alert file. URL is as written.
type Database struct {
	Name           string   `json:"name,omitempty"`
	URL            string   `json:"url"`
	Timeout        Duration `json:"timeout,omitempty"`         // default deadline of its alerts; zero: 30 s
	MaxConnections int      `json:"max_connections,omitempty"` // zero means 4
	// MaxBytesBilled bounds what a query of BigQuery may be billed for; zero sets no bound.
	MaxBytesBilled int64 `json:"max_bytes_billed,omitempty"`
	// PricePerTiB is what BigQuery takes for a tebibyte, in US dollars; nil means
	// DefaultPricePerTiB.
	PricePerTiB *float64 `json:"price_per_tib,omitempty"`
	// Dir is the folder that relative paths in URL start from.
	Dir string `json:"dir,omitempty"`
}

// DefaultQueryTimeout is the deadline of a query whose alert and database set none.
const DefaultQueryTimeout = 30 * time.Second

// DefaultMaxConnections caps the connections to one database.
const DefaultMaxConnections = 4

// A SettingProblem is what is wrong with one setting of a target.
type SettingProblem struct {
	// Path leads to the setting inside the target, such as "per_event.recovery.url".
	Path    string
	Message string
	// Warning holds when the target works nevertheless.
	Warning bool
}
