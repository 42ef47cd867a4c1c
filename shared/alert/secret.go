package alert

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"sort"
	"strings"
	"sync"
)

// Lookup finds the value of a reference's name.
type Lookup func(name string) (value string, found bool)

// Redacted stands wherever a secret was taken out.
const Redacted = "***"

// reserved names never resolve: they belong to the platform, credentials among them.
func reserved(name string) bool {
	return strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "LAMBDA_") || strings.HasPrefix(name, "_")
}

// UnresolvedError is a reference that resolves nowhere. It carries the name, never a value.
type UnresolvedError struct {
	Name     string
	Reserved bool
}

// Error says which variable is missing and what to do.
func (e *UnresolvedError) Error() string {
	if e.Reserved {
		return fmt.Sprintf("${%s} never resolves: names that begin with AWS_, LAMBDA_ or _ belong to the platform", e.Name)
	}
	return fmt.Sprintf("${%s} is not set; set it in the environment or in .env, or give a default: ${%s:-value}", e.Name, e.Name)
}

// Expand replaces ${NAME} and ${NAME:-default} in text, and $$ by a dollar. Any other
// dollar stands for itself. An empty value counts as set, but takes the default.
// The error is *UnresolvedError, or says what is malformed.
func Expand(text string, lookup Lookup) (string, error) {
	return expand(text, func(name, fallback string, hasFallback bool) (string, error) {
		if reserved(name) {
			return "", &UnresolvedError{Name: name, Reserved: true}
		}
		value, found := lookup(name)
		switch {
		case hasFallback && value == "":
			return fallback, nil
		case !found:
			return "", &UnresolvedError{Name: name}
		}
		return value, nil
	})
}

// References lists the names that text refers to, in order, with repeats.
func References(text string) []string {
	var names []string
	_, _ = expand(text, func(name, _ string, _ bool) (string, error) {
		names = append(names, name)
		return "", nil
	})
	return names
}

func expand(text string, resolve func(name, fallback string, hasFallback bool) (string, error)) (string, error) {
	if !strings.Contains(text, "$") {
		return text, nil
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] != '$' || i+1 == len(text):
			out.WriteByte(text[i])
		case text[i+1] == '$':
			out.WriteByte('$')
			i++
		case text[i+1] == '{':
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				return "", fmt.Errorf("a reference is not closed; write ${NAME}, or $$ for a dollar")
			}
			name, fallback, hasFallback := strings.Cut(text[i+2:i+end], ":-")
			if !validName(name) {
				return "", fmt.Errorf("a reference has no valid name between ${ and }; a name is letters, digits and _")
			}
			value, err := resolve(name, fallback, hasFallback)
			if err != nil {
				return "", err
			}
			out.WriteString(value)
			i += end
		default:
			out.WriteByte('$')
		}
	}
	return out.String(), nil
}

func validName(name string) bool {
	for i, c := range name {
		letter := c == '_' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// Secrets resolves references where they are used and remembers what it gave out, so
// that texts from outside can be cleaned of it. It is safe for concurrent use.
type Secrets struct {
	lookup Lookup
	mu     sync.RWMutex
	hidden map[string]bool
	clean  *strings.Replacer
}

// NewSecrets returns a Secrets over lookup; nil resolves nothing.
func NewSecrets(lookup Lookup) *Secrets {
	if lookup == nil {
		lookup = func(string) (string, bool) { return "", false }
	}
	return &Secrets{lookup: lookup, hidden: map[string]bool{}}
}

// Lookup finds a name's value and hides it.
func (s *Secrets) Lookup(name string) (string, bool) {
	value, found := s.lookup(name)
	if found {
		s.Hide(value)
	}
	return value, found
}

// Setting finds the value of a name that is no secret, such as a host or a port. It is not
// hidden: a text such as "true" must stay readable.
func (s *Secrets) Setting(name string) (string, bool) { return s.lookup(name) }

// Expand resolves the references in text as the function Expand does, hides the values
// and the secret parts of the result if it is a URL.
func (s *Secrets) Expand(text string) (string, error) {
	out, err := Expand(text, s.Lookup)
	if err == nil && strings.Contains(out, "://") {
		s.HideURL(out)
	}
	return out, err
}

// shortest is the length under which a value is too common a text to be searched for.
const shortest = 4

// Hide makes Clean remove value, also where it is percent-encoded or in base64.
func (s *Secrets) Hide(value string) {
	if len(value) < shortest {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	inBase64 := base64.StdEncoding.EncodeToString([]byte(value))
	if s.hidden[value] && s.hidden[inBase64] {
		return // not merely as another value's form, whose own forms are not hidden yet
	}
	s.hidden[value] = true
	s.hidden[url.QueryEscape(value)] = true
	s.hidden[url.PathEscape(value)] = true
	s.hidden[inBase64] = true
	s.clean = nil
}

// HideURL hides the password and the values of the query string of a URL.
func (s *Secrets) HideURL(text string) {
	u, err := url.Parse(text)
	if err != nil {
		return
	}
	if password, ok := u.User.Password(); ok {
		s.Hide(password)
		s.Hide(u.User.Username() + ":" + password)
	}
	for name, values := range u.Query() {
		if !harmlessParameter[strings.ToLower(name)] {
			for _, v := range values {
				s.Hide(v)
			}
		}
	}
}

// harmlessParameter names settings of database URLs whose values are words such as
// "disable", which must stay readable in errors.
var harmlessParameter = map[string]bool{
	"sslmode": true, "mode": true, "tls": true, "charset": true, "timeout": true, "location": true,
	"connect_timeout": true, "application_name": true, "search_path": true, "parsetime": true, "loc": true,
}

// Clean returns text with everything hidden replaced by ***.
func (s *Secrets) Clean(text string) string {
	if s == nil {
		return text
	}
	s.mu.RLock()
	clean := s.clean
	s.mu.RUnlock()
	if clean == nil {
		clean = s.build()
	}
	return clean.Replace(text)
}

// build makes the replacer; the longest value comes first, so that no part of it stays.
func (s *Secrets) build() *strings.Replacer {
	s.mu.Lock()
	defer s.mu.Unlock()
	values := make([]string, 0, len(s.hidden))
	for v := range s.hidden {
		values = append(values, v)
	}
	sort.Slice(values, func(i, j int) bool {
		if len(values[i]) != len(values[j]) {
			return len(values[i]) > len(values[j])
		}
		return values[i] < values[j]
	})
	pairs := make([]string, 0, 2*len(values))
	for _, v := range values {
		pairs = append(pairs, v, Redacted)
	}
	s.clean = strings.NewReplacer(pairs...)
	return s.clean
}

// RedactURL returns a URL fit to be shown: user info, query string and fragment are
// secret, and so is the path when hidePath is set. Everything before the last @ counts as
// user info, for people forget to encode a slash in a password. A text that is no URL is
// hidden whole.
func RedactURL(text string, hidePath bool) string {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return Redacted
	}
	user := ""
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, rest = Redacted+"@", rest[at+1:]
	}
	hidden := ""
	if cut := strings.IndexAny(rest, "?#"); cut >= 0 {
		hidden, rest = "?"+Redacted, rest[:cut]
	}
	host, path, hasPath := strings.Cut(rest, "/")
	switch {
	case hidePath && hasPath && path != "":
		return scheme + "://" + user + host + "/" + Redacted
	case hasPath && path != "":
		return scheme + "://" + user + host + "/" + path + hidden
	}
	return scheme + "://" + user + host + hidden
}
