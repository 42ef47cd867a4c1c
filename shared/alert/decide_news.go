package alert

import (
	"slices"
)

// news is one change of one instance that one target is told.
type news struct {
	id       string
	instance *Instance
	event    Event
	episode  string
}

// tell puts news of an open episode into a target's message of this run, unless a silence
// holds it back or the target hears of the instance already. It reports whether the
// target is told something new.
func (d *decider) tell(t Target, id string, i *Instance, event Event) bool {
	if slices.ContainsFunc(d.news[t.ID], func(n news) bool { return n.id == id }) {
		return false
	}
	if d.s.silencedAt(&id, d.in.Now) {
		d.held++
		return false
	}
	i.Episode.tell(t.ID)
	d.s.Targets = set(d.s.Targets, t.ID, t)
	d.addNews(t, news{id: id, instance: i, event: event, episode: i.Episode.ID})
	return true
}

// tellAll announces to targets and says why it could not.
func (d *decider) tellAll(targets []Target, id string, i *Instance, event Event) {
	if len(targets) == 0 {
		d.reasons.addFor(NoTargets, i.Key.String(), "the alert has no `notify`; it is recorded only")
	}
	for _, t := range targets {
		d.tell(t, id, i, event)
	}
}

func (d *decider) addNews(t Target, n news) {
	if _, known := d.current[t.ID]; !known && !slices.Contains(d.order, t.ID) {
		d.order = append(d.order, t.ID)
	}
	if d.news == nil {
		d.news = map[string][]news{}
	}
	d.news[t.ID] = append(d.news[t.ID], n)
}

// target finds a told target by today's settings where it still exists, else as stored.
func (d *decider) target(id string) Target {
	if t, today := d.current[id]; today {
		return t
	}
	return d.s.Targets[id]
}

// overflow tells whether more instances would have to be remembered than may be.
func (d *decider) overflow() bool {
	if len(d.s.Instances) <= MaxInstances || d.record.Status == StatusError {
		return false
	}
	n := 0
	for _, i := range d.s.Instances {
		if i.Episode != nil || i.Status == StatusAlert {
			n++
		}
	}
	return n > MaxInstances
}

// forget drops instances that are plainly OK, but for those whose last messages may still
// be on their way: order depends on them.
func (d *decider) forget() {
	for id, i := range d.s.Instances {
		d.forgetLinks(i.Chain)
		if i.Episode == nil && i.Status != StatusAlert && (len(i.Chain) == 0 || len(d.s.Instances) > MaxInstances) {
			delete(d.s.Instances, id)
		}
	}
	d.forgetLinks(d.s.Chain)
	if len(d.s.Instances) == 0 {
		d.s.Instances = nil
	}
	for id := range d.s.Targets {
		if !d.stillTold(id) {
			delete(d.s.Targets, id)
		}
	}
}

func (d *decider) forgetLinks(chain map[string]Link) {
	for target, link := range chain {
		if d.in.Now.Sub(link.At) > chainKept {
			delete(chain, target)
		}
	}
}

// stillTold tells whether an open episode was told to the target.
func (d *decider) stillTold(target string) bool {
	if d.s.ErrorEpisode != nil && d.s.ErrorEpisode.told(target) {
		return true
	}
	for _, i := range d.s.Instances {
		if i.Episode != nil && i.Episode.told(target) {
			return true
		}
	}
	return false
}
