package alert

import (
	"fmt"
	"time"
)

// TargetDied opens or continues the outage of the target of a delivery that is dead, and
// makes the messages to owners over other targets: one each until the next success. It
// returns nil if there is nothing to write.
func TargetDied(o Outage, dead Delivery, cause string, now time.Time) (*Outage, []Delivery) {
	if dead.Owners == nil && o.Episode != nil {
		return nil, nil
	}
	out := o.clone()
	out.Scope, out.Subject = dead.Scope, TargetSubject(dead.Target.ID)
	if out.Episode == nil {
		out.Episode = &Episode{ID: episodeID(ID{dead.Scope, out.Subject}, "", dead.ID), Opened: now}
		out.Cause = cause
	}
	text := fmt.Sprintf("the %s message of %q to %s could not be delivered and is given up: %s", dead.Message.Event, dead.Alert, dead.Target.Label, cause)
	var deliveries []Delivery
	for _, owner := range dead.Owners {
		if owner.ID == dead.Target.ID || out.Episode.told(owner.ID) {
			continue
		}
		out.Episode.tell(owner.ID)
		out.Targets = set(out.Targets, owner.ID, owner)
		if owner.Hears(EventError) {
			deliveries = append(deliveries, out.delivery(owner, EventError, text, dead, now))
		}
	}
	if o.Episode != nil && len(out.Episode.Told) == len(o.Episode.Told) {
		return nil, nil
	}
	return &out, deliveries
}

// TargetAnswered closes the outage of a target that accepted a message. It returns nil if
// there is none.
func TargetAnswered(o Outage, sent Delivery, now time.Time) (*Outage, []Delivery) {
	if o.Episode == nil {
		return nil, nil
	}
	out := o.clone()
	var deliveries []Delivery
	for _, id := range o.Episode.Told {
		if owner := o.Targets[id]; owner.Hears(EventErrorRecovery) {
			text := fmt.Sprintf("%s takes messages again", sent.Target.Label)
			deliveries = append(deliveries, out.delivery(owner, EventErrorRecovery, text, sent, now))
		}
	}
	out.Episode, out.Targets, out.Cause, out.Closed = nil, nil, "", now
	return &out, deliveries
}

// delivery makes a message about the outage of a target. A message about a target has no
// owners itself: when it dies, too, that is seen in the status only.
func (o *Outage) delivery(to Target, event Event, text string, about Delivery, now time.Time) Delivery {
	status := StatusError
	if event == EventErrorRecovery {
		status = StatusOK
	}
	id := deliveryID(about.ID+fmt.Sprint(about.Try), to.ID, string(event))
	var after []string
	if link, ok := o.Chain[to.ID]; ok {
		after = append(after, link.Delivery)
	}
	o.Chain = set(o.Chain, to.ID, Link{id, now})
	return Delivery{
		ID: id, Scope: about.Scope, Alert: o.Subject, Target: to, After: after,
		Message: Message{
			EventID: id, EpisodeID: o.Episode.ID, Event: event, AlertName: "notifications to " + about.Target.Label, Severity: about.Message.Severity,
			Labels: map[string]string{}, Status: status, Reason: text, Context: Fields{}, Instance: Fields{}, Instances: []InstanceNews{},
			Timestamp: now, RunID: about.Message.RunID,
		},
		CreatedAt: now, Status: Pending, Try: 1, DueAt: now,
	}
}
