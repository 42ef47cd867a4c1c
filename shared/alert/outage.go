package alert

import (
	"fmt"
	"strings"
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
		out.Episode = &Episode{ID: episodeID(ID{dead.Scope, out.Subject}, "", dead.ID+fmt.Sprint(dead.Try)), Opened: now}
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
	d := o.message(deliveryID(about.ID+fmt.Sprint(about.Try), to.ID, string(event)), to, event, now)
	d.Message.AlertName, d.Message.Severity = "notifications to "+about.Target.Label, about.Message.Severity
	d.Message.Reason, d.Message.RunID = text, about.Message.RunID
	d.Message.Status = StatusError
	if event == EventErrorRecovery {
		d.Message.Status = StatusOK
	}
	return d
}

// message makes a message about the outage, behind the last one to the same target.
func (o *Outage) message(id string, to Target, event Event, now time.Time) Delivery {
	var after []string
	if link, ok := o.Chain[to.ID]; ok {
		after = append(after, link.Delivery)
	}
	o.Chain = set(o.Chain, to.ID, Link{id, now})
	return Delivery{
		ID: id, Scope: o.Scope, Alert: o.Subject, Target: to, After: after,
		Message: Message{
			EventID: id, EpisodeID: o.Episode.ID, Event: event, Severity: Critical, Labels: map[string]string{},
			Context: Fields{}, Instance: Fields{}, Instances: []InstanceNews{}, Timestamp: now,
		},
		CreatedAt: now, Status: Pending, Try: 1, DueAt: now,
	}
}

// OfDatabase tells whether the outage is one of a database.
func (o Outage) OfDatabase() bool {
	return o.Subject == DatabaseSubject("") || strings.HasPrefix(o.Subject, DatabaseSubject("")+" ")
}

// Unwatched closes the open outage of a database that no alert uses any more, for no run
// will see it answer. Who was told of it is told.
func Unwatched(o Outage, now time.Time) (Outage, []Delivery) {
	out := o.clone()
	run := "run_" + digest(o.Scope, o.Subject, "unwatched", fmt.Sprint(o.Version))
	var deliveries []Delivery
	for _, id := range o.Episode.Told {
		target := o.Targets[id]
		if !target.Hears(EventErrorRecovery) {
			continue
		}
		d := out.message(deliveryID(run, id, "database"), target, EventErrorRecovery, now)
		d.Message.Status, d.Message.RunID, d.Message.AlertName = StatusClosed, run, o.Subject
		d.Message.Reason = "closed because no alert uses the " + o.Subject + " any more; it was not seen to answer"
		deliveries = append(deliveries, d)
	}
	out.Episode, out.Targets, out.Cause, out.Closed = nil, nil, "", now
	return out, deliveries
}
