package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// previewRows is how many rows of a result a dry run prints.
const previewRows = 20

// previewJSON is what a dry run shows beyond a run.
type previewJSON struct {
	Columns []string `json:"columns"`
	// Rows are the first 20, RowCount counts all that were read.
	Rows     [][]alert.Value `json:"rows"`
	RowCount int             `json:"row_count"`
	Messages []renderedJSON  `json:"messages"`
}

// dryRun queries for real and shows what would follow. It reads the state and leaves it alone.
func (s *session) dryRun(ctx context.Context, flags runFlags) (err error) {
	chosen, err := s.enabled(flags.at)
	if err != nil {
		return err
	}
	store, err := s.readFile(ctx)
	if err != nil {
		return err
	}
	e, err := s.openEngine(store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	sharing := map[string]int{}
	for _, x := range s.file.Alerts {
		if x.Enabled {
			sharing[x.Database]++
		}
	}
	outcomes, runs := make([]outcome, len(chosen)), make([]runJSON, len(chosen))
	bar := s.startProgress(len(chosen))
	s.forEach(ctx, chosen, func(i int) {
		outcomes[i], runs[i] = s.preview(ctx, e, chosen[i], sharing[chosen[i].Database], flags.at)
		bar.count(outcomes[i].record.Status)
	})
	bar.stop()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := s.printPreviews(runs); err != nil {
		return err
	}
	return s.verdict(ctx, outcomes, &posts{}, nil, flags)
}

// preview decides one alert without storing anything.
func (s *session) preview(ctx context.Context, e *engine, x alert.Alert, sharing int, at moment) (outcome, runJSON) {
	scheduled, err := at.of(x, s.now())
	snapshot, closing, loadErr := s.snapshot(ctx, e.store, x, sharing)
	if err = errors.Join(err, loadErr); err != nil {
		record := alert.Record{Scope: x.Scope, Alert: x.Name, Status: alert.StatusError, Error: err.Error()}
		return outcome{record: record, done: true}, s.runOf(record, pending)
	}
	got := e.Preview(ctx, snapshot, scheduled)
	out := s.runOf(got.Record, pending)
	out.Preview = &previewJSON{Columns: []string{}, Rows: [][]alert.Value{}, Messages: []renderedJSON{}}
	if table := got.Result.Table; table != nil {
		out.Preview.Columns = list(table.Columns)
		out.Preview.RowCount = len(table.Rows)
		out.Preview.Rows = slices.Clone(list(table.Rows[:min(len(table.Rows), previewRows)]))
	}
	for _, d := range slices.Concat(closing, got.Deliveries) {
		out.Preview.Messages = append(out.Preview.Messages, s.render(ctx, e.senders, d))
	}
	return outcome{record: got.Record, done: true}, out
}

// pending is where every delivery of a dry run stands.
func pending(string) alert.DeliveryStatus { return alert.Pending }

// snapshot is what a run of the alert, as the file has it now, would start from, with the
// messages about episodes that a changed key closes before it.
func (s *session) snapshot(ctx context.Context, store keeper, x alert.Alert, sharing int) (sentinel.Snapshot, []alert.Delivery, error) {
	snapshot, err := store.Load(ctx, x.ID())
	switch {
	case errors.Is(err, sentinel.ErrNotFound):
		snapshot = sentinel.Snapshot{}
	case err != nil:
		return snapshot, nil, err
	}
	was := snapshot.Definition.Alert
	snapshot.Definition.Alert, snapshot.Sharing = x, sharing
	if snapshot.Database, err = store.Outage(ctx, x.Scope, alert.DatabaseSubject(x.Database)); err != nil {
		return snapshot, nil, err
	}
	if snapshot.State.Version == 0 || slices.EqualFunc(x.Key, was.Key, strings.EqualFold) {
		return snapshot, nil, nil
	}
	closed := alert.Close(was, snapshot.State, alert.ClosedKey, s.now())
	snapshot.State = closed.State
	return snapshot, closed.Deliveries, nil
}

// printPreviews prints what a dry run found.
func (s *session) printPreviews(runs []runJSON) error {
	if s.flags.json {
		return s.printJSON(struct {
			DryRun bool      `json:"dry_run"`
			Runs   []runJSON `json:"runs"`
		}{true, runs})
	}
	for i, r := range runs {
		if i > 0 {
			if err := s.write("\n"); err != nil {
				return err
			}
		}
		if err := s.printPreview(r); err != nil {
			return err
		}
	}
	s.say("dry run: nothing was stored and nothing was sent")
	return nil
}

func (s *session) printPreview(r runJSON) error {
	var out strings.Builder
	fmt.Fprintf(&out, "%s  %s\n", s.bold(r.Alert), s.paint(string(r.Status)))
	if r.Error != nil {
		fmt.Fprintf(&out, "error: %s\n", printable(*r.Error))
	}
	for _, reason := range r.Reasons {
		fmt.Fprintf(&out, "%-16s  %s\n", reason.Code, printable(s.file.Secrets.Clean(reason.Text)))
	}
	if r.Usage != nil {
		fmt.Fprintf(&out, "usage: %s\n", r.Usage)
	}
	if err := s.write(out.String()); err != nil || r.Preview == nil {
		return err
	}
	if err := s.printRows(r.Preview); err != nil {
		return err
	}
	if len(r.Preview.Messages) == 0 {
		return s.write("\nno message would be sent\n")
	}
	for _, m := range r.Preview.Messages {
		if err := s.write("\nwould send " + s.renderedText(m)); err != nil {
			return err
		}
	}
	return nil
}

// printRows prints the first rows of a result.
func (s *session) printRows(p *previewJSON) error {
	if len(p.Columns) == 0 {
		return nil
	}
	g := grid{header: make([]string, len(p.Columns)), status: -1, whole: true}
	for i, c := range p.Columns {
		g.header[i] = printable(shorten(c, previewCell))
	}
	for _, row := range p.Rows {
		cells := make([]string, len(row))
		for i, v := range row {
			cells[i] = shorten(v.String(), previewCell)
		}
		g.add(cells...)
	}
	if err := s.write("\n"); err != nil {
		return err
	}
	if err := s.printGrid(g); err != nil {
		return err
	}
	if more := p.RowCount - len(p.Rows); more > 0 {
		return s.print("… and %s", plural(more, "more row"))
	}
	if p.RowCount == 0 {
		return s.print("(no row)")
	}
	return nil
}

// previewCell is how many characters of a value a dry run prints.
const previewCell = 200
