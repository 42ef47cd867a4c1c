package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Inline puts the queries and payloads that a valid file keeps in other files into it, so
// that it stands alone. dir is the folder that relative paths start from. What refers to no
// file is returned as it is, to the last byte.
func Inline(data []byte, dir string) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("inline files: %w", err)
	}
	in := &inliner{dir: dir, seen: map[*yaml.Node]bool{}}
	if err := in.walk(&doc); err != nil {
		return nil, fmt.Errorf("inline files: %w", err)
	}
	if !in.changed {
		return data, nil
	}
	out, err := yaml.Marshal(&doc)
	if err != nil {
		return nil, fmt.Errorf("inline files: %w", err)
	}
	return out, nil
}

type inliner struct {
	dir     string
	changed bool
	seen    map[*yaml.Node]bool
}

func (in *inliner) walk(n *yaml.Node) error {
	if n == nil || in.seen[n] {
		return nil
	}
	in.seen[n] = true
	if n.Kind != yaml.MappingNode {
		for _, item := range n.Content {
			if err := in.walk(item); err != nil {
				return err
			}
		}
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if err := in.entry(n.Content[i], n.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// entry puts the file in place of its path, if the entry names one. What is inside of a
// payload is the user's, and left alone.
func (in *inliner) entry(key, value *yaml.Node) error {
	switch {
	case key.Value == "query_file" && value.Kind == yaml.ScalarNode:
		text, err := in.read(value.Value)
		if err != nil {
			return err
		}
		key.Value = "query"
		in.replace(value, yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: string(text), Style: yaml.LiteralStyle})
	case key.Value == "payload" && value.Kind == yaml.ScalarNode && strings.HasSuffix(value.Value, ".json"):
		text, err := in.read(value.Value)
		if err != nil {
			return err
		}
		var doc yaml.Node
		if err := yaml.Unmarshal(text, &doc); err != nil || len(doc.Content) != 1 { // JSON is YAML
			return fmt.Errorf("%s is not JSON", value.Value)
		}
		in.replace(value, *doc.Content[0])
	case key.Value == "payload":
	default:
		return in.walk(value)
	}
	return nil
}

func (in *inliner) replace(value *yaml.Node, by yaml.Node) {
	by.HeadComment, by.LineComment, by.FootComment, by.Anchor = value.HeadComment, value.LineComment, value.FootComment, value.Anchor
	*value, in.changed = by, true
}

func (in *inliner) read(name string) ([]byte, error) {
	_, text, err := readNamed(in.dir, name)
	if err != nil {
		return nil, fmt.Errorf("read a file that the alert file names: %w", err)
	}
	return text, nil
}
