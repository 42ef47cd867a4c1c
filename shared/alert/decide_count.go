package alert

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// count takes a result with data: it moves every instance on, the missing ones too.
func (d *decider) count() {
	d.remind = d.remindDue()
	d.record.Status = StatusOK
	for _, id := range d.ids {
		row := d.rows[id]
		if row.Status == StatusAlert {
			d.record.Status = StatusAlert
		}
		d.countInstance(id, row)
	}
	for _, id := range d.missing() {
		d.reasons.addFor(InstanceGone, d.s.Instances[id].Key.String(), "its row is gone, which counts as OK")
		d.countInstance(id, Row{Instance: d.s.Instances[id].Key, Status: StatusOK})
	}
	if len(d.reasons.entries) == 0 {
		d.reasons.add(OKSteady, "OK, and nothing is open")
	}
	if d.record.Status == StatusAlert {
		d.s.ConsecutiveAlerts, d.s.ConsecutiveOKs = d.s.ConsecutiveAlerts+1, 0
	} else {
		d.s.ConsecutiveAlerts, d.s.ConsecutiveOKs = 0, d.s.ConsecutiveOKs+1
	}
	if len(d.ids) == 1 && !d.keyed {
		row := d.rows[d.ids[0]]
		d.record.Actual, d.record.Threshold = row.Actual, row.Threshold
		if row.Context != nil {
			d.record.Context = row.Context
		}
	}
}

// missing lists known instances without a row, in a fixed order.
func (d *decider) missing() []string {
	var ids []string
	for id, instance := range d.s.Instances {
		_, here := d.rows[id]
		plainOK := instance.Episode == nil && instance.Status != StatusAlert
		if !here && !d.keptID[id] && !plainOK {
			ids = append(ids, id)
		}
	}
	sort.Strings(ids)
	return ids
}

func (d *decider) countInstance(id string, row Row) {
	i := d.s.Instances[id]
	if i == nil {
		if row.Status == StatusOK {
			return
		}
		i = &Instance{Key: row.Instance}
		d.s.Instances = set(d.s.Instances, id, i)
	}
	i.Status, i.Actual, i.Threshold = row.Status, row.Actual, row.Threshold
	if row.Status == StatusAlert {
		i.Alerts, i.OKs = i.Alerts.next(d.in.Run.Scheduled), Streak{}
		d.alerting(id, i)
		return
	}
	i.OKs, i.Alerts = i.OKs.next(d.in.Run.Scheduled), Streak{}
	d.clearing(id, i)
}

// alerting decides on an ALERT row.
func (d *decider) alerting(id string, i *Instance) {
	at, label := d.in.Run.Scheduled, i.Key.String()
	switch {
	case i.Episode != nil:
		i.Episode.AlertRuns++
		d.stillOpen(id, i)
	case d.a.For.reached(i.Alerts.Runs, i.Alerts.Since, at):
		i.Episode = &Episode{ID: episodeID(d.a.ID(), id, d.in.Run.ID), Opened: at}
		if d.s.Umbrella == nil {
			d.s.Umbrella = &Episode{ID: episodeID(d.a.ID(), "", d.in.Run.ID), Opened: at}
		}
		d.reasons.addFor(AlertOpened, label, "ALERT"+d.a.For.held(i.Alerts.Runs, i.Alerts.Since, at)+": the episode opens")
		d.tellAll(d.a.Notify, id, i, EventAlert)
	default:
		text := "ALERT " + d.a.For.progress(i.Alerts.Runs, i.Alerts.Since, at)
		if d.a.For.Runs == i.Alerts.Runs+1 {
			text += "; opens at the next"
		}
		d.reasons.addFor(AlertPending, label, text)
	}
}

