package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/spf13/cobra"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

func (a *app) metricsCommand() *cobra.Command {
	var address string
	c := &cobra.Command{
		Use:   "metrics [CONFIG]",
		Short: "Print metrics in the format of Prometheus",
		Long: `Prints what the daemon on --listen counts. If none answers there, it prints gauges from the
state of CONFIG: for the textfile collector of a node, where alerts are run by cron.`,
		Example: `  sqlsentinel metrics`,
		Args:    configOnly(),
		RunE: func(c *cobra.Command, args []string) error {
			if text, err := a.ask(c.Context(), address, "/metrics"); err == nil && strings.Contains(text, "\nsqlsentinel_") {
				return a.write(text)
			}
			s, err := a.loadStored(c.Context(), first(args))
			if err != nil {
				return err
			}
			return s.gauges(c.Context())
		},
	}
	a.addState(c)
	c.Flags().StringVar(&address, "listen", "", "where the daemon answers (default "+defaultListen+", or $PORT)")
	return c
}

// gauges prints what the state says, by the names that the daemon has for it.
func (s *session) gauges(ctx context.Context) error {
	k, err := s.knowledge(ctx)
	if err != nil {
		return err
	}
	var schedules alert.Schedules
	registry := prometheus.NewRegistry()
	standings := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sqlsentinel_alerts", Help: "Alerts that are enabled, by where they stand."}, []string{"status"})
	registry.MustRegister(standings)
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "sqlsentinel_" + name, Help: help})
		registry.MustRegister(g)
		return g
	}
	overdue, dead := gauge("overdue_alerts", "Alerts that did not run when they should have."), gauge("dead_deliveries", "Messages that were given up and not redriven.")
	if err := s.waiting(ctx, registry); err != nil {
		return err
	}
	episodes, silences := gauge("episodes_open", "Episodes that are open."), gauge("silences_active", "Silences that hold messages back.")
	for _, x := range s.file.Alerts {
		at, err := s.standing(x, k, &schedules)
		if err != nil {
			return err
		}
		dead.Add(float64(at.DeadDeliveries))
		if !x.Enabled {
			continue
		}
		standings.WithLabelValues(string(at.Status)).Inc()
		episodes.Add(float64(at.Firing))
		silences.Add(float64(len(at.Silences)))
		if at.Overdue {
			overdue.Inc()
		}
	}
	families, err := registry.Gather()
	if err != nil {
		return fmt.Errorf("print the metrics: %w", err)
	}
	var text strings.Builder
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			return fmt.Errorf("print the metrics: %w", err)
		}
	}
	return s.write(text.String())
}

// waiting adds what waits, by channel.
func (s *session) waiting(ctx context.Context, registry *prometheus.Registry) (err error) {
	depth := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sqlsentinel_outbox_deliveries", Help: "Messages that are not settled."}, []string{"channel"})
	registry.MustRegister(depth)
	for _, name := range s.channelNames() {
		depth.WithLabelValues(name).Set(0)
	}
	store, err := s.readState(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	backlog, err := store.Backlog(ctx, s.file.Scope)
	for _, b := range backlog {
		depth.WithLabelValues(b.Channel).Set(float64(b.Pending))
	}
	return err
}
