package query

import (
	"fmt"
	"strings"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// The names that a query with `params: true` may use.
const (
	scheduledTime = "scheduled_time"
	previousTime  = "previous_time"
)

// An argument is a value that the driver binds to a placeholder: it is never part of the text.
type argument struct {
	name string
	at   time.Time // in UTC
}

// grammar is how a kind of database reads SQL, as far as it decides where a parameter
// stands, and how it writes a placeholder. Quotes ('…', "…", `…`), -- and /* … */ are the
// same everywhere and need no flag.
type grammar struct {
	// place writes the placeholder of a name; n counts arguments from 1. What it writes may
	// hold a cast, so that the database knows that the value is an instant.
	place func(n int, name string) string
	// each: every placeholder takes an argument of its own, as `?` does. Else a name is one
	// argument, however often it stands in the query.
	each bool

	backslash bool // \' does not end a string
	escape    bool // the same, in E'…' only
	triple    bool // '''…''' and """…""" are strings
	dollar    bool // $$…$$ and $tag$…$tag$ are strings
	brackets  bool // […] is an identifier
	doubled   bool // ]] does not end it
	hash      bool // # begins a comment
	nested    bool // /* … /* … */ … */ is one comment
}

// bind puts placeholders in the place of :scheduled_time and :previous_time.
func bind(g grammar, text string, run alert.Run) (statement, error) {
	var out strings.Builder
	var args []argument
	var wider []widening
	known := map[string]time.Time{scheduledTime: run.Scheduled.UTC(), previousTime: run.Previous.UTC()}
	numbers := map[string]int{}
	from := 0
	for _, p := range parameters(g, text) {
		at, ok := known[p.name]
		if !ok {
			return statement{}, guarded(alert.ErrorQuery, "the query names :%s (%s), which is no parameter; there are :%s and :%s; put a space behind the colon if none is meant",
				p.name, position(text, p.start), scheduledTime, previousTime)
		}
		if numbers[p.name] == 0 || g.each {
			args = append(args, argument{p.name, at})
			numbers[p.name] = len(args)
		}
		end := p.start + 1 + len(p.name)
		// Filled up, so that what follows stands where it was written and an error names its place.
		placed := g.place(numbers[p.name], p.name)
		fmt.Fprintf(&out, "%s%-*s", text[from:p.start], end-p.start, placed)
		if by := len(placed) - (end - p.start); by > 0 {
			wider = append(wider, widening{out.Len(), by})
		}
		from = end
	}
	if len(args) == 0 {
		return statement{}, guarded(alert.ErrorQuery, "the query uses neither :%s nor :%s, although its alert says `params: true`; use one, or remove `params`", scheduledTime, previousTime)
	}
	out.WriteString(text[from:])
	return statement{text: out.String(), args: args, wider: wider}, nil
}

// A widening is a placeholder that is longer than the name in its place: the byte behind it
// in the text that is sent, and by how much it is longer.
type widening struct{ end, by int }

// place names the place of a byte of the text that is sent, as it was written.
func (s statement) place(offset int) string {
	line, column := lineAndColumn(s.text, offset)
	for _, w := range s.wider {
		if w.end <= offset && !strings.Contains(s.text[w.end:offset], "\n") {
			column -= w.by
		}
	}
	return counted(line, column)
}

// A parameter is a :name in a query; start is the byte of its colon.
type parameter struct {
	name  string
	start int
}

// parameters finds each :name that stands for a value: outside of strings, identifiers in
// quotes and comments, and not behind a colon, a word, a quote or a bracket, where it is
// a cast, a slice or a path.
func parameters(g grammar, text string) []parameter {
	var out []parameter
	for i := 0; i < len(text); {
		if n := g.skip(text, i); n > 0 {
			i += n
			continue
		}
		if text[i] == ':' && (i == 0 || !joins(text[i-1])) {
			if name := word(text[i+1:]); name != "" {
				out = append(out, parameter{name, i})
				i += len(name)
			}
		}
		i++
	}
	return out
}

// joins tells whether a colon behind c belongs to what is before it.
func joins(c byte) bool { return letter(c) || digit(c) || strings.IndexByte(":\"'`)]}$", c) >= 0 }

func letter(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80 }
func digit(c byte) bool  { return c >= '0' && c <= '9' }

// word is the name at the beginning of a text.
func word(text string) string {
	n := 0
	for n < len(text) && (letter(text[n]) || n > 0 && digit(text[n])) {
		n++
	}
	return text[:n]
}

// skip is the length of the string, identifier or comment that begins at i; zero if none does.
func (g grammar) skip(text string, i int) int {
	rest := text[i:]
	switch c := rest[0]; {
	case strings.HasPrefix(rest, "--"), c == '#' && g.hash:
		return until(rest, "\n", 1)
	case strings.HasPrefix(rest, "/*"):
		return g.comment(rest)
	case g.triple && (strings.HasPrefix(rest, "'''") || strings.HasPrefix(rest, `"""`)):
		return g.quoted(rest, rest[:3], g.backslash)
	case c == '\'' || c == '"':
		escaped := i > 0 && text[i-1]|0x20 == 'e' && (i == 1 || !letter(text[i-2]) && !digit(text[i-2]))
		return g.quoted(rest, rest[:1], g.backslash || c == '\'' && g.escape && escaped)
	case c == '`':
		return until(rest, "`", 1)
	case c == '[' && g.doubled:
		return bracketed(rest)
	case c == '[' && g.brackets:
		return until(rest, "]", 1)
	case c == '$' && g.dollar && (i == 0 || !letter(text[i-1]) && !digit(text[i-1])):
		if tag := word(rest[1:]); strings.HasPrefix(rest[1+len(tag):], "$") {
			return until(rest, rest[:len(tag)+2], len(tag)+2)
		}
	}
	return 0
}

// until is the length up to and with an end, looked for from a byte on.
func until(text, end string, from int) int {
	if at := strings.Index(text[from:], end); at >= 0 {
		return from + at + len(end)
	}
	return len(text)
}

// quoted is the length of a string that begins with its mark. A doubled mark ends it and
// begins the next, which comes to the same.
func (grammar) quoted(text, mark string, backslash bool) int {
	for i := len(mark); i < len(text); i++ {
		switch {
		case backslash && text[i] == '\\':
			i++
		case strings.HasPrefix(text[i:], mark):
			return i + len(mark)
		}
	}
	return len(text)
}

// bracketed is the length of an identifier in […], in which ]] is one bracket.
func bracketed(text string) int {
	for i := 1; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], "]]"):
			i++
		case text[i] == ']':
			return i + 1
		}
	}
	return len(text)
}

