package notify_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

func TestTheStandardPayloadIsCompleteAndCarriesItsKey(t *testing.T) {
	r := listen(t, nil)
	m := message(alert.EventAlert)
	m.Labels = nil
	require.NoError(t, senders(t, nil).Send(t.Context(), delivery(t, "webhook", map[string]any{"url": r.URL + "/alerts"}, m)))
	got := r.one(t)
	require.Equal(t, []string{"POST", "/alerts", "application/json", "sqlsentinel", "dlv_alert"},
		[]string{got.method, got.path, got.header.Get("Content-Type"), got.header.Get("User-Agent"), got.header.Get("Idempotency-Key")})
	require.Empty(t, got.header.Get("Webhook-Signature"), "not signed without a secret")
	require.JSONEq(t, `{"event_id":"dlv_alert","episode_id":"ep_1","event":"alert","alert_name":"Daily revenue","description":"Revenue fell below 10,000",
		"severity":"critical","labels":{},"runbook_url":"https://wiki.example.com/revenue?a=1&b=2","status":"ALERT","reason":"ALERT 3 of 3 runs",
		"actual_value":5480.50,"threshold":10000,"context":{"region":"EU","orders":40,"note":null},"instance":{},"instances":[],"firing":1,
		"timestamp":"2026-03-09T08:00:00Z","run_id":"run_1"}`, string(got.body))
	require.Contains(t, string(got.body), `"actual_value":5480.50`, "every digit")
}

func TestAMethodIsUsedAsWrittenAndAGetHasNoBody(t *testing.T) {
	r := listen(t, nil)
	s := senders(t, nil)
	for _, method := range []string{"POST", "put", "PATCH", "GET"} {
		require.NoError(t, s.Send(t.Context(), delivery(t, "webhook", map[string]any{"url": r.URL + "/{event}?q={reason}&n={actual_value}", "method": method}, message(alert.EventAlert))))
	}
	all := r.all()
	require.Equal(t, []string{"POST", "PUT", "PATCH", "GET"}, []string{all[0].method, all[1].method, all[2].method, all[3].method})
	require.NotEmpty(t, all[2].body)
	require.Empty(t, all[3].body)
	require.Empty(t, all[3].header.Get("Content-Type"))
	require.Equal(t, "/alert", all[3].path)
	require.Equal(t, "q=ALERT%203%20of%203%20runs&n=5480.50", all[3].query)
}

func TestATemplateKeepsJSONTypesAndEscapesData(t *testing.T) {
	r := listen(t, nil)
	m := message(alert.EventRecovery)
	m.AlertName = "a \"quoted\"\n<name> ${HOME} {status} \\ \u2028"
	m.Context = alert.Fields{{Name: "Region", Value: alert.TextValue("E&U/1 2?#{x}${KEY}")}, {Name: "n", Value: alert.IntValue(7)}}
	settings := map[string]any{
		"url": r.URL + "/x/{context.region}?k=${KEY}&r={context.region}",
		"payload": map[string]any{
			"number": "{actual_value}", "text": "{alert_name} is {status}", "object": "{context}", "part": "{context.N}", "label": "{labels.team}",
			"missing": "{context.none}", "gone": "[{context.none}]", "braces": "{{alert_name}} $$ $5 $${{x}}", "action": "{event_action}", "key": "a ${KEY} b",
			"list": []any{"{firing}", 12345678901234567.0, true, nil, []any{"{labels}"}}, "{status}": "names stay",
		},
	}
	s := senders(t, map[string]string{"KEY": `s{status}"x`})
	require.NoError(t, s.Send(t.Context(), delivery(t, "webhook", settings, m)))
	got := r.one(t)
	require.Equal(t, "/x/E%26U%2F1%202%3F%23%7Bx%7D%24%7BKEY%7D", got.path)
	body := got.json(t)
	require.Equal(t, map[string]any{
		"number": 5480.5, "text": m.AlertName + " is OK", "object": map[string]any{"Region": "E&U/1 2?#{x}${KEY}", "n": 7.0}, "part": 7.0, "label": "sales",
		"missing": nil, "gone": "[]", "braces": "{alert_name} $ $5 ${x}", "action": "resolve", "key": `a s{status}"x b`,
		"list": []any{1.0, 12345678901234567.0, true, nil, []any{map[string]any{"team": "sales"}}}, "{status}": "names stay",
	}, body)
}

