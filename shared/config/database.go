package config

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// database reads one database; the empty name is the file's one.
func (p *parser) database(name string, n *yaml.Node, path string) {
	entries, ok := p.mapping(n, path)
	if !ok {
		return
	}
	d := alert.Database{Name: name, Dir: p.out.Dir}
	var urlNode *yaml.Node
	p.fields(entries, path, map[string]handler{
		"url":              func(n *yaml.Node, path string) { d.URL, _ = p.raw(n, path); urlNode = n },
		"timeout":          func(n *yaml.Node, path string) { d.Timeout = p.duration(n, path) },
		"max_connections":  func(n *yaml.Node, path string) { d.MaxConnections = p.number(n, path, 1, 1000) },
		"max_bytes_billed": func(n *yaml.Node, path string) { d.MaxBytesBilled = p.size(n, path) },
		"price_per_tib":    func(n *yaml.Node, path string) { d.PricePerTiB = p.price(n, path) },
	})
	if urlNode == nil {
		p.wrong(n, join(path, "url"), "a database needs a url, such as postgresql://user:${DB_PASSWORD}@host:5432/name")
		return
	}
	p.checkDatabase(d, urlNode, join(path, "url"))
	p.out.Databases[name] = d
}

// size reads a number of bytes.
func (p *parser) size(n *yaml.Node, path string) int64 {
	text, ok := p.scalar(n, path)
	if !ok {
		return 0
	}
	bytes, err := alert.ParseSize(text)
	if err != nil {
		p.wrong(n, path, "%s", err)
	}
	return bytes
}

// price reads an amount of US dollars.
func (p *parser) price(n *yaml.Node, path string) *float64 {
	text, ok := p.scalar(n, path)
	if !ok {
		return nil
	}
	dollars, err := strconv.ParseFloat(text, 64)
	if err != nil || !(dollars >= 0 && dollars <= 1e6) {
		p.wrong(n, path, "must be a number of US dollars, such as 6.25")
		return nil
	}
	return &dollars
}

func (p *parser) checkDatabase(d alert.Database, n *yaml.Node, path string) {
	env := p.elsewhere("query")
	if _, err := alert.Expand(d.URL, env.Lookup); err != nil {
		p.wrong(n, path, "%s", err)
		return
	}
	if p.o.CheckDatabase != nil {
		if err := p.o.CheckDatabase(d, env.Lookup); err != nil && len(env.unknown) == 0 {
			p.wrong(n, path, "%s", err)
			return
		}
	}
	if _, rest, ok := strings.Cut(d.URL, "://"); ok && len(alert.References(d.URL)) == 0 {
		if at := strings.LastIndexByte(rest, '@'); at > 0 && strings.Contains(rest[:at], ":") {
			p.warn(n, path, "the password stands in the file; write ${NAME} and put it in the environment or in .env")
		}
	}
}

// environmentDatabase takes $DATABASE_URL where the file names no database.
func (p *parser) environmentDatabase(named bool) {
	if named {
		return
	}
	env := p.elsewhere("query")
	if url, ok := env.Lookup("DATABASE_URL"); ok && url != "" {
		d := alert.Database{URL: "${DATABASE_URL}", Dir: p.out.Dir}
		if p.o.CheckDatabase != nil {
			if err := p.o.CheckDatabase(d, env.Lookup); err != nil && len(env.unknown) == 0 {
				p.wrong(nil, "DATABASE_URL", "%s", err)
			}
		}
		p.out.Databases[""] = d
		return
	}
	p.wrong(nil, "database", "the file names no database and DATABASE_URL is not set; write `database: {url: …}`")
}

func (p *parser) heartbeat(n *yaml.Node, path string) {
	entries, ok := p.mapping(n, path)
	if !ok {
		return
	}
	h := Heartbeat{Every: alert.Duration(60e9)}
	p.fields(entries, path, map[string]handler{
		"url": func(n *yaml.Node, path string) {
			h.URL, _ = p.raw(n, path)
			env := p.elsewhere("sync")
			if text, err := alert.Expand(h.URL, env.Lookup); err != nil {
				p.wrong(n, path, "%s", err)
			} else if len(env.unknown) == 0 && !strings.HasPrefix(text, "https://") && !strings.HasPrefix(text, "http://") {
				p.wrong(n, path, "must be a URL that begins with https:// or http://")
			}
		},
		"every": func(n *yaml.Node, path string) { h.Every = p.duration(n, path) },
	})
	if h.URL == "" {
		p.wrong(n, join(path, "url"), "a heartbeat needs a url")
	}
	p.out.Heartbeat = &h
}
