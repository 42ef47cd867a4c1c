package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// email sends over SMTP.
type email struct {
	secrets  *alert.Secrets
	guard    *guard
	hostname string
	now      func() time.Time
}

// EmailSettings are the settings of an e-mail target. What is left out comes from the
// SMTP_ variables.
type EmailSettings struct {
	Recipients []string `json:"recipients,omitempty" doc:"Addresses, one message to all"`
	Subject    string   `json:"subject,omitempty" doc:"{field} is filled in; default: what happened and the alert's name"`
	From       string   `json:"from,omitempty" doc:"The sender; default: SMTP_FROM_ADDRESS"`
	Host       string   `json:"smtp_host,omitempty" doc:"The mail server; default: SMTP_HOST"`
	Port       int      `json:"smtp_port,omitempty" doc:"Default: SMTP_PORT, else 587"`
	Username   string   `json:"smtp_username,omitempty" doc:"Default: SMTP_USERNAME"`
	Password   string   `json:"smtp_password,omitempty" doc:"Default: SMTP_PASSWORD"`
	TLS        string   `json:"smtp_tls,omitempty" doc:"starttls (required), implicit or none; default by SMTP_USE_TLS"`
}

func (e *email) Name() string  { return "email" }
func (e *email) Settings() any { return &EmailSettings{} }

func (e *email) Address(raw json.RawMessage) (identity, label string) {
	s, _ := decode[EmailSettings](raw)
	list := strings.Join(s.Recipients, ", ")
	return list, "email " + list
}

// server is where and as whom to send, resolved.
type server struct {
	host, username, password, from, tls string
	port                                int
}

// server resolves settings over the SMTP_ variables.
func (s EmailSettings) server(env alert.Lookup) (server, error) {
	out := server{port: s.Port}
	var err error
	for _, x := range []struct {
		into    *string
		setting string
		names   []string
	}{
		{&out.host, s.Host, []string{"SMTP_HOST"}},
		{&out.username, s.Username, []string{"SMTP_USERNAME", "SMTP_USER"}},
		{&out.password, s.Password, []string{"SMTP_PASSWORD"}},
		{&out.from, s.From, []string{"SMTP_FROM_ADDRESS", "SMTP_FROM"}},
		{&out.tls, s.TLS, []string{"SMTP_USE_TLS"}},
	} {
		if *x.into, err = alert.Expand(x.setting, env); err != nil {
			return out, err
		}
		if *x.into == "" {
			*x.into = fromEnv(env, x.names...)
		}
	}
	if out.port == 0 {
		out.port = 587
		if text := fromEnv(env, "SMTP_PORT"); text != "" {
			if out.port, err = strconv.Atoi(text); err != nil || out.port < 1 || out.port > 65535 {
				return out, errors.New("SMTP_PORT is not a port number")
			}
		}
	}
	out.tls, err = tlsMode(out.tls, out.port)
	if out.from == "" {
		out.from = out.username
	}
	return out, err
}

func tlsMode(text string, port int) (string, error) {
	switch strings.ToLower(text) {
	case "":
		if port == 465 {
			return "implicit", nil
		}
		return "starttls", nil
	case "true", "yes", "1", "starttls":
		if port == 465 {
			return "implicit", nil
		}
		return "starttls", nil
	case "implicit", "ssl":
		return "implicit", nil
	case "false", "no", "0", "none":
		return "none", nil
	}
	return "", errors.New("SMTP_USE_TLS must be true (STARTTLS), implicit or false")
}

