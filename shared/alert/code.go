package alert

// Code names a branch of the decision. docs/state-machine.md has a row for each.
type Code string

// Why a run failed.
const (
	ErrorQuery        Code = "error_query"         // the database refused or broke off the query
	ErrorTimeout      Code = "error_timeout"       // the deadline passed; the query was cancelled on the server
	ErrorUnreachable  Code = "error_unreachable"   // no session with the database
	ErrorStatements   Code = "error_statements"    // more than one statement
	ErrorReadOnly     Code = "error_read_only"     // the statement would write
	ErrorRowCap       Code = "error_row_cap"       // more rows than the cap
	ErrorSizeCap      Code = "error_size_cap"      // a larger result than the cap
	ErrorBytesBilled  Code = "error_bytes_billed"  // the query would be billed for more bytes than its database allows
	ErrorNoStatus     Code = "error_no_status"     // no status column
	ErrorBadStatus    Code = "error_bad_status"    // a status that is neither ALERT nor OK
	ErrorRows         Code = "error_rows"          // several rows without a key
	ErrorNoKey        Code = "error_no_key"        // a key column is missing
	ErrorDuplicateKey Code = "error_duplicate_key" // two rows with one key
	ErrorInstances    Code = "error_instances"     // more instances, or larger ones, than state can hold
	ErrorNoData       Code = "error_no_data"       // no data, and on_no_data is error
	ErrorMissed       Code = "error_missed"        // the run did not take place, or did not end
)

// Why a run that was evaluated did or did not notify.
const (
	OKSteady       Code = "ok_steady"       // OK, and nothing is open
	AlertPending   Code = "alert_pending"   // ALERT, but not for long enough to open
	AlertOpened    Code = "alert_opened"    // the episode opens and is announced
	AlertOpen      Code = "alert_open"      // the episode is open and was announced; nothing new to tell
	AlertAnnounced Code = "alert_announced" // a target that had not been told of the open episode is told
	AlertReminded  Code = "alert_reminded"  // remind_every has passed
	AlertEscalated Code = "alert_escalated" // an escalation step is reached
	Recovering     Code = "recovering"      // OK, but not for long enough to close
	Recovered      Code = "recovered"       // the episode closes
	InstanceGone   Code = "instance_gone"   // the row of an instance is gone, which counts as OK
	NoDataCountsOK Code = "no_data_ok"      // no data, and on_no_data is ok
	NoDataAlerts   Code = "no_data_alert"   // no data, and on_no_data is alert
	NoDataKept     Code = "no_data_kept"    // no data, and on_no_data is keep
	Silenced       Code = "silenced"        // messages are held back by a silence
	SilenceEnded   Code = "silence_ended"   // a silence ended over an open episode
	NoTargets      Code = "no_targets"      // there is something to tell and nobody to tell it to
	Filtered       Code = "filtered"        // a target does not hear this event
	Grouped        Code = "grouped"         // more messages by instance than a run may send
	ErrorWaiting   Code = "error_pending"   // failed, but not often enough to be announced
	ErrorOpened    Code = "error_opened"    // the failure is announced
	ErrorOpen      Code = "error_open"      // the failure was announced before
	ErrorRecovered Code = "error_recovered" // the query works again
	DatabaseOpened Code = "database_opened" // the database's outage is announced
	DatabaseOpen   Code = "database_open"   // the failure belongs to the database's announced outage
	DatabaseBack   Code = "database_back"   // the database answers again
	BadClock       Code = "bad_clock"       // the run before lies in the future; durations restart
	Late           Code = "late"            // older than the last run: recorded, nothing else
	Overlapped     Code = "overlapped"      // the run before had not ended: not run
	PassedOver     Code = "passed_over"     // nothing ran at these ticks, and a later one is run
	Disabled       Code = "disabled"        // the alert is disabled
	ClosedDisabled Code = "closed_disabled" // open episodes closed: the alert was disabled
	ClosedRemoved  Code = "closed_removed"  // open episodes closed: the alert left the file
	ClosedKey      Code = "closed_key"      // open episodes closed: the alert's key changed
	ResultCut      Code = "result_cut"      // something of the result was too large to keep and was cut
)

// Codes lists every code, for the documentation's test.
var Codes = []Code{
	ErrorQuery, ErrorTimeout, ErrorUnreachable, ErrorStatements, ErrorReadOnly, ErrorRowCap, ErrorSizeCap, ErrorBytesBilled,
	ErrorNoStatus, ErrorBadStatus, ErrorRows, ErrorNoKey, ErrorDuplicateKey, ErrorInstances, ErrorNoData, ErrorMissed,
	OKSteady, AlertPending, AlertOpened, AlertOpen, AlertAnnounced, AlertReminded, AlertEscalated, Recovering,
	Recovered, InstanceGone, NoDataCountsOK, NoDataAlerts, NoDataKept, Silenced, SilenceEnded, NoTargets, Filtered,
	Grouped, ErrorWaiting, ErrorOpened, ErrorOpen, ErrorRecovered, DatabaseOpened, DatabaseOpen, DatabaseBack,
	BadClock, Late, Overlapped, PassedOver, Disabled, ClosedDisabled, ClosedRemoved, ClosedKey, ResultCut,
}
