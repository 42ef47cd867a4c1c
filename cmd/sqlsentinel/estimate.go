package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud/control"
	"github.com/sqlsentinel/sqlsentinel/shared/estimate"
)

// estimateFlags are those of estimate.
type estimateFlags struct {
	estimate.Assumptions
	prices string
	top    int
}

func (a *app) estimateCommand() *cobra.Command {
	f := estimateFlags{Assumptions: estimate.DefaultAssumptions()}
	c := &cobra.Command{
		Use:   "estimate [CONFIG]",
		Short: "Reckon what the alert file costs on AWS, and which quotas it meets",
		Long: `Reckons the 30 days that begin today, in UTC, from the schedules of the alert file: what a stack
costs with the defaults of its deployment, by alert and in total; how much of AWS's quotas the busiest
minute uses, and what moves each; and what becomes of that minute. It asks nobody: prices and quotas are
list prices and defaults, as known on a date that it names. --prices reads your own; the form is that of
"prices" in --json. Free tiers, taxes and the network to your databases are left out.`,
		Example: `  sqlsentinel estimate
  sqlsentinel estimate --query-seconds 2 --episodes-per-month 4
  sqlsentinel estimate --json | jq .prices > prices.json
  sqlsentinel estimate --prices prices.json`,
		Args: configOnly(),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := a.loadUnset(first(args))
			if err != nil {
				return err
			}
			return s.estimate(f)
		},
	}
	a.addConfig(c)
	a.addJSON(c)
	c.Flags().StringVar(&f.prices, "prices", "", "read prices and quotas from this JSON file; what it does not name stays")
	c.Flags().Float64Var(&f.QuerySeconds, "query-seconds", f.QuerySeconds, "how long a query takes")
	c.Flags().Float64Var(&f.OverheadSeconds, "overhead-seconds", f.OverheadSeconds, "what a run takes besides: its calls to AWS")
	c.Flags().Float64Var(&f.SendSeconds, "send-seconds", f.SendSeconds, "how long a sender takes for a message")
	c.Flags().Float64Var(&f.Episodes, "episodes-per-month", f.Episodes, "how often an alert opens and closes")
	c.Flags().IntVar(&f.top, "top", 10, "show so many alerts, the dearest first; --json shows all")
	return c
}

func (s *session) estimate(f estimateFlags) error {
	if f.top < 0 {
		return usagef("--top %d is below 0", f.top)
	}
	prices, err := readPrices(f.prices)
	if err != nil {
		return err
	}
	if unfit := control.Unfit(s.file, control.DefaultLimits); len(unfit) > 0 {
		s.say("sqlsentinel: warning: AWS cannot run this file as it is; `sqlsentinel validate --target aws` says why")
	}
	report, err := estimate.New(estimate.Options{
		Alerts: s.file.Alerts, Assumptions: f.Assumptions, Prices: prices, Secrets: s.databaseSecrets(), From: s.now().UTC().Truncate(24 * time.Hour),
		Stack: estimate.Stack{
			Architecture: cloud.DefaultArchitecture, Memory: cloud.DefaultMemory, QueryTimeout: cloud.DefaultQueryTimeout, AsyncAge: cloud.AsyncAge,
			LogDays: cloud.DefaultLogDays, Retention: s.file.Retention.Std().Hours() / 24, Channels: len(cloud.Channels),
		},
	})
	if err != nil {
		return usagef("estimate: %w", err)
	}
	if s.flags.json {
		return s.printJSON(report)
	}
	return s.printEstimate(report, f.top)
}

// readPrices are the prices of a file; without one, those of the program.
func readPrices(path string) (estimate.Prices, error) {
	if path == "" {
		return estimate.ListPrices()
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return estimate.Prices{}, usagef("read the prices: %w", err)
	}
	prices, err := estimate.ReadPrices(data)
	if err != nil {
		return prices, usagef("read the prices of %s: %w", path, err)
	}
	return prices, nil
}

