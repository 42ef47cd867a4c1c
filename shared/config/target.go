package config

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// channelTargets reads the targets by name.
func (p *parser) channelTargets(n *yaml.Node, path string) {
	entries, _ := p.mapping(n, path)
	for _, e := range entries {
		t, ok := p.target(e.value, join(path, e.key.Value))
		t.ID, t.Label = e.key.Value, e.key.Value
		if ok {
			p.named[e.key.Value] = t
		} else {
			p.named[e.key.Value] = alert.Target{ID: e.key.Value}
		}
	}
}

// targets reads a list of targets: mappings, or names from `channels`.
func (p *parser) targets(n *yaml.Node, path string) []alert.Target {
	var out []alert.Target
	seen := map[string]int{}
	for i, item := range p.list(n, path) {
		at := fmt.Sprintf("%s[%d]", path, i)
		item = p.follow(item)
		if item == nil {
			return out
		}
		var t alert.Target
		var ok bool
		if item.Kind == yaml.ScalarNode && item.Tag == "!!str" {
			if t, ok = p.named[item.Value]; !ok {
				p.wrong(item, at, "there is no such entry in `channels`%s", meant(item.Value, names(p.named)))
			}
		} else {
			t, ok = p.target(item, at)
		}
		if !ok {
			continue
		}
		if line, twice := seen[t.ID]; twice {
			p.wrong(item, at, "this target stands in the list twice; the first is in line %d", line)
			continue
		}
		seen[t.ID] = item.Line
		out = append(out, t)
	}
	return out
}

// target reads one target: its channel, what every target has, and the channel's settings,
// under `config` or beside `channel`.
func (p *parser) target(n *yaml.Node, path string) (alert.Target, bool) {
	before := len(p.problems)
	entries, ok := p.mapping(n, path)
	if !ok {
		return alert.Target{}, false
	}
	entries, ok = p.flatten(entries, path)
	var t alert.Target
	var channel Channel
	for _, e := range entries {
		if e.key.Value == "channel" {
			t.Channel, _ = p.raw(e.value, join(path, "channel"))
			if channel = p.channels[t.Channel]; channel == nil && t.Channel != "" {
				p.wrong(e.value, join(path, "channel"), "there is no such channel; there are %s%s", strings.Join(p.channelNames(), ", "), meant(t.Channel, p.channelNames()))
			}
		}
	}
	if t.Channel == "" && ok {
		p.wrong(n, join(path, "channel"), "the target has no channel; there are %s", strings.Join(p.channelNames(), ", "))
	}
	if channel == nil {
		return t, false
	}
	settings := p.common(&t, entries, path)
	t.Settings = p.settings(channel, n, settings, path)
	if len(p.problems) > before && slices.ContainsFunc(p.problems[before:], func(x Problem) bool { return x.Severity == "error" }) {
		return t, false
	}
	identity, label := channel.Address(t.Settings)
	t.ID, t.Label = t.Channel+":"+alert.Digest(identity), label
	return t, true
}

func (p *parser) channelNames() []string {
	var out []string
	for _, c := range p.o.Channels {
		out = append(out, c.Name())
	}
	return out
}

// flatten brings the entries of `config` beside the others.
func (p *parser) flatten(entries []entry, path string) ([]entry, bool) {
	var out, nested []entry
	for _, e := range entries {
		if e.key.Value == "config" {
			inner, ok := p.mapping(e.value, join(path, "config"))
			if !ok {
				return entries, false
			}
			nested = inner
			continue
		}
		out = append(out, e)
	}
	for _, e := range nested {
		if e.key.Value == "channel" { // beside `channel:` it has the name slack_channel
			key := *e.key
			key.Value = kindOf(out) + "_channel"
			e.key = &key
		}
		if slices.ContainsFunc(out, func(x entry) bool { return x.key.Value == e.key.Value }) {
			p.wrong(e.key, join(path, "config."+e.key.Value), "this key stands under `config` and beside it; write it once")
			continue
		}
		out = append(out, e)
	}
	return out, true
}

// kindOf is the value of `channel`.
func kindOf(entries []entry) string {
	for _, e := range entries {
		if e.key.Value == "channel" {
			return e.value.Value
		}
	}
	return ""
}

// common reads what every target has and returns the rest.
func (p *parser) common(t *alert.Target, entries []entry, path string) []entry {
	known := map[string]handler{
		"channel":       func(*yaml.Node, string) {},
		"events":        func(n *yaml.Node, path string) { t.Events = p.events(n, path) },
		"per_instance":  func(n *yaml.Node, path string) { t.PerInstance = p.boolean(n, path) },
		"attempts":      func(n *yaml.Node, path string) { t.Attempts = p.number(n, path, 1, 20) },
		"backoff":       func(n *yaml.Node, path string) { t.Backoff = p.duration(n, path) },
		"timeout":       func(n *yaml.Node, path string) { t.Timeout = p.duration(n, path) },
		"give_up_after": func(n *yaml.Node, path string) { t.GiveUpAfter = p.giveUp(n, path) },
	}
	var rest []entry
	for _, e := range entries {
		if read, ok := known[e.key.Value]; ok {
			read(e.value, join(path, e.key.Value))
		} else {
			rest = append(rest, e)
		}
	}
	return rest
}

func (p *parser) giveUp(n *yaml.Node, path string) alert.Duration {
	d := p.duration(n, path)
	if d.Std() > alert.MaxGiveUpAfter {
		p.wrong(n, path, "must be %s at most", alert.Duration(alert.MaxGiveUpAfter))
	}
	return d
}

func (p *parser) events(n *yaml.Node, path string) []alert.Event {
	var out []alert.Event
	var known []string
	for _, e := range alert.Events {
		known = append(known, string(e))
	}
	for i, item := range p.list(n, path) {
		at := fmt.Sprintf("%s[%d]", path, i)
		text := p.text(item, at)
		if !slices.Contains(known, text) {
			p.wrong(item, at, "must be one of %s%s", strings.Join(known, ", "), meant(text, known))
		}
		out = append(out, alert.Event(text))
	}
	return out
}

func (p *parser) number(n *yaml.Node, path string, low, high int) int {
	target := p.follow(n)
	if target == nil {
		return 0
	}
	var v int
	if target.Kind != yaml.ScalarNode || target.Tag != "!!int" || target.Decode(&v) != nil {
		p.wrong(n, path, "must be a whole number, not %s", describe(target))
		return 0
	}
	if v < low || v > high {
		p.wrong(n, path, "must be from %d to %d", low, high)
	}
	return v
}
