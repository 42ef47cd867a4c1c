package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/config"
)

func TestManyAlertsInOneMinuteOnOneDatabaseAreWarnedOf(t *testing.T) {
	file := &config.File{}
	for i := range 60 {
		file.Alerts = append(file.Alerts, alert.Alert{Name: fmt.Sprint(i), Database: "warehouse", Schedule: "0 * * * *", Timezone: "UTC", Enabled: true})
	}
	now := time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)
	warnings := crowdedMinutes(file, now)
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0], `60 alerts query the database "warehouse" in the minute of 10:00 UTC`)
	for i := range file.Alerts {
		file.Alerts[i].Schedule = fmt.Sprintf("%d * * * *", i)
	}
	require.Empty(t, crowdedMinutes(file, now))
}
