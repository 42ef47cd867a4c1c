package local

import (
	"context"
	"errors"
	"fmt"
)

// applicationID stands in the header of every state file, so that no other program's
// database is taken for one. It reads "SQSN".
const applicationID = 0x5351534e

// migrations lead from each version of the schema to the next: migrations[0] makes
// version 1 out of an empty file. One that was released is never changed.
var migrations = [...]string{schema1, schema2}

// schemaVersion is what this program reads and writes; it stands in user_version.
const schemaVersion = len(migrations)

// The first schema. What is only carried is one JSON text; what is searched, guarded or
// changed stands in a column of its own. Times are nanoseconds since 1970.
const schema1 = `
CREATE TABLE definitions (
	scope           TEXT NOT NULL,
	name            TEXT NOT NULL,
	fingerprint     TEXT NOT NULL,
	scheduled_since INTEGER,
	database        TEXT NOT NULL,
	enabled         INTEGER NOT NULL,
	body            TEXT NOT NULL,
	PRIMARY KEY (scope, name)
) STRICT;

-- How many enabled alerts of a scope use a database, kept so that no run has to count.
CREATE TABLE sharing (
	scope    TEXT NOT NULL,
	database TEXT NOT NULL,
	alerts   INTEGER NOT NULL,
	PRIMARY KEY (scope, database)
) STRICT, WITHOUT ROWID;

CREATE TABLE states (
	scope   TEXT NOT NULL,
	alert   TEXT NOT NULL,
	version INTEGER NOT NULL,
	body    TEXT NOT NULL,
	last    TEXT,            -- the record of the last run
	PRIMARY KEY (scope, alert)
) STRICT;

CREATE TABLE outages (
	scope   TEXT NOT NULL,
	subject TEXT NOT NULL,
	version INTEGER NOT NULL,
	open    INTEGER NOT NULL,
	body    TEXT NOT NULL,
	PRIMARY KEY (scope, subject)
) STRICT;

-- Rows are appended, so that a run writes at the end of the table, whatever its alert. A
-- run id stands for an alert and a time, so that history_by_alert keeps it unique. Ids are
-- random: an index by them, of every run, would cost each run a page somewhere else.
CREATE TABLE history (
	id        INTEGER PRIMARY KEY,
	run_id    TEXT NOT NULL,
	scope     TEXT NOT NULL,
	alert     TEXT NOT NULL,
	scheduled INTEGER NOT NULL,
	channels  TEXT,          -- of the run's deliveries, each between commas; null: none
	body      TEXT NOT NULL
) STRICT;
CREATE INDEX history_by_time ON history (scope, scheduled);
CREATE UNIQUE INDEX history_by_alert ON history (scope, alert, scheduled, run_id);
CREATE INDEX history_notified ON history (scope, scheduled) WHERE channels IS NOT NULL;
CREATE INDEX history_by_run ON history (run_id) WHERE channels IS NOT NULL;

-- The table is the queue. body is the delivery as it was decided; the columns from
-- status on change while it is delivered and win over the body.
CREATE TABLE deliveries (
	n           INTEGER PRIMARY KEY,
	id          TEXT NOT NULL UNIQUE,
	scope       TEXT NOT NULL,
	alert       TEXT NOT NULL,
	target      TEXT NOT NULL,
	channel     TEXT NOT NULL,
	run_id      TEXT NOT NULL,
	created     INTEGER NOT NULL,
	body        TEXT NOT NULL,
	status      TEXT NOT NULL,
	try         INTEGER NOT NULL,
	try_started INTEGER,
	attempts    INTEGER NOT NULL,
	crashes     INTEGER NOT NULL,
	due         INTEGER,
	lease_until INTEGER,
	lease       TEXT NOT NULL,
	settled     INTEGER,
	last_error  TEXT NOT NULL,
	swept       INTEGER NOT NULL,
	wake        INTEGER,     -- when it can be claimed; null: settled
	mourned     INTEGER NOT NULL DEFAULT 0 -- dead, and its target took no message since
) STRICT;
CREATE INDEX deliveries_open ON deliveries (scope, wake) WHERE wake IS NOT NULL;
CREATE INDEX deliveries_mourned ON deliveries (scope, target) WHERE mourned = 1;
CREATE INDEX deliveries_by_time ON deliveries (scope, created);
CREATE INDEX deliveries_by_run ON deliveries (run_id);

CREATE TABLE counters (
	scope        TEXT NOT NULL,
	alert        TEXT NOT NULL,
	failures     INTEGER NOT NULL,
	last_channel TEXT NOT NULL,
	last_sent    INTEGER,
	PRIMARY KEY (scope, alert)
) STRICT, WITHOUT ROWID;
`

// The second: ticks at which nothing ran, and those at which the run before had not ended.
const schema2 = `
ALTER TABLE counters ADD COLUMN missed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE counters ADD COLUMN skipped INTEGER NOT NULL DEFAULT 0;
`

// migrate brings the file to schemaVersion. It runs within a write transaction.
func migrate(t *txn) error {
	have, err := t.version()
	if err != nil {
		return err
	}
	if err := t.ours(); err != nil {
		return err
	}
	if have > schemaVersion {
		return newerError(have)
	}
	if have == schemaVersion {
		// On a read-only file BEGIN IMMEDIATE succeeds; the first statement to write does not.
		return t.script("DELETE FROM sharing WHERE false")
	}
	for v := have; v < schemaVersion; v++ {
		if err := t.script(migrations[v]); err != nil {
			return fmt.Errorf("migrate the schema from version %d to %d: %w", v, v+1, err)
		}
	}
	return t.script(fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, schemaVersion))
}

// ours refuses a database that another program made; one without content is nobody's.
func (t *txn) ours() error {
	var id, content int
	row := t.conn.QueryRowContext(context.Background(), "SELECT application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id")
	if err := row.Scan(&id, &content); err != nil {
		return err
	}
	if id != applicationID && content > 0 {
		return errForeign
	}
	return nil
}

var errForeign = errors.New("it is another program's database; name a file of its own with --state")

func newerError(have int) error {
	return fmt.Errorf("its schema has version %d and this program knows versions up to %d: use the newer sqlsentinel that wrote it", have, schemaVersion)
}
