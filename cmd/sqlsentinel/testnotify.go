package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/notify"
)

type testFlags struct {
	event string
	dry   bool
}

func (a *app) testNotifyCommand() *cobra.Command {
	var flags testFlags
	c := &cobra.Command{
		Use:   "test-notify [CONFIG]",
		Short: "Send a test message to every target",
		Long: `Sends a message that is marked as a test to every distinct target of the file, or of the alerts
that --alert names. With --event the message is what the alert would send on that event, with the
values of its last run; its reason says that it is a test. Nothing is stored. One attempt is made.`,
		Example: `  sqlsentinel test-notify
  sqlsentinel test-notify --alert "Daily revenue" --event recovery
  sqlsentinel test-notify --alert "Daily revenue" --event alert --dry-run`,
		Args: configOnly(),
		RunE: func(c *cobra.Command, args []string) error {
			event, err := a.testEvent(flags)
			if err != nil {
				return err
			}
			s, err := a.loadFile(first(args))
			if err != nil {
				return err
			}
			return s.testNotify(c.Context(), event, flags)
		},
	}
	a.addState(c)
	a.addJSON(c)
	a.addAlerts(c, "send to the targets of this alert")
	c.Flags().StringVar(&flags.event, "event", "test", "what the message tells: "+strings.Join(eventNames(), ", "))
	_ = c.RegisterFlagCompletionFunc("event", cobra.FixedCompletions(eventNames(), cobra.ShellCompDirectiveNoFileComp))
	c.Flags().BoolVar(&flags.dry, "dry-run", false, "print the messages, send nothing")
	return c
}

func eventNames() []string {
	out := make([]string, len(alert.Events))
	for i, e := range alert.Events {
		out[i] = string(e)
	}
	return out
}

func (a *app) testEvent(flags testFlags) (alert.Event, error) {
	event := alert.Event(strings.ToLower(flags.event))
	if !slices.Contains(alert.Events, event) {
		return "", unknown("event", flags.event, eventNames())
	}
	if event != alert.EventTest && len(a.flags.alerts) == 0 {
		return "", usagef("--event %s needs an alert to tell of; name it with --alert", event)
	}
	return event, nil
}

func (s *session) testNotify(ctx context.Context, event alert.Event, flags testFlags) error {
	deliveries, err := s.testDeliveries(ctx, event)
	if err != nil {
		return err
	}
	if len(deliveries) == 0 {
		s.say("nobody is to be told: no target hears %s", event)
		if !s.flags.json {
			return nil
		}
	}
	senders, err := s.openSenders()
	if err != nil {
		return err
	}
	if flags.dry {
		return s.renderTests(ctx, senders, deliveries)
	}
	checks := make([]check, len(deliveries))
	for i, d := range deliveries {
		checks[i] = check{Kind: d.Target.Channel, Name: d.Target.Label, act: func(ctx context.Context) error { return senders.Send(ctx, d) }}
	}
	checks = s.perform(ctx, checks)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.flags.json {
		err = s.printJSON(struct {
			Targets []check `json:"targets"`
		}{checks})
	} else {
		err = s.printChecks(checks)
	}
	if err != nil {
		return err
	}
	return exit(verdictOf(checks))
}

// testDeliveries are the messages to send: one a target, or one an alert and target.
func (s *session) testDeliveries(ctx context.Context, event alert.Event) ([]alert.Delivery, error) {
	chosen, err := s.chosen()
	if err != nil {
		return nil, err
	}
	var out []alert.Delivery
	if event == alert.EventTest {
		for _, t := range s.targets(chosen) {
			out = append(out, s.testDelivery(alert.Alert{Scope: s.file.Scope, Name: "SQL Sentinel test", Severity: alert.Info}, alert.State{}, t, event))
		}
		return out, nil
	}
	known, err := s.knowledge(ctx)
	if err != nil {
		return nil, err
	}
	for _, x := range chosen {
		for _, t := range hearers(x, event) {
			out = append(out, s.testDelivery(x, known.states[x.Name], t, event))
		}
	}
	return out, nil
}

// hearers are the targets that an alert tells of an event.
func hearers(x alert.Alert, event alert.Event) []alert.Target {
	targets := x.Notify
	switch event {
	case alert.EventError, alert.EventErrorRecovery:
		targets = x.OnError.Notify
	case alert.EventEscalation:
		targets = nil
		for _, step := range x.Escalate {
			targets = append(targets, step.Notify...)
		}
	}
	var out []alert.Target
	for _, t := range targets {
		if t.Hears(event) {
			out = append(out, t)
		}
	}
	return out
}

// testDelivery is a message as it would look, never stored.
func (s *session) testDelivery(x alert.Alert, state alert.State, t alert.Target, event alert.Event) alert.Delivery {
	now := s.now().UTC()
	id := "test_" + alert.Digest(x.Name+"\x00"+t.ID+"\x00"+string(event)+now.String())
	m := alert.Message{
		EventID: id, EpisodeID: "test_" + alert.Digest(x.Name), Event: event, AlertName: x.Name, Description: x.Description,
		Severity: x.Severity, Labels: x.Labels, RunbookURL: x.RunbookURL, Status: testStatus(event),
		Reason: fmt.Sprintf("This is a test of how %s looks; nothing happened", withArticle(event)), Context: alert.Fields{}, Instance: alert.Fields{}, Instances: []alert.InstanceNews{},
		Timestamp: now, RunID: alert.RunID(x.ID(), now),
	}
	if m.Labels == nil {
		m.Labels = map[string]string{}
	}
	if event == alert.EventTest {
		m.Reason, m.Description = "This is a test message; nothing happened", "If you can read this, messages to "+t.Label+" arrive."
	}
	if last := state.Last; last != nil {
		m.ActualValue, m.Threshold = last.Actual, last.Threshold
		m.Context = append(m.Context, last.Context...)
		m.Instances = append(m.Instances, last.Instances...)
		m.Firing = last.Firing
	}
	if event == alert.EventRecovery {
		m.Firing = 0
		for i := range m.Instances {
			m.Instances[i].Status, m.Instances[i].Change = alert.StatusOK, "recovered"
		}
	}
	return alert.Delivery{ID: id, Scope: s.file.Scope, Alert: x.Name, Target: t, Message: m, CreatedAt: now, Status: alert.Pending, Try: 1, DueAt: now}
}

func withArticle(event alert.Event) string {
	name := strings.ReplaceAll(string(event), "_", " ")
	if strings.ContainsRune("aeiou", rune(name[0])) {
		return "an " + name
	}
	return "a " + name
}

func testStatus(event alert.Event) alert.Status {
	switch event {
	case alert.EventAlert, alert.EventReminder, alert.EventEscalation:
		return alert.StatusAlert
	case alert.EventError:
		return alert.StatusError
	}
	return alert.StatusOK
}

// renderTests prints messages as they would be sent.
func (s *session) renderTests(ctx context.Context, senders *notify.Senders, deliveries []alert.Delivery) error {
	out := []renderedJSON{}
	failed := 0
	for _, d := range deliveries {
		r := s.render(ctx, senders, d)
		if r.Error != nil {
			failed = exitFailed
		}
		out = append(out, r)
	}
	if s.flags.json {
		if err := s.printJSON(struct {
			Messages []renderedJSON `json:"messages"`
		}{out}); err != nil {
			return err
		}
		return exit(failed)
	}
	var text strings.Builder
	for _, r := range out {
		text.WriteString(s.renderedText(r) + "\n")
	}
	return errors.Join(s.write(text.String()), exit(failed))
}
