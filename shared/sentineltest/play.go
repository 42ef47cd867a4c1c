package sentineltest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// A Story is a sequence of things that happen to one alert, and what people hear of it.
// Its lines are `action | status after it | messages that arrive | reason codes`; an empty
// column but the messages is not looked at. The actions:
//
//	ALERT, OK, EMPTY, NULL        the query's answer at the next tick, ten minutes later
//	ERROR [code], UNREACHABLE     … its failure
//	EU=ALERT US=OK                … with a key: a row an instance; NULL for no data
//	repeat                        the last run is fired again; late ALERT: an older run comes late
//	silence 1h, silence EU 1h     unsilence, unsilence EU; release: the tick between runs
//	edit NAME                     the file becomes what Story.Edits has under NAME
//	remove                        the alert leaves the file
//	refuse T, wait T, mend T      target T answers 400, asks to wait, fails (down T), is well again
//	sleep 2h                      time passes, deliveries go on
//	missed                        the next tick comes, and no run with it
//	overlap                       the next tick comes while the last run is under way
//	stopped                       three ticks pass while nothing runs
//	other ALERT|OK|UNREACHABLE    a run of another alert on the same database
//	redrive                       every dead delivery is opened again
//	clock +24h                    the clock jumps, and runs with it
type Story struct {
	Name  string
	Alert func(*alert.Alert)
	Edits map[string]func(*alert.Alert)
	Lines string
}

// Target is a webhook-like target of a story, known by its name.
func Target(name string) alert.Target {
	return alert.Target{ID: name, Channel: "webhook", Label: name, Settings: []byte(`{}`)}
}

// Targets is Target for several names.
func Targets(names ...string) []alert.Target {
	var out []alert.Target
	for _, n := range names {
		out = append(out, Target(n))
	}
	return out
}

// step is the time between two ticks of a story.
const step = 10 * time.Minute

// player plays one story on one runtime.
type player struct {
	t       *testing.T
	s       *sentinel.Sentinel
	runtime Runtime
	edits   map[string]func(*alert.Alert)
	alert   alert.Alert
	other   alert.Alert
	removed bool
	answer  alert.Result

	mu      sync.Mutex
	now     time.Time
	trouble map[string]error
	heard   []string
	last    sentinel.Evaluation
	codes   map[alert.Code]bool
}

// TestStories plays every story on a runtime and returns the reason codes that were seen.
func TestStories(t *testing.T, open func(t *testing.T) Runtime) map[alert.Code]bool {
	seen := map[alert.Code]bool{}
	for _, story := range Stories() {
		t.Run(story.Name, func(t *testing.T) {
			for code := range Play(t, story, open(t)) {
				seen[code] = true
			}
		})
	}
	return seen
}

// Play plays one story and returns the reason codes that were seen.
func Play(t *testing.T, story Story, runtime Runtime) map[alert.Code]bool {
	p := &player{
		t: t, runtime: runtime, edits: story.Edits, alert: plainAlert("revenue"), other: plainAlert("other"),
		now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), trouble: map[string]error{}, codes: map[alert.Code]bool{},
	}
	if story.Alert != nil {
		story.Alert(&p.alert)
	}
	var err error
	p.s, err = sentinel.New(sentinel.Options{
		Store: runtime, Outbox: runtime, Queue: runtime, Query: p, Send: p,
		Now: p.clock, Pause: p.pause, Jitter: func() float64 { return 0 },
	})
	require.NoError(t, err)
	p.sync()
	for n, line := range strings.Split(strings.TrimSpace(story.Lines), "\n") {
		p.line(n+1, strings.TrimSpace(line))
	}
	return p.codes
}

func plainAlert(name string) alert.Alert {
	return alert.Alert{
		Scope: "shop", Name: name, Severity: alert.Critical, Query: "SELECT 'OK' AS status", Schedule: "*/10 * * * *", Timezone: "UTC",
		Enabled: true, OnNoData: alert.NoDataError, Timeout: alert.Duration(30 * time.Second), Notify: Targets("team"),
		OnError: alert.ErrorPolicy{After: alert.Count{Runs: 2}, Notify: Targets("owner")}, Owners: Targets("owner"),
	}
}

