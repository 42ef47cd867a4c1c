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

func (a *app) deliveriesCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "deliveries",
		Short: "List messages, show one, send dead ones again or drop them",
		Args:  oneOf("list", "show", "redrive", "drop"),
		RunE:  showHelp,
		Example: `  sqlsentinel deliveries list --status dead
  sqlsentinel deliveries show dlv_7q2f
  sqlsentinel deliveries redrive --all-dead && sqlsentinel run`,
	}
	c.AddCommand(a.deliveriesListCommand(), a.deliveriesShowCommand(), a.redriveCommand(), a.dropCommand())
	return c
}

type deliveriesFlags struct {
	channel, since string
	statuses       []string
	limit          int
}

func (a *app) deliveriesListCommand() *cobra.Command {
	var flags deliveriesFlags
	c := &cobra.Command{
		Use:     "list [CONFIG]",
		Short:   "List messages, the newest first",
		Example: "  sqlsentinel deliveries list --alert 'Daily *' --status dead --status pending",
		Args:    configOnly(),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := a.loadStored(c.Context(), first(args))
			if err != nil {
				return err
			}
			return s.listDeliveries(c.Context(), flags)
		},
	}
	a.addState(c)
	a.addJSON(c)
	a.addAlerts(c, "list only messages of this alert")
	a.addChannel(c, &flags.channel, "list only messages over this channel")
	c.Flags().StringSliceVar(&flags.statuses, "status", nil, "list only these: pending, sending, sent, dead, superseded; repeats")
	_ = c.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(deliveryStatuses(), cobra.ShellCompDirectiveNoFileComp))
	c.Flags().StringVar(&flags.since, "since", "", "list only messages since then: 24h, 7d, 2026-11-01, or RFC 3339")
	c.Flags().IntVar(&flags.limit, "limit", 50, "list at most this many messages")
	return c
}

func deliveryStatuses() []string { return []string{"pending", "sending", "sent", "dead", "superseded"} }

func (s *session) listDeliveries(ctx context.Context, flags deliveriesFlags) (err error) {
	filter := sentinel.DeliveryFilter{Scope: s.file.Scope, Channel: flags.channel, Limit: flags.limit + 1}
	if filter.Since, err = s.since(flags.since); err != nil {
		return err
	}
	if err := checkLimit(flags.limit); err != nil {
		return err
	}
	if err := s.checkChannel(flags.channel); err != nil {
		return err
	}
	for _, text := range flags.statuses {
		status, err := deliveryStatus(text)
		if err != nil {
			return err
		}
		filter.Statuses = append(filter.Statuses, status)
	}
	store, err := s.readState(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if filter.Alerts, err = s.pastNames(ctx, store); err != nil {
		return err
	}
	found, err := store.Deliveries(ctx, filter)
	if err != nil {
		return err
	}
	found, more := newest(found, flags.limit)
	if err := s.printDeliveries(found); err != nil {
		return err
	}
	if more {
		s.say("older messages are left out; --limit lists more")
	}
	return nil
}

func deliveryStatus(text string) (alert.DeliveryStatus, error) {
	for _, known := range deliveryStatuses() {
		if strings.EqualFold(text, known) {
			return alert.DeliveryStatus(known), nil
		}
	}
	return "", unknown("delivery status", text, deliveryStatuses())
}

func (s *session) printDeliveries(found []alert.Delivery) error {
	if s.flags.json {
		out := make([]deliveryJSON, len(found))
		for i, d := range found {
			out[i] = s.deliveryOf(d)
		}
		return s.printJSON(struct {
			Deliveries []deliveryJSON `json:"deliveries"`
		}{out})
	}
	if len(found) == 0 {
		s.say("no deliveries")
		return nil
	}
	zones := s.zones()
	g := grid{header: []string{"ID", "CREATED", "ALERT", "EVENT", "TARGET", "STATUS", "FAILED", "NEXT", "LAST ERROR"}, status: 5}
	for _, d := range found {
		next, failed := "", ""
		if d.Status == alert.Pending {
			next = clock(d.DueAt, zones(d.Alert))
		}
		if d.Attempts > 0 {
			failed = fmt.Sprint(d.Attempts)
		}
		g.add(d.ID, clock(d.CreatedAt, zones(d.Alert)), s.about(d), string(d.Message.Event), d.Target.Label, string(d.Status), failed, next, s.file.Secrets.Clean(d.LastError))
	}
	return s.printGrid(g)
}

// about is what a delivery is about: its alert, or the name of what is out.
func (s *session) about(d alert.Delivery) string {
	if d.Message.AlertName != "" {
		return d.Message.AlertName
	}
	return d.Alert
}

// deliveryJSON is a delivery in JSON. It has no settings: they may hold a secret.
type deliveryJSON struct {
	ID        string               `json:"id"`
	Alert     string               `json:"alert"`
	Event     alert.Event          `json:"event"`
	Channel   string               `json:"channel"`
	Target    string               `json:"target"`
	Status    alert.DeliveryStatus `json:"status"`
	RunID     string               `json:"run_id"`
	EpisodeID string               `json:"episode_id"`
	Created   time.Time            `json:"created_at"`
	Due       *time.Time           `json:"due_at"`
	Settled   *time.Time           `json:"settled_at"`
	Try       int                  `json:"try"`
	Attempts  int                  `json:"attempts"`
	Crashes   int                  `json:"crashes"`
	LastError *string              `json:"last_error"`
	After     []string             `json:"after"`
	Message   *alert.Message       `json:"message,omitempty"`
}

func (s *session) deliveryOf(d alert.Delivery) deliveryJSON {
	out := deliveryJSON{
		ID: d.ID, Alert: d.Alert, Event: d.Message.Event, Channel: d.Target.Channel, Target: d.Target.Label, Status: d.Status,
		RunID: d.Message.RunID, EpisodeID: d.Message.EpisodeID, Created: d.CreatedAt, Settled: when(d.SettledAt),
		Try: d.Try, Attempts: d.Attempts, Crashes: d.Crashes, LastError: optional(s.file.Secrets.Clean(d.LastError)), After: list(d.After),
	}
	if !d.Status.Settled() {
		out.Due = when(d.DueAt)
	}
	return out
}

// fate tells in words what happened to a delivery.
func (s *session) fate(d alert.Delivery, zone *time.Location) string {
	text := fmt.Sprintf("%s to %s (%s): %s", d.Message.Event, d.Target.Label, d.Target.Channel, d.Status)
	if !d.SettledAt.IsZero() {
		text += " " + clock(d.SettledAt, zone)
	}
	if d.Attempts > 0 {
		text += fmt.Sprintf(", after %s", plural(d.Attempts, "failed attempt"))
	}
	if d.Status == alert.Pending {
		text += ", next attempt " + clock(d.DueAt, zone)
	}
	if d.LastError != "" {
		text += ": " + d.LastError
	}
	return text
}
