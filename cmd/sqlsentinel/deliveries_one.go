package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

func (a *app) deliveriesShowCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "show [CONFIG] ID",
		Short:   "Show one message and what happened to it",
		Example: "  sqlsentinel deliveries show dlv_7q2f",
		Args:    between(1, 2, "ID, after CONFIG if it is not the default,"),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := a.loadStored(c.Context(), first(args[:len(args)-1]))
			if err != nil {
				return err
			}
			return s.showDelivery(c.Context(), args[len(args)-1])
		},
	}
	a.addState(c)
	a.addJSON(c)
	return c
}

func (s *session) showDelivery(ctx context.Context, id string) (err error) {
	store, err := s.readState(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	d, err := s.findDelivery(ctx, store, id)
	if err != nil {
		return err
	}
	if s.flags.json {
		full := s.deliveryOf(d)
		full.Message = &d.Message
		return s.printJSON(struct {
			Delivery deliveryJSON `json:"delivery"`
		}{full})
	}
	message, err := json.MarshalIndent(d.Message, "  ", "  ")
	if err != nil {
		return fmt.Errorf("write the message: %w", err)
	}
	zone := s.zones()(d.Alert)
	var out strings.Builder
	fmt.Fprintf(&out, "%s  %s  %s\n", s.bold(d.ID), s.paint(string(d.Status)), printable(s.about(d)))
	fmt.Fprintf(&out, "%s\n", printable(s.file.Secrets.Clean(s.fate(d, zone))))
	fmt.Fprintf(&out, "decided %s by %s, try %d\n", clock(d.CreatedAt, zone), d.Message.RunID, d.Try)
	for _, before := range d.After {
		fmt.Fprintf(&out, "after %s\n", before)
	}
	fmt.Fprintf(&out, "\n%s\n  %s\n", s.bold("Message"), printableLines(string(message)))
	return s.write(out.String())
}

// findDelivery finds a delivery by its id or the beginning of it.
func (s *session) findDelivery(ctx context.Context, outbox sentinel.Outbox, id string) (alert.Delivery, error) {
	d, err := outbox.Delivery(ctx, id)
	if err == nil && d.Scope == s.file.Scope {
		return d, nil
	}
	if err != nil && !errors.Is(err, sentinel.ErrNotFound) {
		return d, err
	}
	all, err := outbox.Deliveries(ctx, sentinel.DeliveryFilter{Scope: s.file.Scope, Limit: searched})
	if err != nil {
		return d, err
	}
	var found []alert.Delivery
	for _, x := range all {
		if id != "" && (strings.HasPrefix(x.ID, id) || strings.HasPrefix(x.ID, "dlv_"+id)) {
			found = append(found, x)
		}
	}
	switch len(found) {
	case 0:
		return d, usagef("there is no delivery %q; see `sqlsentinel deliveries list`", id)
	case 1:
		return found[0], nil
	}
	return d, usagef("%q begins the ids of %d deliveries; give more of it", id, len(found))
}

func (a *app) redriveCommand() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "redrive [CONFIG] ID...",
		Short: "Make dead messages due again",
		Long: `Makes dead messages due again, with all their attempts before them. A daemon sends them at once; without one, the next run does.
If the first argument is not the id of a delivery, it is CONFIG.`,
		Example: `  sqlsentinel deliveries redrive dlv_7q2f && sqlsentinel run
  sqlsentinel deliveries redrive --all-dead`,
		RunE: func(c *cobra.Command, args []string) error {
			path, ids := splitConfig(args)
			if all == (len(ids) > 0) {
				return usagef("name the deliveries to redrive, or give --all-dead; see %s --help", c.CommandPath())
			}
			s, err := a.loadStored(c.Context(), path)
			if err != nil {
				return err
			}
			return s.redrive(c.Context(), ids)
		},
	}
	a.addState(c)
	a.addJSON(c)
	c.Flags().BoolVar(&all, "all-dead", false, "redrive every dead message of the file")
	return c
}

// splitConfig takes the alert file off the front of arguments that are ids.
func splitConfig(args []string) (path string, ids []string) {
	if len(args) > 0 && !strings.HasPrefix(args[0], "dlv_") {
		return args[0], args[1:]
	}
	return "", args
}