// line does one action and holds what came of it against the rest of the line.
func (p *player) line(n int, line string) {
	columns := strings.Split(line, "|")
	for len(columns) < 4 {
		columns = append(columns, "")
	}
	for i := range columns {
		columns[i] = strings.TrimSpace(columns[i])
	}
	p.heard, p.last = nil, sentinel.Evaluation{}
	p.act(columns[0])
	p.drain()
	where := fmt.Sprintf("line %d: %s", n, line)
	p.records()
	slices.Sort(p.heard)
	if len(p.heard) > 10 {
		event, _, _ := strings.Cut(p.heard[0], "(")
		p.heard = []string{fmt.Sprintf("%d×%s", len(p.heard), event)}
	}
	require.Equal(p.t, columns[2], strings.Join(p.heard, " "), where)
	if columns[1] != "" {
		snapshot, err := p.runtime.Load(p.t.Context(), p.alert.ID())
		require.NoError(p.t, err, where)
		require.Equal(p.t, columns[1], string(alert.Standing(snapshot.Definition.Alert, snapshot.State, false)), where)
	}
	var codes []string
	for _, reason := range p.last.Record.Reasons {
		p.codes[reason.Code] = true
		codes = append(codes, string(reason.Code))
		require.NotEmpty(p.t, reason.Text, where)
	}
	for _, code := range strings.Fields(columns[3]) {
		require.Contains(p.t, codes, code, where)
	}
}

// records notes the reasons of everything that history holds, of what is decided between
// two runs too.
func (p *player) records() {
	records, err := p.runtime.History(p.t.Context(), sentinel.HistoryFilter{Scope: "shop"})
	require.NoError(p.t, err)
	for _, record := range records {
		for _, reason := range record.Reasons {
			p.codes[reason.Code] = true
		}
	}
}

func (p *player) act(action string) {
	words := strings.Fields(action)
	switch rest := words[1:]; words[0] {
	case "repeat":
		p.evaluate(p.alert, p.now.Truncate(step))
	case "late":
		p.answer = p.result(rest)
		p.evaluate(p.alert, p.now.Truncate(step).Add(-step))
	case "overlap":
		require.NoError(p.t, p.s.Skip(p.t.Context(), p.alert.ID(), p.now.Add(step)))
		p.skipped(p.now.Add(step))
	case "stopped":
		first, last := p.now.Truncate(step).Add(step), p.now.Truncate(step).Add(3*step)
		require.NoError(p.t, p.s.PassOver(p.t.Context(), p.alert.ID(), first, last, 3))
		p.skipped(last)
		p.now = last
	case "missed":
		p.mu.Lock()
		p.now = p.now.Truncate(step).Add(step)
		p.mu.Unlock()
		evaluation, err := p.s.Missed(p.t.Context(), p.alert.ID(), p.now)
		require.NoError(p.t, err)
		p.last = evaluation
	case "other":
		p.answer = p.result(rest)
		p.evaluate(p.other, p.now)
	case "silence", "unsilence", "release":
		p.silence(words[0], rest)
	case "edit":
		p.edits[rest[0]](&p.alert)
		p.sync()
	case "remove":
		p.removed = true
		p.sync()
	case "refuse", "down", "wait", "mend":
		p.disturb(words[0], rest[0])
	case "sleep", "clock":
		p.move(rest[0])
	case "redrive":
		p.redrive()
	default:
		p.mu.Lock()
		p.now = p.now.Truncate(step).Add(step)
		p.mu.Unlock()
		p.answer = p.result(words)
		p.evaluate(p.alert, p.now)
	}
}

// skipped reads the record of a tick that was not run.
func (p *player) skipped(at time.Time) {
	newest, err := p.runtime.History(p.t.Context(), sentinel.HistoryFilter{Scope: p.alert.Scope, Alerts: []string{p.alert.Name}, Limit: 1})
	require.NoError(p.t, err)
	require.Len(p.t, newest, 1)
	record := newest[0]
	require.Equal(p.t, alert.StatusSkipped, record.Status)
	require.True(p.t, at.Equal(record.Scheduled), "the newest record is of %s", record.Scheduled)
	p.last = sentinel.Evaluation{Alert: p.alert, Record: record}
}

func (p *player) evaluate(a alert.Alert, at time.Time) {
	evaluation, err := p.s.Evaluate(p.t.Context(), a.ID(), at)
	require.NoError(p.t, err)
	p.last = evaluation
}

