package notify_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/mailserver"
)

func mailServer(t *testing.T, o mailserver.Options) *mailserver.Server {
	s, err := mailserver.Start(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// reach is the environment that leads to a server.
func reach(s *mailserver.Server, use string, more ...string) map[string]string {
	env := map[string]string{"SMTP_HOST": s.Host(), "SMTP_PORT": fmt.Sprint(s.Port()), "SMTP_FROM_ADDRESS": "Sentinel <alerts@example.com>", "SMTP_USE_TLS": use}
	for i := 0; i+1 < len(more); i += 2 {
		env[more[i]] = more[i+1]
	}
	return env
}

// A letter is a mail as an independent reader understands it.
type letter struct {
	header     mail.Header
	subject    string
	text, html string
}

func read(t *testing.T, raw []byte) letter {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	require.NoError(t, err)
	out := letter{header: m.Header}
	out.subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	require.NoError(t, err)
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/alternative", kind)
	parts := multipart.NewReader(m.Body, params["boundary"])
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		require.Equal(t, "quoted-printable", part.Header.Get("Content-Transfer-Encoding"))
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		require.NoError(t, err)
		switch kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type")); kind {
		case "text/plain":
			require.Empty(t, out.html, "the plain part comes first")
			out.text = strings.ReplaceAll(string(body), "\r\n", "\n")
		case "text/html":
			out.html = string(body)
		default:
			require.Fail(t, "unknown part", kind)
		}
	}
}

// mailed sends a message over SMTP and returns what arrived.
func mailed(t *testing.T, settings map[string]any, m alert.Message) (mailserver.Message, letter) {
	server := mailServer(t, mailserver.Options{})
	all := map[string]any{"recipients": []string{"Team <team@example.com>", "lead@example.com"}}
	for name, value := range settings {
		all[name] = value
	}
	require.NoError(t, senders(t, reach(server, "false", "TEAM", "Sales")).Send(t.Context(), delivery(t, "email", all, m)))
	got := server.Messages()
	require.Len(t, got, 1)
	return got[0], read(t, got[0].Data)
}

func TestAMailSaysTheSameAsTextAndAsHTML(t *testing.T) {
	m := message(alert.EventAlert)
	m.Instances = []alert.InstanceNews{{Instance: alert.Fields{{Name: "region", Value: alert.TextValue("EU")}}, Change: "new", ActualValue: alert.IntValue(7), Threshold: alert.IntValue(5)}}
	envelope, got := mailed(t, nil, m)
	require.Equal(t, "alerts@example.com", envelope.From)
	require.Equal(t, []string{"team@example.com", "lead@example.com"}, envelope.To)
	require.Equal(t, "ALERT: Daily revenue", got.subject)
	require.Equal(t, `"Sentinel" <alerts@example.com>`, got.header.Get("From"))
	require.Equal(t, `"Team" <team@example.com>, <lead@example.com>`, got.header.Get("To"))
	at, err := got.header.Date()
	require.NoError(t, err)
	require.True(t, at.Equal(clock()))
	require.Equal(t, `ALERT: Daily revenue

Revenue fell below 10,000

ALERT 3 of 3 runs

Status: ALERT
Severity: critical
Actual value: 5480.50
Threshold: 10000
region: EU
orders: 40
note: NULL
team: sales

- new: region=EU, 7 against 5

Runbook: https://wiki.example.com/revenue?a=1&b=2

2026-03-09 08:00:00 UTC · run run_1
`, got.text)
	for _, want := range []string{
		"border-top:6px solid #d32f2f", "5480.50 against 10000", ">region<", ">EU<", `<a href="https://wiki.example.com/revenue?a=1&amp;b=2">Runbook</a>`, "ALERT 3 of 3 runs",
		"run run_1", "width=device-width", ">new<", "7 against 5", ">sales<",
	} {
		require.Contains(t, got.html, want)
	}
}

