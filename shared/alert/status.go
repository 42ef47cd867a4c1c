package alert

import "time"

// Grace is how long after a tick and the query's deadline a run may still be on its way.
const Grace = 2 * time.Minute

// Overdue tells whether there was no run although the deadline of one has passed, and for
// which tick: the latest whose run can no longer be on its way. since is when the schedule
// was first seen: a tick before it is nobody's fault.
func Overdue(a Alert, s State, schedule Schedule, since, now time.Time) (tick time.Time, overdue bool) {
	tick = schedule.Previous(now.Add(-a.Timeout.Std() - Grace))
	if !a.Enabled || tick.IsZero() || tick.Before(since) {
		return tick, false
	}
	return tick, s.Last == nil || s.Last.Scheduled.Before(tick)
}

// Stopped tells whether the last run is one that never came: nobody knows how the alert
// stands until one comes.
func (s State) Stopped() bool {
	return s.Last != nil && len(s.Last.Reasons) > 0 && s.Last.Reasons[0].Code == ErrorMissed
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
