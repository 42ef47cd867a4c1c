package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// targetResult is a target of `channels` that was read already.
type targetResult struct{ target alert.Target }

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

// settings turns the rest of a target into the channel's JSON object and has it checked.
func (p *parser) settings(channel Channel, n *yaml.Node, entries []entry, path string) json.RawMessage {
	before := len(p.problems)
	kind := reflect.TypeOf(channel.Settings()).Elem()
	object := p.object(kind, entries, path)
	text, err := json.Marshal(object)
	if err != nil {
		p.wrong(n, path, "the settings cannot be written as JSON: %s", err)
		return nil
	}
	if len(p.problems) > before {
		return text
	}
	at := map[string]*yaml.Node{}
	positions(entries, "", at)
	for _, x := range channel.Check(text, p.env) {
		node := n
		for probe := x.Path; probe != ""; probe = parent(probe) {
			if found := at[probe]; found != nil {
				node = found
				break
			}
		}
		severity := "error"
		if x.Warning {
			severity = "warning"
		}
		p.at(node, join(path, x.Path), severity, "%s", x.Message)
	}
	return text
}

func parent(path string) string {
	if dot := strings.LastIndexByte(path, '.'); dot >= 0 {
		return path[:dot]
	}
	return ""
}

// positions notes where every setting stands.
func positions(entries []entry, path string, at map[string]*yaml.Node) {
	for _, e := range entries {
		here := join(path, e.key.Value)
		at[here] = e.value
		if e.value.Kind == yaml.MappingNode {
			var inner []entry
			for i := 0; i+1 < len(e.value.Content); i += 2 {
				inner = append(inner, entry{e.value.Content[i], e.value.Content[i+1]})
			}
			positions(inner, here, at)
		}
	}
}

// setting is a field of a settings struct.
type setting struct {
	name string
	kind reflect.Type
	file bool
}

// settingsOf lists the fields of a settings struct by name and alias.
func settingsOf(kind reflect.Type) map[string]setting {
	out := map[string]setting{}
	for i := range kind.NumField() {
		f := kind.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		s := setting{name, f.Type, f.Tag.Get("file") != ""}
		out[name] = s
		for _, alias := range strings.Split(f.Tag.Get("alias"), ",") {
			if alias != "" {
				out[alias] = s
			}
		}
	}
	return out
}

// object reads a mapping by the fields of a struct.
func (p *parser) object(kind reflect.Type, entries []entry, path string) map[string]any {
	known, out := settingsOf(kind), map[string]any{}
	for _, e := range entries {
		here := join(path, e.key.Value)
		s, ok := known[e.key.Value]
		if !ok {
			p.wrong(e.key, here, "this setting is not known here%s", meant(e.key.Value, names(known)))
			continue
		}
		if _, twice := out[s.name]; twice {
			p.wrong(e.key, here, "this is another name of %q, which stands here too", s.name)
			continue
		}
		if s.file {
			out[s.name] = p.payload(e.value, here)
		} else {
			out[s.name] = p.typed(s.kind, e.value, here)
		}
	}
	return out
}

// typed reads a value of a settings struct's field.
func (p *parser) typed(kind reflect.Type, n *yaml.Node, path string) any {
	if kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	switch kind.Kind() {
	case reflect.Bool:
		return p.boolean(n, path)
	case reflect.Int, reflect.Int64:
		if kind == reflect.TypeFor[alert.Duration]() {
			return p.duration(n, path)
		}
		return p.number(n, path, 0, 1<<31-1)
	case reflect.Slice:
		var out []any
		for i, item := range p.list(n, path) {
			out = append(out, p.typed(kind.Elem(), item, fmt.Sprintf("%s[%d]", path, i)))
		}
		return out
	case reflect.Map:
		entries, _ := p.mapping(n, path)
		out := map[string]any{}
		for _, e := range entries {
			out[e.key.Value] = p.typed(kind.Elem(), e.value, join(path, e.key.Value))
		}
		return out
	case reflect.Struct:
		entries, _ := p.mapping(n, path)
		return p.object(kind, entries, path)
	}
	return p.reference(n, path)
}

// reference reads a text that stays as written; its references must resolve.
func (p *parser) reference(n *yaml.Node, path string) string {
	target := p.follow(n)
	if target == nil {
		return ""
	}
	if target.Kind != yaml.ScalarNode || target.Tag == "!!null" {
		p.wrong(n, path, "must be a text, not %s", describe(target))
		return ""
	}
	if _, err := alert.Expand(target.Value, p.env); err != nil {
		p.wrong(n, path, "%s", err)
	}
	return target.Value
}

// payload reads a JSON value inline, or from the file that a text ending in .json names.
func (p *parser) payload(n *yaml.Node, path string) any {
	target := p.follow(n)
	if target == nil {
		return nil
	}
	if target.Kind != yaml.ScalarNode || !strings.HasSuffix(target.Value, ".json") {
		return p.inline(target, path)
	}
	name := target.Value
	if !filepath.IsAbs(name) {
		name = filepath.Join(p.out.Dir, name)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		p.wrong(n, path, "the file cannot be read: %s", reasonOf(err))
		return nil
	}
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		p.wrong(n, path, "the file is not JSON: %s", err)
		return nil
	}
	p.checkReferences(n, path, value)
	return json.RawMessage(data)
}

func (p *parser) checkReferences(n *yaml.Node, path string, value any) {
	switch v := value.(type) {
	case string:
		if _, err := alert.Expand(v, p.env); err != nil {
			p.wrong(n, path, "%s", err)
		}
	case []any:
		for _, item := range v {
			p.checkReferences(n, path, item)
		}
	case map[string]any:
		for _, item := range v {
			p.checkReferences(n, path, item)
		}
	}
}

// inline turns YAML into a JSON value.
func (p *parser) inline(n *yaml.Node, path string) any {
	switch n = p.follow(n); {
	case n == nil:
		return nil
	case n.Kind == yaml.MappingNode:
		entries, _ := p.mapping(n, path)
		out := map[string]any{}
		for _, e := range entries {
			out[e.key.Value] = p.inline(e.value, join(path, e.key.Value))
		}
		return out
	case n.Kind == yaml.SequenceNode:
		out := []any{}
		for i, item := range n.Content {
			out = append(out, p.inline(item, fmt.Sprintf("%s[%d]", path, i)))
		}
		return out
	case n.Tag == "!!str":
		return p.reference(n, path)
	}
	var v any
	if err := n.Decode(&v); err != nil {
		p.wrong(n, path, "this is no JSON value")
	}
	return v
}
