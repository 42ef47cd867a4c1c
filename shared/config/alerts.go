package config

import (
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// alerts reads the list of alerts.
func (p *parser) alerts(n *yaml.Node) {
	first := map[string]int{}
	for i, item := range p.list(n, "alerts") {
		path := fmt.Sprintf("alerts[%d]", i)
		entries, ok := p.mapping(item, path)
		if !ok {
			continue
		}
		a, nameNode := p.alert(item, entries, path)
		if nameNode == nil {
			continue
		}
		if line, twice := first[a.Name]; twice {
			p.wrong(nameNode, join(path, "name"), "the name is taken by the alert in line %d; names are unique in a file", line)
		}
		first[a.Name] = nameNode.Line
		p.out.Alerts = append(p.out.Alerts, a)
	}
}

// reading is one alert while it is read.
type reading struct {
	*parser
	a                            alert.Alert
	item, name, query, queryFile *yaml.Node
	schedule, zone, forNode      *yaml.Node
	noData, timeout              bool
	errorOwners, queryRead       bool
	wrongTargets                 bool
	notify                       *yaml.Node
}

func (p *parser) alert(item *yaml.Node, entries []entry, path string) (alert.Alert, *yaml.Node) {
	r := &reading{parser: p, item: item}
	r.a = alert.Alert{
		Scope: p.out.Scope, Severity: alert.Critical, Timezone: "UTC", Enabled: true, OnNoData: alert.NoDataError,
		OnError: alert.ErrorPolicy{After: alert.Count{Runs: 2}},
	}
	r.errorOwners = true
	here := map[string]bool{}
	for _, e := range entries {
		here[e.key.Value] = true
	}
	for _, d := range p.defaults {
		if !here[d.key.Value] {
			entries = append(entries, d)
		}
	}
	p.fields(entries, path, r.handlers())
	r.complete(path)
	return r.a, r.name
}

// handlers read the fields of an alert.
func (r *reading) handlers() map[string]handler {
	return map[string]handler{
		"name":          func(n *yaml.Node, path string) { r.a.Name, r.name = strings.TrimSpace(r.required(n, path)), n },
		"description":   func(n *yaml.Node, path string) { r.a.Description = r.text(n, path) },
		"severity":      r.severity,
		"runbook_url":   func(n *yaml.Node, path string) { r.a.RunbookURL = r.text(n, path) },
		"labels":        r.labels,
		"query":         func(n *yaml.Node, path string) { r.a.Query, r.queryRead = r.raw(n, path); r.query = n },
		"query_file":    func(n *yaml.Node, _ string) { r.queryFile = n },
		"params":        func(n *yaml.Node, path string) { r.a.Params = r.boolean(n, path) },
		"database":      r.databaseName,
		"schedule":      func(n *yaml.Node, path string) { r.a.Schedule, r.schedule = r.text(n, path), n },
		"timezone":      func(n *yaml.Node, path string) { r.a.Timezone, r.zone = r.text(n, path), n },
		"enabled":       func(n *yaml.Node, path string) { r.a.Enabled = r.boolean(n, path) },
		"for":           func(n *yaml.Node, path string) { r.a.For, r.forNode = r.count(n, path), n },
		"recover_after": func(n *yaml.Node, path string) { r.a.RecoverAfter = r.count(n, path) },
		"remind_every":  func(n *yaml.Node, path string) { r.a.RemindEvery = r.duration(n, path) },
		"on_no_data":    r.onNoData,
		"on_error":      r.onError,
		"key":           r.key,
		"escalate":      r.escalate,
		"timeout":       func(n *yaml.Node, path string) { r.a.Timeout, r.timeout = r.duration(n, path), true },
		"notify":        r.notifyTargets,
	}
}

func (r *reading) word(n *yaml.Node, path string, known ...string) string {
	text := r.text(n, path)
	for _, k := range known {
		if text == k {
			return text
		}
	}
	if text != "" {
		r.wrong(n, path, "must be one of %s%s", strings.Join(known, ", "), meant(text, known))
	}
	return known[0]
}

func (r *reading) severity(n *yaml.Node, path string) {
	r.a.Severity = alert.Severity(r.word(n, path, "critical", "warning", "info"))
}

func (r *reading) onNoData(n *yaml.Node, path string) {
	r.a.OnNoData, r.noData = alert.NoDataPolicy(r.word(n, path, "error", "ok", "alert", "keep")), true
}

func (r *reading) labels(n *yaml.Node, path string) {
	entries, _ := r.mapping(n, path)
	r.a.Labels = make(map[string]string, len(entries))
	for _, e := range entries {
		if text, ok := r.scalar(e.value, join(path, e.key.Value)); ok {
			r.a.Labels[e.key.Value] = text
		}
	}
}

func (r *reading) readQuery(n *yaml.Node, path string) {
	name := r.required(n, path)
	if name == "" {
		return
	}
	if data, ok := r.readFile(n, path, name); ok {
		r.a.Query = string(data)
	}
}

func (r *reading) databaseName(n *yaml.Node, path string) {
	r.a.Database = r.required(n, path)
	if _, ok := r.out.Databases[r.a.Database]; !ok {
		var names []string
		for name := range r.out.Databases {
			names = append(names, name)
		}
		r.wrong(n, path, "there is no such entry in `databases`%s", meant(r.a.Database, names))
	}
}

func (r *reading) key(n *yaml.Node, path string) {
	seen := map[string]bool{}
	for i, item := range r.list(n, path) {
		at := fmt.Sprintf("%s[%d]", path, i)
		name := r.required(item, at)
		if seen[strings.ToLower(name)] {
			r.wrong(item, at, "the column stands here twice")
		}
		seen[strings.ToLower(name)] = true
		r.a.Key = append(r.a.Key, name)
	}
}

func (r *reading) onError(n *yaml.Node, path string) {
	entries, _ := r.mapping(n, path)
	r.fields(entries, path, map[string]handler{
		"after": func(n *yaml.Node, path string) { r.a.OnError.After = r.count(n, path) },
		"notify": func(n *yaml.Node, path string) {
			if target := r.follow(n); target != nil && target.Kind == yaml.ScalarNode {
				r.word(n, path, "owners")
				return
			}
			r.errorOwners = false
			r.a.OnError.Notify = r.targets(n, path)
		},
	})
}

func (r *reading) escalate(n *yaml.Node, path string) {
	for i, item := range r.list(n, path) {
		at := fmt.Sprintf("%s[%d]", path, i)
		entries, ok := r.mapping(item, at)
		if !ok {
			continue
		}
		var step alert.Escalation
		notified := false
		r.fields(entries, at, map[string]handler{
			"after":  func(n *yaml.Node, path string) { step.After = r.count(n, path) },
			"notify": func(n *yaml.Node, path string) { step.Notify, notified = r.targets(n, path), true },
		})
		if step.After.IsZero() {
			r.wrong(item, join(at, "after"), "an escalation needs `after`, such as 3 runs or 30m")
		}
		if !notified {
			r.wrong(item, join(at, "notify"), "an escalation needs `notify`")
		}
		r.a.Escalate = append(r.a.Escalate, step)
	}
}

func (r *reading) notifyTargets(n *yaml.Node, path string) {
	r.notify = n
	if target := r.follow(n); target != nil && target.Kind == yaml.SequenceNode && len(target.Content) == 0 {
		return // recorded only, which the warning says
	}
	before := len(r.problems)
	r.a.Notify = r.targets(n, path)
	r.wrongTargets = len(r.problems) > before
}

// maxTargets bounds the targets of an alert, for one run may send 90 messages.
const maxTargets = 50

// complete checks what belongs together and fills in what follows.
func (r *reading) complete(path string) {
	if r.name == nil {
		r.wrong(r.item, join(path, "name"), "the alert has no name")
	}
	switch {
	case r.query != nil && r.queryFile != nil:
		r.wrong(r.queryFile, join(path, "query_file"), "write `query` or `query_file`, not both")
	case r.query == nil && r.queryFile == nil:
		r.wrong(r.item, join(path, "query"), "the alert has no query; write `query` or `query_file`")
	case r.queryFile != nil:
		r.readQuery(r.queryFile, join(path, "query_file"))
	case strings.TrimSpace(r.a.Query) == "" && r.queryRead:
		r.wrong(r.query, join(path, "query"), "the query is empty")
	}
	if len(r.a.Key) > 0 && !r.noData {
		r.a.OnNoData = alert.NoDataOK
	}
	db, ok := r.out.Databases[r.a.Database]
	if !ok && r.a.Database == "" && len(r.out.Databases) > 0 {
		r.wrong(r.item, join(path, "database"), "the file names several databases; say which one: %s", strings.Join(names(r.out.Databases), ", "))
	}
	if !r.timeout {
		if r.a.Timeout = db.Timeout; db.Timeout == 0 {
			r.a.Timeout = alert.Duration(alert.DefaultQueryTimeout)
		}
	}
	if r.a.Owners = r.out.Owners; r.a.Owners == nil {
		r.a.Owners = r.a.Notify
	}
	if r.errorOwners {
		r.a.OnError.Notify = r.a.Owners
	}
	total := len(r.a.Notify) + len(r.a.OnError.Notify)
	for _, step := range r.a.Escalate {
		total += len(step.Notify)
	}
	if total > maxTargets {
		r.wrong(r.item, join(path, "notify"), "the alert has %d targets; %d are allowed", total, maxTargets)
	}
	if len(r.a.Notify) == 0 && !r.wrongTargets && r.name != nil {
		r.warn(r.name, join(path, "notify"), "the alert tells nobody: it is recorded only")
	}
	r.checkQuery(db, path)
	r.checkSchedule(path)
}

// checkQuery looks at the parameters of the query, on a database whose URL is known.
func (r *reading) checkQuery(db alert.Database, path string) {
	node, at := r.query, join(path, "query")
	if node == nil {
		node, at = r.queryFile, join(path, "query_file")
	}
	if r.o.CheckQuery == nil || node == nil || db.URL == "" || strings.TrimSpace(r.a.Query) == "" {
		return
	}
	env := r.elsewhere("query")
	if err := r.o.CheckQuery(r.a, db, env.Lookup); err != nil && len(env.unknown) == 0 {
		r.wrong(node, at, "%s", err)
	}
}

func names[T any](m map[string]T) []string {
	var out []string
	for name := range m {
		out = append(out, name)
	}
	return out
}

// scheduleResult is a schedule that was parsed already, for most alerts share a few.
type scheduleResult struct {
	schedule alert.Schedule
	err      error
	warning  string
}

func (r *reading) checkSchedule(path string) {
	if r.schedule == nil {
		r.wrong(r.item, join(path, "schedule"), "the alert has no schedule, such as \"0 9 * * MON-FRI\"")
		return
	}
	key := [2]string{r.a.Schedule, r.a.Timezone}
	known, ok := r.cache[key]
	if !ok {
		known.schedule, known.err = alert.ParseSchedule(r.a.Schedule, r.a.Timezone)
		if known.err == nil {
			known.warning = known.schedule.ClockChange(time.Now(), 1)
		}
		r.cache[key] = known
	}
	if known.err != nil {
		node, at := r.schedule, join(path, "schedule")
		if _, zone := known.err.(*alert.ZoneError); zone && r.zone != nil { //nolint:errorlint // ParseSchedule returns it bare
			node, at = r.zone, join(path, "timezone")
		}
		if r.a.Schedule != "" {
			r.wrong(node, at, "%s", known.err)
		}
		return
	}
	if known.warning != "" {
		r.warn(r.schedule, join(path, "schedule"), "%s", known.warning)
	}
	r.warnSpan(known.schedule, path)
}

// warnSpan says what a duration means that is shorter than the pause between runs.
func (r *reading) warnSpan(s alert.Schedule, path string) {
	if r.a.For.Span == 0 {
		return
	}
	first := s.Next(time.Now())
	second := s.Next(first)
	if gap := second.Sub(first); !second.IsZero() && r.a.For.Span.Std()%gap != 0 {
		effective := (r.a.For.Span.Std() + gap - 1) / gap * gap
		r.warn(r.forNode, join(path, "for"), "the alert runs every %s, so that %s means %s", alert.Duration(gap), r.a.For.Span, alert.Duration(effective))
	}
}
