package functions_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/mailserver"
)

// canary stands in every parameter.
const canary = "c4n4ry"

// noCanary fails if a text holds a part of a secret, in plain or in Base64 at any offset.
func noCanary(t testing.TB, where, text string) {
	t.Helper()
	marks := []string{canary}
	for before, skip := range []int{0, 2, 3} {
		whole := append(make([]byte, before), canary...)
		marks = append(marks, base64.RawStdEncoding.EncodeToString(whole)[skip:len(whole)*8/6])
	}
	for _, m := range marks {
		if at := strings.Index(text, m); at >= 0 {
			t.Errorf("a secret in %s: …%q…", where, text[max(0, at-160):min(len(text), at+80)])
		}
	}
}

// canaryConfig has a parameter wherever one may stand.
const canaryConfig = `
database: {url: "${SHOP_URL}"}
channels:
  mail: {channel: email, attempts: 1, recipients: [team@example.com], smtp_username: sentinel@example.com, smtp_password: "${SMTP_PASSWORD}"}
  hook: {channel: webhook, attempts: 1, url: "${HOOK_URL}", headers: {Authorization: "Bearer ${HOOK_TOKEN}"}, payload: {key: "${HOOK_PAYLOAD}"}, signing_secret: "${SIGNING}"}
  chat: {channel: slack, attempts: 1}
heartbeat: {url: "${BEAT_URL}", every: 1m}
alerts:
  - {name: Fails, query: "SELECT 'OK' AS status", schedule: "*/5 * * * *", on_error: {after: 1 runs, notify: [mail, hook, chat]}, notify: [mail, hook, chat]}
`

func TestNoParameterIsInWhatTheFunctionsSayOrKeep(t *testing.T) {
	w := newWorld(t)
	echo := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		dump, _ := httputil.DumpRequest(r, true)
		rw.WriteHeader(http.StatusBadRequest)
		_, _ = rw.Write(dump)
		_, _ = fmt.Fprintf(rw, "%q %s %s", dump, base64.StdEncoding.EncodeToString(dump), url.QueryEscape(string(dump)))
	}))
	defer echo.Close()
	password := canary + `mail"/+=é <b>`
	mails := must(mailserver.Start(mailserver.Options{Username: "sentinel@example.com", Password: password}))
	defer func() { require.NoError(t, mails.Close()) }()
	mails.Script(mailserver.Rule{At: mailserver.AtAuth, Do: mailserver.Answer(535, "no "+password+" "+base64.StdEncoding.EncodeToString([]byte("\x00sentinel@example.com\x00"+password)))})
	shop := must(url.Parse(w.shopURL))
	shop.User = url.UserPassword(shop.User.Username(), canary+`shop"/+=é <b>`)
	for _, p := range [][3]string{
		{"query", "SHOP_URL", shop.String()}, {"webhook", "HOOK_URL", echo.URL + "/" + canary + "path0123456789?k=" + canary + "query"}, {"webhook", "HOOK_TOKEN", canary + "token"},
		{"webhook", "HOOK_PAYLOAD", canary + `payload"\`}, {"webhook", "SIGNING", canary + "signing0123456789"}, {"slack", "SLACK_WEBHOOK_URL", echo.URL + "/services/" + canary + "slack0123456789"},
		{"email", "SMTP_PASSWORD", password}, {"email", "SMTP_PORT", fmt.Sprint(mails.Port())}, {"sync", "BEAT_URL", echo.URL + "/" + canary + "beat0123456789"},
	} {
		w.secret(p[0], p[1], p[2])
	}
	w.env["LOG_LEVEL"] = "debug"
	status := w.upload(canaryConfig)
	require.Empty(t, status.Problem)
	noCanary(t, "the status of sync", fmt.Sprint(status))
	at := time.Now().UTC().Truncate(time.Minute)
	noCanary(t, "an answer", string(w.invoke("query", w.ticks(at)["Fails"])))
	noCanary(t, "a dry run", string(w.invoke("query", map[string]any{"alert": "Fails", "dry_run": true})))
	for _, channel := range []string{"email", "slack", "webhook"} {
		require.NotZero(t, w.deliver(channel))
	}
	w.invoke("sync", eventFile(t, "sync.json"))
	for name := range w.functions {
		noCanary(t, "the log of "+name, w.function(name).Log())
	}
	deliveries, err := w.store.Deliveries(t.Context(), sentinel.DeliveryFilter{Scope: w.stack})
	require.NoError(t, err)
	refused := map[string]bool{}
	for _, d := range deliveries {
		refused[d.Target.Channel] = refused[d.Target.Channel] || d.LastError != ""
		noCanary(t, "a delivery", string(must(json.Marshal(d))))
	}
	require.Equal(t, map[string]bool{"email": true, "slack": true, "webhook": true}, refused, "each refused one, and said all that it was told")
	rows, err := dynamodb.NewFromConfig(w.config).Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String(w.env["SENTINEL_TABLE"])})
	require.NoError(t, err)
	require.NotEmpty(t, rows.Items)
	noCanary(t, "the table", string(must(json.Marshal(rows.Items))))
	noCanary(t, "dead letters", strings.Join(slices.Concat(w.letters("email"), w.letters("slack"), w.letters("webhook")), " "))
}
