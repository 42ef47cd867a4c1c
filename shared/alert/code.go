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
	ErrorNoStatus     Code = "error_no_status"     // no status column
	ErrorBadStatus    Code = "error_bad_status"    // a status that is neither ALERT nor OK
	ErrorRows         Code = "error_rows"          // several rows without a key
	ErrorNoKey        Code = "error_no_key"        // a key column is missing
	ErrorDuplicateKey Code = "error_duplicate_key" // two rows with one key
	ErrorInstances    Code = "error_instances"     // more instances than state can hold
	ErrorNoData       Code = "error_no_data"       // no data, and on_no_data is error
)
