package simulation

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest"
)

// step is the time between two ticks of an alert.
const step = 10 * time.Minute

// pool are the names of targets that alerts tell; owners hear of errors.
func pool() []string { return []string{"team", "pager", "oncall"} }

// begin draws the world and starts its processes.
func (w *world) begin() error {
	w.storm = w.drawStorm()
	w.queued, w.retry = w.random.IntN(2) == 0, w.random.IntN(3) > 0
	w.receivers = map[string]*receiver{}
	w.database = &database{firing: map[string]bool{}}
	for i := range 2 {
		r, err := w.Open()
		if err != nil {
			return fmt.Errorf("open a runtime: %w", err)
		}
		w.processes = append(w.processes, &process{name: string(rune('A' + i)), runtime: r})
	}
	for _, name := range []string{"revenue", "orders", "stock"}[:1+w.random.IntN(3)] {
		w.file = append(w.file, w.drawAlert(name))
	}
	w.tell("queued: %v, tried again: %v, storm: %+v", w.queued, w.retry, w.storm)
	return nil
}

func (w *world) drawCount(counts ...alert.Count) alert.Count {
	return counts[w.random.IntN(len(counts))]
}

// drawAlert draws an alert with any combination of options.
func (w *world) drawAlert(name string) alert.Alert {
	once, twice, span := alert.Count{}, alert.Count{Runs: 2}, alert.Count{Span: alert.Duration(15 * time.Minute)}
	a := alert.Alert{
		Scope: scope, Name: name, Severity: alert.Critical, Query: "SELECT 'OK' AS status", Schedule: "*/10 * * * *", Timezone: "UTC",
		Enabled: true, Timeout: alert.Duration(30 * time.Second), Owners: w.targets("owner"),
		OnNoData: []alert.NoDataPolicy{alert.NoDataError, alert.NoDataOK, alert.NoDataKeep, alert.NoDataAlert}[w.random.IntN(4)],
		For:      w.drawCount(once, once, twice, span), RecoverAfter: w.drawCount(once, once, twice, span),
		OnError: alert.ErrorPolicy{After: w.drawCount(alert.Count{Runs: 1}, twice), Notify: w.targets("owner")},
	}
	if w.random.IntN(2) == 0 {
		a.RemindEvery = alert.Duration(step)
	}
	if w.random.IntN(3) == 0 {
		a.Escalate = []alert.Escalation{{After: w.drawCount(alert.Count{Runs: 1}, twice), Notify: w.targets("oncall")}}
	}
	if w.random.IntN(3) == 0 {
		a.Key = []string{"region"}
	}
	if w.random.IntN(4) == 0 {
		a.Database = "warehouse"
	}
	a.Notify = w.drawNotify()
	return a
}

func (w *world) drawNotify() []alert.Target {
	names := pool()
	w.random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return w.targets(names[:1+w.random.IntN(2)]...)
}

// targets are those of the names. The pager wants a message an instance.
func (w *world) targets(names ...string) []alert.Target {
	out := sentineltest.Targets(names...)
	for i := range out {
		out[i].PerInstance = out[i].ID == "pager"
		out[i].GiveUpAfter = alert.Duration(90 * time.Minute)
	}
	return out
}

// play is the time in which things go wrong.
func (w *world) play() {
	ticks := 6 + w.random.IntN(9)
	end := w.now.Add(time.Duration(ticks) * step)
	w.sync(w.processes[0])
	for n := 1; n <= ticks; n++ {
		w.ticks(beginning().Add(time.Duration(n) * step))
	}
	for at := w.now; at.Before(end); at = at.Add(w.between(3*time.Minute, 9*time.Minute)) {
		w.at(at, func() { w.tick(w.process()) })
	}
	for _, p := range w.processes {
		for at := w.now; !w.queued && at.Before(end); at = at.Add(w.between(30*time.Second, 4*time.Minute)) {
			w.at(at, func() { w.look(p) })
		}
	}
	some := func(most int, do func()) {
		for range w.random.IntN(most + 1) {
			at := w.now.Add(w.between(0, end.Sub(w.now)))
			if w.random.IntN(3) > 0 { // around a tick, where most is under way
				at = later(at.Truncate(step).Add(w.between(-25*time.Second, 8*time.Second)), w.now)
			}
			w.at(at, do)
		}
	}
	some(5, w.edit)
	some(4, w.silence)
	some(2, w.unsilence)
	some(5, w.trouble)
	some(3, w.redrive)
	w.until(end)
}

