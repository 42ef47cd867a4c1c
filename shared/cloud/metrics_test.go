package cloud

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// AWS bills each combination of a name and the values of its dimensions.
func TestAThousandAlertsMakeAtMostFiftyMetrics(t *testing.T) {
	var out bytes.Buffer
	m := &Metrics{Out: &out, Stack: "shop"}
	for n := range 1000 {
		name := fmt.Sprintf("alert %d", n)
		for _, status := range []alert.Status{alert.StatusOK, alert.StatusAlert, alert.StatusError, alert.StatusNoData} {
			m.Run(alert.Record{Alert: name, RunID: fmt.Sprint(n, status), Status: status})
		}
		for _, channel := range Channels {
			for _, status := range []alert.DeliveryStatus{alert.Pending, alert.Sent, alert.Dead, alert.Superseded} {
				d := alert.Delivery{ID: fmt.Sprint(n, channel), Alert: name, Status: status}
				d.Target.Channel = channel
				m.Notification(d, time.Second)
			}
		}
	}
	m.Refused()
	m.Standing(sentinel.TickReport{}, true)

	billed := map[string]bool{}
	for line := range bytes.Lines(out.Bytes()) {
		var read struct {
			AWS struct {
				CloudWatchMetrics []struct {
					Dimensions [][]string
					Metrics    []struct{ Name string }
				}
			} `json:"_aws"`
		}
		require.NoError(t, json.Unmarshal(line, &read))
		values := map[string]any{}
		require.NoError(t, json.Unmarshal(line, &values))
		for _, group := range read.AWS.CloudWatchMetrics {
			for _, dimensions := range group.Dimensions {
				for _, metric := range group.Metrics {
					key := metric.Name
					for _, d := range dimensions {
						key += fmt.Sprint(" ", d, "=", values[d])
					}
					billed[key] = true
				}
			}
		}
	}
	require.LessOrEqual(t, len(billed), 50)
	require.Greater(t, len(billed), 40, "the test counts")
}