func TestAnOverrideChangesURLMethodAndPayloadOfItsEvent(t *testing.T) {
	r := listen(t, nil)
	s := senders(t, nil)
	settings := map[string]any{
		"url": r.URL + "/a", "payload": map[string]any{"e": "{event}"},
		"per_event": map[string]any{"recovery": map[string]any{"url": r.URL + "/{episode_id}/close", "method": "PUT", "payload": []any{"{event_action}"}}, "reminder": map[string]any{"method": "PATCH"}},
	}
	for _, e := range []alert.Event{alert.EventAlert, alert.EventReminder, alert.EventRecovery} {
		require.NoError(t, s.Send(t.Context(), delivery(t, "webhook", settings, message(e))))
	}
	var seen []string
	for _, x := range r.all() {
		seen = append(seen, x.method+" "+x.path+" "+string(x.body))
	}
	require.Equal(t, []string{`POST /a {"e":"alert"}`, `PATCH /a {"e":"reminder"}`, `PUT /ep_1/close ["resolve"]`}, seen)
}

func TestEveryWayToAuthenticate(t *testing.T) {
	r := listen(t, nil)
	env := map[string]string{"TOKEN": "t0ken-value", "PASS": "p@ss/word"}
	s := senders(t, env)
	send := func(settings map[string]any) received {
		r.mu.Lock()
		r.got = nil
		r.mu.Unlock()
		require.NoError(t, s.Send(t.Context(), delivery(t, "webhook", settings, message(alert.EventAlert))))
		return r.one(t)
	}
	require.Equal(t, "Bearer t0ken-value", send(map[string]any{"url": r.URL, "headers": map[string]any{"Authorization": "Bearer ${TOKEN}"}}).header.Get("Authorization"))
	require.Equal(t, "t0ken-value", send(map[string]any{"url": r.URL, "headers": map[string]any{"x-api-key": "${TOKEN}"}}).header.Get("X-Api-Key"))
	require.Equal(t, "api_key=t0ken-value", send(map[string]any{"url": r.URL + "?api_key=${TOKEN}"}).query)
	require.Equal(t, "Basic dXNlcjp0MGtlbi12YWx1ZQ==", send(map[string]any{"url": "http://user:${TOKEN}@" + r.Listener.Addr().String()}).header.Get("Authorization"))
	require.JSONEq(t, `{"key":"t0ken-value"}`, string(send(map[string]any{"url": r.URL, "payload": map[string]any{"key": "${TOKEN}"}}).body))
	require.Equal(t, "alerts.internal", send(map[string]any{"url": r.URL, "headers": map[string]any{"Host": "alerts.internal"}}).host)

	env["WEBHOOK_AUTH_HEADER"] = "Bearer from-env"
	env["WEBHOOK_URL"] = r.URL
	require.Empty(t, send(map[string]any{"url": r.URL}).header.Get("Authorization"), "a receiver that the file names does not get it")
	require.Equal(t, "Bearer from-env", send(map[string]any{}).header.Get("Authorization"))
	require.Equal(t, "Bearer from-env", send(map[string]any{"url": "${WEBHOOK_URL}/x"}).header.Get("Authorization"))
	require.Equal(t, "Bearer own", send(map[string]any{"headers": map[string]any{"authorization": "Bearer own"}}).header.Get("Authorization"), "the target's own wins")
	env["WEBHOOK_URL"] = "http://user:t0ken-value@" + r.Listener.Addr().String()
	require.Equal(t, "Basic dXNlcjp0MGtlbi12YWx1ZQ==", send(map[string]any{}).header.Get("Authorization"), "as does its URL")
	env["WEBHOOK_AUTH_HEADER"], env["WEBHOOK_URL"] = "X-Key: from-env", r.URL+"/env"
	got := send(map[string]any{})
	require.Equal(t, []string{"from-env", "/env", ""}, []string{got.header.Get("X-Key"), got.path, got.header.Get("Authorization")})
	env["WEBHOOK_AUTH_HEADER"] = "a\r\nX-Injected: 1"
	err := failed(t, s.Send(t.Context(), delivery(t, "webhook", map[string]any{}, message(alert.EventAlert))))
	require.True(t, err.Permanent)
	require.Contains(t, err.Message, "WEBHOOK_AUTH_HEADER must be one line")
}

