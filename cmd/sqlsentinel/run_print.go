package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// printRun prints the results, and on stderr what could not be recorded or delivered.
func (s *session) printRun(ctx context.Context, outbox sentinel.Outbox, outcomes []outcome, posts *posts, started time.Time) error {
	if err := posts.complete(context.WithoutCancel(ctx), outbox, outcomes); err != nil {
		return err
	}
	if s.flags.json {
		return s.printJSON(s.runsJSON(outcomes, posts))
	}
	results := grid{header: []string{"ALERT", "STATUS", "ACTUAL", "THRESHOLD", "MESSAGES", "REASON"}, status: 1}
	for _, o := range outcomes {
		r := o.record
		switch {
		case o.err != nil && o.done:
			results.add(r.Alert, string(r.Status), "", "", "", s.file.Secrets.Clean(o.err.Error()))
		case o.done:
			results.add(r.Alert, string(r.Status), shown(r.Actual), shown(r.Threshold), posts.summary(r.Deliveries), s.why(r))
		}
	}
	if len(results.rows) > 0 {
		if err := s.printGrid(results); err != nil {
			return err
		}
	}
	if err := s.print("%s", s.total(outcomes, posts, started)); err != nil {
		return err
	}
	s.sayUndelivered(posts)
	return nil
}

// runsJSON is the object of `run`.
func (s *session) runsJSON(outcomes []outcome, posts *posts) any {
	runs := make([]runJSON, 0, len(outcomes))
	for _, o := range outcomes {
		if !o.done {
			continue
		}
		if o.err != nil {
			o.record.Error = o.err.Error()
		}
		runs = append(runs, s.runOf(o.record, posts.status))
	}
	return struct {
		Runs []runJSON `json:"runs"`
	}{runs}
}

// total is the last line: "3 alerts: 1 ALERT, 2 OK; 2 messages sent; 0.12 s".
func (s *session) total(outcomes []outcome, posts *posts, started time.Time) string {
	counts, done := map[alert.Status]int{}, 0
	for _, o := range outcomes {
		if o.done {
			counts[o.record.Status]++
			done++
		}
	}
	var parts []string
	for _, status := range []alert.Status{alert.StatusError, alert.StatusAlert, alert.StatusNoData, alert.StatusOK, alert.StatusSkipped} {
		if counts[status] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[status], status))
		}
	}
	text := plural(done, "alert")
	if done == 0 {
		text = "no alert evaluated"
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	if n := len(posts.byID); n > 0 {
		messages := map[alert.DeliveryStatus]int{}
		for _, x := range posts.byID {
			messages[x.status]++
		}
		text += "; messages: " + countsText(messages)
	}
	return fmt.Sprintf("%s; %.2f s", text, s.now().Sub(started).Seconds())
}

// sayUndelivered tells which messages were not sent, and what becomes of them.
func (s *session) sayUndelivered(posts *posts) {
	for _, x := range posts.undelivered() {
		text := fmt.Sprintf("%s message of %q to %s is %s", x.event, x.alert, x.target, x.status)
		if x.err != "" {
			text += ": " + x.err
		}
		switch x.status {
		case alert.Dead:
			text += "; see `sqlsentinel deliveries show " + x.id + "`"
		case alert.Pending:
			text += "; next attempt " + clock(x.due, time.UTC)
		}
		s.say("%s", printable(text))
	}
}

// clock is a time as people read it, in a zone.
func clock(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return ""
	}
	return t.In(zone).Format("2006-01-02 15:04:05 MST")
}
