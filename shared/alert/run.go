package alert

import (
	"fmt"
	"time"
)

// A Run is one evaluation of an alert.
type Run struct {
	// ID is RunID of the alert and the scheduled time.
	ID string
	// Scheduled is the tick the run stands for; of a manual run it is the time of the
	// call, in milliseconds.
	Scheduled time.Time
	// Previous is where the run's own interval begins, for an alert with params; see NextRun.
	Previous time.Time
}

// NewRun names the run of an alert at a scheduled time, truncated to milliseconds.
func NewRun(id ID, scheduled time.Time) Run {
	scheduled = scheduled.UTC().Truncate(time.Millisecond)
	return Run{ID: RunID(id, scheduled), Scheduled: scheduled}
}

// NextRun is the run of an alert at a scheduled time, after what its state tells. The
// interval of an alert with params begins where that of the last run ended whose query gave
// a result: ticks that were missed and queries that failed leave no gap. Without such a run
// before it, the interval begins at the tick before. It follows from the arguments alone,
// so that a run that is tried again asks the same.
func NextRun(a Alert, s State, scheduled time.Time) (Run, error) {
	run := NewRun(a.ID(), scheduled)
	if !a.Params {
		return run, nil
	}
	if run.Previous = s.answered(); !run.Previous.IsZero() && run.Previous.Before(run.Scheduled) {
		return run, nil
	}
	schedule, err := ParseSchedule(a.Schedule, a.Timezone)
	if err != nil {
		return run, fmt.Errorf("find the tick before: %w", err)
	}
	if run.Previous = schedule.Previous(run.Scheduled.Add(-1)).UTC(); run.Previous.IsZero() {
		run.Previous = run.Scheduled // a schedule without a tick in ten years
	}
	return run, nil
}

// answered is the scheduled time of the last run whose query gave a result.
func (s State) answered() time.Time {
	switch {
	case !s.Answered.IsZero():
		return s.Answered
	case s.Last != nil && s.Last.Status != StatusError: // params are new to the alert
		return s.Last.Scheduled
	}
	return time.Time{}
}
