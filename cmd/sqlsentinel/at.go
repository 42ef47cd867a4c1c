package main

import (
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// A moment is the value of --at: the time that a run stands for. Empty means now.
type moment string

// momentLayouts are the forms without an offset, which are read in the alert's zone.
func momentLayouts() []string {
	return []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly}
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
		for _, layout := range momentLayouts() {
			if at, err = time.ParseInLocation(layout, string(m), schedule.Zone()); err == nil {
				break
			}
		}
	}
	switch {
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
