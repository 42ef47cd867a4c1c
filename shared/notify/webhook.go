package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// webhook sends JSON to any service.
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

const webhookDefault = "${WEBHOOK_URL}"

// Name returns "webhook".
func (w *webhook) Name() string { return "webhook" }

// Settings returns a zero WebhookSettings.
func (w *webhook) Settings() any { return &WebhookSettings{} }

// Address is the URL as written.
func (w *webhook) Address(raw json.RawMessage) (identity, label string) {
	s, _ := decode[WebhookSettings](raw) // settings that cannot be read have no address
	switch {
	case s.URL == "":
		return webhookDefault, "webhook"
	case strings.HasPrefix(s.URL, "${"):
		base, _, _ := strings.Cut(withoutDefaults(s.URL), "?")
		return s.URL, "webhook " + base
	}
	return s.URL, "webhook " + alert.RedactURL(withoutDefaults(s.URL), false)
}

func (s WebhookSettings) verify() bool { return s.VerifyTLS == nil || *s.VerifyTLS }

// of returns the settings as they are for one event.
func (s WebhookSettings) of(event alert.Event) WebhookSettings {
	o := s.PerEvent[string(event)]
	s.URL = or(o.URL, or(s.URL, webhookDefault))
	s.Method = strings.ToUpper(or(o.Method, or(s.Method, http.MethodPost)))
	if len(o.Payload) > 0 {
		s.Payload = o.Payload
	}
	return s
}

// prepared is a request ready to be sent.
type prepared struct {
	request *http.Request
	body    []byte
	verify  bool
}

// prepare makes the request of a delivery.
func (w *webhook) prepare(ctx context.Context, d alert.Delivery, resolve resolver) (*prepared, error) {
	s, err := decode[WebhookSettings](d.Target.Settings)
	if err != nil {
		return nil, err
	}
	s = s.of(d.Message.Event)
	fill, err := newFiller(d.Message, resolve)
	if err != nil {
		return nil, err
	}
	address, err := fill.link(s.URL)
	if err != nil {
		return nil, err
	}
	hideLink(w.secrets, s.URL, address, false)
	p := &prepared{verify: s.verify()}
	if s.Method != http.MethodGet {
		if p.body, err = fill.payload(s.Payload, d.Message); err != nil {
			return nil, err
		}
	}
	if p.request, err = request(ctx, s.Method, address, p.body); err != nil {
		return nil, err
	}
	if err := w.headers(p, s, d, resolve); err != nil {
		return nil, err
	}
	return p, w.sign(p, s, d)
}

// headers sets ours, then WEBHOOK_AUTH_HEADER if the URL is WEBHOOK_URL, then the target's own.
func (w *webhook) headers(p *prepared, s WebhookSettings, d alert.Delivery, resolve resolver) error {
	header := p.request.Header
	if p.body != nil {
		header.Set("Content-Type", "application/json")
	}
	header.Set("Idempotency-Key", d.Message.EventID)
	name, value, err := defaultAuth(w.secrets.Lookup)
	if err != nil {
		return permanent("%s", err)
	}
	// Only with WEBHOOK_URL: a credential must not reach every receiver that a file names.
	if name != "" && slices.Contains(alert.References(s.URL), "WEBHOOK_URL") && (p.request.URL.User == nil || name != "Authorization") {
		w.hideHeader(value)
		header.Set(name, value)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		text, err := resolve(s.Headers[name])
		if err != nil {
			return err
		}
		if !isToken(name) || !oneLine(text) {
			return permanent("the header %q cannot be sent: its name or value is malformed", cut(line(name), 60))
		}
		if !harmless(name) {
			w.hideHeader(text)
		}
		if strings.EqualFold(name, "Host") {
			p.request.Host = text
		}
		header.Set(name, text)
	}
	return nil
}

// hideHeader hides a header's value, and the credential that stands behind its scheme.
func (w *webhook) hideHeader(value string) {
	hide(w.secrets, value)
	if _, credential, ok := strings.Cut(value, " "); ok {
		hide(w.secrets, strings.TrimSpace(credential))
	}
}

