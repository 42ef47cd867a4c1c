package notify_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/mailserver"
)

// canaries are secrets with everything in them that encodings change.
func canaries() []string {
	return []string{"canary-plain-5f3a9c", `canary "quoted" \ <tag> & 7b1d`, "canary/slash+plus=é%20 91e2"}
}

// echoes are the forms in which a receiver may send a secret back.
func echoes(secret string) []string {
	asJSON, _ := json.Marshal(map[string]string{"got": secret})
	return []string{
		secret, string(asJSON), html.EscapeString(secret), url.QueryEscape(secret), url.PathEscape(secret), fmt.Sprintf("%q", secret),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte("user:" + secret)),
	}
}

// leaks fails if a text holds a secret, or half of one, in any form.
func leaks(t *testing.T, text, secret, where string) {
	t.Helper()
	for _, form := range echoes(secret) {
		require.NotContains(t, text, form, where)
	}
	require.NotContains(t, text, "canary", where)
}

// placements are settings with a secret in each of them, once as a reference and once as
// it stands in the file.
func placements(channel, address, written string) []map[string]any {
	host := strings.TrimPrefix(address, "http://")
	if channel == "slack" {
		return []map[string]any{
			{"webhook_url": address + "/services/" + url.PathEscape(written)}, {"webhook_url": address + "/x?k=" + url.QueryEscape(written)},
		}
	}
	return []map[string]any{
		{"url": address, "headers": map[string]any{"Authorization": "Bearer " + written}}, {"url": address, "headers": map[string]any{"X-Key": written}},
		{"url": address + "/?key=" + url.QueryEscape(written)}, {"url": "http://user:" + url.PathEscape(written) + "@" + host}, {"url": address, "signing_secret": written},
	}
}

func TestASecretIsInNoErrorAndNoDryRunWhateverReceiversEcho(t *testing.T) {
	for _, secret := range canaries() {
		for _, padding := range []int{0, 270, 290, 299} { // so that a cut falls into the secret
			r := listen(t, func(w http.ResponseWriter, req *http.Request) {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, strings.Repeat("x", padding))
				for _, form := range echoes(secret) {
					_, _ = io.WriteString(w, form+"\n")
				}
				_, _ = fmt.Fprint(w, req.Header, req.URL, req.Header.Get("Authorization"))
			})
			for _, name := range []string{"webhook", "slack"} {
				all := placements(name, r.URL, secret)
				if name == "webhook" {
					all = append(all, map[string]any{"url": r.URL, "headers": map[string]any{"X": "${CANARY}"}}, map[string]any{"url": r.URL, "payload": map[string]any{"a": "x ${CANARY}"}},
						map[string]any{"url": r.URL + "?${CANARY_QUERY}"}, map[string]any{"url": "${CANARY_URL}"}, map[string]any{}, map[string]any{"url": r.URL, "signing_secret": "${CANARY}"})
				} else {
					all = append(all, map[string]any{"webhook_url": "${CANARY_URL}", "username": "${CANARY}", "slack_channel": "${CANARY}", "thread_ts": "${CANARY}", "icon_emoji": "${CANARY}"}, map[string]any{})
				}
				for _, settings := range all {
					address := r.URL + "/hooks/" + url.PathEscape(secret)
					env := map[string]string{
						"CANARY": secret, "CANARY_QUERY": "k=" + url.QueryEscape(secret), "CANARY_URL": address, "WEBHOOK_URL": address, "SLACK_WEBHOOK_URL": address,
					}
					if len(settings) == 0 { // everything from the environment
						env["WEBHOOK_AUTH_HEADER"] = "X-Env: " + secret
					}
					s := senders(t, env)
					if name == "webhook" && settings["payload"] == nil {
						settings["payload"] = "none"
					}
					d := delivery(t, name, settings, message(alert.EventAlert))
					shown, err := channel(t, s, name).Render(t.Context(), d)
					require.NoError(t, err)
					leaks(t, shown.Summary+strings.Join(shown.Headers, "\n")+shown.Body, secret, fmt.Sprint("dry run of ", settings))
					leaks(t, failed(t, s.Send(t.Context(), d)).Message, secret, fmt.Sprint("error of ", settings))
				}
			}
		}
	}
}

func TestAMailSecretIsInNoErrorAndNoDryRun(t *testing.T) {
	for _, secret := range canaries() {
		server := mailServer(t, mailserver.Options{Username: "canary-user-77", Password: secret})
		said := strings.Join(echoes(secret), " ") + " " + base64.StdEncoding.EncodeToString([]byte("\x00canary-user-77\x00"+secret)) + " canary-user-77 " + base64.StdEncoding.EncodeToString([]byte("canary-user-77"))
		for _, stage := range []mailserver.Stage{mailserver.AtAuth, mailserver.AtMail, mailserver.AtRecipient, mailserver.AtData} {
			server.Script(mailserver.Rule{At: stage, Do: mailserver.Answer(550, strings.Repeat("x", int(stage)*80)+said)})
			for _, settings := range []map[string]any{
				{"recipients": []string{"${WHO}"}, "subject": "${CANARY}"},
				{"recipients": []string{"${WHO}"}, "smtp_username": "canary-user-77", "smtp_password": secret},
				{"recipients": []string{"${WHO}"}, "smtp_username": "${USER_NAME}", "smtp_password": "${CANARY}"},
			} {
				s := senders(t, reach(server, "false", "SMTP_USERNAME", "canary-user-77", "SMTP_PASSWORD", secret, "CANARY", secret, "WHO", "canary-who@example.com", "USER_NAME", "canary-user-77"))
				d := delivery(t, "email", settings, message(alert.EventAlert))
				shown, err := channel(t, s, "email").Render(t.Context(), d)
				require.NoError(t, err)
				leaks(t, shown.Summary+strings.Join(shown.Headers, "\n")+shown.Body, secret, "dry run")
				leaks(t, failed(t, s.Send(t.Context(), d)).Message, secret, "error")
				if err := channel(t, s, "email").Connect(t.Context(), d.Target); stage == mailserver.AtAuth {
					require.Error(t, err)
					leaks(t, err.Error(), secret, "connect")
				}
			}
		}
	}
}

func TestCheckEchoesNoSecret(t *testing.T) {
	for _, secret := range canaries() {
		env := lookup(map[string]string{"CANARY": secret, "WEBHOOK_URL": secret, "SLACK_WEBHOOK_URL": secret, "WEBHOOK_AUTH_HEADER": secret + "\n", "SMTP_HOST": "h", "SMTP_FROM": secret, "SMTP_PASSWORD": secret})
		s := senders(t, nil)
		for name, settings := range map[string]string{
			"webhook": `{"url":"${CANARY}","headers":{"A":"${CANARY}"},"signing_secret":"whsec_${CANARY}"}`, "slack": `{"webhook_url":"${CANARY}","thread_ts":"${CANARY}"}`, "email": `{"recipients":["${CANARY}"],"smtp_username":"${CANARY}"}`,
		} {
			found := channel(t, s, name).Check(json.RawMessage(settings), env)
			require.NotEmpty(t, found)
			for _, p := range found {
				leaks(t, p.Message, secret, name)
			}
		}
	}
}
