package alert_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// tick is one thing that happens in a random history.
type tick struct {
	Kind    string // rows, error, kept, silence, unsilence
	Rows    []alert.Row
	Gap     int // minutes since the tick before
	Minutes int // of a silence
	Region  string
}

var regions = []string{"EU", "US", "ASIA"}

func fields(name string) alert.Fields {
	return alert.Fields{{Name: "region", Value: alert.TextValue(name)}}
}

// anyAlert draws an alert with any combination of the options that counting knows.
func anyAlert(t *rapid.T) alert.Alert {
	count := rapid.SampledFrom([]alert.Count{{}, {Runs: 1}, {Runs: 2}, {Runs: 3}, {Span: alert.Duration(15 * time.Minute)}})
	target := func(id string) alert.Target { return alert.Target{ID: id, Channel: "webhook", Label: id} }
	a := alert.Alert{
		Scope: "shop", Name: "revenue", Enabled: true, OnNoData: alert.NoDataKeep,
		For: count.Draw(t, "for"), RecoverAfter: count.Draw(t, "recover_after"),
		RemindEvery: rapid.SampledFrom([]alert.Duration{0, alert.Duration(20 * time.Minute)}).Draw(t, "remind_every"),
		Notify:      []alert.Target{target("team"), target("pager")},
		OnError:     alert.ErrorPolicy{After: alert.Count{Runs: 2}, Notify: []alert.Target{target("owner")}},
	}
	if rapid.Bool().Draw(t, "keyed") {
		a.Key = []string{"region"}
		a.Notify[1].PerInstance = true
	}
	if rapid.Bool().Draw(t, "escalates") {
		a.Escalate = []alert.Escalation{{After: alert.Count{Runs: 2}, Notify: []alert.Target{target("oncall"), target("team")}}}
	}
	return a
}

func anyTick(t *rapid.T, keyed, silences bool) tick {
	kinds := []string{"rows", "rows", "rows", "rows", "rows", "error", "kept"}
	if silences {
		kinds = append(kinds, "silence", "unsilence")
	}
	out := tick{Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Gap: rapid.IntRange(1, 30).Draw(t, "gap"), Minutes: rapid.IntRange(1, 90).Draw(t, "minutes")}
	status := rapid.SampledFrom([]alert.Status{alert.StatusAlert, alert.StatusOK})
	if !keyed {
		out.Rows = []alert.Row{{Status: status.Draw(t, "status")}}
		return out
	}
	out.Region = rapid.SampledFrom(append(regions, "")).Draw(t, "region")
	for _, region := range regions {
		if rapid.IntRange(0, 3).Draw(t, "there") > 0 {
			out.Rows = append(out.Rows, alert.Row{Instance: fields(region), Status: status.Draw(t, "status")})
		}
	}
	return out
}

func anyHistory(t *rapid.T, keyed, silences bool) []tick {
	n := rapid.IntRange(1, 40).Draw(t, "length")
	out := make([]tick, n)
	for i := range out {
		out[i] = anyTick(t, keyed, silences)
	}
	return out
}

// played is what a history led to.
type played struct {
	state      alert.State
	states     []alert.State // after each run
	deliveries []alert.Delivery
	opened     map[string]string // episode id → instance, as seen in states
}

// play decides a history. skip tells which ticks are left out; their time still passes.
func play(a alert.Alert, history []tick, skip func(tick) bool) played {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	out := played{opened: map[string]string{}}
	for _, x := range history {
		now = now.Add(time.Duration(x.Gap) * time.Minute)
		if skip(x) {
			continue
		}
		switch x.Kind {
		case "silence":
			silence := alert.Silence{Created: now, Until: now.Add(time.Duration(x.Minutes) * time.Minute)}
			if x.Region != "" {
				id := alert.InstanceID(fields(x.Region))
				silence.Instance = &id
			}
			out.state = out.state.WithSilence(silence)
		case "unsilence":
			out.state, _ = out.state.WithoutSilence(nil, now)
		default:
			out.run(a, x, now)
		}
	}
	return out
}

func (p *played) run(a alert.Alert, x tick, now time.Time) {
	result := alert.Result{Rows: x.Rows}
	switch x.Kind {
	case "error":
		result = alert.Fail(alert.ErrorQuery, "broken")
	case "kept":
		result = alert.Result{Empty: true}
	}
	d := alert.Decide(alert.Input{Alert: a, State: p.state, Result: result, Run: alert.NewRun(a.ID(), now), Now: now, Started: now})
	d.State.Version++
	p.state = d.State
	p.states = append(p.states, d.State)
	p.deliveries = append(p.deliveries, d.Deliveries...)
	for id, i := range d.State.Instances {
		if i.Episode != nil {
			p.opened[i.Episode.ID] = id
		}
	}
}

func never(tick) bool { return false }

// heard lists what a target heard of an episode, in order, as event names.
func (p played) heard(episode, instance, target string, keyed bool) []string {
	var out []string
	for _, d := range p.deliveries {
		if d.Target.ID != target || d.Message.Event == alert.EventError || d.Message.Event == alert.EventErrorRecovery {
			continue
		}
		switch {
		case !keyed || d.Target.PerInstance && len(d.Message.Instance) > 0:
			if d.Message.EpisodeID == episode {
				out = append(out, string(d.Message.Event))
			}
		default:
			for _, i := range d.Message.Instances {
				if i.EpisodeID == episode && alert.InstanceID(i.Instance) == instance {
					out = append(out, map[string]string{"new": "alert", "recovered": "recovery", "escalated": "escalation", "open": "reminder"}[i.Change])
				}
			}
		}
	}
	return out
}

