package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// settings turns the rest of a target into the channel's JSON object and has it checked.
func (p *parser) settings(channel Channel, n *yaml.Node, entries []entry, path string) json.RawMessage {
	before := len(p.problems)
	p.settle = p.elsewhere(channel.Name())
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
	for _, x := range channel.Check(text, p.settle.Lookup) {
		if p.settle.doubtful(x, text) {
			continue
		}
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
	if _, err := alert.Expand(target.Value, p.settle.Lookup); err != nil {
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
	data, ok := p.readFile(n, path, target.Value)
	if !ok {
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
		if _, err := alert.Expand(v, p.settle.Lookup); err != nil {
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
