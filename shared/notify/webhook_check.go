package notify

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// Check finds what is wrong with URLs, methods, headers, payloads, overrides and the secret
// for signing, and warns of certificates that nobody verifies.
func (w *webhook) Check(raw json.RawMessage, env alert.Lookup) []alert.SettingProblem {
	s, err := decode[WebhookSettings](raw)
	if err != nil {
		return []alert.SettingProblem{problem("", "%s", err)}
	}
	var out []alert.SettingProblem
	switch {
	case s.URL != "":
		out = append(out, w.web.checkURL("url", s.URL, env)...)
	case fromEnv(env, "WEBHOOK_URL") == "":
		out = append(out, problem("url", "is missing; write it here or set WEBHOOK_URL"))
	default:
		out = append(out, w.web.checkURL("url", webhookDefault, env)...)
	}
	out = append(out, checkRequest("", s.Method, s.Payload, env)...)
	out = append(out, checkHeaders(s, env)...)
	for _, event := range slices.Sorted(maps.Keys(s.PerEvent)) {
		out = append(out, w.checkOverride(event, s, env)...)
	}
	out = append(out, checkSigning(s.SigningSecret, env)...)
	if !s.verify() {
		out = append(out, warning("verify_tls", "any certificate is accepted: whoever answers at the address can read the messages"))
	}
	return out
}

func (w *webhook) checkOverride(event string, s WebhookSettings, env alert.Lookup) []alert.SettingProblem {
	var out []alert.SettingProblem
	path, o := "per_event."+event, s.PerEvent[event]
	if !slices.Contains(alert.Events, alert.Event(event)) {
		names := make([]string, len(alert.Events))
		for i, e := range alert.Events {
			names[i] = string(e)
		}
		out = append(out, problem(path, "there is no event %q; there are %s", cut(line(event), 60), strings.Join(names, ", ")))
	}
	if o.URL != "" {
		out = append(out, w.web.checkURL(path+".url", o.URL, env)...)
	}
	return append(out, checkRequest(path+".", or(o.Method, s.Method), o.Payload, env)...)
}

// checkRequest checks method and payload, which must fit together.
func checkRequest(prefix, method string, payload json.RawMessage, env alert.Lookup) []alert.SettingProblem {
	out := checkPayload(prefix+"payload", payload, env)
	method = strings.ToUpper(or(method, http.MethodPost))
	if !slices.Contains([]string{"POST", "PUT", "PATCH", "GET"}, method) {
		out = append(out, problem(prefix+"method", "must be POST, PUT, PATCH or GET"))
	}
	if method == http.MethodGet && len(payload) > 0 {
		out = append(out, warning(prefix+"payload", "a GET sends no payload; put fields into the URL, such as ?name={alert_name}"))
	}
	return out
}

func checkHeaders(s WebhookSettings, env alert.Lookup) []alert.SettingProblem {
	var out []alert.SettingProblem
	if _, _, err := defaultAuth(env); err != nil {
		out = append(out, problem("headers", "%s", err))
	}
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		canonical := http.CanonicalHeaderKey(name)
		if other, twice := seen[canonical]; twice {
			out = append(out, problem("headers."+name, "is the same header as %q; write it once", other))
		}
		seen[canonical] = name
		out = append(out, checkHeader(name, s.Headers[name], env)...)
	}
	if own, both := seen["Authorization"]; both {
		if u, err := sampleURL(s.URL, env, "x"); err == nil && u.User != nil {
			out = append(out, problem("headers."+own, "stands beside a user in the URL, which is an Authorization too; write one of them"))
		}
	}
	return out
}

// ourHeaders are set by us or by HTTP itself.
func ourHeaders() []string {
	return []string{"Idempotency-Key", "Content-Length", "Transfer-Encoding", "Connection", "Trailer", "Upgrade", "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"}
}

func checkHeader(name, value string, env alert.Lookup) []alert.SettingProblem {
	path := "headers." + name
	if !isToken(name) {
		return []alert.SettingProblem{problem(path, "is no name of a header")}
	}
	if slices.Contains(ourHeaders(), http.CanonicalHeaderKey(name)) {
		return []alert.SettingProblem{problem(path, "cannot be set: it belongs to the request itself")}
	}
	text, err := alert.Expand(value, env)
	if err != nil {
		return []alert.SettingProblem{problem(path, "%s", err)}
	}
	if !oneLine(text) {
		return []alert.SettingProblem{problem(path, "must be one line")}
	}
	for _, known := range fieldNames() {
		if strings.Contains(value, "{"+known+"}") && !strings.Contains(value, "${"+known+"}") {
			return []alert.SettingProblem{warning(path, "fields are not filled into headers: {%s} is sent as it stands", known)}
		}
	}
	return nil
}

func checkSigning(written string, env alert.Lookup) []alert.SettingProblem {
	if written == "" {
		return nil
	}
	secret, err := alert.Expand(written, env)
	if err != nil {
		return []alert.SettingProblem{problem("signing_secret", "%s", err)}
	}
	if _, err := signer(secret); err != nil {
		return []alert.SettingProblem{problem("signing_secret", "is not Base64 after whsec_")}
	}
	if len(secret) < 16 {
		return []alert.SettingProblem{problem("signing_secret", "must have 16 characters or more")}
	}
	return nil
}

// isToken tells whether a text can be the name of a header.
func isToken(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("()<>@,;:\\\"/[]?={}", r)
	})
}

// oneLine tells whether a text can be the value of a header.
func oneLine(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
