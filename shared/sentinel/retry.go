package sentinel

import (
	"errors"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// outcome is what an attempt leads to.
type outcome struct {
	status   alert.DeliveryStatus
	due      time.Time
	attempts int
	cause    string
	soon     bool // the next attempt is a fast one
}

// slow are the pauses after the fast attempts; the last one repeats.
func slow(n int) time.Duration {
	switch n {
	case 0:
		return time.Minute
	case 1:
		return 5 * time.Minute
	case 2:
		return 15 * time.Minute
	}
	return time.Hour
}

// maxWait bounds a pause, and what a receiver may ask for.
const maxWait = time.Hour

// LongestPause is longer than any pause between two attempts, with its jitter. What is due
// later than this was written by a clock that has been set back since.
const LongestPause = 2 * time.Hour

// judge turns the answer of a send into an outcome: sent; a wait that the receiver asked
// for, which is no attempt; the next attempt, first the fast ones, then the slow ones; or
// dead, at once or when the next attempt would come after give_up_after. jitter is from 0
// to 1 and lengthens a pause by up to a quarter.
func judge(d alert.Delivery, err error, now time.Time, jitter float64) outcome {
	if err == nil {
		return outcome{status: alert.Sent, attempts: d.Attempts}
	}
	t := d.Target.WithDefaults()
	began := d.CreatedAt
	if !d.TryStarted.IsZero() {
		began = d.TryStarted
	}
	out := outcome{status: alert.Pending, attempts: d.Attempts, cause: err.Error()}
	var sendErr *alert.SendError
	if errors.As(err, &sendErr) && sendErr.Permanent {
		out.status, out.attempts = alert.Dead, d.Attempts+1
		return out
	}
	var pause time.Duration
	asked := sendErr != nil && sendErr.RetryAfter > 0
	if asked {
		pause = min(sendErr.RetryAfter, maxWait)
	} else {
		out.attempts++
		if out.attempts < t.Attempts {
			pause, out.soon = min(t.Backoff.Std()<<min(out.attempts-1, 10), maxWait), true
		} else {
			pause = slow(out.attempts - t.Attempts)
		}
		pause += time.Duration(jitter * float64(pause) / 4)
	}
	out.due = now.Add(pause)
	end := began.Add(t.GiveUpAfter.Std())
	if asked && now.Before(end) && out.due.After(end) {
		out.due = end // it asked for more than there is: it is tried once more at the end
	}
	if out.due.After(end) {
		out.status, out.due, out.soon = alert.Dead, time.Time{}, false
		out.cause = "given up after " + t.GiveUpAfter.String() + ": " + err.Error()
	}
	return out
}
