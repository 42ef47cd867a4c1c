package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// posts are the deliveries that a run attempted, as they stand now.
type posts struct {
	mu   sync.Mutex
	byID map[string]post
}

// A post is what is worth remembering of a delivery.
type post struct {
	id, alert, target, err string
	run                    string
	event                  alert.Event
	status                 alert.DeliveryStatus
	due                    time.Time
}

// note keeps how a delivery stands. It may be called concurrently.
func (p *posts) note(d alert.Delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byID[d.ID] = post{
		id: d.ID, alert: d.Alert, target: d.Target.Label, err: d.LastError, run: d.Message.RunID,
		event: d.Message.Event, status: d.Status, due: d.DueAt,
	}
}

// complete reads how those deliveries of a run's outcomes stand that were not attempted.
func (p *posts) complete(ctx context.Context, outbox sentinel.Outbox, outcomes []outcome) error {
	for _, o := range outcomes {
		if err := p.completeRecord(ctx, outbox, o.record); err != nil {
			return err
		}
	}
	return nil
}

// completeRecords reads how the deliveries of records stand.
func (p *posts) completeRecords(ctx context.Context, outbox sentinel.Outbox, records []alert.Record) error {
	for _, r := range records {
		if err := p.completeRecord(ctx, outbox, r); err != nil {
			return err
		}
	}
	return nil
}

// completeRecord reads what is not known yet. A delivery that was pruned was settled.
func (p *posts) completeRecord(ctx context.Context, outbox sentinel.Outbox, r alert.Record) error {
	for _, ref := range r.Deliveries {
		if _, known := p.byID[ref.ID]; known {
			continue
		}
		d, err := outbox.Delivery(ctx, ref.ID)
		if errors.Is(err, sentinel.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read the deliveries of a run: %w", err)
		}
		p.note(d)
	}
	return nil
}

func (p *posts) status(id string) alert.DeliveryStatus { return p.byID[id].status }

// dead counts the deliveries that died.
func (p *posts) dead() int { return p.count(alert.Dead) }

func (p *posts) count(status alert.DeliveryStatus) int {
	n := 0
	for _, x := range p.byID {
		if x.status == status {
			n++
		}
	}
	return n
}

// undelivered are those that were not sent, those of one alert together.
func (p *posts) undelivered() []post {
	var out []post
	for _, x := range p.byID {
		if x.status != alert.Sent && x.status != alert.Superseded {
			out = append(out, x)
		}
	}
	slices.SortFunc(out, func(a, b post) int {
		return cmp.Or(cmp.Compare(a.alert, b.alert), cmp.Compare(a.target, b.target), cmp.Compare(a.id, b.id))
	})
	return out
}

// summary is "2 sent, 1 pending" for the deliveries of a run.
func (p *posts) summary(refs []alert.DeliveryRef) string {
	counts := map[alert.DeliveryStatus]int{}
	for _, ref := range refs {
		counts[p.status(ref.ID)]++
	}
	return countsText(counts)
}

func countsText(counts map[alert.DeliveryStatus]int) string {
	var parts []string
	for _, status := range []alert.DeliveryStatus{alert.Sent, alert.Sending, alert.Pending, alert.Dead, alert.Superseded} {
		if counts[status] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[status], status))
		}
	}
	return strings.Join(parts, ", ")
}
