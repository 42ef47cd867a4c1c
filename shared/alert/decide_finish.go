package alert

import (
	"fmt"
	"slices"
)

// MaxMessages is how many messages one run may send; more instances are grouped.
const MaxMessages = 90

// finish turns the news into deliveries and completes state and record.
func (d *decider) finish() Decision {
	var out []Delivery
	for _, e := range d.errors {
		if e.target.Hears(e.event) {
			out = append(out, d.errorDelivery(e))
		} else {
			d.reasons.addFor(Filtered, e.target.Label, "does not hear the event by its `events`")
		}
	}
	umbrella := d.s.Umbrella
	if umbrella == nil {
		umbrella = &Episode{}
	}
	if d.s.Open() == 0 {
		d.s.Umbrella = nil
	}
	told := d.toldTargets()
	budget := MaxMessages - len(out) - len(told)
	for _, id := range told {
		deliveries := d.deliver(d.target(id), umbrella.ID, budget/len(told))
		if len(deliveries) > 0 {
			d.s.LastMessage = d.in.Run.Scheduled
		}
		out = append(out, deliveries...)
	}
	if d.held > 0 {
		d.reasons.add(Silenced, fmt.Sprintf("%s held back by a silence", plural(d.held, "message", "messages")))
	}
	d.forget()
	d.complete(out)
	return Decision{State: d.s, Record: d.record, Deliveries: out, Database: d.outage}
}

// toldTargets lists the targets with news they want to hear, in the order of the file.
func (d *decider) toldTargets() []string {
	var ids []string
	for _, id := range d.order {
		all := d.news[id]
		wanted := slices.DeleteFunc(slices.Clone(all), func(n news) bool { return !d.target(id).Hears(n.event) })
		if len(wanted) < len(all) {
			d.reasons.addFor(Filtered, d.target(id).Label, "does not hear the event by its `events`")
		}
		if len(wanted) > 0 {
			d.news[id] = wanted
			ids = append(ids, id)
		}
	}
	return ids
}

// deliver makes the messages for one target: one for all its news, or one an instance
// while the share lasts and one for the rest.
func (d *decider) deliver(t Target, umbrella string, share int) []Delivery {
	all := d.news[t.ID]
	if !d.keyed || !t.PerInstance {
		return []Delivery{d.grouped(t, umbrella, all)}
	}
	var out []Delivery
	for len(all) > 0 && len(out) < share {
		out = append(out, d.single(t, all[0]))
		all = all[1:]
	}
	if len(all) > 0 {
		d.reasons.add(Grouped, fmt.Sprintf("%s are in one message: a run sends %d messages at most", plural(len(all), "instance", "instances"), MaxMessages))
		out = append(out, d.grouped(t, umbrella, all))
	}
	return out
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// grouped is one message about all the news. It follows the last message to the target
// and, for instances that had messages of their own, those too.
func (d *decider) grouped(t Target, umbrella string, all []news) Delivery {
	m := d.message(t, all)
	m.EpisodeID = umbrella
	if !d.keyed {
		m.EpisodeID = all[0].episode
	}
	delivery := d.delivery(t, "", m)
	delivery.After = d.link(d.s.Chain, t.ID, nil)
	if t.PerInstance {
		for _, n := range all {
			delivery.After = d.link(n.instance.Chain, t.ID, delivery.After)
			n.instance.Chain = set(n.instance.Chain, t.ID, Link{delivery.ID, d.in.Now})
		}
	}
	delivery.Supersedable = !slices.ContainsFunc(all, func(n news) bool { return n.event == EventAlert || n.event == EventRecovery })
	d.s.Chain = set(d.s.Chain, t.ID, Link{delivery.ID, d.in.Now})
	return delivery
}

// single is a message about one instance, for incident tools.
func (d *decider) single(t Target, n news) Delivery {
	m := d.message(t, []news{n})
	m.EpisodeID, m.Event, m.Instance, m.Instances = n.episode, n.event, n.instance.Key, []InstanceNews{}
	m.Status = d.statusOf(n)
	d.describe(&m, n)
	m.Reason = d.reasons.textFor(n.event, n.instance.Key.String(), d.closed)
	delivery := d.delivery(t, n.id, m)
	delivery.After = d.link(n.instance.Chain, t.ID, nil)
	delivery.Supersedable = n.event == EventReminder || n.event == EventEscalation
	n.instance.Chain = set(n.instance.Chain, t.ID, Link{delivery.ID, d.in.Now})
	return delivery
}

func (d *decider) link(chain map[string]Link, target string, after []string) []string {
	if link, ok := chain[target]; ok && !slices.Contains(after, link.Delivery) {
		return append(after, link.Delivery)
	}
	return after
}

// delivery wraps a message; its subject tells it from others of the run to the target.
func (d *decider) delivery(t Target, subject string, m Message) Delivery {
	id := deliveryID(d.in.Run.ID, t.ID, subject)
	m.EventID = id
	return Delivery{
		ID: id, Scope: d.a.Scope, Alert: d.a.Name, Target: t, Message: m,
		Owners:    slices.DeleteFunc(slices.Clone(d.a.Owners), func(o Target) bool { return o.ID == t.ID }),
		CreatedAt: d.in.Now, Status: Pending, Try: 1, DueAt: d.in.Now,
	}
}

// complete fills in what follows from all that was decided.
func (d *decider) complete(deliveries []Delivery) {
	d.record.Deliveries = references(deliveries)
	d.record.Reasons = append(d.reasons.list(), notes(d.in.Result.Notes)...)
	d.record.Firing = d.s.Open()
	if d.keyed {
		d.record.Instances = d.overview()
	}
	if status := d.status(); status != d.s.Status {
		d.s.Status, d.s.Since = status, d.in.Run.Scheduled
	}
	if !d.between {
		record := d.record
		d.s.Last = &record
	}
}

func references(deliveries []Delivery) []DeliveryRef {
	var out []DeliveryRef
	for _, x := range deliveries {
		out = append(out, DeliveryRef{x.ID, x.Message.Event, x.Target.Channel, x.Target.Label})
	}
	return out
}

// status is what the alert stands at after the run.
func (d *decider) status() Status {
	switch {
	case d.between && d.closed == "":
		return d.s.Status
	case d.record.Status == StatusError:
		return StatusError
	case d.kept:
		return StatusNoData
	}
	best := StatusOK
	rank := map[Status]int{StatusOK: 0, StatusRecovering: 1, StatusPending: 2, StatusAlert: 3}
	for _, i := range d.s.Instances {
		if s := i.standing(); rank[s] > rank[best] {
			best = s
		}
	}
	return best
}

// standing is what an instance stands at.
func (i *Instance) standing() Status {
	switch {
	case i.Episode != nil && i.Status == StatusAlert:
		return StatusAlert
	case i.Episode != nil:
		return StatusRecovering
	case i.Status == StatusAlert:
		return StatusPending
	}
	return StatusOK
}