// stillOpen decides on an ALERT row of an open episode: targets that were never told,
// escalation, reminder.
func (d *decider) stillOpen(id string, i *Instance) {
	label, said, held := i.Key.String(), false, d.held
	for _, t := range d.a.Notify {
		if !i.Episode.told(t.ID) && d.tell(t, id, i, EventAlert) {
			said = true
			d.reasons.addFor(AlertAnnounced, label, "the episode is open and "+t.Label+" had not been told")
		}
	}
	said = d.escalate(id, i) || said
	if d.remind {
		reminded := false
		for _, target := range slices.Clone(i.Episode.Told) {
			reminded = d.tell(d.target(target), id, i, EventReminder) || reminded
		}
		if reminded {
			said = true
			d.reasons.addFor(AlertReminded, label, fmt.Sprintf("%s have passed since the last message", d.a.RemindEvery))
		}
	}
	if !said {
		text := "the episode is open since " + stamp(i.Episode.Opened) + "; nothing new to tell"
		switch {
		case d.held > held:
			text = "the episode is open since " + stamp(i.Episode.Opened) + "; what there is to tell is held back"
		case d.a.RemindEvery > 0 && !d.s.LastMessage.IsZero():
			text += ", the next reminder is due at " + stamp(d.s.LastMessage.Add(d.a.RemindEvery.Std()))
		}
		d.reasons.addFor(AlertOpen, label, text)
	}
}

// escalate fires the steps that are reached, each once an episode, and tells targets of
// earlier steps that a silence kept from hearing.
func (d *decider) escalate(id string, i *Instance) (said bool) {
	for _, step := range d.a.Escalate {
		key := stepID(step)
		if !slices.Contains(i.Episode.Steps, key) {
			if !step.After.reached(i.Episode.AlertRuns, i.Episode.Opened, d.in.Run.Scheduled) {
				continue
			}
			i.Episode.Steps = append(i.Episode.Steps, key)
			d.s.Escalations++
			d.reasons.addFor(AlertEscalated, i.Key.String(), "still ALERT after "+step.After.String()+": escalated to "+labels(step.Notify))
			for _, t := range step.Notify {
				said = d.tell(t, id, i, EventEscalation) || said
			}
			continue
		}
		said = d.escalateHeld(step, id, i) || said
	}
	return said
}

func (d *decider) escalateHeld(step Escalation, id string, i *Instance) (said bool) {
	for _, t := range step.Notify {
		if !i.Episode.told(t.ID) {
			said = d.tell(t, id, i, EventEscalation) || said
		}
	}
	return said
}

// stepID names an escalation step by what it says, so that editing one does not fire the others again.
func stepID(step Escalation) string {
	ids := make([]string, len(step.Notify))
	for i, t := range step.Notify {
		ids[i] = t.ID
	}
	return digest(step.After.String(), strings.Join(ids, "\xff"))[:8]
}

// clearing decides on an OK row of an instance that was not plainly OK.
func (d *decider) clearing(id string, i *Instance) {
	at, label := d.in.Run.Scheduled, i.Key.String()
	switch {
	case i.Episode == nil: // it was pending, or its last message may be on its way
	case d.a.RecoverAfter.reached(i.OKs.Runs, i.OKs.Since, at):
		d.reasons.addFor(Recovered, label, "OK"+d.a.RecoverAfter.held(i.OKs.Runs, i.OKs.Since, at)+": the episode closes")
		d.recover(id, i)
	default:
		d.reasons.addFor(Recovering, label, "OK "+d.a.RecoverAfter.progress(i.OKs.Runs, i.OKs.Since, at)+" before the episode closes")
	}
}

// recover closes an episode and tells everyone who was told, silenced or not.
func (d *decider) recover(id string, i *Instance) {
	for _, target := range i.Episode.Told {
		d.addNews(d.target(target), news{id: id, instance: i, event: EventRecovery, episode: i.Episode.ID})
	}
	i.Episode = nil
}

func labels(targets []Target) string {
	out := make([]string, len(targets))
	for i, t := range targets {
		out[i] = t.Label
	}
	return strings.Join(out, ", ")
}