// comment is the length of a comment in /* … */.
func (g grammar) comment(text string) int {
	depth := 1
	for i := 2; i+1 < len(text); i++ {
		switch {
		case text[i:i+2] == "*/":
			if depth--; depth == 0 {
				return i + 2
			}
			i++
		case g.nested && text[i:i+2] == "/*":
			depth++
			i++
		}
	}
	return len(text)
}

// CheckQuery tells whether the parameters of an alert's query can be bound. It connects to
// nothing. Use it after CheckDatabase.
func CheckQuery(a alert.Alert, d alert.Database, env alert.Lookup) error {
	secrets := alert.NewSecrets(env)
	url, err := secrets.Expand(d.URL)
	if err != nil {
		return nil //nolint:nilerr // CheckDatabase tells
	}
	open, plain, err := parse(url)
	if err != nil {
		return nil //nolint:nilerr // CheckDatabase tells
	}
	opened, err := openAs(open, d, plain, 1, nil)
	if err != nil {
		return nil //nolint:nilerr // CheckDatabase tells
	}
	defer func() { _ = opened.close() }()
	if a.Params {
		_, err := bind(opened.grammar(), a.Query, alert.Run{})
		return err
	}
	for _, p := range parameters(opened.grammar(), a.Query) {
		if p.name == scheduledTime || p.name == previousTime {
			return fmt.Errorf("the query names :%s (%s), which is bound only with `params: true`", p.name, position(a.Query, p.start))
		}
	}
	return nil
}