// redrive opens deliveries again; no ids are all dead ones.
func (s *session) redrive(ctx context.Context, ids []string) (err error) {
	store, err := s.openState(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	dead, err := s.deadOnes(ctx, store, ids)
	if err != nil {
		return err
	}
	if dead, err = s.overtaken(ctx, store, dead, len(ids) > 0); err != nil {
		return err
	}
	out := make([]deliveryJSON, 0, len(dead))
	for _, d := range dead {
		ref, err := store.Redrive(ctx, d.ID, s.now())
		if errors.Is(err, sentinel.ErrNotFound) {
			s.say("%s is not dead any more", d.ID)
			continue
		}
		if err != nil {
			return err
		}
		if err := s.requeue(ctx, store, d, ref); err != nil {
			return err
		}
		d.Try, d.Status, d.Attempts, d.Crashes = ref.Try, alert.Pending, 0, 0
		out = append(out, s.deliveryOf(d))
	}
	if s.flags.json {
		return s.printJSON(struct {
			Redriven []deliveryJSON `json:"redriven"`
		}{out})
	}
	for _, d := range out {
		if err := s.print("%s  %s message of %q to %s is due again", d.ID, d.Event, d.Alert, d.Target); err != nil {
			return err
		}
	}
	if len(out) == 0 {
		s.say("no delivery is dead")
		return nil
	}
	if s.stack == nil {
		s.say("a daemon sends them now; without one, `sqlsentinel run` does")
	}
	return nil
}

// overtaken leaves out what must not come any more: a message whose target has taken a later
// one of the same episode would be the last word, and a wrong one. What was named is sent all
// the same, and it is said.
func (s *session) overtaken(ctx context.Context, outbox sentinel.Outbox, dead []alert.Delivery, named bool) ([]alert.Delivery, error) {
	type line struct{ alert, target, episode string }
	of := func(d alert.Delivery) line { return line{d.Alert, d.Target.ID, d.Message.EpisodeID} }
	sent, err := outbox.Deliveries(ctx, sentinel.DeliveryFilter{Scope: s.file.Scope, Statuses: []alert.DeliveryStatus{alert.Sent}, Limit: searched})
	if err != nil {
		return nil, err
	}
	last := map[line]time.Time{}
	for _, d := range sent {
		if at := last[of(d)]; d.CreatedAt.After(at) {
			last[of(d)] = d.CreatedAt
		}
	}
	return slices.DeleteFunc(dead, func(d alert.Delivery) bool {
		if !last[of(d)].After(d.CreatedAt) {
			return false
		}
		text := fmt.Sprintf("%s: the %s message of %q comes after a later one of the same episode, which %s has taken", d.ID, d.Message.Event, d.Alert, d.Target.Label)
		if named {
			s.say("warning: %s", printable(text))
			return false
		}
		s.say("%s; it is left out: drop it, or name it to send it all the same", printable(text))
		return true
	}), nil
}

func (a *app) dropCommand() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "drop [CONFIG] ID...",
		Short: "Give dead messages up for good",
		Long: `Settles dead messages as superseded: they will never be sent, and nobody is reminded of them any more.
It is for those whose target is gone, or whose news is old. If the first argument is not the id of a delivery, it is CONFIG.`,
		Example: `  sqlsentinel deliveries drop dlv_7q2f
  sqlsentinel deliveries drop --all-dead`,
		RunE: func(c *cobra.Command, args []string) error {
			path, ids := splitConfig(args)
			if all == (len(ids) > 0) {
				return usagef("name the deliveries to drop, or give --all-dead; see %s --help", c.CommandPath())
			}
			s, err := a.loadStored(c.Context(), path)
			if err != nil {
				return err
			}
			return s.drop(c.Context(), ids)
		},
	}
	a.addState(c)
	a.addJSON(c)
	c.Flags().BoolVar(&all, "all-dead", false, "drop every dead message of the file")
	return c
}

// drop opens dead deliveries and supersedes them before anybody sends them; one that somebody
// was quicker to claim is sent once more, and said.
func (s *session) drop(ctx context.Context, ids []string) (err error) {
	store, err := s.openState(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	dead, err := s.deadOnes(ctx, store, ids)
	if err != nil {
		return err
	}
	out := make([]deliveryJSON, 0, len(dead))
	for _, d := range dead {
		_, err := store.Redrive(ctx, d.ID, s.now())
		if errors.Is(err, sentinel.ErrNotFound) {
			s.say("%s is not dead any more", d.ID)
			continue
		}
		if err != nil {
			return err
		}
		done, err := store.Supersede(ctx, d.ID, s.now())
		if err != nil {
			return err
		}
		if !done {
			s.say("%s is being sent", d.ID)
			continue
		}
		s.takeLetter(ctx, d)
		d.Status = alert.Superseded
		out = append(out, s.deliveryOf(d))
	}
	if s.flags.json {
		return s.printJSON(struct {
			Dropped []deliveryJSON `json:"dropped"`
		}{out})
	}
	for _, d := range out {
		if err := s.print("%s  %s message of %q to %s is dropped", d.ID, d.Event, d.Alert, d.Target); err != nil {
			return err
		}
	}
	if len(dead) == 0 {
		s.say("no delivery is dead")
	}
	return nil
}

// deadOnes finds what is to be redriven or dropped. One that is named and not dead is an error, and
// nothing is done then.
func (s *session) deadOnes(ctx context.Context, outbox sentinel.Outbox, ids []string) ([]alert.Delivery, error) {
	if len(ids) == 0 {
		dead, err := outbox.Deliveries(ctx, sentinel.DeliveryFilter{Scope: s.file.Scope, Statuses: []alert.DeliveryStatus{alert.Dead}, Limit: searched})
		slices.Reverse(dead) // in the order in which they were decided
		return dead, err
	}
	var out []alert.Delivery
	for _, id := range ids {
		d, err := s.findDelivery(ctx, outbox, id)
		if err != nil {
			return nil, err
		}
		if d.Status != alert.Dead {
			return nil, &failure{exitFailed, fmt.Errorf("%s is %s, not dead; only a dead delivery can be redriven or dropped", d.ID, d.Status)}
		}
		out = append(out, d)
	}
	return out, nil
}
