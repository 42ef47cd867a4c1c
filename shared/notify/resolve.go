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
			secrets.HideURL(out)
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
// decoded, if it is Base64 as in Basic authentication.
func hide(secrets *alert.Secrets, value string) {
	if value == "" {
		return
	}
	secrets.Hide(value)
	forms := []string{
		html.EscapeString(value), strings.Trim(strconv.Quote(value), `"`), strings.Trim(strconv.QuoteToASCII(value), `"`),
		strings.Join(strings.Fields(value), " "), strings.TrimRight(base64.URLEncoding.EncodeToString([]byte(value)), "="),
	}
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
	for _, form := range forms {
		if form != value {
			secrets.Hide(form)
		}
	}
}

// tokenLike is the length from which a part of a path is taken for a secret: a shorter one,
// such as "alerts", would make other texts unreadable.
const tokenLike = 16

// hideLink hides the secret parts of a URL that was resolved from template: what every URL
// hides, and the path too if it came out of a reference or always is the secret.
func hideLink(secrets *alert.Secrets, template, address string, always bool) {
	secrets.HideURL(address)
	path, _, _ := strings.Cut(template, "?")
	if !always && len(alert.References(path)) == 0 {
		return
	}
	hide(secrets, address)
	u, err := url.Parse(address)
	if err != nil {
		return
	}
	for _, part := range append(strings.Split(u.Path, "/"), u.Path, u.RequestURI()) {
		if len(part) >= tokenLike || always && strings.HasPrefix(part, "/") && len(part) > 1 {
			hide(secrets, part)
		}
	}
}