func (e *email) Check(raw json.RawMessage, env alert.Lookup) []alert.SettingProblem {
	s, err := decode[EmailSettings](raw)
	if err != nil {
		return []alert.SettingProblem{problem("", "%s", err)}
	}
	var out []alert.SettingProblem
	if provider := fromEnv(env, "EMAIL_PROVIDER"); provider != "" && provider != "smtp" {
		out = append(out, problem("", "EMAIL_PROVIDER is %q; this build sends by smtp", provider))
	}
	if len(s.Recipients) == 0 {
		out = append(out, problem("recipients", "is missing; list at least one address"))
	}
	for i, text := range s.Recipients {
		out = append(out, checkMailbox(fmt.Sprintf("recipients[%d]", i), text, env)...)
	}
	if err := checkText(protect(s.Subject)); err != nil {
		out = append(out, problem("subject", "%s", err))
	}
	srv, err := s.server(env)
	if err != nil {
		return append(out, problem("", "%s", err))
	}
	if srv.host == "" {
		out = append(out, problem("smtp_host", "is missing; write it here or set SMTP_HOST"))
	}
	if srv.from == "" {
		out = append(out, problem("from", "is missing; write it here or set SMTP_FROM_ADDRESS"))
	} else {
		out = append(out, checkMailbox("from", srv.from, nil)...)
	}
	return out
}

// checkMailbox checks an address; env nil: it is resolved already.
func checkMailbox(path, text string, env alert.Lookup) []alert.SettingProblem {
	if env != nil {
		resolved, err := alert.Expand(text, env)
		if err != nil {
			return []alert.SettingProblem{problem(path, "%s", err)}
		}
		text = resolved
	}
	if _, err := netmail.ParseAddress(text); err != nil || strings.ContainsAny(text, "\r\n") {
		return []alert.SettingProblem{problem(path, "is no e-mail address")}
	}
	return nil
}

// prepare makes the message and finds the server.
func (e *email) prepare(d alert.Delivery) (*mail.Msg, server, error) {
	s, err := decode[EmailSettings](d.Target.Settings)
	if err != nil {
		return nil, server{}, err
	}
	permanent := func(err error) error { return &alert.SendError{Permanent: true, Message: err.Error()} }
	srv, err := s.server(e.secrets.Lookup)
	if err != nil {
		return nil, srv, permanent(err)
	}
	e.secrets.Hide(srv.password)
	msg, err := e.message(s, srv, d)
	return msg, srv, err
}

func (e *email) message(s EmailSettings, srv server, d alert.Delivery) (*mail.Msg, error) {
	m := d.Message
	fill, err := newFiller(m, e.secrets)
	if err != nil {
		return nil, err
	}
	subject := title(m)
	if s.Subject != "" {
		if subject, err = fill.text(s.Subject, func(s string) string { return s }); err != nil {
			return nil, err
		}
	}
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	recipients := make([]string, len(s.Recipients))
	for i, r := range s.Recipients {
		if recipients[i], err = resolve(e.secrets, r); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(msg.From(srv.from), msg.To(recipients...)); err != nil {
		return nil, &alert.SendError{Permanent: true, Message: "an address cannot be used: " + err.Error()}
	}
	msg.Subject(shorten(subject, 250))
	msg.SetDateWithValue(e.now())
	e.thread(msg, d)
	page, err := htmlText(m)
	if err != nil {
		return nil, err
	}
	msg.SetBodyString(mail.TypeTextPlain, plainText(m))
	msg.AddAlternativeString(mail.TypeTextHTML, page)
	return msg, nil
}

// thread names the message after its delivery, so that a retry is the same message, and
// lets it answer the root of its episode, which no message needs to be.
func (e *email) thread(msg *mail.Msg, d alert.Delivery) {
	msg.SetMessageIDWithValue(d.Message.EventID + "@" + e.hostname)
	if d.Message.EpisodeID != "" {
		root := "<" + d.Message.EpisodeID + "@" + e.hostname + ">"
		msg.SetGenHeaderPreformatted(mail.HeaderReferences, root)
		msg.SetGenHeaderPreformatted(mail.HeaderInReplyTo, root)
	}
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("X-SQL-Sentinel-Run", d.Message.RunID)
}

// client makes the connection's settings.
func (e *email) client(srv server, timeout time.Duration) (*mail.Client, error) {
	options := []mail.Option{
		mail.WithPort(srv.port), mail.WithTimeout(timeout), mail.WithHELO(e.hostname), mail.WithoutNoop(),
		mail.WithTLSConfig(&tls.Config{ServerName: srv.host, MinVersion: tls.VersionTLS12}),
	}
	switch srv.tls {
	case "implicit":
		options = append(options, mail.WithSSL(), mail.WithDialContextFunc(e.dialTLS(srv.host)))
	case "none":
		options = append(options, mail.WithTLSPolicy(mail.NoTLS), mail.WithDialContextFunc(e.guard.dial))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory), mail.WithDialContextFunc(e.guard.dial))
	}
	if srv.username != "" {
		auth := mail.SMTPAuthAutoDiscover
		if srv.tls == "none" {
			auth = mail.SMTPAuthPlainNoEnc
		}
		options = append(options, mail.WithSMTPAuth(auth), mail.WithUsername(srv.username), mail.WithPassword(srv.password))
	}
	return mail.NewClient(srv.host, options...)
}