// defaultAuth is WEBHOOK_AUTH_HEADER: the value of Authorization, or "Name: value".
func defaultAuth(env alert.Lookup) (name, value string, err error) {
	text := fromEnv(env, "WEBHOOK_AUTH_HEADER")
	if text == "" {
		return "", "", nil
	}
	if !oneLine(text) {
		return "", "", errors.New("WEBHOOK_AUTH_HEADER must be one line: the value of Authorization, or `Name: value`")
	}
	if name, value, ok := strings.Cut(text, ": "); ok && isToken(name) {
		return http.CanonicalHeaderKey(name), strings.TrimSpace(value), nil
	}
	return "Authorization", text, nil
}

// signer makes the signer of a secret: Base64 after whsec_, any other as it is.
func signer(secret string) (*standardwebhooks.Webhook, error) {
	if strings.HasPrefix(secret, "whsec_") {
		return standardwebhooks.NewWebhook(secret)
	}
	return standardwebhooks.NewWebhookRaw([]byte(secret))
}

// sign signs by Standard Webhooks: id, time and body under the shared secret.
func (w *webhook) sign(p *prepared, s WebhookSettings, d alert.Delivery) error {
	if s.SigningSecret == "" {
		return nil
	}
	secret, err := live(w.secrets)(s.SigningSecret)
	if err != nil {
		return err
	}
	hide(w.secrets, secret)
	by, err := signer(secret)
	if err != nil {
		return permanent("signing_secret cannot be used: it is not Base64 after whsec_")
	}
	now := w.now()
	signature, err := by.Sign(d.Message.EventID, now, p.body)
	if err != nil {
		return permanent("the message cannot be signed")
	}
	p.request.Header.Set(standardwebhooks.HeaderWebhookID, d.Message.EventID)
	p.request.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	p.request.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return nil
}

// Send sends the request once; any 2xx answer is success.
func (w *webhook) Send(ctx context.Context, d alert.Delivery) error {
	p, err := w.prepare(ctx, d, live(w.secrets))
	if err != nil {
		return err
	}
	said, err := w.web.do(p.request, p.verify)
	if err != nil {
		return err
	}
	return judge(said, w.secrets.Clean, w.now())
}

// Render shows the request; every reference and every credential is ***.
func (w *webhook) Render(ctx context.Context, d alert.Delivery) (Rendered, error) {
	if _, err := w.prepare(ctx, d, live(w.secrets)); err != nil {
		return Rendered{}, err // what could not be sent is not shown as if it could
	}
	p, err := w.prepare(ctx, d, masked(w.secrets))
	if err != nil {
		return Rendered{}, err
	}
	address := alert.RedactURL(p.request.URL.String(), false)
	out := Rendered{Summary: p.request.Method + " " + w.secrets.Clean(address), Body: w.secrets.Clean(string(p.body))}
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
	return slices.Contains([]string{"Content-Type", "Accept", "User-Agent", "Idempotency-Key", "Webhook-Id", "Webhook-Timestamp"}, http.CanonicalHeaderKey(name))
}

// Connect connects to every host that the target sends to; it sends no request.
func (w *webhook) Connect(ctx context.Context, t alert.Target) error {
	s, err := decode[WebhookSettings](t.Settings)
	if err != nil {
		return err
	}
	f := filler{resolve: live(w.secrets)}
	done := map[string]bool{}
	for _, event := range alert.Events {
		written := s.of(event).URL
		address, err := f.text(written, func(string) string { return "x" })
		if err != nil {
			return err
		}
		hideLink(w.secrets, written, address, false)
		u, err := url.Parse(address)
		if err != nil || u.Host == "" {
			return permanent("the URL cannot be used")
		}
		origin := (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
		if done[origin] || !t.Hears(event) {
			continue
		}
		done[origin] = true
		if err := w.web.connect(ctx, origin, s.verify(), t.WithDefaults().Timeout.Std()); err != nil {
			return fmt.Errorf("reach the webhook: %w", err)
		}
	}
	return nil
}
