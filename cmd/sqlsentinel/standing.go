package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// standing is where one alert stands, as `status` tells it.
type standing struct {
	Name              string         `json:"name"`
	Status            alert.Status   `json:"status"`
	Since             *time.Time     `json:"since"`
	ConsecutiveAlerts int            `json:"consecutive_alerts"`
	ConsecutiveOKs    int            `json:"consecutive_oks"`
	Episode           *episodeJSON   `json:"episode"`
	ErrorEpisode      *episodeJSON   `json:"error_episode"`
	Firing            int            `json:"firing"`
	Instances         []instanceJSON `json:"instances"`
	// Silence is the one of the whole alert, Silences all.
	Silence              *silenceJSON  `json:"silence"`
	Silences             []silenceJSON `json:"silences"`
	LastRun              *lastRunJSON  `json:"last_run"`
	NextRun              *time.Time    `json:"next_run"`
	Error                *string       `json:"error"`
	Escalations          int           `json:"escalations"`
	NotificationFailures int           `json:"notification_failures"`
	LastChannel          *string       `json:"last_channel"`
	Overdue              bool          `json:"overdue"`
	PendingDeliveries    int           `json:"pending_deliveries"`
	DeadDeliveries       int           `json:"dead_deliveries"`
	// MissedRuns are ticks, ever, at which no daemon ran; SkippedRuns those at which the run
	// before had not ended.
	MissedRuns  int  `json:"missed_runs"`
	SkippedRuns int  `json:"skipped_runs"`
	BadClock    bool `json:"bad_clock"`
	Enabled     bool `json:"enabled"`

	zone  *time.Location
	keyed bool
	tick  *time.Time // the latest one
}

type episodeJSON struct {
	ID     string    `json:"id"`
	Opened time.Time `json:"opened"`
}

type instanceJSON struct {
	Instance    alert.Fields `json:"instance"`
	Status      alert.Status `json:"status"`
	ActualValue alert.Value  `json:"actual_value"`
	Threshold   alert.Value  `json:"threshold"`
	Episode     *episodeJSON `json:"episode"`
}

type silenceJSON struct {
	Instance alert.Fields `json:"instance"`
	Until    time.Time    `json:"until"`
	Created  time.Time    `json:"created"`
	Author   string       `json:"author"`
	Reason   string       `json:"reason"`
}

type lastRunJSON struct {
	RunID         string       `json:"run_id"`
	ScheduledTime time.Time    `json:"scheduled_time"`
	Status        alert.Status `json:"status"`
	ActualValue   alert.Value  `json:"actual_value"`
	Threshold     alert.Value  `json:"threshold"`
	DurationMS    int64        `json:"duration_ms"`
}

// standing puts together what file and state say about an alert.
func (s *session) standing(x alert.Alert, k knowledge, schedules *alert.Schedules) (standing, error) {
	state, counts := k.states[x.Name], k.counts[x.Name]
	out := standing{
		Name: x.Name, Since: when(state.Since), ConsecutiveAlerts: state.ConsecutiveAlerts, ConsecutiveOKs: state.ConsecutiveOKs,
		ErrorEpisode: episodeOf(state.ErrorEpisode), Firing: state.Open(), Instances: []instanceJSON{}, Silences: s.silencesOf(state),
		Escalations: state.Escalations, NotificationFailures: counts.Failures, LastChannel: optional(counts.LastChannel),
		PendingDeliveries: counts.Pending, DeadDeliveries: counts.Dead,
		MissedRuns: counts.Missed, SkippedRuns: counts.Skipped, BadClock: state.BadClock, Enabled: x.Enabled, keyed: len(x.Key) > 0,
	}
	if err := s.time(&out, x, state, k, schedules); err != nil {
		return out, err
	}
	out.Status = alert.Standing(x, state, out.Overdue)
	out.instances(x, state)
	for i := range out.Silences {
		if len(out.Silences[i].Instance) == 0 {
			out.Silence = &out.Silences[i]
			break
		}
	}
	if last := state.Last; last != nil {
		out.LastRun = &lastRunJSON{last.RunID, last.Scheduled, last.Status, last.Actual, last.Threshold, last.DurationMS}
		out.Error = optional(s.file.Secrets.Clean(last.Error))
		future := last.Scheduled.After(s.now().Add(futureClock))
		out.BadClock = out.BadClock || future
	}
	return out, nil
}

// futureClock is how far in the future a last run tells of a bad clock.
const futureClock = 5 * time.Minute

// time fills in what follows from the schedule.
func (s *session) time(out *standing, x alert.Alert, state alert.State, k knowledge, schedules *alert.Schedules) error {
	schedule, err := schedules.Parse(x.Schedule, x.Timezone)
	if err != nil {
		return fmt.Errorf("read the schedule of %q: %w", x.Name, err)
	}
	now := s.now()
	out.zone = schedule.Zone()
	if !x.Enabled {
		return nil
	}
	out.NextRun = when(schedule.Next(now))
	stored, known := k.definitions[x.Name]
	was := stored.Alert
	if !known || !was.Enabled {
		return nil
	}
	if was.Schedule != x.Schedule || was.Timezone != x.Timezone { // no run has seen that of the file yet
		if schedule, err = schedules.Parse(was.Schedule, was.Timezone); err != nil {
			return fmt.Errorf("read the stored schedule of %q: %w", x.Name, err)
		}
	}
	tick, overdue := alert.Overdue(was, state, schedule, stored.ScheduledSince, now)
	out.tick, out.Overdue = when(tick), overdue
	return nil
}

// instances fills in what stands at something else than OK, and the episode of all.
func (x *standing) instances(a alert.Alert, state alert.State) {
	if len(a.Key) == 0 {
		if i := state.Instances[""]; i != nil {
			x.Episode = episodeOf(i.Episode)
		}
		return
	}
	x.Episode = episodeOf(state.Umbrella)
	ids := make([]string, 0, len(state.Instances))
	for id := range state.Instances {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		i := state.Instances[id]
		x.Instances = append(x.Instances, instanceJSON{i.Key, i.Status, i.Actual, i.Threshold, episodeOf(i.Episode)})
	}
}

func episodeOf(e *alert.Episode) *episodeJSON {
	if e == nil {
		return nil
	}
	return &episodeJSON{e.ID, e.Opened}
}

// silencesOf are the active silences; two readings of one instance's name count once.
func (s *session) silencesOf(state alert.State) []silenceJSON {
	out := []silenceJSON{}
	for _, silence := range state.Silences {
		same := func(o silenceJSON) bool { return o.Instance.String() == silence.Label.String() }
		if silence.Active(s.now()) && !slices.ContainsFunc(out, same) {
			out = append(out, silenceJSON{silence.Label, silence.Until, silence.Created, silence.Author, silence.Reason})
		}
	}
	return out
}
