package main

import (
	"context"
	"slices"
	"strings"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// heartbeat asks for the heartbeat's URL if all is well with the watching itself. That it
// cannot be reached never fails the run; only the state's failure does.
func (s *session) heartbeat(ctx context.Context, e *engine, outcomes []outcome) error {
	if slices.ContainsFunc(outcomes, func(o outcome) bool { return !o.done || o.err != nil }) {
		s.say("the heartbeat is not sent: not every alert ran")
		return nil
	}
	ill, err := s.illness(ctx, e.store)
	if err != nil {
		return err
	}
	if ill != "" {
		s.say("the heartbeat is not sent: %s", ill)
		return nil
	}
	s.warn("the heartbeat failed", e.senders.Beat(ctx, s.file.Heartbeat.URL))
	return nil
}

// illness says what is wrong with the watching itself; empty if nothing is.
func (s *session) illness(ctx context.Context, store keeper) (string, error) {
	counts, err := store.Counts(ctx, s.file.Scope)
	if err != nil {
		return "", err
	}
	for _, c := range counts {
		if c.Dead > 0 {
			return "a delivery is dead; see `sqlsentinel deliveries list --status dead`", nil
		}
	}
	outages, err := store.Outages(ctx, s.file.Scope)
	if err != nil {
		return "", err
	}
	for _, o := range outages {
		if name, here := s.subject(o); here && strings.HasPrefix(o.Subject, alert.TargetSubject("")) {
			return name + " takes no messages", nil
		}
	}
	return "", nil
}
