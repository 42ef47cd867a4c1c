package config

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// A file may be read where its secrets cannot be: they exist, and only who uses them knows
// their values. Such a name resolves to a stand-in, and what a check says about a value that
// holds one is not known to be true.

// standIn is the value of a name whose value is known elsewhere only.
const standIn = "unknown"

// elsewhere is the lookup of what a user reads: a channel, or "query" for databases.
type elsewhere struct {
	p       *parser
	user    string
	unknown []string // names that were given a stand-in
}

func (p *parser) elsewhere(user string) *elsewhere { return &elsewhere{p: p, user: user} }

// Lookup is an alert.Lookup.
func (e *elsewhere) Lookup(name string) (string, bool) {
	if value, ok := e.p.env(name); ok {
		return value, true
	}
	if e.p.o.Exists == nil || !e.p.o.Exists(e.user, name) {
		return "", false
	}
	e.unknown = append(e.unknown, name)
	return standIn, true
}

// doubtful tells whether a problem of a setting may come from a stand-in: the setting
// holds one, or is not written at all and comes from a variable whose value is not known.
func (e *elsewhere) doubtful(x alert.SettingProblem, settings json.RawMessage) bool {
	if len(e.unknown) == 0 {
		return false
	}
	// What is missing is, unless a variable that is not known decides whether it is needed.
	if strings.Contains(x.Message, "is missing") && !slices.Contains(e.unknown, "EMAIL_PROVIDER") {
		return false
	}
	var written map[string]json.RawMessage
	if json.Unmarshal(settings, &written) != nil {
		return false
	}
	top := x.Path
	if i := strings.IndexAny(top, ".["); i >= 0 {
		top = top[:i]
	}
	value, ok := written[top]
	return !ok || e.holds(string(value))
}

// holds tells whether a text refers to a name whose value is not known.
func (e *elsewhere) holds(text string) bool {
	return slices.ContainsFunc(alert.References(text), func(name string) bool { return slices.Contains(e.unknown, name) })
}
