package sentinel

import (
	"context"
	"errors"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// ErrConflict means that what is stored changed since it was read: load and decide again.
var ErrConflict = errors.New("the stored state changed meanwhile")

// ErrNotFound means that there is no such alert, run or delivery.
var ErrNotFound = errors.New("not found")

// ErrUnclaimable means that a delivery is settled, leased by another, not yet due for
// this try, or gone. Whoever holds a message for it has nothing to do.
var ErrUnclaimable = errors.New("the delivery cannot be claimed")

// ErrTooLarge means that a store cannot keep what it was given, for it is larger than the
// store takes. Nothing is written.
var ErrTooLarge = errors.New("too large to be stored")

// A Definition is an alert as Sync stored it.
type Definition struct {
	Alert alert.Alert `json:"alert"`
	// Fingerprint is equal for equal definitions.
	Fingerprint string `json:"fingerprint"`
	// ScheduledSince is when the alert's present schedule was first seen; no tick before
	// it counts as missed.
	ScheduledSince time.Time `json:"scheduled_since"`
}

// A Fingerprint is what tells whether a stored definition is still the one in the file.
type Fingerprint struct {
	// Hash is Definition.Fingerprint.
	Hash           string
	ScheduledSince time.Time
}

// A Snapshot is all that one run needs, read at one time.
type Snapshot struct {
	Definition Definition
	State      alert.State // its zero value if the alert never ran
	// Database is the outage record of the alert's database, zero if there never was one.
	Database alert.Outage
	// Sharing counts the enabled alerts of the scope that use the same database.
	Sharing int
}

// A Commit is everything one decision changes.
type Commit struct {
	ID alert.ID
	// State replaces what is stored, if that still has the version State.Version (zero:
	// nothing is stored yet); the stored version is then one higher. Nil leaves it alone.
	// What State points to is not changed.
	State *alert.State
	// Record is added to history. Nil: none. A record of a run that history has is kept
	// as it is and not added again.
	Record *alert.Record
	// Deliveries are added to the outbox. One whose id is already there is left as it is.
	Deliveries []alert.Delivery
	// Outages replace those stored, each guarded by its own version like State.
	Outages []alert.Outage
	// Missed and Skipped are added to the alert's DeliveryCounts, by a store whose runtime
	// looks at the ticks itself; another may leave them out.
	Missed, Skipped int
}

// A Store keeps definitions, states, history and outages. All methods are safe for
// concurrent use, by several processes too. Errors other than those named are failures of
// the store itself; the caller may repeat the call.
//
// What is read has the same JSON form as what was written, to the last digit of a value:
// a number that JSON cannot carry comes back as text, and nil and empty fields are one.
// Times keep milliseconds at least. What is read is shared with nobody who writes to it,
// but definitions, which no one changes in place.
//
// A change whose ctx ended before it began is not made and returns ctx's error. Once it
// began, its true result is returned.
type Store interface {
	// Load reads an alert. ErrNotFound if it is not defined. A store may answer with a state
	// that another process replaced a moment ago, for Commit guards by its version; the
	// Load after a conflict answers with what is stored.
	Load(ctx context.Context, id alert.ID) (Snapshot, error)
	// Commit writes all of c or nothing, durably before it returns. ErrConflict if the
	// state or an outage has another version than expected.
	Commit(ctx context.Context, c Commit) error
	// Outage reads the record of a subject; zero but for Scope and Subject if there is none.
	Outage(ctx context.Context, scope, subject string) (alert.Outage, error)
	// Outages reads the records of a scope whose episode is open.
	Outages(ctx context.Context, scope string) ([]alert.Outage, error)

	// Definitions reads every definition of a scope, by name.
	Definitions(ctx context.Context, scope string) (map[string]Definition, error)
	// Fingerprints reads the fingerprint of every definition of a scope, by name: cheap
	// enough to ask at each start, where Definitions is not.
	Fingerprints(ctx context.Context, scope string) (map[string]Fingerprint, error)
	// PutDefinitions stores definitions; Remove deletes them by name and leaves state and
	// history. Both are one transaction each.
	PutDefinitions(ctx context.Context, definitions []Definition) error
	RemoveDefinitions(ctx context.Context, scope string, names []string) error

	// States reads the state of every alert of a scope that has one, by name, those of
	// removed alerts too.
	States(ctx context.Context, scope string) (map[string]alert.State, error)
	// History reads records, newest scheduled time first.
	History(ctx context.Context, filter HistoryFilter) ([]alert.Record, error)
	// Record reads one record by run id. ErrNotFound.
	Record(ctx context.Context, scope, runID string) (alert.Record, error)
	// Prune deletes runs scheduled and deliveries settled before a time, in one transaction
	// or several; never a dead delivery, and never a state and the last run in it.
	Prune(ctx context.Context, scope string, before time.Time) error
}

// A HistoryFilter chooses records. Zero fields choose all.
type HistoryFilter struct {
	Scope   string
	Alerts  []string
	Channel string // only runs that decided a delivery for this channel
	Since   time.Time
	Limit   int // zero means 100
}
