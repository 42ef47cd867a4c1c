package alert_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

func TestADeliveryThatIsRedrivenAndDiesAgainOpensAnEpisodeOfItsOwn(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	dead := alert.Delivery{ID: "dlv_1", Scope: "shop", Alert: "revenue", Target: alert.Target{ID: "team"}, Owners: []alert.Target{{ID: "owner"}}, Try: 1}
	first, told := alert.TargetDied(alert.Outage{}, dead, "HTTP 400", now)
	require.Len(t, told, 1)
	over, _ := alert.TargetAnswered(*first, dead, now)
	dead.Try = 2
	second, told := alert.TargetDied(*over, dead, "HTTP 400", now)
	require.Len(t, told, 1)
	require.NotEqual(t, first.Episode.ID, second.Episode.ID)
}
