package sentinel

import (
	"context"
	"fmt"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// Silence sets a silence, in place of one for the same alert and instance. ErrNotFound if
// the alert is not defined.
func (s *Sentinel) Silence(ctx context.Context, id alert.ID, silence alert.Silence) error {
	_, err := s.decideBetweenRuns(ctx, id, func(snapshot Snapshot) (alert.Decision, bool) {
		return alert.Decision{State: snapshot.State.WithSilence(silence)}, true
	})
	if err != nil {
		return fmt.Errorf("silence %q: %w", id.Name, err)
	}
	return nil
}

// Unsilence ends the silences of an alert, or of one of its instances only. What they held
// back is told by the next run or by Release, whichever comes first. It returns how many ended.
func (s *Sentinel) Unsilence(ctx context.Context, id alert.ID, instance *string) (int, error) {
	ended := 0
	_, err := s.decideBetweenRuns(ctx, id, func(snapshot Snapshot) (alert.Decision, bool) {
		var state alert.State
		state, ended = snapshot.State.WithoutSilence(instance, s.Now())
		return alert.Decision{State: state}, ended > 0
	})
	if err != nil {
		return 0, fmt.Errorf("unsilence %q: %w", id.Name, err)
	}
	return ended, nil
}

// Release tells what ended silences of an alert held back, if anything. The daemon and the
// cloud's tick call it; a run does the same by itself.
func (s *Sentinel) Release(ctx context.Context, id alert.ID) ([]alert.Delivery, error) {
	decision, err := s.decideBetweenRuns(ctx, id, func(snapshot Snapshot) (alert.Decision, bool) {
		now := s.Now()
		if !snapshot.State.Releasable(now) {
			return alert.Decision{}, false
		}
		return alert.Release(snapshot.Definition.Alert, snapshot.State, now), true
	})
	if err != nil {
		return nil, fmt.Errorf("end the silence of %q: %w", id.Name, err)
	}
	return decision.Deliveries, nil
}