func TestTheMailsOfAnEpisodeAreOneThreadAndARetryIsTheSameMail(t *testing.T) {
	_, first := mailed(t, nil, message(alert.EventAlert))
	_, again := mailed(t, nil, message(alert.EventAlert))
	_, last := mailed(t, nil, message(alert.EventRecovery))
	require.Equal(t, "<dlv_alert@example.com>", first.header.Get("Message-Id"))
	require.Equal(t, first.header.Get("Message-Id"), again.header.Get("Message-Id"))
	require.Equal(t, "<dlv_recovery@example.com>", last.header.Get("Message-Id"))
	for _, x := range []letter{first, last} {
		require.Equal(t, "<ep_1@example.com>", x.header.Get("References"))
		require.Equal(t, "<ep_1@example.com>", x.header.Get("In-Reply-To"))
		require.Equal(t, "auto-generated", x.header.Get("Auto-Submitted"))
		require.Equal(t, "All", x.header.Get("X-Auto-Response-Suppress"))
		require.Regexp(t, `^<[a-z2-7]{12}\.sqlsentinel\.example\.com>$`, x.header.Get("List-Id"))
		require.Equal(t, "run_1", x.header.Get("X-Sql-Sentinel-Run"))
	}
	require.Equal(t, first.header.Get("List-Id"), last.header.Get("List-Id"))
	lone := message(alert.EventTest)
	lone.EpisodeID = ""
	_, test := mailed(t, map[string]any{"subject": "Revenue"}, lone)
	require.Empty(t, test.header.Get("References"))
	require.Equal(t, "TEST: Revenue", test.subject, "a test is marked")
	require.Contains(t, test.text, "This is a test message; nothing is wrong.")
	_, foreign := mailed(t, map[string]any{"from": "alerts@bücher.invalid", "recipients": []string{"team@example.com"}}, message(alert.EventAlert))
	require.Equal(t, "<dlv_alert@sqlsentinel.invalid>", foreign.header.Get("Message-Id"), "an id stays in ASCII")
}

func TestASubjectIsFilledInAndInjectsNothing(t *testing.T) {
	m := message(alert.EventAlert)
	m.AlertName = "a\r\nBcc: evil@example.com\r\n\r\nbody\x00 é {status} ${TEAM}"
	envelope, got := mailed(t, map[string]any{"subject": "${TEAM} {severity}: {alert_name} = {actual_value} {{x}}\r\nX-Own: 1"}, m)
	require.Equal(t, "Sales critical: a Bcc: evil@example.com body é {status} ${TEAM} = 5480.50 {x} X-Own: 1", got.subject)
	require.Equal(t, []string{"team@example.com", "lead@example.com"}, envelope.To)
	require.Empty(t, got.header.Get("Bcc"))
	require.Empty(t, got.header.Get("X-Own"))

	m.AlertName = strings.Repeat("ü", 10000)
	_, got = mailed(t, nil, m)
	require.LessOrEqual(t, len([]rune(got.subject)), 250)
	require.True(t, strings.HasSuffix(got.subject, "…"))
}

func TestDataIsEscapedInHTMLAndForgesNoFactInText(t *testing.T) {
	m := message(alert.EventError)
	m.Description, m.RunbookURL = `<img src=x onerror="alert(1)">`, `javascript:alert(1)`
	m.Context = alert.Fields{{Name: "<b>\nname", Value: alert.TextValue("one\nStatus: OK\n.\n</td><script>x</script>" + strings.Repeat("z", 9000))}}
	_, got := mailed(t, nil, m)
	require.NotContains(t, got.html, "<script>")
	require.NotContains(t, got.html, "<img")
	require.NotContains(t, got.html, `href="javascript`)
	require.Contains(t, got.html, "&lt;script&gt;")
	require.Contains(t, got.html, "#f9a825")
	require.Contains(t, got.text, "<b> name: one\n    Status: OK\n    .\n    </td>")
	require.Equal(t, 1, strings.Count(got.text, "\nStatus: "))
	require.Contains(t, got.text, "zzz…\n")
	require.Less(t, len(got.text), 5000)
}

func TestEveryEncryptionAndLogin(t *testing.T) {
	for _, c := range []struct {
		name     string
		security mailserver.Security
		use      string
	}{{"plain", mailserver.Plain, "false"}, {"STARTTLS", mailserver.STARTTLS, "true"}, {"STARTTLS by default", mailserver.STARTTLS, ""}, {"implicit", mailserver.ImplicitTLS, "implicit"}} {
		t.Run(c.name, func(t *testing.T) {
			server := mailServer(t, mailserver.Options{Security: c.security, Username: "user", Password: "correct horse"})
			d := delivery(t, "email", map[string]any{"recipients": []string{"team@example.com"}}, message(alert.EventAlert))
			env := reach(server, c.use, "SMTP_USER", "user", "SMTP_PASSWORD", "correct horse")
			s := senders(t, env, server.CertPool())
			require.NoError(t, channel(t, s, "email").Connect(t.Context(), d.Target))
			require.Empty(t, server.Messages(), "connecting sends nothing")
			require.NoError(t, s.Send(t.Context(), d))
			got := server.Messages()
			require.Len(t, got, 1)
			require.Equal(t, "user", got[0].User)
			require.Equal(t, c.security != mailserver.Plain, got[0].TLS)

			env["SMTP_PASSWORD"] = "wrong password"
			err := failed(t, s.Send(t.Context(), d))
			require.True(t, err.Permanent, err.Message)
			require.Contains(t, err.Message, "SMTP login: 535")
			require.NotContains(t, err.Message, "wrong password")
			require.ErrorContains(t, channel(t, s, "email").Connect(t.Context(), d.Target), "reach the mail server: SMTP login: 535")
			if c.security != mailserver.Plain {
				env["SMTP_PASSWORD"] = "correct horse"
				logins := server.Count(mailserver.AtAuth)
				err := failed(t, senders(t, env).Send(t.Context(), d))
				require.Contains(t, err.Message, "certificate", "nobody vouches for it")
				require.False(t, err.Permanent)
				require.Equal(t, logins, server.Count(mailserver.AtAuth), "no login without trust")
			}
		})
	}
}

