package cloud

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// Namespace is that of all metrics in CloudWatch.
const Namespace = "SQLSentinel"

// Metrics writes metrics in CloudWatch's embedded format: lines of a function's log, which
// CloudWatch reads by itself. No metric has an alert among its dimensions: each combination
// of them is billed. Alert and run are properties, to be searched for in the log.
// Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
type Metrics struct {
	Out   io.Writer
	Stack string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	mu  sync.Mutex
}

type unit string

const (
	count   unit = "Count"
	seconds unit = "Seconds"
)

type metric struct {
	Name string `json:"Name"`
	Unit unit   `json:"Unit"`
}

// put writes one line: values under the dimensions, which come beside the stack.
func (m *Metrics) put(dimensions map[string]string, values map[string]float64, units map[string]unit, properties map[string]any) {
	now := time.Now
	if m.Now != nil {
		now = m.Now
	}
	names := append([]string{"stack"}, slices.Sorted(maps.Keys(dimensions))...)
	var metrics []metric
	line := map[string]any{"stack": m.Stack}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		u := units[name]
		if u == "" {
			u = count
		}
		metrics, line[name] = append(metrics, metric{name, u}), values[name]
	}
	for name, v := range dimensions {
		line[name] = v
	}
	for name, v := range properties {
		line[name] = v
	}
	line["_aws"] = map[string]any{
		"Timestamp":         now().UnixMilli(),
		"CloudWatchMetrics": []any{map[string]any{"Namespace": Namespace, "Dimensions": [][]string{names}, "Metrics": metrics}},
	}
	body, err := json.Marshal(line)
	if err != nil {
		return // numbers and texts always marshal
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, _ = fmt.Fprintf(m.Out, "%s\n", body)
}

// Run counts a run and its duration.
func (m *Metrics) Run(r alert.Record) {
	m.put(map[string]string{"status": string(r.Status)},
		map[string]float64{"alerts_total": 1, "alert_duration_seconds": float64(r.DurationMS) / 1000}, map[string]unit{"alert_duration_seconds": seconds},
		map[string]any{"alert_name": r.Alert, "run_id": r.RunID})
}

// Notification counts an attempt at a delivery.
func (m *Metrics) Notification(d alert.Delivery, took time.Duration) {
	m.put(map[string]string{"channel": d.Target.Channel, "status": string(d.Status)},
		map[string]float64{"notifications_total": 1, "notification_duration_seconds": took.Seconds()}, map[string]unit{"notification_duration_seconds": seconds},
		map[string]any{"alert_name": d.Alert, "run_id": d.Message.RunID, "delivery": d.ID})
}

// Refused counts an event that nothing can be done about.
func (m *Metrics) Refused() { m.put(nil, map[string]float64{"events_refused_total": 1}, nil, nil) }

// Standing writes the gauges that alarms watch.
func (m *Metrics) Standing(r sentinel.TickReport, invalid bool) {
	waiting := r.Waiting()
	values := map[string]float64{
		"invalid_config": 0, "overdue_alerts": float64(r.Overdue), "missed_runs_total": float64(len(r.Missed)),
		"dead_deliveries": float64(r.Dead), "stuck_deliveries": float64(waiting.Stuck), "pending_deliveries": float64(waiting.Pending),
		"silences_active": float64(r.Silences), "episodes_open": float64(r.Episodes), "oldest_delivery_seconds": 0,
	}
	if invalid {
		values["invalid_config"] = 1
	}
	if !waiting.Oldest.IsZero() {
		values["oldest_delivery_seconds"] = time.Since(waiting.Oldest).Seconds()
	}
	m.put(nil, values, map[string]unit{"oldest_delivery_seconds": seconds}, nil)
	for _, status := range []alert.Status{alert.StatusOK, alert.StatusPending, alert.StatusAlert, alert.StatusRecovering, alert.StatusError, alert.StatusNoData, alert.StatusOverdue, alert.StatusNeverRun} {
		m.put(map[string]string{"status": string(status)}, map[string]float64{"alerts": float64(r.Alerts[status])}, nil, nil)
	}
}
