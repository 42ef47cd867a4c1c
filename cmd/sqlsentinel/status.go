package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

func (a *app) statusCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "status [CONFIG]",
		Short: "Show where every alert stands",
		Long: `Shows where every alert stands: OK, PENDING (not ALERT for long enough), ALERT, RECOVERING,
ERROR, NO_DATA, OVERDUE (a run is missing), NEVER_RUN or DISABLED. Open episodes, silences
and undelivered messages are shown beside it. It changes nothing.`,
		Example: `  sqlsentinel status
  sqlsentinel status --alert 'Daily *'
  sqlsentinel status --json | jq '.alerts[] | select(.status != "OK")'`,
		Args: configOnly(),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := a.loadStored(c.Context(), first(args))
			if err != nil {
				return err
			}
			return s.status(c.Context())
		},
	}
	a.addState(c)
	a.addJSON(c)
	a.addAlerts(c, "show only this alert")
	return c
}

func (s *session) status(ctx context.Context) error {
	chosen, err := s.chosen()
	if err != nil {
		return err
	}
	known, err := s.knowledge(ctx)
	if err != nil {
		return err
	}
	all := make([]standing, 0, len(chosen))
	var schedules alert.Schedules
	for _, x := range chosen {
		standing, err := s.standing(x, known, &schedules)
		if err != nil {
			return err
		}
		all = append(all, standing)
	}
	if s.flags.json {
		return s.printJSON(struct {
			Alerts  []standing   `json:"alerts"`
			Outages []outageJSON `json:"outages"`
		}{all, known.outages})
	}
	return s.printStatus(all, known.outages)
}

// knowledge is what the state says about the whole file.
type knowledge struct {
	states      map[string]alert.State
	definitions map[string]sentinel.Definition
	counts      map[string]sentinel.DeliveryCounts
	outages     []outageJSON
}

// outageJSON is something that alerts share and that is out: a database or a target.
type outageJSON struct {
	Subject string    `json:"subject"`
	Since   time.Time `json:"since"`
	Cause   string    `json:"cause"`
}

func (s *session) knowledge(ctx context.Context) (k knowledge, err error) {
	store, err := s.readState(ctx)
	if err != nil {
		return k, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if k.states, err = store.States(ctx, s.file.Scope); err != nil {
		return k, err
	}
	if k.definitions, err = store.Definitions(ctx, s.file.Scope); err != nil {
		return k, err
	}
	if k.counts, err = store.Counts(ctx, s.file.Scope); err != nil {
		return k, err
	}
	outages, err := store.Outages(ctx, s.file.Scope)
	k.outages = []outageJSON{}
	for _, o := range outages {
		if name, here := s.subject(o); here {
			k.outages = append(k.outages, outageJSON{name, o.Episode.Opened, s.file.Secrets.Clean(o.Cause)})
		}
	}
	return k, err
}

// subject names an outage for people: a target by its label. A target that left the file is
// not here any more: nobody waits for its end.
func (s *session) subject(o alert.Outage) (name string, here bool) {
	for _, t := range s.targets(s.file.Alerts) {
		if alert.TargetSubject(t.ID) == o.Subject {
			return "target " + t.Label, true
		}
	}
	return o.Subject, !strings.HasPrefix(o.Subject, alert.TargetSubject(""))
}

// printStatus prints a table, then what is out.
func (s *session) printStatus(all []standing, outages []outageJSON) error {
	g := grid{header: []string{"ALERT", "STATUS", "SINCE", "EPISODE", "SILENCED", "LAST RUN", "NEXT RUN", "MESSAGES", "NOTE"}, status: 1}
	for _, x := range all {
		g.add(x.Name, string(x.Status), x.at(x.Since), x.episodeText(), x.silenceText(), x.lastText(), x.at(x.NextRun), x.messagesText(), x.note())
	}
	if len(g.rows) > 0 {
		if err := s.printGrid(g); err != nil {
			return err
		}
	}
	for _, o := range outages {
		if err := s.print("%s is out since %s: %s", printable(o.Subject), clock(o.Since, time.UTC), printable(o.Cause)); err != nil {
			return err
		}
	}
	return nil
}

func (x *standing) at(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.In(x.zone).Format("2006-01-02 15:04 MST")
}

func (x *standing) episodeText() string {
	var parts []string
	switch {
	case x.Episode != nil && x.keyed:
		parts = append(parts, fmt.Sprintf("%d firing since %s", x.Firing, x.at(&x.Episode.Opened)))
	case x.Episode != nil:
		parts = append(parts, "since "+x.at(&x.Episode.Opened))
	}
	if x.ErrorEpisode != nil {
		parts = append(parts, "error since "+x.at(&x.ErrorEpisode.Opened))
	}
	return strings.Join(parts, ", ")
}

func (x *standing) silenceText() string {
	var parts []string
	for _, silence := range x.Silences {
		text := "until " + x.at(&silence.Until)
		if len(silence.Instance) > 0 {
			text = silence.Instance.String() + " " + text
		}
		parts = append(parts, text)
	}
	if len(parts) > 3 {
		parts = append(parts[:3], fmt.Sprintf("and %d more", len(parts)-3))
	}
	return strings.Join(parts, ", ")
}

func (x *standing) lastText() string {
	if x.LastRun == nil {
		return ""
	}
	return x.at(&x.LastRun.ScheduledTime)
}

func (x *standing) messagesText() string {
	return countsText(map[alert.DeliveryStatus]int{alert.Pending: x.PendingDeliveries, alert.Dead: x.DeadDeliveries})
}

// note is what is wrong, in one line.
func (x *standing) note() string {
	var parts []string
	if x.Error != nil {
		parts = append(parts, *x.Error)
	}
	if x.Overdue {
		parts = append(parts, "no run for the tick of "+x.at(x.tick))
	}
	if x.BadClock {
		parts = append(parts, "bad clock: the run before the last one is dated in the future")
	}
	if x.MissedRuns+x.SkippedRuns > 0 {
		parts = append(parts, fmt.Sprintf("so far %d ticks missed, %d skipped", x.MissedRuns, x.SkippedRuns))
	}
	return strings.Join(parts, "; ")
}
