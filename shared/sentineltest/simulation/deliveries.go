package simulation

import (
	"errors"
	"slices"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// tracked is a delivery in the books: as it was decided, and where it stands.
type tracked struct {
	alert.Delivery
	n           int // in the order of decision
	lane        string
	permanent   bool // its receiver refused it for good
	acceptances []*acceptance
}

// An acceptance is one copy that a receiver took.
type acceptance struct {
	lease   string
	try     int
	heard   bool // its sender learnt of it
	settled bool // … and settled under this lease
}

// track begins the books of a delivery.
func (o *watch) track(d alert.Delivery) {
	if o.deliveries[d.ID] != nil {
		return // a repeat
	}
	subject := ""
	if d.Target.PerInstance {
		subject = alert.InstanceID(d.Message.Instance)
	}
	x := &tracked{Delivery: d, n: len(o.decided), lane: d.Alert + "\x00" + d.Target.ID + "\x00" + subject}
	o.deliveries[d.ID] = x
	o.decided = append(o.decided, x)
	o.lanes[x.lane] = append(o.lanes[x.lane], x)
	o.w.tally.Decided++
}

// claimed checks that nobody else had the delivery.
func (o *watch) claimed(c sentinel.Claim) {
	x, now := o.deliveries[c.Delivery.ID], o.w.now
	later := func(t time.Time) bool { return t.Truncate(time.Millisecond).After(now) } // as exact as a store is
	switch {
	case x == nil:
		o.broken("%s is claimed and was never decided", c.Delivery.ID)
	case x.Status == alert.Sending && later(x.LeaseUntil):
		o.broken("%s is claimed, although it is leased until %s", o.w.short(x.ID), x.LeaseUntil.Format("15:04:05"))
	case x.Status == alert.Pending && later(x.DueAt):
		o.broken("%s is claimed, although it is due at %s", o.w.short(x.ID), x.DueAt.Format("15:04:05"))
	case x.Status.Settled():
		o.broken("%s is claimed, although it is %s", o.w.short(x.ID), x.Status)
	case o.leases[c.Lease]:
		o.broken("the lease of %s was given before", o.w.short(x.ID))
	}
	if x.Status == alert.Sending {
		x.Crashes++
	}
	o.leases[c.Lease] = true
	x.Status, x.Lease, x.LeaseUntil = alert.Sending, c.Lease, c.Delivery.LeaseUntil
}

// accepted checks what arrives: what was decided, in order, and a second time only if the
// acceptance was never learnt.
func (o *watch) accepted(t *task, d alert.Delivery, heard bool) {
	x := o.deliveries[d.ID]
	if x == nil {
		o.broken("%s sends what was never stored: %s", t, d.ID)
	}
	o.w.tally.Accepted++
	if len(x.acceptances) > 0 {
		o.w.tally.Doubles++
	}
	if text(d.Message) != text(x.Message) || d.Message.EventID != x.ID {
		o.broken("%s sends another message than was decided, or under another key:\n%s\n%s", t, text(d.Message), text(x.Message))
	}
	// A sender that is stopped between its last look at the clock and the send may come too
	// late for anything: nothing can keep it from sending.
	if stray := !o.w.now.Before(d.LeaseUntil); !stray {
		o.first(t, x, d)
		o.inOrder(t, x)
	}
	t.sent, t.lease = d.ID, d.Lease
	x.acceptances = append(x.acceptances, &acceptance{lease: d.Lease, try: d.Try, heard: heard})
}

// first checks that no copy before is known to have arrived.
func (o *watch) first(t *task, x *tracked, d alert.Delivery) {
	if x.Status != alert.Sending || x.Lease != d.Lease {
		o.broken("%s sends %s without holding its lease", t, o.w.short(x.ID))
	}
	for _, a := range x.acceptances {
		if a.try == d.Try && a.heard && a.settled {
			o.broken("%s sends %s again, whose acceptance is recorded", t, o.w.short(x.ID))
		}
	}
}

// inOrder checks that what was decided before for the same ears is settled. What was
// opened again by hand has lost its place.
func (o *watch) inOrder(t *task, x *tracked) {
	if x.Try > 1 {
		return
	}
	for _, before := range o.lanes[x.lane] {
		if before.n >= x.n {
			return
		}
		if before.Try == 1 && !before.Status.Settled() {
			o.broken("%s sends %s before %s, which is %s", t, o.w.short(x.ID), o.w.short(before.ID), before.Status)
		}
	}
}

// leaves checks that a sender that ends well has recorded what it knows to have arrived,
// unless another took the delivery over.
func (o *watch) leaves(t *task) {
	x := o.deliveries[t.sent]
	if x == nil {
		return
	}
	for _, a := range x.acceptances {
		if a.lease == t.lease && a.heard && !a.settled && x.Lease == a.lease {
			o.broken("%s ends, knows that it arrived, and has not recorded it", t)
		}
	}
}

// unheard notes that a sender never learnt of the copy that it sent under its lease.
func (o *watch) unheard(d alert.Delivery) {
	for _, a := range o.deliveries[d.ID].acceptances {
		if a.lease == d.Lease {
			a.heard = false
		}
	}
}

// refused notes an answer that makes a delivery dead.
func (o *watch) refused(d alert.Delivery, answer error) {
	var e *alert.SendError
	if x := o.deliveries[d.ID]; x != nil && errors.As(answer, &e) && e.Permanent {
		x.permanent = true
	}
}

// settled checks how a claim ends.
func (o *watch) settled(s sentinel.Settlement) {
	x := o.deliveries[s.ID]
	if x == nil || x.Status != alert.Sending || x.Lease != s.Lease {
		o.broken("%s is settled as %s by one who does not hold its lease", o.w.short(s.ID), s.Status)
	}
	opened, closed := map[string]bool{}, map[string][]string{}
	if s.Outage != nil {
		o.outage(*s.Outage, opened, closed)
	}
	o.messages(s.Deliveries, opened, closed)
	arrived := false
	for _, a := range x.acceptances {
		if a.lease == s.Lease {
			a.settled = true
			arrived = a.heard
		}
	}
	switch {
	case s.Status == alert.Sent && !arrived:
		o.broken("%s is settled as sent, and was not accepted under this lease", o.w.short(s.ID))
	case s.Status != alert.Sent && arrived:
		o.broken("%s is settled as %s, and its sender knows that it was accepted", o.w.short(s.ID), s.Status)
	case s.Status == alert.Superseded:
		o.dispensable(x)
	case s.Status == alert.Dead:
		o.hopeless(x, s)
	}
	x.Status, x.DueAt, x.Attempts, x.Crashes, x.Lease = s.Status, s.DueAt, s.Attempts, s.Crashes, ""
}

// hopeless checks that a delivery is given up for a reason.
func (o *watch) hopeless(x *tracked, s sentinel.Settlement) {
	o.w.tally.Dead++
	began := x.CreatedAt
	if x.TryStarted.After(began) {
		began = x.TryStarted
	}
	spent := o.w.now.Sub(began) >= x.Target.GiveUpAfter.Std()-75*time.Minute // the longest pause, with its jitter
	if !x.permanent && s.Crashes < 3 && !spent {
		o.broken("%s is given up after %s and %d crashes: %s", o.w.short(x.ID), o.w.now.Sub(began), s.Crashes, s.LastError)
	}
}

// superseded checks that only what is not worth sending is left unsent.
func (o *watch) superseded(id string) {
	x := o.deliveries[id]
	if x == nil || x.Status != alert.Pending {
		o.broken("%s is superseded and was not pending", id)
	}
	o.dispensable(x)
	x.Status = alert.Superseded
}

func (o *watch) dispensable(x *tracked) {
	for _, m := range mentions(x.Delivery) {
		if m.kind == string(alert.EventAlert) || over(m.kind) || m.kind == string(alert.EventError) {
			o.broken("%s is superseded, and tells %s", o.w.short(x.ID), m.kind)
		}
	}
}

// redriven notes that a dead delivery is opened again.
func (o *watch) redriven(id string, try int) {
	x := o.deliveries[id]
	if x == nil || x.Status != alert.Dead || try <= x.Try {
		o.broken("%s is opened again with try %d, and was not dead", id, try)
	}
	o.w.tally.Redriven++
	delete(o.buried, id)
	x.Status, x.Try, x.TryStarted, x.DueAt, x.Crashes, x.Attempts, x.permanent = alert.Pending, try, o.w.now, o.w.now, 0, 0, false
}

// dead lists the dead deliveries.
func (o *watch) dead() []alert.Delivery {
	var out []alert.Delivery
	for _, x := range o.decided {
		if x.Status == alert.Dead {
			out = append(out, x.Delivery)
		}
	}
	return out
}

// unsettled lists what is neither sent, dead nor superseded.
func (o *watch) unsettled() []*tracked {
	return slices.DeleteFunc(slices.Clone(o.decided), func(x *tracked) bool { return x.Status.Settled() })
}
