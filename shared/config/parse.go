package config

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/joho/godotenv"
	"go.yaml.in/yaml/v4"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// parser reads one file.
type parser struct {
	walker
	o        Options
	out      *File
	channels map[string]Channel
	named    map[string]alert.Target
	defaults []entry
	cache    map[[2]string]scheduleResult
	settle   *elsewhere // of the settings that are being read
}

// Parse reads the content of a file that stands at path. The error is Problems if the
// content is wrong; the File then has Path, Dir, Scope and Secrets only, by which what is
// stored of it is found.
func Parse(path string, data []byte, o Options) (*File, error) {
	p := &parser{o: o, channels: map[string]Channel{}, named: map[string]alert.Target{}, cache: map[[2]string]scheduleResult{}}
	p.file, p.active = path, map[*yaml.Node]bool{}
	for _, c := range o.Channels {
		p.channels[c.Name()] = c
	}
	dir := filepath.Dir(path)
	p.out = &File{Path: path, Dir: dir, Scope: scopeOf(path), Databases: map[string]alert.Database{}, Retention: alert.Duration(90 * 24 * 3600e9)}
	env, err := environment(dir, o)
	if err != nil {
		return nil, err
	}
	p.expanded = alert.NewSecrets(env)
	p.env = p.expanded.Lookup
	p.out.Secrets = alert.NewSecrets(env)
	if root := p.document(data); root != nil {
		p.root(root)
	}
	return p.finish()
}

func (p *parser) finish() (*File, error) {
	p.problems.sort()
	errors := slices.DeleteFunc(slices.Clone(p.problems), func(x Problem) bool { return x.Severity != "error" })
	p.out.Warnings = slices.DeleteFunc(slices.Clone(p.problems), func(x Problem) bool { return x.Severity == "error" })
	if len(errors) > 0 {
		return &File{Path: p.out.Path, Dir: p.out.Dir, Scope: p.out.Scope, Secrets: p.out.Secrets}, p.problems
	}
	if p.o.Scope != "" {
		p.out.Scope = p.o.Scope
		for i := range p.out.Alerts {
			p.out.Alerts[i].Scope = p.o.Scope
		}
	}
	return p.out, nil
}

// environment is the process's over that of .env.
func environment(dir string, o Options) (alert.Lookup, error) {
	process := o.Env
	if process == nil {
		process = func(string) (string, bool) { return "", false }
	}
	if o.NoEnvFile {
		return process, nil
	}
	path := o.EnvFile
	if path == "" {
		path = filepath.Join(dir, ".env")
	}
	values, err := godotenv.Read(path)
	if errors.Is(err, os.ErrNotExist) && o.EnvFile == "" {
		return process, nil
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil, errors.New("the environment file " + path + " does not exist")
	}
	if err != nil {
		return nil, errors.New("read the environment file " + path + ": it is not a list of NAME=value lines, or cannot be read")
	}
	return func(name string) (string, bool) {
		if v, ok := process(name); ok {
			return v, ok
		}
		v, ok := values[name]
		return v, ok
	}, nil
}

var yamlLine = regexp.MustCompile(`line (\d+)`)

// document parses the text into its one mapping.
func (p *parser) document(data []byte) *yaml.Node {
	top := func(message string) *yaml.Node { p.wrong(nil, "", "%s", message); return nil }
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return top("the file begins with a byte order mark; save it as UTF-8 without BOM")
	case !utf8.Valid(data):
		return top("the file is not UTF-8")
	case len(bytes.TrimSpace(data)) == 0:
		return top("the file is empty; `sqlsentinel init` writes one to start from")
	}
	for i, line := range bytes.Split(data, []byte("\n")) {
		if len(line) > 0 && line[0] == '\t' {
			p.wrong(&yaml.Node{Line: i + 1, Column: 1}, "", "the line is indented by a tab; YAML wants blanks")
			return nil
		}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	err := decoder.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return top("the file is empty; `sqlsentinel init` writes one to start from")
	}
	if err != nil {
		line := 1
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			line, _ = strconv.Atoi(m[1])
		}
		p.wrong(&yaml.Node{Line: line, Column: 1}, "", "this is not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		return nil
	}
	var second yaml.Node
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		p.wrong(&second, "", "the file has more than one document; write one file for each")
	}
	if len(doc.Content) == 0 {
		return top("the file is empty; `sqlsentinel init` writes one to start from")
	}
	return doc.Content[0]
}
