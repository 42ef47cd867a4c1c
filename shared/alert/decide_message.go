package alert

import (
	"fmt"
	"sort"
	"strings"
)

// maxListed is how many instances a message or a record lists; totals count all.
const maxListed = 20

// base is the part of a message that every event has.
func (d *decider) base() Message {
	labels := d.a.Labels
	if labels == nil {
		labels = map[string]string{}
	}
	return Message{
		AlertName: d.a.Name, Description: d.a.Description, Severity: d.a.Severity, Labels: labels, RunbookURL: d.a.RunbookURL,
		Context: Fields{}, Instance: Fields{}, Instances: []InstanceNews{},
		Firing: d.s.Open(), Timestamp: d.in.Run.Scheduled, RunID: d.in.Run.ID,
	}
}

// message tells a target all its news. Its event is the most urgent of what it holds: a
// message about recoveries reminds as long as something it told the target of is open,
// so that `recovery` always means that all is over.
func (d *decider) message(t Target, all []news) Message {
	m := d.base()
	m.Event, m.Status = EventRecovery, StatusOK
	for _, n := range all {
		if urgency[n.event] > urgency[m.Event] {
			m.Event = n.event
		}
	}
	if m.Event == EventRecovery && d.openFor(t.ID) {
		m.Event = EventReminder
	}
	if m.Event != EventRecovery {
		m.Status = StatusAlert
	}
	if d.closed != "" {
		m.Status = StatusClosed
	}
	if !d.keyed {
		m.Status = d.statusOf(all[0])
		d.describe(&m, all[0])
		m.Reason = d.reasons.textFor(m.Event, "", d.closed)
		return m
	}
	m.Instances = d.listed(t, all)
	m.Reason = d.totals(all)
	return m
}

func (d *decider) openFor(target string) bool {
	for _, i := range d.s.Instances {
		if i.Episode != nil && i.Episode.told(target) {
			return true
		}
	}
	return false
}

func (d *decider) statusOf(n news) Status {
	switch {
	case d.closed != "":
		return StatusClosed
	case n.event == EventRecovery:
		return StatusOK
	}
	return StatusAlert
}

// describe fills in the values of the news' instance.
func (d *decider) describe(m *Message, n news) {
	m.ActualValue, m.Threshold = n.instance.Actual, n.instance.Threshold
	if row, ok := d.rows[n.id]; ok && row.Context != nil {
		m.Context = row.Context
	}
}

var changeWords = map[Event]string{EventAlert: "new", EventEscalation: "escalated", EventReminder: "open", EventRecovery: "recovered"}

// listed are the first instances of a grouped message: the news, the most urgent first,
// then what else is open and known to the target.
func (d *decider) listed(t Target, all []news) []InstanceNews {
	sorted := append([]news(nil), all...)
	sort.SliceStable(sorted, func(a, b int) bool { return urgency[sorted[a].event] > urgency[sorted[b].event] })
	inNews := make(map[string]bool, len(all))
	for _, n := range all {
		inNews[n.id] = true
	}
	if len(sorted) < maxListed {
		for _, id := range d.openIDs() {
			if i := d.s.Instances[id]; !inNews[id] && i.Episode.told(t.ID) {
				sorted = append(sorted, news{id: id, instance: i, event: EventReminder, episode: i.Episode.ID})
			}
		}
	}
	out := make([]InstanceNews, 0, min(len(sorted), maxListed))
	for _, n := range sorted[:min(len(sorted), maxListed)] {
		out = append(out, InstanceNews{
			Instance: n.instance.Key, Change: changeWords[n.event], Status: d.statusOf(n), EpisodeID: n.episode,
			ActualValue: n.instance.Actual, Threshold: n.instance.Threshold, Context: d.rows[n.id].Context,
		})
	}
	return out
}

// totals counts all instances: "3 of 40 firing: 1 new, 2 recovered".
func (d *decider) totals(all []news) string {
	counts := map[string]int{}
	for _, n := range all {
		counts[changeWords[n.event]]++
	}
	var parts []string
	for _, word := range []string{"new", "escalated", "open", "recovered"} {
		if counts[word] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[word], word))
		}
	}
	known := len(d.rows)
	for id := range d.s.Instances {
		if _, here := d.rows[id]; !here {
			known++
		}
	}
	text := fmt.Sprintf("%d of %d firing: %s", d.s.Open(), known, strings.Join(parts, ", "))
	if d.closed != "" {
		text += "; " + d.closed
	}
	return text
}

// overview lists the first instances that are not plainly OK, for the record.
func (d *decider) overview() []InstanceNews {
	ids := make([]string, 0, len(d.s.Instances))
	for id, i := range d.s.Instances {
		if i.standing() != StatusOK {
			ids = append(ids, id)
		}
	}
	sort.Strings(ids)
	var out []InstanceNews
	for _, id := range ids[:min(len(ids), maxListed)] {
		i := d.s.Instances[id]
		entry := InstanceNews{
			Instance: i.Key, Change: strings.ToLower(string(i.standing())), Status: i.standing(),
			ActualValue: i.Actual, Threshold: i.Threshold, Context: d.rows[id].Context,
		}
		if i.Episode != nil {
			entry.EpisodeID = i.Episode.ID
		}
		out = append(out, entry)
	}
	return out
}

// errorDelivery is a message of an error episode. It stands in the target's order like
// any other message of the alert.
func (d *decider) errorDelivery(e errorNews) Delivery {
	m := d.base()
	m.Event, m.EpisodeID, m.Reason, m.Status = e.event, e.episode, e.text, StatusError
	if e.event == EventErrorRecovery {
		m.Status = StatusOK
	}
	if d.closed != "" {
		m.Status = StatusClosed
	}
	subject, chain := "error", &d.s.Chain
	if e.database {
		subject, chain = "database", &d.outage.Chain
		m.AlertName, m.Description, m.RunbookURL, m.Labels = d.outage.Subject, "", "", map[string]string{}
		m.Firing = 0
	}
	delivery := d.delivery(e.target, subject, m)
	if e.database {
		delivery.Alert = d.outage.Subject
	}
	delivery.After = d.link(*chain, e.target.ID, nil)
	*chain = set(*chain, e.target.ID, Link{delivery.ID, d.in.Now})
	return delivery
}
