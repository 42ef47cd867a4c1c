package alert

import "fmt"

// errorNews is one message of an error episode: the alert's own, or the database's.
type errorNews struct {
	target  Target
	event   Event
	episode string
	text    string
	// database holds when it is about the database, not about this alert alone.
	database bool
}

// failed takes a run without a result. It neither counts nor resets what the alert
// itself is at.
func (d *decider) failed(f Failure) {
	d.record.Status, d.record.Error = StatusError, f.Message
	d.reasons.add(f.Code, f.Message)
	if f.Unreachable {
		d.unreachable(f)
		return
	}
	d.databaseBack()
	at := d.in.Run.Scheduled
	d.s.Unreachable = Streak{}
	d.s.Errors = d.s.Errors.next(at)
	after := d.a.OnError.After
	switch {
	case d.s.ErrorEpisode != nil:
		d.reasons.add(ErrorOpen, "the failure was announced; it goes on since "+stamp(d.s.ErrorEpisode.Opened))
	case after.reached(d.s.Errors.Runs, d.s.Errors.Since, at):
		d.s.ErrorEpisode = &Episode{ID: episodeID(d.a.ID(), "error", d.in.Run.ID), Opened: at}
		d.reasons.add(ErrorOpened, "failed"+after.held(d.s.Errors.Runs, d.s.Errors.Since, at)+": announced")
	default:
		d.reasons.add(ErrorWaiting, "failed "+after.progress(d.s.Errors.Runs, d.s.Errors.Since, at)+" before it is announced")
		return
	}
	d.tellError(f.Message)
}

// tellError announces the open error episode to those who were not told.
func (d *decider) tellError(text string) {
	for _, t := range d.a.OnError.Notify {
		if d.s.ErrorEpisode.told(t.ID) {
			continue
		}
		if d.s.silencedAt(nil, d.in.Now) {
			d.held++
			continue
		}
		d.s.ErrorEpisode.tell(t.ID)
		d.s.Targets = set(d.s.Targets, t.ID, t)
		d.errors = append(d.errors, errorNews{target: t, event: EventError, episode: d.s.ErrorEpisode.ID, text: text})
	}
}

// succeeded ends streaks of failures; an announced failure is announced as over.
func (d *decider) succeeded() {
	d.databaseBack()
	d.s.Errors, d.s.Unreachable = Streak{}, Streak{}
	if d.s.ErrorEpisode == nil {
		return
	}
	d.reasons.add(ErrorRecovered, "the query works again; it had failed since "+stamp(d.s.ErrorEpisode.Opened))
	d.endError("the query works again")
}

func (d *decider) endError(text string) {
	for _, id := range d.s.ErrorEpisode.Told {
		d.errors = append(d.errors, errorNews{target: d.target(id), event: EventErrorRecovery, episode: d.s.ErrorEpisode.ID, text: text})
	}
	d.s.ErrorEpisode = nil
}

// unreachable counts a run whose database gave no session. What is announced is the
// outage of the database, once for all its alerts.
func (d *decider) unreachable(f Failure) {
	at, after := d.in.Run.Scheduled, d.a.OnError.After
	if !d.in.Database.Closed.IsZero() && !d.s.Unreachable.Since.After(d.in.Database.Closed) {
		d.s.Unreachable = Streak{} // another alert reached it since: count anew
	}
	d.s.Unreachable = d.s.Unreachable.next(at)
	open := d.in.Database.Episode != nil
	if !open && !after.reached(d.s.Unreachable.Runs, d.s.Unreachable.Since, at) {
		d.reasons.add(ErrorWaiting, "the database was unreachable "+after.progress(d.s.Unreachable.Runs, d.s.Unreachable.Since, at)+" before it is announced")
		return
	}
	out := d.in.Database.clone()
	out.Scope, out.Subject = d.a.Scope, DatabaseSubject(d.a.Database)
	if open {
		d.reasons.add(DatabaseOpen, fmt.Sprintf("%s cannot be reached since %s; it is announced once for all its alerts", out.Subject, stamp(out.Episode.Opened)))
	} else {
		out.Episode = &Episode{ID: episodeID(ID{d.a.Scope, out.Subject}, "", d.in.Run.ID), Opened: at}
		out.Cause = f.Message
		d.reasons.add(DatabaseOpened, fmt.Sprintf("%s cannot be reached; %s. Announced once for all", out.Subject, alertsUse(d.in.Sharing)))
	}
	if told := d.tellDatabase(&out, f.Message); told || !open {
		d.outage = &out
	}
}

func (d *decider) tellDatabase(out *Outage, cause string) (told bool) {
	text := fmt.Sprintf("%s cannot be reached: %s; %s and cannot be evaluated", out.Subject, cause, alertsUse(d.in.Sharing))
	for _, t := range d.a.OnError.Notify {
		if out.Episode.told(t.ID) {
			continue
		}
		if d.s.silencedAt(nil, d.in.Now) {
			d.held++
			continue
		}
		out.Episode.tell(t.ID)
		out.Targets = set(out.Targets, t.ID, t)
		d.errors = append(d.errors, errorNews{target: t, event: EventError, episode: out.Episode.ID, text: text, database: true})
		told = true
	}
	return told
}

// databaseBack closes the database's outage: this run had a session.
func (d *decider) databaseBack() {
	if d.in.Database.Episode == nil {
		return
	}
	out := d.in.Database.clone()
	text := out.Subject + " answers again; it could not be reached since " + stamp(out.Episode.Opened)
	d.reasons.add(DatabaseBack, text)
	for _, id := range out.Episode.Told {
		t, today := d.current[id]
		if !today {
			t = out.Targets[id]
		}
		d.errors = append(d.errors, errorNews{target: t, event: EventErrorRecovery, episode: out.Episode.ID, text: text, database: true})
	}
	out.Episode, out.Targets, out.Cause, out.Closed = nil, nil, "", d.in.Run.Scheduled
	d.outage = &out
}

func alertsUse(n int) string {
	if n == 1 {
		return "1 alert uses it"
	}
	return fmt.Sprintf("%d alerts use it", max(n, 1))
}
