package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

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

// deadOnes finds what is to be redriven. One that is named and not dead is an error, and
// nothing is redriven then.
func (s *session) deadOnes(ctx context.Context, outbox sentinel.Outbox, ids []string) ([]alert.Delivery, error) {
	if len(ids) == 0 {
		return outbox.Deliveries(ctx, sentinel.DeliveryFilter{Scope: s.file.Scope, Statuses: []alert.DeliveryStatus{alert.Dead}, Limit: searched})
	}
	var out []alert.Delivery
	for _, id := range ids {
		d, err := s.findDelivery(ctx, outbox, id)
		if err != nil {
			return nil, err
		}
		if d.Status != alert.Dead {
			return nil, &failure{exitFailed, fmt.Errorf("%s is %s, not dead; only a dead delivery can be redriven", d.ID, d.Status)}
		}
		out = append(out, d)
	}
	return out, nil
}
