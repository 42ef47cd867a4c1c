package simulation

import (
	"slices"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// replayed decides again, on the books' own state, and compares: by induction the stored
// state is that of a replay of history.
func (o *watch) replayed(t *task, c sentinel.Commit, before stored) {
	base := t.loaded[c.ID]
	var decision alert.Decision
	switch r := c.Record; {
	case r == nil:
		return // a silence, or the closing of nothing
	case r.Status == alert.StatusReleased:
		decision = alert.Release(base.Definition.Alert, before.state, t.entered)
	case r.Status == alert.StatusClosed:
		decision = alert.Close(base.Definition.Alert, before.state, r.Reasons[0].Code, t.entered)
	default:
		result := t.result
		if t.queries == 0 {
			result = alert.Fail(alert.ErrorMissed, "%s", r.Error)
		}
		decision = alert.Decide(alert.Input{
			Alert: base.Definition.Alert, State: before.state, Database: base.Database, Sharing: base.Sharing,
			Result: result, Run: alert.NewRun(c.ID, r.Scheduled), Started: r.Started, Now: t.entered,
		})
	}
	if want, got := text(decision.State), text(*c.State); want != got {
		o.broken("%s stores another state of %q than a replay gives:\nreplay %s\nstored %s", t, c.ID.Name, want, got)
	}
	if want, got := text(decision.Deliveries), text(c.Deliveries); want != got {
		o.broken("%s stores other messages of %q than a replay gives:\nreplay %s\nstored %s", t, c.ID.Name, want, got)
	}
}

// episodes lists what a change opens and closes, and whom the closed were told to.
func (o *watch) episodes(before, after alert.State, opened map[string]bool, closed map[string][]string) {
	was, is := openIn(before), openIn(after)
	for id := range is {
		opened[id] = was[id] == nil
	}
	for id, e := range was {
		if is[id] == nil {
			closed[id] = e.Told
		}
	}
}

// openIn are the open episodes of a state, but for the umbrella, which only groups.
func openIn(s alert.State) map[string]*alert.Episode {
	out := map[string]*alert.Episode{}
	for _, i := range s.Instances {
		if i.Episode != nil {
			out[i.Episode.ID] = i.Episode
		}
	}
	if s.ErrorEpisode != nil {
		out[s.ErrorEpisode.ID] = s.ErrorEpisode
	}
	return out
}

// outage keeps the books of outages: guarded by their version like states.
func (o *watch) outage(x alert.Outage, opened map[string]bool, closed map[string][]string) {
	before := o.outages[x.Subject]
	if before.Version != x.Version {
		o.broken("the outage %q has version %d and is replaced by what was decided on version %d", x.Subject, before.Version, x.Version)
	}
	if x.Episode != nil {
		opened[x.Episode.ID] = before.Episode == nil
	}
	if before.Episode != nil && (x.Episode == nil || x.Episode.ID != before.Episode.ID) {
		closed[before.Episode.ID] = before.Episode.Told
	}
	x.Version++
	o.outages[x.Subject] = x
}

// A mention is what a message says of one episode.
type mention struct{ episode, kind, instance string }

// mentions are all that a message says.
func mentions(d alert.Delivery) []mention {
	if len(d.Message.Instances) == 0 {
		return []mention{{d.Message.EpisodeID, string(d.Message.Event), alert.InstanceID(d.Message.Instance)}}
	}
	kinds := map[string]alert.Event{"new": alert.EventAlert, "escalated": alert.EventEscalation, "open": alert.EventReminder, "recovered": alert.EventRecovery}
	var out []mention
	for _, i := range d.Message.Instances {
		out = append(out, mention{i.EpisodeID, string(kinds[i.Change]), alert.InstanceID(i.Instance)})
	}
	return out
}

// over tells whether a message of that kind ends an episode.
func over(kind string) bool {
	return kind == string(alert.EventRecovery) || kind == string(alert.EventErrorRecovery)
}

// messages checks what is decided about episodes: an announcement once per target, nothing
// after the end, and the end exactly once to each who was told.
func (o *watch) messages(deliveries []alert.Delivery, opened map[string]bool, closed map[string][]string) {
	for _, d := range deliveries {
		o.track(d)
		for _, m := range mentions(d) {
			_, isOpen := opened[m.episode]
			_, isClosed := closed[m.episode]
			before := o.heard[m.episode][d.Target.ID]
			switch {
			case over(m.kind) && !isClosed:
				o.broken("%s tells %s the end of an episode that does not end", d.ID, d.Target.ID)
			case !over(m.kind) && !isOpen:
				o.broken("%s tells %s %s of an episode that is not open", d.ID, d.Target.ID, m.kind)
			case slices.ContainsFunc(before, over):
				o.broken("%s tells %s %s of an episode whose end it was told", d.ID, d.Target.ID, m.kind)
			case m.kind == string(alert.EventAlert) && slices.Contains(before, m.kind):
				o.broken("%s announces an episode to %s for the second time", d.ID, d.Target.ID)
			}
			if o.heard[m.episode] == nil {
				o.heard[m.episode] = map[string][]string{}
			}
			o.heard[m.episode][d.Target.ID] = append(before, m.kind)
		}
	}
	for id := range opened {
		o.open[id] = true
	}
	for id, told := range closed {
		o.ends(id, told)
	}
}

// ends checks that everyone who was told of an episode is told its end, once.
func (o *watch) ends(id string, told []string) {
	delete(o.open, id)
	o.w.tally.Closed++
	all := slices.Clone(told)
	for target := range o.heard[id] {
		all = append(all, target)
	}
	for _, target := range all {
		n := 0
		for _, kind := range o.heard[id][target] {
			if over(kind) {
				n++
			}
		}
		if n != 1 {
			o.broken("the episode %s ends, and %s, who was told of it, hears that %d times; it heard %v", id, target, n, o.heard[id][target])
		}
	}
}

// silent checks that a silence holds everything back but the end of what was announced.
func (o *watch) silent(t *task, c sentinel.Commit) {
	if c.State == nil {
		return
	}
	for _, s := range c.State.Silences {
		if !s.Active(t.entered) {
			continue
		}
		for _, d := range c.Deliveries {
			for _, m := range mentions(d) {
				covered := s.Instance == nil || *s.Instance == m.instance && m.kind != string(alert.EventError) && m.kind != string(alert.EventReminder)
				if covered && !over(m.kind) && m.kind != string(alert.EventReminder) {
					o.broken("%s tells %s %s of %q, which is silenced until %s", t, d.Target.ID, m.kind, c.ID.Name, s.Until.Format("15:04:05"))
				}
			}
		}
	}
}