// databaseSecrets is how many names the databases refer to.
func (s *session) databaseSecrets() int {
	names := map[string]bool{}
	for _, d := range s.file.Databases {
		for _, name := range alert.References(d.URL) {
			names[name] = true
		}
	}
	return len(names)
}

// printEstimate prints an estimate for people.
func (s *session) printEstimate(r estimate.Report, top int) error {
	shown := r.Alerts[:min(top, len(r.Alerts))]
	alerts := grid{header: []string{"ALERT", "SCHEDULE", "RUNS", "MESSAGES", "A MONTH"}, status: -1}
	for _, a := range shown {
		alerts.add(a.Name, a.Schedule, quantity(float64(a.Runs)), quantity(a.Messages), fmt.Sprintf("$%.4f", a.Cost))
	}
	lines := grid{header: []string{"SERVICE", "WHAT", "QUANTITY", "A MONTH"}, status: -1}
	for _, l := range r.Lines {
		lines.add(l.Service, l.What, quantity(l.Quantity), fmt.Sprintf("$%.2f", l.Cost))
	}
	lines.add("together", "", "", fmt.Sprintf("$%.2f", r.Total))
	quotas := grid{header: []string{"QUOTA", "USE", "OF", "", "ADJUSTABLE", "WHAT MOVES IT"}, status: -1, whole: true}
	for _, q := range r.Quotas {
		quotas.add(q.Name, quantity(q.Use), quantity(q.Quota), percent(q.Share()), yesNo(q.Adjustable), q.Setting)
	}
	for _, g := range []grid{alerts, lines, quotas} {
		if len(g.rows) > 0 {
			if err := s.printGrid(g); err != nil {
				return err
			}
			if err := s.write("\n"); err != nil {
				return err
			}
		}
	}
	return s.printPeak(r, len(r.Alerts)-len(shown))
}

// printPeak prints what becomes of the busiest minute, and what all that rests on.
func (s *session) printPeak(r estimate.Report, hidden int) error {
	text := []string{
		fmt.Sprintf("The busiest minute is %s with %s; a minute has %s on average.", r.Peak.Minute.Format("2006-01-02 15:04 MST"), quantity(float64(r.Peak.Runs))+" runs", quantity(r.Peak.Average)),
		"Of the hour from there on, if Scheduler begins the runs of a minute",
		"  evenly over it: " + outcomeText(r.Peak.Even),
		"  all at once:    " + outcomeText(r.Peak.AtOnce),
		fmt.Sprintf("First to give way: %s, at %s runs a minute. What moves it: %s.", r.First.Name, quantity(r.First.Runs), r.First.Setting),
		fmt.Sprintf("%s from %s on; a query takes %v s and a run %v s more; each alert opens %v × a month; $%.2f is the stack itself.", plural(r.Days, "day"), r.From.Format(time.DateOnly),
			r.Assumptions.QuerySeconds, r.Assumptions.OverheadSeconds, r.Assumptions.Episodes, r.Fixed),
		strings.TrimSpace(fmt.Sprintf("Prices and quotas of %s, %s. %s", r.Prices.Region, r.Prices.Date, r.Prices.Source)),
	}
	if hidden > 0 {
		text = append(text, fmt.Sprintf("%s more: --top or --json shows them.", plural(hidden, "alert")))
	}
	for _, line := range text {
		if err := s.print("%s", line); err != nil {
			return err
		}
	}
	return nil
}

// outcomeText is a simulation in one line.
func outcomeText(o estimate.Outcome) string {
	return fmt.Sprintf("%s within their minute, %s later, %s missed; the last query %.1f s after its minute began; %s at once",
		quantity(float64(o.OnTime)), quantity(float64(o.Late)), quantity(float64(o.Missed)), o.LastSeconds, quantity(float64(o.Places)))
}

// quantity is a number with three digits that say something, thousands apart.
func quantity(n float64) string {
	if n < 1000 {
		return strconv.FormatFloat(n, 'g', 3, 64)
	}
	digits := strconv.FormatFloat(n, 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func percent(share float64) string {
	if share < 0.001 {
		return "0%"
	}
	return strconv.FormatFloat(100*share, 'f', 1, 64) + "%"
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
