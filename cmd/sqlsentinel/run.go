package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// runFlags are the flags of `run` alone.
type runFlags struct {
	dry, failOnAlert bool
	at               moment
}

func (a *app) runCommand() *cobra.Command {
	var flags runFlags
	c := &cobra.Command{
		Use:   "run [CONFIG]",
		Short: "Evaluate alerts now and deliver their messages",
		Long: `Evaluates every enabled alert of the file, or those that --alert names, decides whether to
notify, and delivers what is due: also what earlier runs left undelivered. It waits for the
fast retries of a delivery; the slow ones are made by later runs.

With --dry-run the queries are sent for real, but nothing is stored and nothing is sent:
rows, decision and messages are printed as they would be.

With --at the runs stand for a time that has passed: :scheduled_time is that time in a query
with ` + "`params: true`" + `. A run older than an alert's last one is recorded as late and not evaluated;
--dry-run looks at it all the same.`,
		Example: `  sqlsentinel run
  sqlsentinel run shop.yaml --alert 'Daily *' --fail-on-alert
  sqlsentinel run --alert "Daily revenue" --dry-run
  sqlsentinel run --alert "Daily revenue" --dry-run --at "2026-11-23 09:00"
  sqlsentinel run --json | jq '.runs[] | select(.status == "ERROR")'`,
		Args: configOnly(),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := a.load(c.Context(), first(args))
			if err != nil {
				return err
			}
			if s.stack != nil {
				return s.runOnAWS(c.Context(), flags)
			}
			if flags.dry {
				return s.dryRun(c.Context(), flags)
			}
			return s.run(c.Context(), flags)
		},
	}
	a.addState(c)
	a.addJSON(c)
	a.addAlerts(c, "evaluate only this alert")
	c.Flags().BoolVar(&flags.dry, "dry-run", false, "query, but store and send nothing; print rows, decision and messages")
	c.Flags().StringVar((*string)(&flags.at), "at", "", "evaluate for this `time`: RFC 3339, or on the clock of the alert's zone; not in the future")
	c.Flags().BoolVar(&flags.failOnAlert, "fail-on-alert", false, "exit with 3 if an alert says ALERT")
	return c
}

// An outcome is what became of one alert of a run.
type outcome struct {
	record alert.Record
	err    error // why nothing was recorded
	done   bool  // false: the run was interrupted before it
}

