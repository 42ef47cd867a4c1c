package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
	"go.yaml.in/yaml/v4"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// maxNodes bounds what aliases may unfold a file into.
const maxNodes = 4_000_000

// walker walks the nodes of one file and collects problems.
type walker struct {
	file     string
	problems Problems
	env      alert.Lookup
	// expanded is what was put into texts from the environment: no message shows it.
	expanded *alert.Secrets
	nodes    int
	active   map[*yaml.Node]bool
	overrun  bool
}

func (w *walker) at(n *yaml.Node, path, severity, format string, args ...any) {
	line, column := 1, 1
	if n != nil && n.Line > 0 {
		line, column = n.Line, n.Column
	}
	message := w.expanded.Clean(fmt.Sprintf(format, args...))
	w.problems = append(w.problems, Problem{File: w.file, Line: line, Column: column, Path: path, Severity: severity, Message: message})
}

func (w *walker) wrong(n *yaml.Node, path, format string, args ...any) {
	w.at(n, path, "error", format, args...)
}

func (w *walker) warn(n *yaml.Node, path, format string, args ...any) {
	w.at(n, path, "warning", format, args...)
}

// follow resolves an alias, within the budget.
func (w *walker) follow(n *yaml.Node) *yaml.Node {
	if w.nodes++; w.nodes > maxNodes {
		if !w.overrun {
			w.wrong(n, "", "the aliases of the file unfold to more than %d nodes", maxNodes)
		}
		w.overrun = true
		return nil
	}
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// entry is one key of a mapping.
type entry struct {
	key   *yaml.Node
	value *yaml.Node
}

// mapping lists the entries of a mapping in order; merge keys fill in what is not there.
func (w *walker) mapping(n *yaml.Node, path string) ([]entry, bool) {
	n = w.follow(n)
	if n == nil {
		return nil, false
	}
	if n.Kind != yaml.MappingNode {
		w.wrong(n, path, "must be a mapping of keys to values, not %s", describe(n))
		return nil, false
	}
	if w.active[n] {
		w.wrong(n, path, "an alias contains itself")
		return nil, false
	}
	w.active[n] = true
	defer delete(w.active, n)
	var out []entry
	seen := map[string]int{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Value == "<<" && key.Tag == "!!merge" {
			merged = append(merged, value)
			continue
		}
		if first, twice := seen[key.Value]; twice {
			w.wrong(key, join(path, key.Value), "this key stands here twice; the first is in line %d", first)
			continue
		}
		seen[key.Value] = key.Line
		out = append(out, entry{key, value})
	}
	for _, m := range merged {
		out = w.merge(m, path, out, seen)
	}
	return out, true
}

func (w *walker) merge(n *yaml.Node, path string, out []entry, seen map[string]int) []entry {
	target := w.follow(n)
	if target == nil {
		return out
	}
	sources := []*yaml.Node{target}
	if target.Kind == yaml.SequenceNode {
		sources = target.Content
	}
	for _, s := range sources {
		entries, _ := w.mapping(s, path)
		for _, e := range entries {
			if _, here := seen[e.key.Value]; !here {
				seen[e.key.Value] = e.key.Line
				out = append(out, e)
			}
		}
	}
	return out
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// describe says what a node is, without quoting what may be a secret.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		switch n.Tag {
		case "!!null":
			return "nothing"
		case "!!int", "!!float":
			return "a number"
		case "!!bool":
			return "true or false"
		}
		return "a text"
	}
	return "something else"
}

// meant is the known word nearest to an unknown one, as advice.
func meant(word string, known []string) string {
	best, distance := "", 4
	for _, k := range known {
		d := levenshtein.ComputeDistance(strings.ToLower(word), strings.ToLower(k))
		if d < distance && d <= len(k)/2+1 {
			best, distance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// text reads a string and expands its references.
func (w *walker) text(n *yaml.Node, path string) string {
	raw, ok := w.raw(n, path)
	if !ok {
		return ""
	}
	out, err := alert.Expand(raw, w.env)
	if err != nil {
		w.wrong(n, path, "%s", err)
	}
	return out
}

// raw reads a string as written.
func (w *walker) raw(n *yaml.Node, path string) (string, bool) {
	n = w.follow(n)
	if n == nil {
		return "", false
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		w.wrong(n, path, "must be a text, not %s; put it in quotes", describe(n))
		return "", false
	}
	return n.Value, true
}

// boolean reads true or false.
func (w *walker) boolean(n *yaml.Node, path string) bool {
	n = w.follow(n)
	if n == nil {
		return false
	}
	v, err := strconv.ParseBool(n.Value)
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" || err != nil {
		w.wrong(n, path, "must be true or false, not %s", describe(n))
	}
	return v
}

// scalar reads a text or a number as text, expanded.
func (w *walker) scalar(n *yaml.Node, path string) (string, bool) {
	n = w.follow(n)
	if n == nil {
		return "", false
	}
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Tag == "!!bool" {
		w.wrong(n, path, "must be a text or a number, not %s", describe(n))
		return "", false
	}
	out, err := alert.Expand(n.Value, w.env)
	if err != nil {
		w.wrong(n, path, "%s", err)
		return "", false
	}
	return out, true
}

// list lists the elements of a sequence that is not empty.
func (w *walker) list(n *yaml.Node, path string) []*yaml.Node {
	n = w.follow(n)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		w.wrong(n, path, "must be a list, not %s", describe(n))
		return nil
	}
	if len(n.Content) == 0 {
		w.wrong(n, path, "the list is empty; leave the key out if there is nothing to list")
	}
	return n.Content
}