// result reads the query's answer from a line.
func (p *player) result(words []string) alert.Result {
	switch words[0] {
	case "ALERT", "OK":
		return alert.Result{Rows: []alert.Row{{Status: alert.Status(words[0]), Actual: alert.IntValue(1), Threshold: alert.IntValue(2)}}}
	case "EMPTY":
		return alert.Result{Empty: true}
	case "NULL":
		return alert.Result{Rows: []alert.Row{{Status: alert.StatusOK, NoData: true}}}
	case "UNREACHABLE":
		return alert.Unreachable("nobody listens")
	case "ERROR":
		if len(words) > 1 {
			return alert.Fail(alert.Code(words[1]), "no such column: revenu")
		}
		return alert.Fail(alert.ErrorQuery, "no such column: revenu")
	case "CUT":
		return alert.Result{Rows: []alert.Row{{Status: alert.StatusOK}}, Notes: []string{"the context is cut at 64 KiB"}}
	}
	var rows []alert.Row
	for _, word := range words {
		name, status, _ := strings.Cut(word, "=")
		row := alert.Row{Instance: region(name), Status: alert.Status(status), Actual: alert.IntValue(1)}
		if status == "NULL" {
			row.Status, row.NoData, row.Actual = alert.StatusOK, true, alert.NullValue()
		}
		if count, many := strings.CutPrefix(name, "x"); many {
			rows = append(rows, manyRows(p.t, count, row)...)
			continue
		}
		rows = append(rows, row)
	}
	return alert.Result{Rows: rows}
}

func region(name string) alert.Fields {
	return alert.Fields{{Name: "region", Value: alert.TextValue(name)}}
}

func manyRows(t *testing.T, count string, like alert.Row) []alert.Row {
	n := 0
	_, err := fmt.Sscan(count, &n)
	require.NoError(t, err)
	rows := make([]alert.Row, n)
	for i := range rows {
		rows[i] = like
		rows[i].Instance = region(fmt.Sprintf("r%04d", i))
	}
	return rows
}

func (p *player) silence(verb string, args []string) {
	ctx, id := p.t.Context(), p.alert.ID()
	var instance *string
	if len(args) > 0 && (verb == "unsilence" || len(args) > 1) {
		text := alert.InstanceID(region(args[0]))
		instance, args = &text, args[1:]
	}
	switch verb {
	case "release":
		_, err := p.s.Release(ctx, id)
		require.NoError(p.t, err)
	case "unsilence":
		_, err := p.s.Unsilence(ctx, id, instance)
		require.NoError(p.t, err)
	default:
		d, err := alert.ParseDuration(args[0])
		require.NoError(p.t, err)
		now := p.clock()
		require.NoError(p.t, p.s.Silence(ctx, id, alert.Silence{Instance: instance, Created: now, Until: now.Add(d.Std()), Author: "ada", Reason: "planned work"}))
	}
}

// sync makes the stored definitions those of the story's file.
func (p *player) sync() {
	file := []alert.Alert{p.other}
	if !p.removed {
		file = append(file, p.alert)
	}
	_, err := p.s.Sync(p.t.Context(), "shop", file)
	require.NoError(p.t, err)
}

func (p *player) disturb(how, target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch how {
	case "refuse":
		p.trouble[target] = &alert.SendError{Message: "HTTP 400", Permanent: true}
	case "down":
		p.trouble[target] = &alert.SendError{Message: "HTTP 500"}
	case "wait":
		p.trouble[target] = &alert.SendError{Message: "HTTP 429", RetryAfter: 30 * time.Minute}
	default:
		delete(p.trouble, target)
	}
}

// move lets time pass in steps, with the deliveries that fall due on the way; a jump of
// the clock (with a sign) lets nothing happen meanwhile.
func (p *player) move(span string) {
	jump := strings.HasPrefix(span, "+") || strings.HasPrefix(span, "-")
	d, err := time.ParseDuration(span)
	require.NoError(p.t, err)
	if jump {
		p.pause(p.t.Context(), d)
		return
	}
	for end := p.clock().Add(d); p.clock().Before(end); {
		p.pause(p.t.Context(), time.Minute)
		p.drain()
	}
}

func (p *player) redrive() {
	dead, err := p.runtime.Deliveries(p.t.Context(), sentinel.DeliveryFilter{Scope: "shop", Statuses: []alert.DeliveryStatus{alert.Dead}})
	require.NoError(p.t, err)
	for _, d := range dead {
		_, err := p.runtime.Redrive(p.t.Context(), d.ID, p.clock())
		require.NoError(p.t, err)
	}
}

func (p *player) drain() {
	require.NoError(p.t, p.s.Drain(p.t.Context(), sentinel.DrainOptions{Scope: "shop"}))
}

func (p *player) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *player) pause(_ context.Context, d time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
	return true
}

// Query answers as the story says.
func (p *player) Query(context.Context, alert.Alert, alert.Run) alert.Result { return p.answer }

// Send hears a message, unless the target is in trouble.
func (p *player) Send(_ context.Context, d alert.Delivery) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.trouble[d.Target.ID]; err != nil {
		return err
	}
	p.heard = append(p.heard, describe(d))
	return nil
}