// dialTLS connects and shakes hands, behind the guard.
func (e *email) dialTLS(host string) mail.DialContextFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := e.guard.dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		secured := tls.Client(conn, &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12})
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return secured, nil
	}
}

func (e *email) Send(ctx context.Context, d alert.Delivery) error {
	msg, srv, err := e.prepare(d)
	if err != nil {
		return err
	}
	client, err := e.client(srv, d.Target.WithDefaults().Timeout.Std())
	if err != nil {
		return &alert.SendError{Permanent: true, Message: "the mail server's settings cannot be used: " + err.Error()}
	}
	done := make(chan error, 1)
	go func() { done <- client.DialAndSendWithContext(ctx, msg) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	return classify(err)
}

// classify tells a refusal for good from one for now.
func classify(err error) error {
	if err == nil {
		return nil
	}
	var known *alert.SendError
	if errors.As(err, &known) {
		return known
	}
	out := &alert.SendError{Message: "SMTP: " + err.Error()}
	var refused *mail.SendError
	switch {
	case errors.As(err, &refused):
		out.Permanent = !refused.IsTemp() && (refused.Reason == mail.ErrSMTPMailFrom || refused.Reason == mail.ErrSMTPRcptTo || refused.Reason == mail.ErrSMTPData || refused.Reason == mail.ErrSMTPDataClose)
	case strings.Contains(err.Error(), "535 ") || strings.Contains(err.Error(), "534 "):
		out.Permanent = true
	}
	return out
}

func (e *email) Render(_ context.Context, d alert.Delivery) (Rendered, error) {
	msg, srv, err := e.prepare(d)
	if err != nil {
		return Rendered{}, err
	}
	var head bytes.Buffer
	if _, err := msg.WriteTo(&head); err != nil {
		return Rendered{}, fmt.Errorf("write the message: %w", err)
	}
	parsed, err := netmail.ReadMessage(&head)
	if err != nil {
		return Rendered{}, fmt.Errorf("read the message: %w", err)
	}
	out := Rendered{Summary: fmt.Sprintf("SMTP %s:%d, %s", srv.host, srv.port, srv.tls), Body: e.secrets.Clean(plainText(d.Message))}
	for _, name := range []string{"From", "To", "Subject", "Message-ID", "References"} {
		if value := parsed.Header.Get(name); value != "" {
			out.Headers = append(out.Headers, name+": "+e.secrets.Clean(value))
		}
	}
	out.Summary = e.secrets.Clean(out.Summary)
	return out, nil
}

// Connect greets the server and logs in.
func (e *email) Connect(ctx context.Context, t alert.Target) error {
	s, err := decode[EmailSettings](t.Settings)
	if err != nil {
		return err
	}
	srv, err := s.server(e.secrets.Lookup)
	if err != nil {
		return err
	}
	client, err := e.client(srv, t.WithDefaults().Timeout.Std())
	if err != nil {
		return fmt.Errorf("mail server: %w", err)
	}
	if err := client.DialWithContext(ctx); err != nil {
		return fmt.Errorf("mail server: %w", err)
	}
	return client.Close()
}
