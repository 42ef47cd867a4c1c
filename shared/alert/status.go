package alert

import "time"

// Grace is how long after a tick and the query's deadline a run may still be on its way.
const Grace = 2 * time.Minute

// Overdue tells whether the tick's deadline has passed without a run. tick is the latest
// scheduled time at or before now; since is when the schedule was first seen: a tick
// before it is nobody's fault.
func Overdue(a Alert, s State, tick, since, now time.Time) bool {
	if !a.Enabled || tick.IsZero() || tick.Before(since) || now.Before(tick.Add(a.Timeout.Std()+Grace)) {
		return false
	}
	return s.Last == nil || s.Last.Scheduled.Before(tick)
}

// Standing is what an alert is said to stand at. Overdue outranks OK and NEVER_RUN, for
// nobody knows whether it still is OK; it hides no alert and no error.
func Standing(a Alert, s State, overdue bool) Status {
	switch {
	case !a.Enabled:
		return StatusDisabled
	case overdue && (s.Last == nil || s.Status == StatusOK):
		return StatusOverdue
	case s.Last == nil:
		return StatusNeverRun
	}
	return s.Status
}
