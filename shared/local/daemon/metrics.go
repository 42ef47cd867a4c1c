package daemon

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// metrics are what /metrics shows. docs/single-machine.md lists them.
type metrics struct {
	registry      *prometheus.Registry
	alerts        *prometheus.CounterVec
	seconds       prometheus.Histogram
	notifications *prometheus.CounterVec
	sending       *prometheus.HistogramVec
	jobs          *prometheus.CounterVec
	reloads       *prometheus.CounterVec
	depth, age    *prometheus.GaugeVec
}

func newMetrics(d *Daemon) *metrics {
	m := &metrics{
		registry:      prometheus.NewRegistry(),
		alerts:        counter("alerts_total", "Runs that were evaluated, by alert and result.", "alert_name", "status"),
		seconds:       prometheus.NewHistogram(prometheus.HistogramOpts{Name: "sqlsentinel_alert_duration_seconds", Help: "How long runs took.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 9)}),
		notifications: counter("notifications_total", "Attempts at messages, by channel and what became of the message.", "channel", "status"),
		sending: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "sqlsentinel_notification_duration_seconds", Help: "How long attempts at messages took.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8)}, []string{"channel"}),
		jobs:    counter("scheduler_job_runs_total", "Ticks by what became of them: run, failed to be recorded, skipped because the run before had not ended.", "result"),
		reloads: counter("config_reloads_total", "Readings of the alert file, by result.", "result"),
		depth:   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sqlsentinel_outbox_deliveries", Help: "Messages that are not settled."}, []string{"channel"}),
		age:     prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sqlsentinel_outbox_oldest_seconds", Help: "The age of the oldest message that is not settled."}, []string{"channel"}),
	}
	for _, result := range []string{"run", "failed", "skipped"} {
		m.jobs.WithLabelValues(result)
	}
	for _, result := range []string{"ok", "failed"} {
		m.reloads.WithLabelValues(result)
	}
	m.registry.MustRegister(m.alerts, m.seconds, m.notifications, m.sending, m.jobs, m.reloads, m.depth, m.age,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.gauges(d)
	return m
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sqlsentinel_" + name, Help: help}, labels)
}

// gauges show what is, when they are asked.
func (m *metrics) gauges(d *Daemon) {
	report := func(of func(sentinel.TickReport) int) func() float64 {
		return func() float64 {
			d.mu.Lock()
			defer d.mu.Unlock()
			return float64(of(d.report))
		}
	}
	for name, g := range map[string]struct {
		help string
		of   func() float64
	}{
		"uptime_seconds":  {"How long the daemon runs.", func() float64 { return d.Clock.Now().Sub(d.started).Seconds() }},
		"scheduler_jobs":  {"Alerts that have a schedule.", func() float64 { d.mu.Lock(); defer d.mu.Unlock(); return float64(len(d.agenda.entries)) }},
		"runs_underway":   {"Runs that wait or run.", func() float64 { return float64(d.runs.depth()) }},
		"overdue_alerts":  {"Alerts that did not run when they should have.", report(func(r sentinel.TickReport) int { return r.Overdue })},
		"dead_deliveries": {"Messages that were given up and not redriven, until their target takes another one.", report(func(r sentinel.TickReport) int { return r.Dead })},
		"silences_active": {"Silences that hold messages back.", report(func(r sentinel.TickReport) int { return r.Silences })},
		"episodes_open":   {"Episodes that are open.", report(func(r sentinel.TickReport) int { return r.Episodes })},
		"config_last_reload_successful": {"1 if the alert file, as it is now, could be read.", func() float64 {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.problem != "" {
				return 0
			}
			return 1
		}},
		"config_last_reload_success_timestamp_seconds": {"When the alert file that is in force was read.", func() float64 {
			d.mu.Lock()
			defer d.mu.Unlock()
			return float64(d.loaded.Unix())
		}},
	} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sqlsentinel_" + name, Help: g.help}, g.of))
	}
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "sqlsentinel_missed_ticks_total", Help: "Ticks at which nothing ran, ever: the state keeps the count."},
		report(func(r sentinel.TickReport) int { return r.PassedOver })))
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sqlsentinel_build_info", Help: "The version, as a label."}, []string{"version"})
	info.WithLabelValues(d.Version).Set(1)
	m.registry.MustRegister(info, standing{d})
}

// standing counts alerts by where they stand.
type standing struct{ d *Daemon }

var standingDesc = prometheus.NewDesc("sqlsentinel_alerts", "Alerts that are enabled, by where they stand.", []string{"status"}, nil)

// Describe implements prometheus.Collector.
func (s standing) Describe(c chan<- *prometheus.Desc) { c <- standingDesc }

// Collect implements prometheus.Collector.
func (s standing) Collect(c chan<- prometheus.Metric) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	for _, status := range []alert.Status{alert.StatusOK, alert.StatusPending, alert.StatusAlert, alert.StatusRecovering, alert.StatusError, alert.StatusNoData, alert.StatusOverdue, alert.StatusNeverRun} {
		c <- prometheus.MustNewConstMetric(standingDesc, prometheus.GaugeValue, float64(s.d.report.Alerts[status]), string(status))
	}
}

func (m *metrics) run(r alert.Record) {
	m.alerts.WithLabelValues(r.Alert, string(r.Status)).Inc()
	m.seconds.Observe(float64(r.DurationMS) / 1000)
}

func (m *metrics) notification(d alert.Delivery, took time.Duration) {
	m.notifications.WithLabelValues(d.Target.Channel, string(d.Status)).Inc()
	m.sending.WithLabelValues(d.Target.Channel).Observe(took.Seconds())
}

// forget drops the counters of alerts that left the file.
func (m *metrics) forget(stored map[string]sentinel.Definition, alerts []alert.Alert) {
	for _, gone := range missing(stored, alerts) {
		m.alerts.DeletePartialMatch(prometheus.Labels{"alert_name": gone.Name})
	}
}

var channels = []string{"email", "slack", "webhook"}

// waiting shows what is not settled.
func (m *metrics) waiting(backlog []sentinel.Backlog, now time.Time) {
	by := map[string]sentinel.Backlog{}
	for _, b := range backlog {
		by[b.Channel] = b
	}
	for _, channel := range channels {
		age := 0.0
		if at := by[channel].Oldest; !at.IsZero() {
			age = now.Sub(at).Seconds()
		}
		m.depth.WithLabelValues(channel).Set(float64(by[channel].Pending))
		m.age.WithLabelValues(channel).Set(age)
	}
}
