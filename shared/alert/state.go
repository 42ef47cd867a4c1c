package alert

import (
	"time"
)

// Status is what an alert, a run or an instance stands at.
type Status string

// The statuses. A run is OK, ALERT, ERROR, NO_DATA or SKIPPED; an alert has the rest too.
const (
	StatusOK         Status = "OK"
	StatusPending    Status = "PENDING"
	StatusAlert      Status = "ALERT"
	StatusRecovering Status = "RECOVERING"
	StatusError      Status = "ERROR"
	StatusNoData     Status = "NO_DATA"
	StatusOverdue    Status = "OVERDUE"
	StatusNeverRun   Status = "NEVER_RUN"
	StatusDisabled   Status = "DISABLED"
	// StatusSkipped is a run that was not evaluated: late, or overlapping the one before.
	StatusSkipped Status = "SKIPPED"
	// StatusClosed is a record, and a message, of episodes that were closed by a change of
	// the file: the condition was not seen to clear.
	StatusClosed Status = "CLOSED"
	// StatusReleased is a record of messages that the end of a silence set free between
	// two runs.
	StatusReleased Status = "RELEASED"
)

// State is all that is remembered of one alert between runs. The zero State is an alert
// that never ran. Stores write it under an optimistic lock on Version.
type State struct {
	Version int64 `json:"version"`
	// Last is the record of the last run that was decided, nil before the first.
	Last   *Record   `json:"last,omitempty"`
	Status Status    `json:"status,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	// Instances by InstanceID; without a key the one instance has the id "". An instance
	// that is plainly OK is left out.
	Instances map[string]*Instance `json:"instances,omitempty"`

	ConsecutiveAlerts int `json:"consecutive_alerts,omitempty"`
	ConsecutiveOKs    int `json:"consecutive_oks,omitempty"`
	// Escalations counts the escalation steps that were reached, ever.
	Escalations int `json:"escalations,omitempty"`

	// Errors is the streak of runs that failed by themselves; Unreachable of those whose
	// database could not be reached.
	Errors      Streak `json:"errors,omitzero"`
	Unreachable Streak `json:"unreachable,omitzero"`
	// ErrorEpisode is the announced failure of the query, apart from the alert's own.
	ErrorEpisode *Episode `json:"error_episode,omitempty"`
	// Umbrella spans the episodes of all instances: it opens with the first, closes with
	// the last, and names the incident in messages that group instances.
	Umbrella *Episode `json:"umbrella,omitempty"`

	Silences []Silence `json:"silences,omitempty"`
	// Targets are the settings of who was told of something that is still open.
	Targets map[string]Target `json:"targets,omitempty"`
	// Chain is the last delivery to each target.
	Chain map[string]Link `json:"chain,omitempty"`
	// LastMessage is the scheduled time of the last message that was not about an error.
	LastMessage time.Time `json:"last_message,omitzero"`
	// Answered is the scheduled time of the last run whose query gave a result, of an alert
	// with params: where the next run's interval begins.
	Answered time.Time `json:"answered,omitzero"`
	// BadClock holds when the run before the last one lay in the future.
	BadClock bool `json:"bad_clock,omitempty"`
}

// Instance is what is remembered of one row's subject.
type Instance struct {
	Key    Fields `json:"key,omitempty"`
	Status Status `json:"status,omitempty"` // OK or ALERT, as last counted
	// Alerts and OKs are the running streaks; one of them is zero.
	Alerts    Streak          `json:"alerts,omitzero"`
	OKs       Streak          `json:"oks,omitzero"`
	Episode   *Episode        `json:"episode,omitempty"`
	Actual    Value           `json:"actual_value"`
	Threshold Value           `json:"threshold"`
	Chain     map[string]Link `json:"chain,omitempty"`
}

// Streak is an unbroken row of equal runs.
type Streak struct {
	Runs int `json:"runs"`
	// Since is the scheduled time of the first of them.
	Since time.Time `json:"since"`
}

func (s Streak) next(at time.Time) Streak {
	if s.Runs == 0 {
		return Streak{1, at}
	}
	return Streak{s.Runs + 1, s.Since}
}

// Episode is the time between an announcement and its recovery.
type Episode struct {
	ID     string    `json:"id"`
	Opened time.Time `json:"opened"` // scheduled time
	// AlertRuns counts ALERT runs after the one that opened.
	AlertRuns int `json:"alert_runs,omitempty"`
	// Steps are the escalation steps that were reached, by stepID.
	Steps []string `json:"steps,omitempty"`
	// Told are the ids of the targets that were told, in the order of telling.
	Told []string `json:"told,omitempty"`
}

func (e *Episode) told(target string) bool {
	for _, id := range e.Told {
		if id == target {
			return true
		}
	}
	return false
}

func (e *Episode) tell(target string) {
	if !e.told(target) {
		e.Told = append(e.Told, target)
	}
}

// Link is the last delivery of a chain.
type Link struct {
	Delivery string    `json:"delivery"`
	At       time.Time `json:"at"`
}

// chainKept is how long the order of messages is remembered: no delivery waits longer.
const chainKept = MaxGiveUpAfter + time.Hour

// Silence holds messages back, never state.
type Silence struct {
	// Instance is the InstanceID it is for; nil for the whole alert.
	Instance *string   `json:"instance,omitempty"`
	Label    Fields    `json:"label,omitempty"`
	Created  time.Time `json:"created"`
	Until    time.Time `json:"until"`
	Author   string    `json:"author,omitempty"`
	Reason   string    `json:"reason,omitempty"`
}

// Active tells whether the silence holds at now.
func (s Silence) Active(now time.Time) bool { return now.Before(s.Until) }

func (s Silence) covers(instance string) bool { return s.Instance == nil || *s.Instance == instance }

// heldBack tells whether the silence held while an episode was open: one that opened after its
// end was told as any other.
func (s Silence) heldBack(e Episode) bool { return !e.Opened.After(s.Until) }

func (s Silence) sameSubject(o Silence) bool {
	if s.Instance == nil || o.Instance == nil {
		return s.Instance == o.Instance
	}
	return *s.Instance == *o.Instance
}

// WithSilence returns the state with the silence set, in place of one for the same subject.
func (s State) WithSilence(silence Silence) State {
	kept := []Silence{silence}
	for _, old := range s.Silences {
		if !old.sameSubject(silence) {
			kept = append(kept, old)
		}
	}
	s.Silences = kept
	return s
}

// WithoutSilence returns the state with the silences of a subject ended at now (nil: every
// silence), and how many that were. An ended silence stays until its end was told.
func (s State) WithoutSilence(instance *string, now time.Time) (State, int) {
	kept, ended := make([]Silence, 0, len(s.Silences)), 0
	for _, silence := range s.Silences {
		if silence.Active(now) && (instance == nil || silence.Instance != nil && *silence.Instance == *instance) {
			silence.Until = now
			ended++
		}
		kept = append(kept, silence)
	}
	s.Silences = kept
	return s, ended
}

// silencedAt tells whether an active silence covers the instance. The alert as a whole,
// such as its errors, has the instance nil.
func (s *State) silencedAt(instance *string, now time.Time) bool {
	for _, silence := range s.Silences {
		if silence.Active(now) && (silence.Instance == nil || instance != nil && silence.covers(*instance)) {
			return true
		}
	}
	return false
}

// Open counts the open episodes of the alert's instances.
func (s State) Open() int {
	n := 0
	for _, i := range s.Instances {
		if i.Episode != nil {
			n++
		}
	}
	return n
}

// OpenEpisode tells whether the episode of that id is still open.
func (s State) OpenEpisode(id string) bool {
	if s.Umbrella != nil && s.Umbrella.ID == id || s.ErrorEpisode != nil && s.ErrorEpisode.ID == id {
		return true
	}
	for _, i := range s.Instances {
		if i.Episode != nil && i.Episode.ID == id {
			return true
		}
	}
	return false
}

// Outage is an error episode of something that alerts share: a database that cannot be
// reached, or a target that takes no messages. It is one for all of them.
type Outage struct {
	// Subject is DatabaseSubject or TargetSubject of what is out.
	Subject string            `json:"subject"`
	Scope   string            `json:"scope"`
	Version int64             `json:"version"`
	Episode *Episode          `json:"episode,omitempty"` // nil: all is well
	Closed  time.Time         `json:"closed,omitzero"`   // scheduled time at which the last episode closed
	Cause   string            `json:"cause,omitempty"`
	Targets map[string]Target `json:"targets,omitempty"`
	Chain   map[string]Link   `json:"chain,omitempty"`
}

// DatabaseSubject names a database's outage; the empty name is the file's one database.
func DatabaseSubject(name string) string {
	if name == "" {
		return "database"
	}
	return "database " + name
}

// TargetSubject names the outage of a target.
func TargetSubject(id string) string { return "target " + id }