func count(list []string, word string) int {
	n := 0
	for _, x := range list {
		if x == word {
			n++
		}
	}
	return n
}

func TestEveryClosedEpisodeRecoversOncePerTargetTold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := anyAlert(t)
		keyed := len(a.Key) > 0
		p := play(a, anyHistory(t, keyed, true), never)
		for episode, instance := range p.opened {
			open := p.state.Instances[instance] != nil && p.state.Instances[instance].Episode != nil && p.state.Instances[instance].Episode.ID == episode
			for _, target := range []string{"team", "pager", "oncall"} {
				heard := p.heard(episode, instance, target, keyed)
				require.LessOrEqual(t, count(heard, "alert"), 1, "announced twice to %s: %v", target, heard)
				want := 0
				if !open && len(heard) > 0 {
					want = 1
					require.Equal(t, "recovery", heard[len(heard)-1], "the recovery comes last: %v", heard)
				}
				require.Equal(t, want, count(heard, "recovery"), "%s heard %v of an episode that is open: %v", target, heard, open)
				if len(heard) > 0 {
					require.NotEqual(t, "recovery", heard[0], "%s hears of a recovery first", target)
				}
			}
		}
	})
}

// bare is a state without what messages alone change.
func bare(s alert.State) alert.State {
	s.Silences, s.Targets, s.Chain, s.Last = nil, nil, nil, nil
	s.LastMessage = time.Time{}
	strip := func(e *alert.Episode) *alert.Episode {
		if e == nil {
			return nil
		}
		c := *e
		c.Told = nil
		return &c
	}
	instances := map[string]*alert.Instance{}
	for id, i := range s.Instances {
		if i.Episode == nil && i.Status != alert.StatusAlert {
			continue // kept only because its last message may be on its way
		}
		c := *i
		c.Episode, c.Chain = strip(i.Episode), nil
		instances[id] = &c
	}
	s.Instances, s.ErrorEpisode, s.Umbrella = instances, strip(s.ErrorEpisode), strip(s.Umbrella)
	return s
}

func TestASilenceChangesNoStatusCounterOrEpisode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := anyAlert(t)
		history := anyHistory(t, len(a.Key) > 0, true)
		loud := play(a, history, func(x tick) bool { return x.Kind == "silence" || x.Kind == "unsilence" })
		quiet := play(a, history, never)
		require.Len(t, quiet.states, len(loud.states))
		for i := range loud.states {
			require.Equal(t, bare(loud.states[i]), bare(quiet.states[i]), "after run %d", i+1)
		}
	})
}

// counting is the part of a state that only counted runs may change.
func counting(s alert.State) alert.State {
	s = bare(s)
	s.Version, s.Status, s.Since = 0, "", time.Time{}
	s.Errors, s.Unreachable, s.ErrorEpisode = alert.Streak{}, alert.Streak{}, nil
	return s
}

func TestErrorsKeptNoDataAndRepeatsLeaveEpisodesAndMessagesAsTheyAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := anyAlert(t)
		history := anyHistory(t, len(a.Key) > 0, false)
		whole := play(a, history, never)
		sifted := play(a, history, func(x tick) bool { return x.Kind != "rows" })
		require.Equal(t, counting(sifted.state), counting(whole.state))
		require.Equal(t, told(sifted.deliveries), told(whole.deliveries))
	})
}

// told lists messages that are not about errors; what they follow may differ.
func told(deliveries []alert.Delivery) []string {
	var out []string
	for _, d := range deliveries {
		if d.Message.Event != alert.EventError && d.Message.Event != alert.EventErrorRecovery {
			out = append(out, fmt.Sprint(d.ID, d.Message.Event, d.Target.ID, d.Message.EpisodeID, d.Message.Reason))
		}
	}
	return out
}

func TestTheSameInputGivesTheSameDecisionAndLeavesItAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := anyAlert(t)
		p := play(a, anyHistory(t, len(a.Key) > 0, true), never)
		now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
		last := anyTick(t, len(a.Key) > 0, false)
		in := alert.Input{Alert: a, State: p.state, Result: alert.Result{Rows: last.Rows, Empty: len(last.Rows) == 0}, Run: alert.NewRun(a.ID(), now), Now: now}
		before, err := json.Marshal(in.State)
		require.NoError(t, err)
		first := alert.Decide(in)
		after, err := json.Marshal(in.State)
		require.NoError(t, err)
		require.JSONEq(t, string(before), string(after), "the input is left alone")
		require.Equal(t, first, alert.Decide(in))
	})
}

func TestMessagesOfOneAlertToOneTargetFormAChain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := anyAlert(t)
		p := play(a, anyHistory(t, len(a.Key) > 0, true), never)
		last := map[string]string{}
		for _, d := range p.deliveries {
			if d.Target.PerInstance {
				continue
			}
			if before, ok := last[d.Target.ID]; ok {
				require.True(t, slices.Contains(d.After, before), "%s follows %v, not %s", d.ID, d.After, before)
			}
			last[d.Target.ID] = d.ID
		}
	})
}
