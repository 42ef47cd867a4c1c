package notify

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"net/url"
	"strconv"
	"strings"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// fromEnv returns the first of the variables that is set.
func fromEnv(env alert.Lookup, names ...string) string {
	for _, name := range names {
		if v, ok := env(name); ok && v != "" {
			return v
		}
	}
	return ""
}

// resolver expands the references of a text.
type resolver func(text string) (string, error)

// live resolves references for sending. What it gives out is hidden in every form in which
// a receiver may echo it.
func live(secrets *alert.Secrets) resolver {
	return func(text string) (string, error) {
		out, err := alert.Expand(text, func(name string) (string, bool) {
			value, found := secrets.Lookup(name)
			hide(secrets, value)
			return value, found
		})
		if err != nil {
			return "", permanent("%s", err)
		}
		if strings.Contains(out, "://") {
			hideURL(secrets, out)
		}
		return out, nil
	}
}

// masked resolves references for showing: each must resolve, and none is shown.
func masked(secrets *alert.Secrets) resolver {
	resolve := live(secrets)
	return func(text string) (string, error) {
		if _, err := resolve(text); err != nil {
			return "", err
		}
		return alert.Expand(text, func(string) (string, bool) { return alert.Redacted, true })
	}
}

// hide hides a value as it stands, inside JSON, HTML and quoted text, on one line, and
// decoded, if it is percent-encoded, or Base64 as in Basic authentication.
func hide(secrets *alert.Secrets, value string) {
	if value == "" {
		return
	}
	secrets.Hide(value)
	forms := []string{
		html.EscapeString(value), strings.Trim(strconv.Quote(value), `"`), strings.Trim(strconv.QuoteToASCII(value), `"`),
		strings.Join(strings.Fields(value), " "),
	}
	forms = append(forms, inBase64(value)...)
	if text, err := json.Marshal(value); err == nil {
		forms = append(forms, strings.Trim(string(text), `"`))
	}
	if text, err := writeJSON(value); err == nil {
		forms = append(forms, strings.Trim(string(text), `"`))
	}
	if text, err := base64.StdEncoding.DecodeString(value); err == nil && len(text) >= 8 {
		forms = append(forms, string(text))
		if _, password, ok := strings.Cut(string(text), ":"); ok {
			forms = append(forms, password)
		}
	}
	for _, decode := range []func(string) (string, error){url.PathUnescape, url.QueryUnescape} {
		if plain, err := decode(value); err == nil && len(plain) < len(value) {
			hide(secrets, plain)
		} else if err == nil {
			forms = append(forms, plain) // a plus that is a blank
		}
	}
	for _, form := range forms {
		if form != value {
			secrets.Hide(form)
		}
	}
}

// inBase64 are the forms of a value somewhere inside a longer text in Base64, as in the
// credentials of Basic or of AUTH PLAIN: three, for three bytes make four characters.
func inBase64(value string) []string {
	if len(value) < 8 {
		return nil // what is left without the edges would be too common a text
	}
	var forms []string
	for before, skip := range []int{0, 2, 3} {
		text := append(make([]byte, before), value...)
		whole := len(text) * 8 / 6 // characters that depend on nothing after the value
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			forms = append(forms, encoding.EncodeToString(text)[skip:whole])
		}
	}
	return forms
}

// tokenLike is the length from which a part of a path is taken for a secret: a shorter one,
// such as "alerts", would make other texts unreadable.
const tokenLike = 16

// hideURL hides what every URL hides, in every form: the password and the query string.
func hideURL(secrets *alert.Secrets, address string) {
	secrets.HideURL(address)
	u, err := url.Parse(address)
	if err != nil {
		return
	}
	// A user may be the secret: some services take a key as a user without a password.
	password, _ := u.User.Password()
	hide(secrets, u.User.Username())
	hide(secrets, password)
	if u.User != nil {
		hide(secrets, u.User.Username()+":"+password)
	}
	for _, pair := range strings.Split(u.RawQuery, "&") {
		_, value, _ := strings.Cut(pair, "=")
		hide(secrets, value) // which decodes it too
	}
}

// hideLink hides the secret parts of a URL that was resolved from template: what every URL
// hides, and the path too if it came out of a reference or always is the secret.
func hideLink(secrets *alert.Secrets, template, address string, always bool) {
	hideURL(secrets, address)
	path, _, _ := strings.Cut(template, "?")
	if !always && len(alert.References(path)) == 0 {
		return
	}
	hide(secrets, address)
	u, err := url.Parse(address)
	if err != nil {
		return
	}
	for _, part := range strings.Split(u.EscapedPath(), "/") {
		if plain, err := url.PathUnescape(part); err == nil && len(part) >= tokenLike {
			hide(secrets, plain)
			hide(secrets, part)
		}
	}
	for _, whole := range []string{u.Path, u.RequestURI()} {
		if len(whole) >= tokenLike || always && len(whole) > 1 {
			hide(secrets, whole)
		}
	}
}

// withoutDefaults drops the defaults of references from a text that is shown: they may be
// secrets that stand in the file.
func withoutDefaults(text string) string {
	if !strings.Contains(text, ":-") {
		return text
	}
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		reference, after, _ := strings.Cut(rest, "}")
		name, _, _ := strings.Cut(reference, ":-")
		out.WriteString("${" + name + "}")
		text = after
	}
}
