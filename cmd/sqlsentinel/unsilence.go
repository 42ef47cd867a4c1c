package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

func (a *app) unsilenceCommand() *cobra.Command {
	var instance []string
	c := &cobra.Command{
		Use:   "unsilence [CONFIG] --alert NAME",
		Short: "End the silences of an alert",
		Long: `Ends the silences of an alert, or the one of an instance. What is open and was held back is told
within a minute where a daemon runs or on AWS, else by the next run.`,
		Example: `  sqlsentinel unsilence --alert "Daily revenue"
  sqlsentinel unsilence --alert "Failed payments" --instance region=EU`,
		Args: configOnly(),
		RunE: func(c *cobra.Command, args []string) error {
			if len(a.flags.alerts) == 0 {
				return usagef("name the alert to unsilence with --alert")
			}
			s, err := a.loadStored(c.Context(), first(args))
			if err != nil {
				return err
			}
			return s.unsilence(c.Context(), instance)
		},
	}
	a.addState(c)
	a.addJSON(c)
	a.addAlerts(c, "end the silences of this alert")
	a.addInstance(c, &instance)
	return c
}

// unsilencedJSON says how many silences of an alert ended.
type unsilencedJSON struct {
	Alert string `json:"alert"`
	Ended int    `json:"ended"`
}

func (s *session) unsilence(ctx context.Context, instance []string) (err error) {
	chosen, err := s.chosen()
	if err != nil {
		return err
	}
	for _, x := range chosen {
		if len(instance) == 0 {
			break
		}
		if _, err := parseInstance(x, instance); err != nil {
			return err
		}
	}
	store, err := s.openState(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	steps, err := s.bookkeeper(store)
	if err != nil {
		return err
	}
	out := []unsilencedJSON{}
	for _, x := range chosen {
		ended, err := s.unsilenceOne(ctx, steps, store, x, instance)
		if err != nil {
			return err
		}
		out = append(out, unsilencedJSON{x.Name, ended})
		if err := s.sayUnsilenced(x.Name, ended); err != nil {
			return err
		}
	}
	if s.flags.json {
		return s.printJSON(struct {
			Unsilenced []unsilencedJSON `json:"unsilenced"`
		}{out})
	}
	return nil
}

func (s *session) sayUnsilenced(name string, ended int) error {
	switch {
	case s.flags.json:
		return nil
	case ended == 0:
		return s.print("%q was not silenced", name)
	}
	when := "within a minute by a daemon, else by the next run"
	if s.stack != nil {
		when = "within a minute"
	}
	return s.print("%q: %s ended; what was held back and is still open is told %s", name, plural(ended, "silence"), when)
}

// unsilenceOne ends the silences of one alert; all readings of an instance count as one.
func (s *session) unsilenceOne(ctx context.Context, steps *sentinel.Sentinel, store keeper, x alert.Alert, instance []string) (int, error) {
	snapshot, err := store.Load(ctx, x.ID())
	if errors.Is(err, sentinel.ErrNotFound) {
		return 0, nil // no run and no silence has stored it
	}
	if err != nil {
		return 0, err
	}
	if len(instance) == 0 {
		before := len(s.silencesOf(snapshot.State))
		_, err := steps.Unsilence(ctx, x.ID(), nil)
		return before, err
	}
	texts, err := parseInstance(x, instance)
	if err != nil {
		return 0, err
	}
	ended := 0
	for _, silence := range snapshot.State.Silences {
		if silence.Instance == nil || !sameInstance(silence.Label, texts) {
			continue
		}
		n, err := steps.Unsilence(ctx, x.ID(), silence.Instance)
		if err != nil {
			return ended, fmt.Errorf("instance %s: %w", silence.Label, err)
		}
		ended += n
	}
	return min(ended, 1), nil
}