// run evaluates and delivers.
func (s *session) run(ctx context.Context, flags runFlags) (err error) {
	started := s.now()
	chosen, err := s.enabled(flags.at)
	if err != nil {
		return err
	}
	store, err := s.openFile(ctx)
	if err != nil {
		return err
	}
	e, err := s.openEngine(store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	prune, err := s.pruneDue(ctx, store)
	if err != nil {
		return err
	}
	if err := s.sync(ctx, e); err != nil {
		return err
	}
	posts := &posts{byID: map[string]post{}}
	outcomes, failed := s.evaluateAndDeliver(ctx, e, chosen, posts, flags.at)
	if ctx.Err() == nil {
		failed = errors.Join(failed, s.afterwards(ctx, e, outcomes, prune))
	}
	if err := s.printRun(ctx, store, outcomes, posts, started); err != nil {
		return err
	}
	return s.verdict(ctx, outcomes, posts, failed, flags)
}

// enabled are the chosen alerts that are enabled; the moment must be right for each.
func (s *session) enabled(at moment) ([]alert.Alert, error) {
	chosen, err := s.chosen()
	if err != nil {
		return nil, err
	}
	out := make([]alert.Alert, 0, len(chosen))
	for _, x := range chosen {
		switch {
		case x.Enabled:
			out = append(out, x)
		case len(s.flags.alerts) > 0:
			s.say("%q is disabled and is not evaluated", x.Name)
		}
	}
	return out, at.all(out, s.now())
}

// sync stores the definitions of the file and reads all states, if most are needed.
func (s *session) sync(ctx context.Context, e *engine) error {
	report, err := e.Sync(ctx, s.file.Scope, s.file.Alerts)
	if err != nil {
		return err
	}
	for _, name := range report.Closed {
		s.say("the open episode of %q is closed, for the file changed", name)
	}
	if len(s.flags.alerts) > 0 {
		return nil
	}
	e.store.Remember(report.Definitions)
	return e.store.Preload(ctx, s.file.Scope)
}

// evaluateAndDeliver evaluates the alerts while what they decide is being delivered.
func (s *session) evaluateAndDeliver(ctx context.Context, e *engine, alerts []alert.Alert, posts *posts, at moment) ([]outcome, error) {
	evaluated, delivered := make(chan struct{}), make(chan error, 1)
	go func() { delivered <- s.deliver(ctx, e, posts, evaluated) }()
	outcomes := make([]outcome, len(alerts))
	bar := s.startProgress(len(alerts))
	s.forEach(ctx, alerts, func(i int) {
		outcomes[i] = s.evaluate(ctx, e, alerts[i], at)
		bar.count(outcomes[i].record.Status)
	})
	bar.stop()
	close(evaluated)
	err := <-delivered
	if ctx.Err() != nil {
		err = nil
	}
	return outcomes, err
}

// evaluate runs one alert. Whatever goes wrong stays with it.
func (s *session) evaluate(ctx context.Context, e *engine, a alert.Alert, at moment) (out outcome) {
	defer func() {
		if cause := recover(); cause != nil {
			out = outcome{done: true, err: fmt.Errorf("evaluate %q: this is a fault of the program: %v", a.Name, cause)}
		}
	}()
	scheduled, err := at.of(a, s.now())
	if err != nil {
		return outcome{record: alert.Record{Alert: a.Name, Status: alert.StatusError}, err: err, done: true}
	}
	got, err := e.Evaluate(ctx, a.ID(), scheduled)
	if err != nil {
		return outcome{record: alert.Record{Alert: a.Name, Status: alert.StatusError}, err: err, done: ctx.Err() == nil}
	}
	r := got.Record
	s.log.Info("evaluated", "alert_name", r.Alert, "run_id", r.RunID, "status", r.Status, "duration_ms", r.DurationMS, "error", r.Error)
	return outcome{record: r, done: true}
}

// deliver sends what is due until everything is evaluated and nothing is due any more.
func (s *session) deliver(ctx context.Context, e *engine, posts *posts, evaluated <-chan struct{}) error {
	options := sentinel.DrainOptions{Scope: s.file.Scope, Report: func(d alert.Delivery) {
		posts.note(d)
		s.log.Info("delivered", "alert_name", d.Alert, "run_id", d.Message.RunID, "channel", d.Target.Channel, "status", d.Status, "error", d.LastError)
	}}
	for last := false; ; {
		if err := e.Drain(ctx, options); err != nil || last {
			return err
		}
		select {
		case <-e.store.Wake():
		case <-evaluated:
			last = true
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// afterwards tidies up and tells the heartbeat.
func (s *session) afterwards(ctx context.Context, e *engine, outcomes []outcome, prune bool) error {
	if prune {
		if err := e.store.Prune(ctx, s.file.Scope, s.now().Add(-s.file.Retention.Std())); err != nil {
			return err
		}
	}
	if s.file.Heartbeat == nil || len(s.flags.alerts) > 0 {
		return nil
	}
	return s.heartbeat(ctx, e, outcomes)
}

// pruneDue tells whether this is the day's first run: then it deletes old history.
func (s *session) pruneDue(ctx context.Context, store sentinel.Store) (bool, error) {
	if s.file.Retention == 0 {
		return false, nil
	}
	newest, err := store.History(ctx, sentinel.HistoryFilter{Scope: s.file.Scope, Limit: 1})
	if err != nil || len(newest) == 0 {
		return false, err
	}
	return newest[0].Scheduled.UTC().Format(time.DateOnly) != s.now().UTC().Format(time.DateOnly), nil
}

// verdict is the exit code of a run.
func (s *session) verdict(ctx context.Context, outcomes []outcome, posts *posts, failed error, flags runFlags) error {
	if ctx.Err() != nil {
		done := 0
		for _, o := range outcomes {
			if o.done {
				done++
			}
		}
		s.say("sqlsentinel: interrupted: %d of %s evaluated; what is undelivered is delivered by the next run", done, plural(len(outcomes), "alert"))
		return context.Cause(ctx)
	}
	if failed != nil {
		return failed
	}
	code := 0
	for _, o := range outcomes {
		switch {
		case o.record.Status == alert.StatusError:
			code = exitFailed
		case o.record.Status == alert.StatusAlert && flags.failOnAlert && code == 0:
			code = exitAlert
		}
	}
	if posts.dead() > 0 {
		code = exitFailed
	}
	return exit(code)
}
