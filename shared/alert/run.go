package alert

import "time"

// A Run is one evaluation of an alert.
type Run struct {
	// ID is RunID of the alert and the scheduled time.
	ID string
	// Scheduled is the tick the run stands for; of a manual run it is the time of the
	// call, in milliseconds.
	Scheduled time.Time
}

// NewRun names the run of an alert at a scheduled time, truncated to milliseconds.
func NewRun(id ID, scheduled time.Time) Run {
	scheduled = scheduled.UTC().Truncate(time.Millisecond)
	return Run{ID: RunID(id, scheduled), Scheduled: scheduled}
}
