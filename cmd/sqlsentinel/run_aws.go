package main

import (
	"context"
	"slices"
	"sync"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
)

// invokedAtOnce is how many query functions are called at the same time: a new account
// has ten.
const invokedAtOnce = 5

// runOnAWS has the stack's query function run the alerts, so that network and secrets are
// the function's. Messages are delivered by the stack.
func (s *session) runOnAWS(ctx context.Context, flags runFlags) error {
	started := s.now()
	chosen, err := s.enabled(flags.at)
	if err != nil {
		return err
	}
	store, err := s.stackState()
	if err != nil {
		return err
	}
	outcomes, runs := make([]outcome, len(chosen)), make([]runJSON, len(chosen))
	bar := s.startProgress(len(chosen))
	var group sync.WaitGroup
	slots := make(chan struct{}, invokedAtOnce)
	for i, x := range chosen {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			outcomes[i], runs[i] = s.invoke(ctx, x, flags)
			bar.count(outcomes[i].record.Status)
		})
	}
	group.Wait()
	bar.stop()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	posts := &posts{byID: map[string]post{}}
	if flags.dry {
		err = s.printPreviews(runs)
	} else {
		err = s.printRun(ctx, store, outcomes, posts, started)
	}
	if err != nil {
		return err
	}
	return s.verdict(ctx, outcomes, posts, nil, flags)
}

// invoke runs one alert there.
func (s *session) invoke(ctx context.Context, x alert.Alert, flags runFlags) (outcome, runJSON) {
	tick := cloud.Tick{Alert: x.Name, DryRun: flags.dry}
	at, err := flags.at.of(x, s.now())
	if err != nil {
		record := alert.Record{Scope: x.Scope, Alert: x.Name, Status: alert.StatusError, Error: err.Error()}
		return outcome{record: record, err: err, done: true}, s.runOf(record, pending)
	}
	if !flags.dry || flags.at != "" {
		tick.ScheduledTime = at.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	answer, err := s.stack.Invoke(ctx, tick)
	if err != nil {
		record := alert.Record{Scope: x.Scope, Alert: x.Name, Status: alert.StatusError, Error: err.Error()}
		return outcome{record: record, err: err, done: ctx.Err() == nil}, s.runOf(record, pending)
	}
	out := s.runOf(*answer.Run, pending)
	if flags.dry {
		out.Preview = &previewJSON{Columns: []string{}, Rows: [][]alert.Value{}, Messages: []renderedJSON{}}
		if table := answer.Table; table != nil {
			out.Preview.Columns, out.Preview.RowCount = list(table.Columns), len(table.Rows)
			out.Preview.Rows = slices.Clone(list(table.Rows[:min(len(table.Rows), previewRows)]))
		}
		for _, d := range answer.Deliveries {
			out.Preview.Messages = append(out.Preview.Messages, s.onAWS(d))
		}
	}
	return outcome{record: *answer.Run, done: true}, out
}
