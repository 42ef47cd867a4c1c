package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// A moment is the value of --at: the time that a run stands for. Empty means now.
type moment string

// onClock reads a date, with or without a time, on the clock of a zone. *skippedError if the
// clock is set forward over it; a time that comes twice is the first.
func onClock(text string, zone *time.Location) (at time.Time, err error) {
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if at, err = time.ParseInLocation(layout, text, zone); err != nil {
			continue
		}
		if plain, _ := time.Parse(layout, text); plain.Format(time.DateTime) != at.Format(time.DateTime) {
			return at, &skippedError{text, zone}
		}
		return at, nil
	}
	return at, err
}

// skippedError is a time that a clock never shows.
type skippedError struct {
	text string
	zone *time.Location
}

func (e *skippedError) Error() string {
	return fmt.Sprintf("%q does not exist in %s, whose clock is set forward over it; write the time before or after", e.text, e.zone)
}

// of is the moment for an alert.
func (m moment) of(a alert.Alert, now time.Time) (time.Time, error) {
	if m == "" {
		return now, nil
	}
	at, err := time.Parse(time.RFC3339, string(m))
	if err != nil {
		schedule, zoneErr := alert.ParseSchedule(a.Schedule, a.Timezone)
		if zoneErr != nil {
			return at, usagef("--at: %v", zoneErr)
		}
		at, err = onClock(string(m), schedule.Zone())
	}
	switch {
	case errors.As(err, new(*skippedError)):
		return at, usagef("--at %w", err)
	case err != nil:
		return at, usagef("--at %q is no time; write 2026-11-23T09:00:00Z, or 2026-11-23 09:00 on the clock of the alert's zone", string(m))
	case at.After(now):
		return at, usagef("--at %s is in the future, where there is nothing to look at (%q)", at.Format(time.RFC3339), a.Name)
	}
	return at, nil
}

// all are the moments for alerts, by name; all are right before anything runs.
func (m moment) all(alerts []alert.Alert, now time.Time) error {
	for _, a := range alerts {
		if _, err := m.of(a, now); err != nil {
			return err
		}
	}
	return nil
}