func TestASignatureIsVerifiedByTheStandardsOwnLibrary(t *testing.T) {
	r := listen(t, nil)
	now := time.Now()
	for _, secret := range []string{"whsec_Y2hhbmdlLW1lLWNoYW5nZS1tZS1jaGFuZ2UtbWU=", "any text of sixteen letters"} {
		s := newSenders(t, map[string]string{"SECRET": secret}, func() time.Time { return now })
		require.NoError(t, s.Send(t.Context(), delivery(t, "webhook", map[string]any{"url": r.URL, "signing_secret": "${SECRET}"}, message(alert.EventAlert))))
		all := r.all()
		got := all[len(all)-1]
		checker, err := standardwebhooks.NewWebhook(secret)
		if secret[:6] != "whsec_" {
			checker, err = standardwebhooks.NewWebhookRaw([]byte(secret))
		}
		require.NoError(t, err)
		require.NoError(t, checker.Verify(got.body, got.header))
		require.Equal(t, "dlv_alert", got.header.Get("Webhook-Id"))
		require.Error(t, checker.Verify(append(got.body, ' '), got.header), "a changed body")
	}
	err := failed(t, senders(t, nil).Send(t.Context(), delivery(t, "webhook", map[string]any{"url": r.URL, "signing_secret": "whsec_%%%"}, message(alert.EventAlert))))
	require.True(t, err.Permanent)
}

func TestACertificateIsVerifiedUnlessSwitchedOff(t *testing.T) {
	r := &receiver{}
	server := httptest.NewTLSServer(r.handler(nil))
	server.Config.ErrorLog = quiet()
	t.Cleanup(server.Close)
	s := senders(t, nil)
	settings := map[string]any{"url": server.URL}
	err := failed(t, s.Send(t.Context(), delivery(t, "webhook", settings, message(alert.EventAlert))))
	require.Contains(t, err.Message, "certificate")
	require.False(t, err.Permanent, "a certificate can be renewed")
	require.ErrorContains(t, channel(t, s, "webhook").Connect(t.Context(), delivery(t, "webhook", settings, alert.Message{}).Target), "certificate")
	require.Empty(t, r.all())

	settings["verify_tls"] = false
	require.NoError(t, channel(t, s, "webhook").Connect(t.Context(), delivery(t, "webhook", settings, alert.Message{}).Target))
	require.Empty(t, r.all(), "connecting sends nothing")
	require.NoError(t, s.Send(t.Context(), delivery(t, "webhook", settings, message(alert.EventAlert))))
	trusting := senders(t, nil, server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs)
	require.NoError(t, trusting.Send(t.Context(), delivery(t, "webhook", map[string]any{"url": server.URL}, message(alert.EventAlert))))
	require.Len(t, r.all(), 2)
	require.Contains(t, problems(t, "webhook", settings, nil)["verify_tls"], "warning: any certificate is accepted")
}

func TestConnectTriesEveryHostThatTheTargetSendsTo(t *testing.T) {
	up, down := listen(t, nil), listen(t, nil)
	down.Close()
	w := channel(t, senders(t, nil), "webhook")
	settings := map[string]any{"url": up.URL + "/{episode_id}", "per_event": map[string]any{"recovery": map[string]any{"url": down.URL + "/close"}}}
	target := delivery(t, "webhook", settings, alert.Message{}).Target
	require.ErrorContains(t, w.Connect(t.Context(), target), "reach the webhook: connect:")
	target.Events = []alert.Event{alert.EventAlert}
	require.NoError(t, w.Connect(t.Context(), target), "it never sends a recovery")
	require.Empty(t, up.all())
	require.ErrorContains(t, w.Connect(t.Context(), delivery(t, "webhook", nil, alert.Message{}).Target), "${WEBHOOK_URL} is not set")
	require.ErrorContains(t, w.Connect(t.Context(), alert.Target{Settings: json.RawMessage(`[]`)}), "settings cannot be read")
}

