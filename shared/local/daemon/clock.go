package daemon

import (
	"context"
	"time"
)

// A Clock tells the time and waits for it. Tests have one of their own.
type Clock interface {
	Now() time.Time
	// Wait returns when the time has come, or earlier: who waits looks again. It reports
	// false if ctx ended.
	Wait(ctx context.Context, until time.Time) bool
}

// wallClock is this machine's.
type wallClock struct{}

// longestWait is how long one Wait lasts at most. A timer stands still while a laptop
// sleeps, and knows nothing of a clock that is set: the wall is looked at again.
const longestWait = 10 * time.Second

// Now implements Clock.
func (wallClock) Now() time.Time { return time.Now() }

// Wait implements Clock.
func (wallClock) Wait(ctx context.Context, until time.Time) bool {
	timer := time.NewTimer(min(max(time.Until(until.Round(0)), 0), longestWait))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
