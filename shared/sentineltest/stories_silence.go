package sentineltest

import (
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

func silenceStories() []Story {
	return []Story{
		{Name: "a silence before the alert holds the announcement back; its end announces", Lines: `
			silence 25m | NEVER_RUN |
			ALERT       | ALERT     |            | alert_opened silenced
			ALERT       | ALERT     |            | silenced
			ALERT       | ALERT     | alert→team | alert_announced`},
		{Name: "a silence within an episode ends with a reminder", Lines: `
			ALERT       | ALERT | alert→team
			silence 15m |       |
			ALERT       | ALERT |
			ALERT       | ALERT | reminder→team | silence_ended
			OK          | OK    | recovery→team`},
		{Name: "a silence that expires between runs speaks at the tick", Lines: `
			silence 15m |       |
			ALERT       | ALERT |
			release     |       |
			sleep 6m    |       |
			release     |       | alert→team
			release     |       |
			OK          | OK    | recovery→team`},
		{Name: "unsilence speaks at once", Lines: `
			silence 2h  |       |
			ALERT       | ALERT |
			unsilence   |       |
			release     |       | alert→team
			ALERT       | ALERT |`},
		{Name: "the recovery of an announced episode is sent although silenced", Lines: `
			ALERT       | ALERT | alert→team
			silence 2h  |       |
			OK          | OK    | recovery→team`},
		{Name: "an episode inside a silence is never heard of", Lines: `
			silence 2h  |       |
			ALERT       | ALERT |
			OK          | OK    |
			unsilence   |       |
			release     |       |
			OK          | OK    |`},
		{Name: "a silence over nothing ends without a word", Lines: `
			silence 15m |    |
			OK          | OK |
			OK          | OK |`},
		{Name: "a silence holds errors back, their end is told only if they were", Lines: `
			silence 35m |       |
			ERROR       | ERROR |
			ERROR       | ERROR |             | error_opened silenced
			OK          | OK    |
			ERROR       | ERROR |
			ERROR       | ERROR | error→owner`},
		{Name: "an error goes on when the silence ends", Lines: `
			silence 25m |       |
			ERROR       | ERROR |
			ERROR       | ERROR |
			sleep 10m   |       |
			release     |       | error→owner
			OK          | OK    | error_recovery→owner`},
		{Name: "a silence ends under an error: what is open is told", Lines: `
			silence 15m |       |
			ALERT       | ALERT |
			ERROR       | ERROR | alert→team | silence_ended`},
		{Name: "a silence holds back reminders and escalations, the state goes on", Alert: with(remindsEvery(10*time.Minute), escalates(runs(2), "oncall")), Lines: `
			ALERT       | ALERT | alert→team
			silence 35m |       |
			ALERT       | ALERT |            | silenced
			ALERT       | ALERT |            | alert_escalated silenced
			ALERT       | ALERT |            | silenced
			ALERT       | ALERT | escalation→oncall reminder→team
			OK          | OK    | recovery→oncall recovery→team`},
		{Name: "a silence on one instance leaves the others", Alert: byRegion, Lines: `
			silence EU 25m    |       |
			EU=ALERT US=ALERT | ALERT | alert→team(US-new)        | silenced
			EU=ALERT US=OK    | ALERT | recovery→team(US-recovered)
			EU=ALERT US=OK    | ALERT | alert→team(EU-new)
			EU=OK US=OK       | OK    | recovery→team(EU-recovered)`},
		{Name: "unsilence of one instance", Alert: byRegion, Lines: `
			silence EU 2h | |
			EU=ALERT      | ALERT |
			unsilence EU  | |
			release       | | alert→team(EU-new)`},
		{Name: "a new silence takes the place of the old one", Lines: `
			silence 2h  |       |
			silence 15m |       |
			ALERT       | ALERT |
			ALERT       | ALERT | alert→team`},
	}
}

func keyStories() []Story {
	return []Story{
		{Name: "instances travel together", Alert: byRegion, Lines: `
			EU=OK US=OK       | OK    |                       | ok_steady
			EU=ALERT US=ALERT | ALERT | alert→team(EU-new,US-new)
			EU=ALERT US=OK    | ALERT | reminder→team(US-recovered,EU-open)
			EU=OK US=OK       | OK    | recovery→team(EU-recovered)`},
		{Name: "a new instance beside an open one", Alert: byRegion, Lines: `
			EU=ALERT          | ALERT | alert→team(EU-new)
			EU=ALERT US=ALERT | ALERT | alert→team(US-new,EU-open)`},
		{Name: "an instance whose row is gone counts as OK", Alert: byRegion, Lines: `
			EU=ALERT US=OK | ALERT | alert→team(EU-new)
			US=OK          | OK    | recovery→team(EU-recovered) | instance_gone`},
		{Name: "no row at all recovers all instances", Alert: byRegion, Lines: `
			EU=ALERT US=ALERT | ALERT | alert→team(EU-new,US-new)
			EMPTY             | OK    | recovery→team(EU-recovered,US-recovered)`},
		{Name: "no data of one instance is kept", Alert: with(byRegion, noData(alert.NoDataKeep)), Lines: `
			EU=ALERT US=ALERT | ALERT | alert→team(EU-new,US-new)
			EU=NULL US=OK     | ALERT | reminder→team(US-recovered,EU-open) | no_data_kept`},
		{Name: "for and recover_after count by instance", Alert: with(byRegion, opensAfter(runs(2)), recoversAfter(runs(2))), Lines: `
			EU=ALERT US=OK    | PENDING    |
			EU=ALERT US=ALERT | ALERT      | alert→team(EU-new)
			EU=OK US=ALERT    | ALERT      | alert→team(US-new,EU-open)
			EU=OK US=OK       | RECOVERING | reminder→team(EU-recovered,US-open)
			EU=OK US=OK       | OK         | recovery→team(US-recovered)`},
		{Name: "incident tools get one message an instance", Alert: with(byRegion, tells("team", "pager"), perInstance("pager")), Lines: `
			EU=ALERT US=ALERT | ALERT | alert→pager(EU) alert→pager(US) alert→team(EU-new,US-new)
			EU=OK US=ALERT    | ALERT | recovery→pager(EU) reminder→team(EU-recovered,US-open)
			EU=OK US=OK       | OK    | recovery→pager(US) recovery→team(US-recovered)`},
		{Name: "more instances than messages are grouped", Alert: with(byRegion, tells("pager"), perInstance("pager")), Lines: `
			x100=ALERT | ALERT | 90×alert→pager | grouped
			EMPTY      | OK    | 90×recovery→pager`},
		{Name: "more instances than can be remembered are an error", Alert: byRegion, Lines: `
			x1001=ALERT | ERROR | | error_instances`},
		{Name: "escalation by instance", Alert: with(byRegion, escalates(runs(1), "oncall")), Lines: `
			EU=ALERT          | ALERT | alert→team(EU-new)
			EU=ALERT US=ALERT | ALERT | alert→team(US-new,EU-open) escalation→oncall(EU-escalated)
			EU=OK US=ALERT    | ALERT | escalation→oncall(US-escalated,EU-recovered) reminder→team(EU-recovered,US-open)`},
	}
}

func changeStories() []Story {
	return []Story{
		{Name: "a target added within an episode is announced to at the next ALERT", Edits: map[string]edit{"add": tells("team", "new")}, Lines: `
			ALERT    | ALERT | alert→team
			edit add |       |
			ALERT    | ALERT | alert→new | alert_announced
			OK       | OK    | recovery→new recovery→team`},
		{Name: "a target removed within an episode still hears the recovery", Edits: map[string]edit{"cut": tells("team")}, Alert: tells("team", "old"), Lines: `
			ALERT    | ALERT | alert→old alert→team
			edit cut |       |
			ALERT    | ALERT |
			OK       | OK    | recovery→old recovery→team`},
		{Name: "raising for never closes an open episode", Edits: map[string]edit{"for": opensAfter(runs(9))}, Lines: `
			ALERT    | ALERT | alert→team
			edit for |       |
			ALERT    | ALERT |
			OK       | OK    | recovery→team`},
		{Name: "a disabled alert closes its episode at once and says how", Edits: map[string]edit{"off": disabled, "on": enabled}, Lines: `
			ALERT    | ALERT    | alert→team
			edit off | DISABLED | recovery→team:closed
			ALERT    | DISABLED |            | disabled
			edit on  | OK       |
			ALERT    | ALERT    | alert→team`},
		{Name: "a removed alert closes its episodes, errors too", Lines: `
			ALERT    | ALERT | alert→team
			ERROR    | ERROR |
			ERROR    | ERROR | error→owner
			remove   |       | error_recovery→owner:closed recovery→team:closed`},
		{Name: "a changed key closes the episodes of the old one", Alert: byRegion, Edits: map[string]edit{"key": func(a *alert.Alert) { a.Key = []string{"REGION", "shop"} }, "case": func(a *alert.Alert) { a.Key = []string{"Region"} }}, Lines: `
			EU=ALERT  | ALERT | alert→team(EU-new)
			edit case |       |
			edit key  | OK    | recovery→team:closed(EU-recovered)`},
		{Name: "closing tells the told although silenced, and nobody else", Edits: map[string]edit{"off": disabled}, Lines: `
			silence 2h |          |
			ALERT      | ALERT    |
			edit off   | DISABLED |`},
		{Name: "an escalation step that is edited does not fire the others again", Alert: with(escalates(runs(1), "oncall"), escalates(runs(9), "boss")), Edits: map[string]edit{
			"sooner": func(a *alert.Alert) { a.Escalate[1].After = runs(2) }}, Lines: `
			ALERT       | ALERT | alert→team
			ALERT       | ALERT | escalation→oncall
			edit sooner |       |
			ALERT       | ALERT | escalation→boss
			ALERT       | ALERT |`},
	}
}

func deliveryStories() []Story {
	return []Story{
		{Name: "a recovery waits for the announcement that is still being retried", Lines: `
			down team  |       |
			ALERT      | ALERT |
			OK         | OK    |
			mend team  |       |
			sleep 20m  |       | alert→team recovery→team`},
		{Name: "one dead target does not keep the others from hearing, and the owners are told", Alert: tells("team", "oncall"), Lines: `
			refuse oncall |       |
			ALERT         | ALERT | alert→team error→owner:target
			refuse oncall |       |
			OK            | OK    | recovery→team
			mend oncall   |       |
			ALERT         | ALERT | alert→oncall alert→team error_recovery→owner:target`},
		{Name: "a reminder that waits is superseded when the episode closes", Alert: with(tells("team"), remindsEvery(10*time.Minute)), Lines: `
			ALERT     | ALERT | alert→team
			down team |       |
			ALERT     | ALERT |
			ALERT     | ALERT |
			OK        | OK    |
			mend team |       |
			sleep 30m |       | recovery→team`},
		{Name: "an escalation that waits is superseded when the episode closes", Alert: escalates(runs(1), "oncall"), Lines: `
			ALERT       | ALERT | alert→team
			down oncall |       |
			ALERT       | ALERT |
			OK          | OK    | recovery→team
			mend oncall |       |
			sleep 30m   |       | recovery→oncall`},
		{Name: "a receiver that asks to wait is waited for", Lines: `
			wait team  |       |
			ALERT      | ALERT |
			sleep 25m  |       |
			mend team  |       |
			sleep 10m  |       | alert→team`},
		{Name: "a dead delivery is sent when it is redriven", Lines: `
			refuse team |       |
			ALERT       | ALERT | error→owner:target
			mend team   |       |
			redrive     |       | alert→team error_recovery→owner:target`},
		{Name: "a target that is down for a day is given up", Lines: `
			down team |       |
			ALERT     | ALERT |
			sleep 25h |       | error→owner:target`},
	}
}