// ticks fires what is due at a time: mostly once and in time.
func (w *world) ticks(at time.Time) {
	w.at(at, func() {
		for _, a := range w.file {
			if !a.Enabled || w.chance(w.storm.missed) {
				continue
			}
			copies := 1
			if w.chance(w.storm.twice) {
				copies = 2
			}
			for range copies {
				delay := w.between(0, 4*time.Second)
				if w.chance(w.storm.late) {
					delay = w.between(time.Second, 25*time.Minute)
				}
				tries := 0
				if w.retry {
					tries = 3
				}
				w.at(at.Add(delay), func() { w.fire(a.Name, at, tries) })
			}
			if !w.queued && w.chance(w.storm.twice/4) {
				w.at(at.Add(w.between(0, 4*time.Second)), func() { w.skip(a.Name, at) })
			}
		}
	})
}

// edit changes the file and lets a process, or both, hear of it.
func (w *world) edit() {
	w.tally.Edits++
	w.version++
	w.file = slices.Clone(w.file)
	i := w.random.IntN(len(w.file))
	a := &w.file[i]
	var what string
	switch w.random.IntN(8) {
	case 0:
		if len(w.file) > 1 {
			what = "removes " + a.Name
			w.file = slices.Delete(w.file, i, i+1)
			break
		}
		fallthrough
	case 1:
		names := []string{"revenue", "orders", "stock", "refunds"}
		name := names[w.random.IntN(len(names))]
		if !slices.ContainsFunc(w.file, func(x alert.Alert) bool { return x.Name == name }) {
			what = "adds " + name
			w.file = append(w.file, w.drawAlert(name))
			break
		}
		fallthrough
	case 2, 3:
		a.Enabled = !a.Enabled
		what = fmt.Sprintf("sets %s to enabled: %v", a.Name, a.Enabled)
	case 4:
		a.Key = [][]string{nil, {"region"}, {"city"}}[w.random.IntN(3)]
		what = fmt.Sprintf("sets the key of %s to %v", a.Name, a.Key)
	case 5:
		a.Notify = w.drawNotify()
		what = "changes who is told by " + a.Name
	case 6:
		fresh := w.drawAlert(a.Name)
		fresh.Key, fresh.Enabled = a.Key, a.Enabled
		*a = fresh
		what = "changes the counts of " + a.Name
	default:
		a.Description += "."
		what = "rewords " + a.Name
	}
	w.tell("file %d %s", w.version, what)
	w.at(w.now.Add(w.between(0, 12*time.Second)), func() { w.sync(w.process()) })
	if w.random.IntN(3) == 0 {
		w.at(w.now.Add(w.between(0, 40*time.Second)), func() { w.sync(w.process()) })
	}
}

// silence sets one, for an alert or an instance.
func (w *world) silence() {
	a := w.file[w.random.IntN(len(w.file))]
	silence := alert.Silence{Created: w.now, Until: w.now.Add(w.between(time.Minute, 40*time.Minute)), Author: "ada", Reason: "planned work"}
	if len(a.Key) > 0 && w.random.IntN(2) == 0 {
		id := alert.InstanceID(alert.Fields{{Name: a.Key[0], Value: alert.TextValue(fmt.Sprintf("%s-%d", a.Key[0], w.random.IntN(rows)))}})
		silence.Instance = &id
	}
	w.tally.Silences++
	w.spawn(w.process(), "silence "+a.Name, func(ctx context.Context, s *sentinel.Sentinel) error {
		return s.Silence(ctx, a.ID(), silence)
	}, nil)
}

func (w *world) unsilence() {
	a := w.file[w.random.IntN(len(w.file))]
	w.spawn(w.process(), "unsilence "+a.Name, func(ctx context.Context, s *sentinel.Sentinel) error {
		_, err := s.Unsilence(ctx, a.ID(), nil)
		return err
	}, nil)
}

// trouble makes a target refuse, fail or ask to wait for a while.
func (w *world) trouble() {
	names := append(pool(), "owner")
	name := names[w.random.IntN(len(names))]
	hows := []error{
		&alert.SendError{Message: "HTTP 400", Permanent: true}, &alert.SendError{Message: "HTTP 500"}, &alert.SendError{Message: "HTTP 500"},
		&alert.SendError{Message: "HTTP 429", RetryAfter: w.between(10*time.Second, 20*time.Minute).Truncate(time.Second)},
	}
	r := &receiver{how: hows[w.random.IntN(len(hows))], until: w.now.Add(w.between(10*time.Second, 100*time.Minute))}
	w.receivers[name] = r
	w.tell("%s answers %v until %s", name, r.how, r.until.Format("15:04:05"))
}
