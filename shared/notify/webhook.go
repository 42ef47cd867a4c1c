package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// webhook posts JSON to any service.
type webhook struct {
	secrets *alert.Secrets
	web     *web
	now     func() time.Time
}

// WebhookSettings are the settings of a webhook target.
type WebhookSettings struct {
	URL           string                     `json:"url,omitempty" doc:"Where to send; {field} is filled in percent-encoded. Default: WEBHOOK_URL"`
	Method        string                     `json:"method,omitempty" doc:"POST (default), PUT, PATCH or GET"`
	Headers       map[string]string          `json:"headers,omitempty" doc:"Headers of the request, authentication among them"`
	Payload       json.RawMessage            `json:"payload,omitempty" file:"json" doc:"A JSON value, or a path ending in .json; {field} is filled in. Default: the standard payload"`
	PerEvent      map[string]WebhookOverride `json:"per_event,omitempty" doc:"Other url, method or payload for an event"`
	SigningSecret string                     `json:"signing_secret,omitempty" doc:"Signs requests by Standard Webhooks (whsec_… or any text)"`
	VerifyTLS     *bool                      `json:"verify_tls,omitempty" doc:"false accepts any certificate; default true"`
}

// WebhookOverride is what differs for one event.
type WebhookOverride struct {
	URL     string          `json:"url,omitempty" doc:"Where to send instead"`
	Method  string          `json:"method,omitempty" doc:"POST, PUT, PATCH or GET"`
	Payload json.RawMessage `json:"payload,omitempty" file:"json" doc:"The payload instead"`
}

func (w *webhook) Name() string  { return "webhook" }
func (w *webhook) Settings() any { return &WebhookSettings{} }

func (w *webhook) Address(raw json.RawMessage) (identity, label string) {
	s, _ := decode[WebhookSettings](raw)
	if s.URL == "" {
		return "${WEBHOOK_URL}", "webhook"
	}
	if strings.HasPrefix(s.URL, "${") {
		return s.URL, "webhook " + s.URL
	}
	return s.URL, "webhook " + alert.RedactURL(s.URL, false)
}

func (w *webhook) Check(raw json.RawMessage, env alert.Lookup) []alert.SettingProblem {
	s, err := decode[WebhookSettings](raw)
	if err != nil {
		return []alert.SettingProblem{problem("", "%s", err)}
	}
	var out []alert.SettingProblem
	if s.URL == "" && fromEnv(env, "WEBHOOK_URL") == "" {
		out = append(out, problem("url", "is missing; write it here or set WEBHOOK_URL"))
	}
	if s.URL != "" {
		out = append(out, checkLink("url", s.URL, env)...)
	}
	out = append(out, checkMethod("method", s.Method)...)
	out = append(out, checkPayload("payload", s.Payload)...)
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		out = append(out, checkHeader(name, s.Headers[name], env)...)
	}
	for _, event := range slices.Sorted(maps.Keys(s.PerEvent)) {
		out = append(out, checkOverride(event, s.PerEvent[event], env)...)
	}
	if s.VerifyTLS != nil && !*s.VerifyTLS {
		warning := problem("verify_tls", "any certificate is accepted: whoever answers at the address can read the messages")
		warning.Warning = true
		out = append(out, warning)
	}
	if s.SigningSecret != "" {
		if secret, err := alert.Expand(s.SigningSecret, env); err != nil || len(secret) < 16 {
			out = append(out, problem("signing_secret", "must have 16 characters or more"))
		}
	}
	return out
}

func checkOverride(event string, o WebhookOverride, env alert.Lookup) []alert.SettingProblem {
	var out []alert.SettingProblem
	path := "per_event." + event
	if !slices.Contains(alert.Events, alert.Event(event)) {
		out = append(out, problem(path, "there is no event %q; there are %s", event, eventList()))
	}
	if o.URL != "" {
		out = append(out, checkLink(path+".url", o.URL, env)...)
	}
	out = append(out, checkMethod(path+".method", o.Method)...)
	return append(out, checkPayload(path+".payload", o.Payload)...)
}

func eventList() string {
	names := make([]string, len(alert.Events))
	for i, e := range alert.Events {
		names[i] = string(e)
	}
	return strings.Join(names, ", ")
}

// checkLink checks a URL with fields in it.
func checkLink(path, text string, env alert.Lookup) []alert.SettingProblem {
	if err := checkText(protect(text)); err != nil {
		return []alert.SettingProblem{problem(path, "%s", err)}
	}
	return checkURL(path, text, env)
}

func checkMethod(path, method string) []alert.SettingProblem {
	if method != "" && !slices.Contains([]string{"POST", "PUT", "PATCH", "GET"}, strings.ToUpper(method)) {
		return []alert.SettingProblem{problem(path, "must be POST, PUT, PATCH or GET")}
	}
	return nil
}

func checkHeader(name, value string, env alert.Lookup) []alert.SettingProblem {
	path := "headers." + name
	token := name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("()<>@,;:\\\"/[]?={}", r)
	})
	if !token {
		return []alert.SettingProblem{problem(path, "is no name of a header")}
	}
	if text, err := alert.Expand(value, env); err != nil || strings.ContainsAny(text, "\r\n\x00") {
		return []alert.SettingProblem{problem(path, "must be one line")}
	}
	return nil
}

// prepared is a request ready to be sent.
type prepared struct {
	request *http.Request
	body    []byte
	verify  bool
}

