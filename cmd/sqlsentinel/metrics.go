package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

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
			if text, err := a.ask(c.Context(), address, "/metrics"); err == nil {
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

// gauges prints what the state says.
func (s *session) gauges(ctx context.Context) error {
	k, err := s.knowledge(ctx)
	if err != nil {
		return err
	}
	var schedules alert.Schedules
	standings, dead, pending, episodes := map[alert.Status]int{}, 0, 0, 0
	for _, x := range s.file.Alerts {
		at, err := s.standing(x, k, &schedules)
		if err != nil {
			return err
		}
		standings[at.Status]++
		dead, pending, episodes = dead+at.DeadDeliveries, pending+at.PendingDeliveries, episodes+at.Firing
	}
	text := "# TYPE sqlsentinel_alerts gauge\n"
	for _, status := range slices.Sorted(maps.Keys(standings)) {
		text += fmt.Sprintf("sqlsentinel_alerts{status=%q} %d\n", string(status), standings[status])
	}
	for _, g := range []struct {
		name  string
		value int
	}{{"dead_deliveries", dead}, {"episodes_open", episodes}, {"overdue_alerts", standings[alert.StatusOverdue]}, {"pending_deliveries", pending}} {
		text += fmt.Sprintf("# TYPE sqlsentinel_%s gauge\nsqlsentinel_%s %d\n", g.name, g.name, g.value)
	}
	return s.write(text)
}