func TestCheckFindsEverythingThatIsWrongWithAWebhook(t *testing.T) {
	require.Empty(t, problems(t, "webhook", map[string]any{"url": "https://h/{episode_id}?k=${KEY}", "headers": map[string]any{"A": "${KEY}"}, "signing_secret": "${KEY}"}, map[string]string{"KEY": "0123456789abcdef"}))
	require.Equal(t, map[string]string{"url": "is missing; write it here or set WEBHOOK_URL"}, problems(t, "webhook", nil, nil))
	require.Empty(t, problems(t, "webhook", nil, map[string]string{"WEBHOOK_URL": "https://h"}))
	require.Contains(t, problems(t, "webhook", nil, map[string]string{"WEBHOOK_URL": "ftp://h"})["url"], "begins with https://")
	for _, port := range []string{"0", "65536", "99999"} {
		require.Contains(t, problems(t, "webhook", nil, map[string]string{"WEBHOOK_URL": "http://h:" + port + "/"})["url"], "has the port "+port+"; a port is a number from 1 to 65535")
	}
	require.Empty(t, problems(t, "webhook", nil, map[string]string{"WEBHOOK_URL": "http://h:65535/"}))
	for url, want := range map[string]string{
		"nonsense": "is not a URL", "ftp://host/": "is not a URL", "https://": "is not a URL", "http://169.254.169.254/latest": "link-local or metadata",
		"http://[fe80::1]/": "link-local or metadata", "https://{context.host}/": "before the path", "https://h/{nme}": "there is no field {nme}", "https://h/{": "not closed",
		"https://h/${NOPE}": "${NOPE} is not set", "https://u:{event}@h/": "before the path", "https://h/}": "stands alone",
	} {
		require.Contains(t, problems(t, "webhook", map[string]any{"url": url}, nil)["url"], want, url)
	}
	got := problems(t, "webhook", map[string]any{
		"url": "https://user:pass@h/", "method": "DELETE", "signing_secret": "short",
		"payload": map[string]any{"a": []any{map[string]any{"b": "{sevrity}"}}, "c": "{contxt.region}", "d": "{status.x}", "e": "{zzzzzzzzzzzz}"},
		"headers": map[string]any{"Bad Name": "x", "X-A": "1\r\nX-B: 2", "Authorization": "x", "authorization": "y", "Idempotency-Key": "1", "X-C": "${NOPE}", "X-D": "{severity}", "": "x"},
		"per_event": map[string]any{
			"recovered": map[string]any{}, "alert": map[string]any{"url": "nonsense", "method": "HEAD", "payload": "{x"}, "reminder": map[string]any{"method": "GET", "payload": map[string]any{}},
		},
	}, nil)
	for path, want := range map[string]string{
		"method": "must be POST, PUT, PATCH or GET", "signing_secret": "16 characters", "payload.a[0].b": "did you mean {severity}?", "payload.c": "did you mean {context.region}?",
		"payload.d": "there is no field {status.x}", "payload.e": "(there are actual_value, alert_name,", "headers.Bad Name": "is no name of a header", "headers.X-A": "must be one line",
		"headers.authorization": "is the same header", "headers.Idempotency-Key": "cannot be set", "headers.X-C": "${NOPE} is not set", "headers.X-D": "warning: fields are not filled",
		"headers.": "is no name", "per_event.recovered": `there is no event "recovered"; there are alert, escalation`, "per_event.alert.url": "is not a URL", "per_event.alert.method": "must be POST",
		"per_event.alert.payload": "a { is not closed", "per_event.reminder.payload": "warning: a GET sends no payload",
	} {
		require.Contains(t, got[path], want, path)
	}
	require.Contains(t, got["headers.authorization"], "beside a user in the URL")
	require.Contains(t, problems(t, "webhook", map[string]any{"url": "https://h", "payload": nil}, nil)["payload"], "is empty")
	require.Contains(t, problems(t, "webhook", map[string]any{"url": "https://h", "signing_secret": "whsec_???"}, nil)["signing_secret"], "Base64")
	require.Contains(t, problems(t, "webhook", map[string]any{"url": "https://h", "signing_secret": "${NOPE}"}, nil)["signing_secret"], "${NOPE}")
	require.Contains(t, problems(t, "webhook", map[string]any{"url": "https://h"}, map[string]string{"WEBHOOK_AUTH_HEADER": "a\nb"})["headers"], "WEBHOOK_AUTH_HEADER")
	w := channel(t, senders(t, nil), "webhook")
	require.Len(t, w.Check(json.RawMessage(`{"url": 3}`), lookup(nil)), 1)
	require.Contains(t, w.Check(json.RawMessage(`{"url": "https://h", "payload": {"a": "{b}"} }`), lookup(nil))[0].Message, "there is no field {b}")
}

