package config

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// handler reads the value of one key.
type handler func(n *yaml.Node, path string)

// fields reads a mapping by its known keys.
func (p *parser) fields(entries []entry, path string, known map[string]handler) {
	for _, e := range entries {
		if read, ok := known[e.key.Value]; ok {
			read(e.value, join(path, e.key.Value))
			continue
		}
		names := make([]string, 0, len(known))
		for k := range known {
			names = append(names, k)
		}
		slices.Sort(names)
		p.wrong(e.key, join(path, e.key.Value), "this key is not known here%s", meant(e.key.Value, names))
	}
}

func (p *parser) root(n *yaml.Node) {
	entries, ok := p.mapping(n, "")
	if !ok {
		return
	}
	byKey := map[string]*yaml.Node{}
	entries = slices.DeleteFunc(entries, func(e entry) bool { return strings.HasPrefix(e.key.Value, "x-") })
	for _, e := range entries {
		byKey[e.key.Value] = e.value
	}
	later := func(*yaml.Node, string) {}
	p.fields(entries, "", map[string]handler{
		"name":      func(n *yaml.Node, path string) { p.out.Scope = p.required(n, path) },
		"database":  func(n *yaml.Node, path string) { p.database("", n, path) },
		"databases": p.databases,
		"retention": func(n *yaml.Node, path string) { p.out.Retention = p.duration(n, path) },
		"heartbeat": p.heartbeat,
		"channels":  p.channelTargets,
		"defaults":  func(n *yaml.Node, path string) { p.defaults, _ = p.mapping(n, path) },
		"owners":    later, "alerts": later,
	})
	if n := byKey["owners"]; n != nil {
		p.out.Owners = p.targets(n, "owners")
	}
	p.environmentDatabase(byKey["database"] != nil || byKey["databases"] != nil)
	if byKey["alerts"] == nil {
		p.wrong(n, "alerts", "the file has no alerts")
		return
	}
	p.alerts(byKey["alerts"])
}

func (p *parser) required(n *yaml.Node, path string) string {
	text := p.text(n, path)
	if strings.TrimSpace(text) == "" {
		p.wrong(n, path, "must not be empty")
	}
	return text
}

func (p *parser) duration(n *yaml.Node, path string) alert.Duration {
	text, ok := p.scalar(n, path)
	if !ok {
		return 0
	}
	d, err := alert.ParseDuration(text)
	if err != nil {
		p.wrong(n, path, "%s", err)
	} else if d == 0 {
		p.wrong(n, path, "must be longer than nothing")
	}
	return d
}

func (p *parser) count(n *yaml.Node, path string) alert.Count {
	text, ok := p.scalar(n, path)
	if !ok {
		return alert.Count{}
	}
	c, err := alert.ParseCount(text)
	if err != nil {
		p.wrong(n, path, "%s", err)
	}
	return c
}

func (p *parser) databases(n *yaml.Node, path string) {
	entries, _ := p.mapping(n, path)
	for _, e := range entries {
		p.database(e.key.Value, e.value, join(path, e.key.Value))
	}
}
