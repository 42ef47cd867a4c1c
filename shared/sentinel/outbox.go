package sentinel

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// A Ref is a queue message: which delivery, and which generation of it. A Ref received
// twice is one notification.
type Ref struct {
	ID  string `json:"id"`
	Try int    `json:"try"`
}

// A Claim is a delivery that the caller alone may send until the lease ends.
type Claim struct {
	Delivery alert.Delivery
	// Lease proves the claim when it is settled.
	Lease string
	// Waiting are the unsettled deliveries that stand before it: those among Delivery.After,
	// and, where one of these was superseded, among what that one stood behind.
	Waiting []alert.Delivery
	// Outage is the record of the delivery's target.
	Outage alert.Outage
}

// A Settlement is what became of a claimed delivery.
type Settlement struct {
	ID, Lease string
	// Status is sent, dead or superseded; or pending: due again at DueAt.
	Status    alert.DeliveryStatus
	DueAt     time.Time
	At        time.Time
	Attempts  int
	Crashes   int
	LastError string
	// Outage and Deliveries are written in the same transaction: a dead delivery and the
	// message to the owners about it come into being together. Nil: unchanged.
	Outage     *alert.Outage
	Deliveries []alert.Delivery
}

// An Outbox keeps deliveries until they are settled. All methods are safe for concurrent
// use, by several processes too. Times are kept to the millisecond or better; what is finer
// is cut off.
type Outbox interface {
	// Claim takes a delivery, as the caller read it at any time, if its try is still d.Try
	// and it is pending and due, or sending with a lease that has ended; of the latter it
	// counts a crash. It becomes sending, leased until the given time, with a lease that was
	// never given before. A time that is reached has come: due at now is due, leased until
	// now has ended. What was decided and never changes may be taken from d; where it stands
	// is read. ErrUnclaimable if it cannot be taken; nothing is written then.
	Claim(ctx context.Context, d alert.Delivery, now, until time.Time) (Claim, error)
	// Settle ends a claim. ErrUnclaimable if the lease is no longer the caller's: one that
	// ended is, until another takes the delivery over. ErrConflict if the outage changed
	// meanwhile; the claim holds on. Nothing is written then.
	Settle(ctx context.Context, s Settlement) error
	// Supersede settles a pending delivery as superseded; false if it is no longer pending.
	Supersede(ctx context.Context, id string, at time.Time) (bool, error)
	// Due lists deliveries of a scope that can be claimed at now, longest due first:
	// pending ones past DueAt and sending ones past their lease. Zero limit means 100.
	// (By scope, for only that file's environment resolves their references.)
	Due(ctx context.Context, scope string, now time.Time, limit int) ([]alert.Delivery, error)
	// Sweep moves the time at which Due lists an unsettled delivery on to until, and counts
	// it in Swept, which a claim sets back to zero; the delivery can be claimed as before.
	// ErrUnclaimable if it is settled, of another try, or not listed at now: then somebody
	// else has swept or claimed it.
	Sweep(ctx context.Context, ref Ref, now, until time.Time) error
	// NextDue is the earliest time at which Due has more to tell; zero if nothing is open.
	NextDue(ctx context.Context, scope string) (time.Time, error)
	// Redrive opens a dead delivery again under a higher try, with counters at zero, due
	// at once, TryStarted at now. ErrNotFound if there is no such dead delivery.
	Redrive(ctx context.Context, id string, now time.Time) (Ref, error)

	// Delivery reads one. ErrNotFound.
	Delivery(ctx context.Context, id string) (alert.Delivery, error)
	// Deliveries reads many, newest first.
	Deliveries(ctx context.Context, filter DeliveryFilter) ([]alert.Delivery, error)
	// Counts sums up the deliveries of a scope by alert.
	Counts(ctx context.Context, scope string) (map[string]DeliveryCounts, error)
	// Backlog sums up the deliveries of a scope that are not settled by channel, in the order
	// of their names.
	Backlog(ctx context.Context, scope string) ([]Backlog, error)
}

// A Backlog is what waits on one channel.
type Backlog struct {
	Channel string
	// Pending counts the deliveries that are not settled, Stuck those of them that were swept
	// StuckAfter times and that nobody claimed.
	Pending, Stuck int
	// Oldest is when the oldest of them was decided, or redriven.
	Oldest time.Time
}

// BacklogOf sums up deliveries that are not settled.
func BacklogOf(open []alert.Delivery) []Backlog {
	sums := map[string]Backlog{}
	for _, d := range open {
		b := sums[d.Target.Channel]
		b.Channel = d.Target.Channel
		b.Pending++
		if d.Swept >= StuckAfter {
			b.Stuck++
		}
		began := d.CreatedAt
		if !d.TryStarted.IsZero() {
			began = d.TryStarted
		}
		if b.Oldest.IsZero() || began.Before(b.Oldest) {
			b.Oldest = began
		}
		sums[b.Channel] = b
	}
	return slices.SortedFunc(maps.Values(sums), func(a, b Backlog) int { return cmp.Compare(a.Channel, b.Channel) })
}

// A DeliveryFilter chooses deliveries. Zero fields choose all.
type DeliveryFilter struct {
	Scope    string
	Alerts   []string
	Channel  string
	Statuses []alert.DeliveryStatus
	RunID    string
	Since    time.Time
	Limit    int // zero means 100
}

// DeliveryCounts are an alert's deliveries in numbers. They stand outside the versioned
// state and are no input to the decision.
type DeliveryCounts struct {
	// Failures counts sends that failed, ever: by how much each Settlement's Attempts
	// exceed those of the delivery.
	Failures int
	Pending  int // pending or sending
	// Dead counts the dead ones that were neither redriven nor followed by a success of
	// any alert of the scope on the same target.
	Dead int
	// LastChannel is the channel of the last delivery that was sent.
	LastChannel string
	LastSent    time.Time
	// Missed counts the ticks, ever, at which nothing ran; Skipped those at which the run
	// before had not ended.
	Missed, Skipped int
}

// A Queue tells workers that deliveries wait. It may deliver a Ref several times, late and
// out of order; the outbox is the truth.
type Queue interface {
	// Enqueue announces deliveries that were committed, due at their DueAt.
	Enqueue(ctx context.Context, deliveries []alert.Delivery) error
}

// Schedules makes something fire at the ticks of alerts: it then calls Evaluate. A runtime
// that looks at the definitions itself has none.
type Schedules interface {
	// Schedule makes the schedules of definitions, all of one scope, what they say. It is
	// called with all of them at each Sync; those that are as they should be cost nothing.
	Schedule(ctx context.Context, scope string, definitions []Definition) error
	// Unschedule removes the schedules of alerts; one that has none is no error.
	Unschedule(ctx context.Context, scope string, names []string) error
}

// A Querier runs one query behind the guards and reads its result by the contract. It
// never fails otherwise than by Result.Failure; a cancelled ctx is such a failure.
type Querier interface {
	Query(ctx context.Context, a alert.Alert, run alert.Run) alert.Result
}

// A Sender sends messages of one or more channels.
type Sender interface {
	// Send sends one delivery's message, once, within its target's timeout. The error is
	// nil if the receiver accepted it; *alert.SendError says whether it is worth trying
	// again, and any other error is.
	Send(ctx context.Context, d alert.Delivery) error
}