func TestEncryptionIsRequiredUnlessSwitchedOff(t *testing.T) {
	server := mailServer(t, mailserver.Options{})
	d := delivery(t, "email", map[string]any{"recipients": []string{"team@example.com"}}, message(alert.EventAlert))
	err := failed(t, senders(t, reach(server, "true")).Send(t.Context(), d))
	require.True(t, err.Permanent)
	require.Contains(t, err.Message, "offers no STARTTLS")
	err = failed(t, senders(t, reach(server, "false", "SMTP_USERNAME", "u", "SMTP_PASSWORD", "pass")).Send(t.Context(), d))
	require.Contains(t, err.Message, "offers no login")
	err = failed(t, senders(t, reach(server, "implicit")).Send(t.Context(), d))
	require.Contains(t, err.Message, "smtp_tls: starttls")
	require.Zero(t, server.Count(mailserver.AtMail))
}

func TestATargetsOwnServerWinsOverTheEnvironment(t *testing.T) {
	server := mailServer(t, mailserver.Options{Username: "own", Password: "secret"})
	settings := map[string]any{
		"recipients": []string{"${WHO}"}, "from": "own@example.org", "smtp_host": server.Host(), "smtp_port": server.Port(), "smtp_username": "own", "smtp_password": "${PASS}", "smtp_tls": "none", "provider": "smtp",
	}
	env := map[string]string{"SMTP_HOST": "no-such-host.invalid", "SMTP_PORT": "1", "SMTP_FROM": "env@example.com", "SMTP_USER": "env", "SMTP_PASSWORD": "env", "SMTP_USE_TLS": "true", "EMAIL_PROVIDER": "SMTP", "WHO": "team@example.com", "PASS": "secret"}
	require.NoError(t, senders(t, env).Send(t.Context(), delivery(t, "email", settings, message(alert.EventAlert))))
	got := server.Messages()
	require.Len(t, got, 1)
	require.Equal(t, []string{"own", "own@example.org", "team@example.com"}, []string{got[0].User, got[0].From, got[0].To[0]})
}