// prepare makes the request of a delivery.
func (w *webhook) prepare(ctx context.Context, d alert.Delivery) (*prepared, error) {
	s, err := decode[WebhookSettings](d.Target.Settings)
	if err != nil {
		return nil, err
	}
	if s.URL == "" {
		s.URL = "${WEBHOOK_URL}"
	}
	if o, ok := s.PerEvent[string(d.Message.Event)]; ok {
		s.URL, s.Method = or(o.URL, s.URL), or(o.Method, s.Method)
		if len(o.Payload) > 0 {
			s.Payload = o.Payload
		}
	}
	fill, err := newFiller(d.Message, w.secrets)
	if err != nil {
		return nil, err
	}
	address, err := fill.link(s.URL)
	if err != nil {
		return nil, err
	}
	w.secrets.HideURL(address)
	body, err := fill.payload(s.Payload, d.Message)
	if err != nil {
		return nil, err
	}
	req, err := request(ctx, strings.ToUpper(or(s.Method, http.MethodPost)), address, body)
	if err != nil {
		return nil, err
	}
	if req.Method == http.MethodGet {
		body = nil
	}
	p := &prepared{request: req, body: body, verify: s.VerifyTLS == nil || *s.VerifyTLS}
	if err := w.headers(p, s, d); err != nil {
		return nil, err
	}
	return p, w.sign(p, s, d)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (w *webhook) headers(p *prepared, s WebhookSettings, d alert.Delivery) error {
	if p.body != nil {
		p.request.Header.Set("Content-Type", "application/json")
	}
	p.request.Header.Set("Idempotency-Key", d.Message.EventID)
	if name, value := defaultAuth(w.secrets); name != "" {
		p.request.Header.Set(name, value)
	}
	for name, value := range s.Headers {
		text, err := resolve(w.secrets, value)
		if err != nil {
			return err
		}
		if strings.ContainsAny(text, "\r\n\x00") {
			return &alert.SendError{Permanent: true, Message: "the header " + name + " has more than one line"}
		}
		p.request.Header.Set(name, text)
		if strings.EqualFold(name, "Authorization") {
			_, credential, _ := strings.Cut(text, " ")
			w.secrets.Hide(credential)
		}
	}
	return nil
}

// defaultAuth is WEBHOOK_AUTH_HEADER: the value of Authorization, or "Name: value".
func defaultAuth(secrets *alert.Secrets) (name, value string) {
	text := fromEnv(secrets.Lookup, "WEBHOOK_AUTH_HEADER")
	if text == "" || strings.ContainsAny(text, "\r\n\x00") {
		return "", ""
	}
	if name, value, ok := strings.Cut(text, ": "); ok && !strings.Contains(name, " ") {
		secrets.Hide(value)
		return name, value
	}
	return "Authorization", text
}

// sign signs by Standard Webhooks: id, time and body under the shared secret.
func (w *webhook) sign(p *prepared, s WebhookSettings, d alert.Delivery) error {
	if s.SigningSecret == "" {
		return nil
	}
	secret, err := resolve(w.secrets, s.SigningSecret)
	if err != nil {
		return err
	}
	signer, err := standardwebhooks.NewWebhookRaw([]byte(secret))
	if strings.HasPrefix(secret, "whsec_") {
		signer, err = standardwebhooks.NewWebhook(secret)
	}
	if err != nil {
		return &alert.SendError{Permanent: true, Message: "signing_secret cannot be used: it is not base64 after whsec_"}
	}
	now := w.now()
	signature, err := signer.Sign(d.Message.EventID, now, p.body)
	if err != nil {
		return &alert.SendError{Permanent: true, Message: "the message cannot be signed"}
	}
	p.request.Header.Set(standardwebhooks.HeaderWebhookID, d.Message.EventID)
	p.request.Header.Set(standardwebhooks.HeaderWebhookTimestamp, fmt.Sprint(now.Unix()))
	p.request.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return nil
}

func (w *webhook) Send(ctx context.Context, d alert.Delivery) error {
	p, err := w.prepare(ctx, d)
	if err != nil {
		return err
	}
	status, answer, header, err := w.web.do(p.request, p.verify)
	if err != nil {
		return err
	}
	return judge(status, answer, header, w.now())
}

func (w *webhook) Render(ctx context.Context, d alert.Delivery) (Rendered, error) {
	p, err := w.prepare(ctx, d)
	if err != nil {
		return Rendered{}, err
	}
	out := Rendered{Summary: p.request.Method + " " + w.secrets.Clean(alert.RedactURL(p.request.URL.String(), false)), Body: w.secrets.Clean(string(p.body))}
	for _, name := range slices.Sorted(maps.Keys(p.request.Header)) {
		value := p.request.Header.Get(name)
		if !harmless(name) {
			value = alert.Redacted
		}
		out.Headers = append(out.Headers, name+": "+w.secrets.Clean(value))
	}
	return out, nil
}

// harmless tells whether a header's value may be shown.
func harmless(name string) bool {
	return slices.Contains([]string{"Content-Type", "User-Agent", "Idempotency-Key", "Webhook-Id", "Webhook-Timestamp"}, http.CanonicalHeaderKey(name))
}

func (w *webhook) Connect(ctx context.Context, t alert.Target) error {
	s, err := decode[WebhookSettings](t.Settings)
	if err != nil {
		return err
	}
	address, err := resolve(w.secrets, or(s.URL, "${WEBHOOK_URL}"))
	if err != nil {
		return err
	}
	if u, err := url.Parse(address); err == nil {
		address = (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
	}
	return w.web.connect(ctx, address, s.VerifyTLS == nil || *s.VerifyTLS)
}
