package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

func (a *app) explainCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "explain [CONFIG] RUN_ID|ALERT",
		Short: "Tell why a run did or did not notify",
		Long: `Tells what a run found, why it did or did not notify, and what happened to each message.
A run is named by its id, by the first characters of it, or by its alert: then it is the last one.`,
		Example: `  sqlsentinel explain "Daily revenue"
  sqlsentinel explain run_5k2m
  sqlsentinel explain shop.yaml run_5k2m --json`,
		Args:              between(1, 2, "RUN_ID or ALERT, after CONFIG if it is not the default,"),
		ValidArgsFunction: a.completeAlerts,
		RunE: func(c *cobra.Command, args []string) error {
			s, err := a.loadStored(c.Context(), first(args[:len(args)-1]))
			if err != nil {
				return err
			}
			return s.explain(c.Context(), args[len(args)-1])
		},
	}
	a.addState(c)
	a.addJSON(c)
	return c
}

func (s *session) explain(ctx context.Context, subject string) (err error) {
	store, err := s.readState(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	record, err := s.findRun(ctx, store, subject)
	if err != nil {
		return err
	}
	var deliveries []alert.Delivery
	for _, ref := range record.Deliveries {
		d, err := store.Delivery(ctx, ref.ID)
		if errors.Is(err, sentinel.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		deliveries = append(deliveries, d)
	}
	if s.flags.json {
		return s.explainJSON(record, deliveries)
	}
	return s.printExplanation(record, deliveries)
}

func (s *session) explainJSON(r alert.Record, deliveries []alert.Delivery) error {
	posts := &posts{byID: map[string]post{}}
	full := make([]deliveryJSON, len(deliveries))
	for i, d := range deliveries {
		posts.note(d)
		full[i] = s.deliveryOf(d)
	}
	return s.printJSON(struct {
		Run        runJSON        `json:"run"`
		Deliveries []deliveryJSON `json:"deliveries"`
	}{s.runOf(r, posts.status), full})
}

// searched is how many runs or deliveries are looked through for the beginning of an id.
const searched = 10_000

// findRun finds a run by its id, its alert, or the beginning of its id.
func (s *session) findRun(ctx context.Context, store sentinel.Store, subject string) (alert.Record, error) {
	record, err := store.Record(ctx, s.file.Scope, subject)
	if err == nil || !errors.Is(err, sentinel.ErrNotFound) {
		return record, err
	}
	last, err := store.History(ctx, sentinel.HistoryFilter{Scope: s.file.Scope, Alerts: []string{subject}, Limit: 1})
	if err != nil {
		return record, err
	}
	if len(last) > 0 {
		return last[0], nil
	}
	if slices.Contains(names(s.file.Alerts), subject) {
		return record, &failure{exitFailed, fmt.Errorf("%q never ran", subject)}
	}
	if strings.HasPrefix(subject, "run_") {
		return s.findRunByPrefix(ctx, store, subject)
	}
	return record, unknown("run or alert", subject, names(s.file.Alerts))
}

func (s *session) findRunByPrefix(ctx context.Context, store sentinel.Store, prefix string) (alert.Record, error) {
	runs, err := store.History(ctx, sentinel.HistoryFilter{Scope: s.file.Scope, Limit: searched})
	if err != nil {
		return alert.Record{}, err
	}
	var found []alert.Record
	for _, r := range runs {
		if strings.HasPrefix(r.RunID, prefix) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 0:
		return alert.Record{}, usagef("there is no run %q", prefix)
	case 1:
		return found[0], nil
	}
	return alert.Record{}, usagef("%q begins the ids of %d runs; give more of it", prefix, len(found))
}

// printExplanation prints a run for people.
func (s *session) printExplanation(r alert.Record, deliveries []alert.Delivery) error {
	zone := s.zones()(r.Alert)
	clean := func(text string) string { return printable(shorten(s.file.Secrets.Clean(text), prose)) }
	var out strings.Builder
	fmt.Fprintf(&out, "%s  %s  %s\n", s.bold(r.Alert), s.paint(string(r.Status)), printable(r.RunID))
	fmt.Fprintf(&out, "scheduled for %s, began %s, took %s\n", clock(r.Scheduled, zone), clock(r.Started, zone), alert.Duration(r.DurationMS*1e6))
	if !r.Actual.IsNull() || !r.Threshold.IsNull() {
		fmt.Fprintf(&out, "actual_value %s, threshold %s\n", clean(r.Actual.String()), clean(r.Threshold.String()))
	}
	if len(r.Context) > 0 {
		fmt.Fprintf(&out, "context: %s\n", clean(r.Context.String()))
	}
	if r.Error != "" {
		fmt.Fprintf(&out, "error: %s\n", clean(r.Error))
	}
	if r.Usage != nil {
		fmt.Fprintf(&out, "usage: %s\n", r.Usage)
	}
	out.WriteString("\n" + s.bold("Why") + "\n")
	for _, reason := range r.Reasons {
		fmt.Fprintf(&out, "  %-16s  %s\n", reason.Code, clean(reason.Text))
	}
	if len(r.Instances) > 0 {
		fmt.Fprintf(&out, "\n%s (%d rows, %d firing)\n", s.bold("Instances"), r.Rows, r.Firing)
		for _, i := range r.Instances {
			fmt.Fprintf(&out, "  %s  %s  actual_value %s, threshold %s\n", clean(i.Instance.String()), s.paint(string(i.Status)), clean(i.ActualValue.String()), clean(i.Threshold.String()))
		}
	}
	out.WriteString("\n" + s.bold("Messages") + "\n")
	if len(r.Deliveries) == 0 {
		out.WriteString("  none\n")
	}
	for _, d := range deliveries {
		fmt.Fprintf(&out, "  %s  %s\n", d.ID, clean(s.fate(d, zone)))
	}
	return s.write(out.String())
}

// bold is a heading on a terminal.
func (a *app) bold(text string) string {
	if !a.colored(a.out) {
		return printable(text)
	}
	return "\x1b[1m" + printable(text) + "\x1b[0m"
}