func TestCheckFindsEverythingThatIsWrongWithAMailTarget(t *testing.T) {
	ok := map[string]string{"SMTP_HOST": "mail.example.com", "SMTP_FROM_ADDRESS": "a@example.com"}
	good := []string{"team@example.com", "Lead <lead@example.com>", "${WHO}"}
	require.Empty(t, problems(t, "email", map[string]any{"recipients": good, "subject": "{alert_name} {labels.team} {{}}"}, map[string]string{"SMTP_HOST": "h", "SMTP_FROM": "a@example.com", "WHO": "who@example.com"}))
	require.Empty(t, problems(t, "email", map[string]any{"recipients": good[:1]}, map[string]string{"SMTP_HOST": "h", "SMTP_USER": "a@example.com", "SMTP_PASSWORD": "x"}), "the user is the sender")
	require.Equal(t, map[string]string{
		"recipients": "is missing; list at least one address", "smtp_host": "is missing; write it here or set SMTP_HOST", "from": "is missing; write it here or set SMTP_FROM_ADDRESS",
	}, problems(t, "email", nil, nil))
	got := problems(t, "email", map[string]any{
		"recipients": []string{"nobody", "a@b.c\r\nBcc: d@e.f", "a@b.c", "A@b.c", "${NOPE}"}, "subject": "{alert}", "from": "me", "smtp_host": "mail.example.com:25", "smtp_port": 99999, "smtp_tls": "perhaps",
		"provider": "pigeon", "smtp_username": "u",
	}, nil)
	for path, want := range map[string]string{
		"recipients[0]": "is no e-mail address", "recipients[1]": "is no e-mail address", "recipients[3]": "stands in the list twice", "recipients[4]": "${NOPE} is not set",
		"subject": "there is no field {alert}", "from": "is no e-mail address", "smtp_host": "is no name of a host", "smtp_port": "is no port number", "smtp_tls": "must be starttls",
		"provider": `is "pigeon" (from here or EMAIL_PROVIDER); write smtp or ses`, "smtp_password": "is missing beside a user name",
	} {
		require.Contains(t, got[path], want, path)
	}
	with := func(name, value string) map[string]string {
		env := map[string]string{name: value}
		for k, v := range ok {
			if k != name {
				env[k] = v
			}
		}
		return problems(t, "email", map[string]any{"recipients": good[:1]}, env)
	}
	require.Contains(t, with("EMAIL_PROVIDER", "pigeon")["provider"], "write smtp or ses")
	require.Contains(t, with("SMTP_PORT", "smtp")["smtp_port"], "is no port number")
	require.Contains(t, with("SMTP_USE_TLS", "maybe")["smtp_tls"], "SMTP_USE_TLS")
	require.Contains(t, with("SMTP_PASSWORD", "x")["smtp_username"], "is missing beside a password")
	require.Contains(t, with("SMTP_HOST", "169.254.169.254")["smtp_host"], "link-local or metadata")
	for _, use := range []string{"true", "yes", "1", "implicit", "ssl", "false", "no", "0", "none", "STARTTLS"} {
		require.Empty(t, with("SMTP_USE_TLS", use), use)
	}
	require.Contains(t, problems(t, "email", map[string]any{"recipients": good[:1], "smtp_tls": "none", "smtp_username": "u", "smtp_password": "p"}, ok)["smtp_tls"], "warning: the password is sent unencrypted")
	require.Len(t, channel(t, senders(t, nil), "email").Check(json.RawMessage(`{"recipients":"x"}`), lookup(nil)), 1)
}

func TestAMailTargetThatCannotWorkFailsForGoodWithAdvice(t *testing.T) {
	env := map[string]string{"SMTP_HOST": "127.0.0.1", "SMTP_FROM": "a@example.com", "SMTP_PORT": "1"}
	for want, settings := range map[string]map[string]any{
		"the target has no recipients":    {},
		"recipient 1 is no e-mail addre":  {"recipients": []string{"nobody"}},
		"${WHO} is not set":               {"recipients": []string{"${WHO}"}},
		"${SUBJECT} is not set":           {"recipients": []string{"a@b.c"}, "subject": "${SUBJECT}"},
		"write smtp or ses":               {"recipients": []string{"a@b.c"}, "provider": "pigeon"},
		"smtp_password ${PASS} is not se": {"recipients": []string{"a@b.c"}, "smtp_password": "${PASS}"},
	} {
		err := failed(t, senders(t, env).Send(t.Context(), delivery(t, "email", settings, message(alert.EventAlert))))
		require.True(t, err.Permanent)
		require.Contains(t, err.Message, want)
		_, renderErr := channel(t, senders(t, env), "email").Render(t.Context(), delivery(t, "email", settings, message(alert.EventAlert)))
		require.ErrorContains(t, renderErr, want)
	}
	require.ErrorContains(t, channel(t, senders(t, nil), "email").Connect(t.Context(), alert.Target{}), "smtp_host is missing")
	require.ErrorContains(t, channel(t, senders(t, nil), "email").Connect(t.Context(), alert.Target{Settings: json.RawMessage(`1`)}), "cannot be read")
	d := delivery(t, "email", nil, message(alert.EventAlert))
	d.Target.Settings = json.RawMessage(`1`)
	require.Contains(t, failed(t, senders(t, env).Send(t.Context(), d)).Message, "cannot be read")
}

func TestADryRunShowsTheMail(t *testing.T) {
	env := map[string]string{"SMTP_HOST": "mail.example.com", "SMTP_FROM": "a@example.com", "SMTP_USER": "user-name", "SMTP_PASSWORD": "pass-word", "SMTP_USE_TLS": "true"}
	m := message(alert.EventRecovery)
	m.AlertName = "Größe true"
	shown, err := channel(t, senders(t, env), "email").Render(t.Context(), delivery(t, "email", map[string]any{"recipients": []string{"team@example.com"}}, m))
	require.NoError(t, err)
	require.Equal(t, "SMTP mail.example.com:587, STARTTLS required", shown.Summary)
	require.Equal(t, []string{"From: <a@example.com>", "To: <team@example.com>", "Subject: RECOVERED: Größe true", "Message-ID: <dlv_recovery@example.com>", "References: <ep_1@example.com>"}, shown.Headers)
	require.Contains(t, shown.Body, "Status: OK\n")
}