func TestATargetThatCannotWorkFailsForGoodWithAdvice(t *testing.T) {
	s := senders(t, nil)
	for want, settings := range map[string]map[string]any{
		"${WEBHOOK_URL} is not set":           {},
		"${TOKEN} is not set":                 {"url": "https://h", "headers": map[string]any{"A": "${TOKEN}"}},
		"${AWS_SECRET_ACCESS_KEY} never reso": {"url": "https://h", "payload": map[string]any{"a": "${AWS_SECRET_ACCESS_KEY}"}},
		"a { is not closed":                   {"url": "https://h", "payload": "{"},
		"the URL cannot be used":              {"url": "https://h:port/"},
		`the header "Bad Name" cannot`:        {"url": "https://h", "headers": map[string]any{"Bad Name": "x"}},
	} {
		err := failed(t, s.Send(t.Context(), delivery(t, "webhook", settings, message(alert.EventAlert))))
		require.True(t, err.Permanent, want)
		require.Contains(t, err.Message, want)
		_, renderErr := channel(t, s, "webhook").Render(t.Context(), delivery(t, "webhook", settings, message(alert.EventAlert)))
		require.ErrorContains(t, renderErr, want, "a dry run says the same")
	}
	d := delivery(t, "webhook", nil, message(alert.EventAlert))
	d.Target.Settings = json.RawMessage(`[]`)
	require.True(t, failed(t, s.Send(t.Context(), d)).Permanent)
	d.Target.Channel = "pigeon"
	require.Contains(t, failed(t, s.Send(t.Context(), d)).Message, `there is no channel "pigeon"`)
}

func TestTheAddressIsAsWrittenAndTheLabelShowsNoSecret(t *testing.T) {
	s := senders(t, nil)
	for _, c := range []struct{ channel, settings, identity, label string }{
		{"webhook", `{"url":"https://u:p@h/x?k=1"}`, "https://u:p@h/x?k=1", "webhook https://***@h/x?***"},
		{"webhook", `{"url":"${HOOK}?k=v"}`, "${HOOK}?k=v", "webhook ${HOOK}"},
		{"webhook", `{}`, "${WEBHOOK_URL}", "webhook"},
		{"slack", `{}`, "${SLACK_WEBHOOK_URL} ", "slack"},
		{"slack", `{"webhook_url":"https://hooks.slack.com/services/T/B/x"}`, "https://hooks.slack.com/services/T/B/x ", "slack https://hooks.slack.com/***"},
		{"slack", `{"webhook_url":"${A}","slack_channel":"#ops"}`, "${A} #ops", "slack #ops"},
		{"slack", `{"webhook_url":"${A}"}`, "${A} ", "slack ${A}"},
		{"email", `{"recipients":["a@b.c","d@e.f"]}`, "a@b.c, d@e.f", "email a@b.c, d@e.f"},
	} {
		identity, label := channel(t, s, c.channel).Address(json.RawMessage(c.settings))
		require.Equal(t, []string{c.identity, c.label}, []string{identity, label})
	}
}
