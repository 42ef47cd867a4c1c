package sentineltest

import (
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// edit changes the plain alert of a story: it is named revenue, runs every ten minutes,
// tells `team`, and its errors go to `owner` after two runs.
type edit = func(*alert.Alert)

func with(edits ...edit) edit {
	return func(a *alert.Alert) {
		for _, e := range edits {
			e(a)
		}
	}
}

func runs(n int) alert.Count { return alert.Count{Runs: n} }

func span(d time.Duration) alert.Count { return alert.Count{Span: alert.Duration(d)} }

func opensAfter(c alert.Count) edit    { return func(a *alert.Alert) { a.For = c } }
func recoversAfter(c alert.Count) edit { return func(a *alert.Alert) { a.RecoverAfter = c } }
func remindsEvery(d time.Duration) edit {
	return func(a *alert.Alert) { a.RemindEvery = alert.Duration(d) }
}
func tells(names ...string) edit       { return func(a *alert.Alert) { a.Notify = Targets(names...) } }
func noData(p alert.NoDataPolicy) edit { return func(a *alert.Alert) { a.OnNoData = p } }
func byRegion(a *alert.Alert)          { a.Key, a.OnNoData = []string{"region"}, alert.NoDataOK }
func disabled(a *alert.Alert)          { a.Enabled = false }
func enabled(a *alert.Alert)           { a.Enabled = true }

func escalates(after alert.Count, names ...string) edit {
	return func(a *alert.Alert) {
		a.Escalate = append(a.Escalate, alert.Escalation{After: after, Notify: Targets(names...)})
	}
}

func perInstance(name string) edit {
	return func(a *alert.Alert) {
		for i := range a.Notify {
			if a.Notify[i].ID == name {
				a.Notify[i].PerInstance = true
			}
		}
	}
}

func hearsOnly(name string, events ...alert.Event) edit {
	return func(a *alert.Alert) {
		for i := range a.Notify {
			if a.Notify[i].ID == name {
				a.Notify[i].Events = events
			}
		}
	}
}

// Stories lists every story, by chapter.
func Stories() []Story {
	var all []Story
	for _, chapter := range [][]Story{
		openingStories(), episodeStories(), noDataStories(), errorStories(), databaseStories(),
		silenceStories(), keyStories(), changeStories(), orderStories(), deliveryStories(),
	} {
		all = append(all, chapter...)
	}
	return all
}

func openingStories() []Story {
	return []Story{
		{Name: "OK says nothing", Lines: `
			OK    | OK    | | ok_steady
			OK    | OK    | | ok_steady`},
		{Name: "an alert is announced once and its recovery once", Lines: `
			OK    | OK    |
			ALERT | ALERT | alert→team    | alert_opened
			ALERT | ALERT |               | alert_open
			OK    | OK    | recovery→team | recovered
			OK    | OK    |               | ok_steady`},
		{Name: "two targets are told independently", Alert: tells("team", "oncall"), Lines: `
			ALERT | ALERT | alert→oncall alert→team
			OK    | OK    | recovery→oncall recovery→team`},
		{Name: "for: 3 runs opens at the third", Alert: opensAfter(runs(3)), Lines: `
			ALERT | PENDING |            | alert_pending
			ALERT | PENDING |            | alert_pending
			ALERT | ALERT   | alert→team | alert_opened`},
		{Name: "flapping within for never opens", Alert: opensAfter(runs(3)), Lines: `
			ALERT | PENDING |
			ALERT | PENDING |
			OK    | OK      |
			ALERT | PENDING |
			ALERT | PENDING |
			OK    | OK      |`},
		{Name: "for: 15m opens once fifteen minutes have passed between scheduled times", Alert: opensAfter(span(15 * time.Minute)), Lines: `
			ALERT | PENDING |
			ALERT | PENDING |
			ALERT | ALERT   | alert→team`},
		{Name: "an error inside for neither counts nor resets", Alert: opensAfter(runs(3)), Lines: `
			ALERT | PENDING |
			ERROR | ERROR   |            | error_query error_pending
			ALERT | PENDING |
			ALERT | ALERT   | alert→team`},
		{Name: "a duration runs through an error", Alert: opensAfter(span(20 * time.Minute)), Lines: `
			ALERT | PENDING |
			ERROR | ERROR   |
			ALERT | ALERT   | alert→team`},
		{Name: "without notify it is recorded only", Alert: tells(), Lines: `
			ALERT | ALERT | | no_targets
			OK    | OK    |`},
	}
}

func episodeStories() []Story {
	return []Story{
		{Name: "recover_after: 2 runs swallows a flap", Alert: recoversAfter(runs(2)), Lines: `
			ALERT | ALERT      | alert→team
			OK    | RECOVERING |               | recovering
			ALERT | ALERT      |
			OK    | RECOVERING |
			OK    | OK         | recovery→team`},
		{Name: "recover_after by duration", Alert: recoversAfter(span(20 * time.Minute)), Lines: `
			ALERT | ALERT      | alert→team
			OK    | RECOVERING |
			OK    | RECOVERING |
			OK    | OK         | recovery→team`},
		{Name: "reminders come at their interval, on ALERT runs only", Alert: remindsEvery(20 * time.Minute), Lines: `
			ALERT | ALERT | alert→team
			ALERT | ALERT |               | alert_open
			ERROR | ERROR |
			ALERT | ALERT | reminder→team | alert_reminded
			ALERT | ALERT |
			ALERT | ALERT | reminder→team`},
		{Name: "escalation fires once, and hears the recovery", Alert: escalates(runs(2), "oncall"), Lines: `
			ALERT | ALERT | alert→team
			ALERT | ALERT |
			ALERT | ALERT | escalation→oncall | alert_escalated
			ALERT | ALERT |
			OK    | OK    | recovery→oncall recovery→team`},
		{Name: "two steps of escalation", Alert: with(escalates(runs(1), "oncall"), escalates(span(30*time.Minute), "boss", "team")), Lines: `
			ALERT | ALERT | alert→team
			ALERT | ALERT | escalation→oncall
			ALERT | ALERT |
			ALERT | ALERT | escalation→boss escalation→team
			OK    | OK    | recovery→boss recovery→oncall recovery→team`},
		{Name: "an escalation takes the place of a reminder to the same target", Alert: with(remindsEvery(10*time.Minute), escalates(runs(1), "team")), Lines: `
			ALERT | ALERT | alert→team
			ALERT | ALERT | escalation→team
			ALERT | ALERT | reminder→team`},
		{Name: "a target hears only its events", Alert: with(tells("team", "audit"), hearsOnly("audit", alert.EventRecovery)), Lines: `
			ALERT | ALERT | alert→team | filtered
			OK    | OK    | recovery→audit recovery→team`},
		{Name: "a second episode is announced anew", Lines: `
			ALERT | ALERT | alert→team
			OK    | OK    | recovery→team
			ALERT | ALERT | alert→team`},
		{Name: "a result that was cut says so", Lines: `
			CUT   | OK | | result_cut`},
	}
}

func noDataStories() []Story {
	return []Story{
		{Name: "no row is an error by default", Lines: `
			EMPTY | ERROR |             | error_no_data error_pending
			EMPTY | ERROR | error→owner | error_opened`},
		{Name: "OK beside a NULL value is no data", Lines: `
			NULL  | ERROR | | error_no_data`},
		{Name: "on_no_data: ok", Alert: noData(alert.NoDataOK), Lines: `
			EMPTY | OK | | no_data_ok
			NULL  | OK | | no_data_ok`},
		{Name: "on_no_data: alert", Alert: noData(alert.NoDataAlert), Lines: `
			EMPTY | ALERT | alert→team | no_data_alert
			NULL  | ALERT |            | no_data_alert`},
		{Name: "on_no_data: keep changes and counts nothing", Alert: with(noData(alert.NoDataKeep), opensAfter(runs(2)), recoversAfter(runs(2))), Lines: `
			ALERT | PENDING    |
			EMPTY | NO_DATA    |               | no_data_kept
			ALERT | ALERT      | alert→team
			OK    | RECOVERING |
			NULL  | NO_DATA    |               | no_data_kept
			OK    | OK         | recovery→team`},
	}
}

func errorStories() []Story {
	return []Story{
		{Name: "a failing query is announced to the owners after two runs, and its end", Lines: `
			ERROR | ERROR |                      | error_query error_pending
			ERROR | ERROR | error→owner          | error_opened
			ERROR | ERROR |                      | error_open
			OK    | OK    | error_recovery→owner | error_recovered`},
		{Name: "one failure is no news", Lines: `
			OK    | OK    |
			ERROR | ERROR |
			OK    | OK    |`},
		{Name: "an error closes no episode and opens none", Lines: `
			ALERT | ALERT | alert→team
			ERROR | ERROR |
			ERROR | ERROR | error→owner
			ALERT | ALERT | error_recovery→owner | alert_open error_recovered
			OK    | OK    | recovery→team`},
		{Name: "the end of a failure and the start of an alert are two messages", Alert: func(a *alert.Alert) { a.OnError.Notify = Targets("team") }, Lines: `
			ERROR | ERROR |
			ERROR | ERROR | error→team
			ALERT | ALERT | alert→team error_recovery→team`},
		{Name: "on_error by duration", Alert: func(a *alert.Alert) { a.OnError.After = span(20 * time.Minute) }, Lines: `
			ERROR | ERROR |
			ERROR | ERROR |
			ERROR | ERROR | error→owner`},
		{Name: "every way a query fails is an ERROR run", Lines: `
			ERROR error_query         | ERROR |             | error_query
			ERROR error_timeout       | ERROR | error→owner | error_timeout
			ERROR error_statements    | ERROR |             | error_statements
			ERROR error_read_only     | ERROR |             | error_read_only
			ERROR error_row_cap       | ERROR |             | error_row_cap
			ERROR error_size_cap      | ERROR |             | error_size_cap
			ERROR error_bytes_billed  | ERROR |             | error_bytes_billed
			ERROR error_no_status     | ERROR |             | error_no_status
			ERROR error_bad_status    | ERROR |             | error_bad_status
			ERROR error_rows          | ERROR |             | error_rows
			ERROR error_no_key        | ERROR |             | error_no_key
			ERROR error_duplicate_key | ERROR |             | error_duplicate_key`},
		{Name: "owners who want no errors hear none", Alert: func(a *alert.Alert) { a.OnError.Notify[0].Events = []alert.Event{alert.EventAlert} }, Lines: `
			ERROR | ERROR |
			ERROR | ERROR | | filtered
			OK    | OK    |`},
	}
}

func databaseStories() []Story {
	return []Story{
		{Name: "an unreachable database is one message for all its alerts", Lines: `
			UNREACHABLE       | ERROR |                      | error_unreachable error_pending
			other UNREACHABLE |       |
			UNREACHABLE       | ERROR | error→owner:database | database_opened
			other UNREACHABLE |       |                      | database_open
			OK                | OK    | error_recovery→owner:database | database_back
			other OK          |       |`},
		{Name: "another alert that reaches the database ends its outage", Lines: `
			UNREACHABLE | ERROR |
			UNREACHABLE | ERROR | error→owner:database
			other OK    | ERROR | error_recovery→owner:database
			UNREACHABLE | ERROR |                      | error_pending
			UNREACHABLE | ERROR | error→owner:database | database_opened`},
		{Name: "an unreachable database is no failure of the query", Lines: `
			ERROR       | ERROR |
			UNREACHABLE | ERROR |
			ERROR       | ERROR | error→owner
			UNREACHABLE | ERROR |
			UNREACHABLE | ERROR | error→owner:database
			OK          | OK    | error_recovery→owner error_recovery→owner:database`},
		{Name: "a silenced alert does not announce the outage, the next one does", Lines: `
			silence 2h        |       |
			UNREACHABLE       | ERROR |
			UNREACHABLE       | ERROR |                      | database_opened silenced
			other UNREACHABLE |       | error→owner:database
			OK                | OK    | error_recovery→owner:database`},
		{Name: "the outage of a database that no alert uses any more is closed", Alert: func(a *alert.Alert) { a.Database = "warehouse" },
			Edits: map[string]edit{"off": disabled, "on": enabled}, Lines: `
			UNREACHABLE | ERROR    |
			UNREACHABLE | ERROR    | error→owner:database | database_opened
			edit off    | DISABLED | error_recovery→owner:closed:database
			edit on     |          |
			UNREACHABLE | ERROR    |                      | error_pending`},
	}
}

func orderStories() []Story {
	return []Story{
		{Name: "a repeated run changes and sends nothing", Alert: opensAfter(runs(2)), Lines: `
			ALERT  | PENDING |
			repeat | PENDING |
			repeat | PENDING |
			ALERT  | ALERT   | alert→team
			repeat | ALERT   |`},
		{Name: "a late run is recorded, nothing else", Alert: recoversAfter(runs(2)), Lines: `
			OK         | OK    |
			ALERT      | ALERT | alert→team
			late OK    | ALERT |            | late
			OK         | RECOVERING |
			late ALERT | RECOVERING |       | late
			OK         | OK    | recovery→team`},
		{Name: "a tick during a run, and ticks while nothing ran, are recorded, nothing else", Alert: opensAfter(runs(2)), Lines: `
			ALERT   | PENDING |
			overlap | PENDING | | overlapped
			stopped | PENDING | | passed_over
			ALERT   | ALERT | alert→team
			stopped | ALERT | | passed_over
			OK      | OK    | recovery→team`},
		{Name: "runs that never came are errors, and owners hear of them", Lines: `
			ALERT  | ALERT | alert→team
			missed | ERROR |                   | error_missed error_pending
			missed | ERROR | error→owner       | error_missed error_opened
			repeat | ERROR |
			ALERT  | ALERT | error_recovery→owner
			OK     | OK    | recovery→team`},
		{Name: "a run from a bad clock does not make all others late", Alert: opensAfter(span(30 * time.Minute)), Lines: `
			ALERT      | PENDING |
			clock +24h |         |
			OK         | OK      |
			clock -24h |         |
			ALERT      | PENDING |            | bad_clock
			ALERT      | PENDING |
			ALERT      | PENDING |
			ALERT      | ALERT   | alert→team`},
		{Name: "a bad clock restarts the durations of an open episode", Alert: with(remindsEvery(20*time.Minute), escalates(span(30*time.Minute), "oncall")), Lines: `
			ALERT      | ALERT | alert→team
			clock +24h |       |
			ALERT      | ALERT | escalation→oncall reminder→team
			clock -24h |       |
			ALERT      | ALERT |               | bad_clock alert_open
			ALERT      | ALERT |
			ALERT      | ALERT | reminder→oncall reminder→team`},
	}
}
