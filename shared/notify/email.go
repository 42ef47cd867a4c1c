package notify

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// email sends over SMTP or by Amazon SES.
type email struct {
	secrets  *alert.Secrets
	guard    *guard
	hostname string
	now      func() time.Time
	roots    *x509.CertPool
	ses      *amazonSES
}

// EmailSettings are the settings of an e-mail target. What is left out comes from the
// SMTP_ variables.
type EmailSettings struct {
	Recipients []string `json:"recipients,omitempty" doc:"Addresses, one message to all"`
	Subject    string   `json:"subject,omitempty" doc:"{field} is filled in; default: what happened and the alert's name"`
	From       string   `json:"from,omitempty" doc:"The sender; default: SMTP_FROM_ADDRESS"`
	Provider   string   `json:"provider,omitempty" doc:"smtp or ses (Amazon SES); default: EMAIL_PROVIDER, else smtp"`
	Host       string   `json:"smtp_host,omitempty" doc:"The mail server; default: SMTP_HOST"`
	Port       int      `json:"smtp_port,omitempty" doc:"Default: SMTP_PORT, else 587"`
	Username   string   `json:"smtp_username,omitempty" alias:"username" doc:"Default: SMTP_USERNAME"`
	Password   string   `json:"smtp_password,omitempty" alias:"password" doc:"Default: SMTP_PASSWORD"`
	TLS        string   `json:"smtp_tls,omitempty" alias:"tls" doc:"starttls (required), implicit or none; default by SMTP_USE_TLS"`
}

// Name returns "email".
func (e *email) Name() string { return "email" }

// Settings returns a zero EmailSettings.
func (e *email) Settings() any { return &EmailSettings{} }

// Address is the list of recipients as written.
func (e *email) Address(raw json.RawMessage) (identity, label string) {
	s, _ := decode[EmailSettings](raw) // settings that cannot be read have no address
	list := strings.Join(s.Recipients, ", ")
	return list, "email " + list
}

// Check finds missing and malformed addresses, a subject that names an unknown field, and a
// mail server that cannot be used.
func (e *email) Check(raw json.RawMessage, env alert.Lookup) []alert.SettingProblem {
	s, err := decode[EmailSettings](raw)
	if err != nil {
		return []alert.SettingProblem{problem("", "%s", err)}
	}
	var out []alert.SettingProblem
	if len(s.Recipients) == 0 {
		out = append(out, problem("recipients", "is missing; list at least one address"))
	}
	seen := map[string]bool{}
	for i, written := range s.Recipients {
		path := fmt.Sprintf("recipients[%d]", i)
		address, err := alert.Expand(written, env)
		switch {
		case err != nil:
			out = append(out, problem(path, "%s", err))
		case checkMailbox(address) != nil:
			out = append(out, problem(path, "is no e-mail address"))
		case seen[strings.ToLower(address)]:
			out = append(out, problem(path, "stands in the list twice"))
		}
		seen[strings.ToLower(address)] = true
	}
	out = append(out, checkTemplate("subject", s.Subject, env)...)
	return append(out, e.checkServer(s, env)...)
}

func checkMailbox(text string) error {
	if strings.ContainsAny(text, "\r\n") {
		return errors.New("more than one line")
	}
	_, err := netmail.ParseAddress(text)
	return err
}

// letter is a message with its envelope.
type letter struct {
	msg      *mail.Msg
	from     string
	to       []string
	mailSrv  server
	needUTF8 bool
}

// prepare makes the message and finds the server.
func (e *email) prepare(d alert.Delivery) (*letter, error) {
	s, err := decode[EmailSettings](d.Target.Settings)
	if err != nil {
		return nil, err
	}
	srv, err := e.server(s)
	if err != nil {
		return nil, err
	}
	resolve := live(e.secrets)
	if s.Subject, err = e.subject(s, d.Message, resolve); err != nil {
		return nil, err
	}
	if len(s.Recipients) == 0 {
		return nil, permanent("the target has no recipients")
	}
	for i, written := range s.Recipients {
		if s.Recipients[i], err = resolve(written); err != nil {
			return nil, err
		}
		if checkMailbox(s.Recipients[i]) != nil {
			return nil, permanent("recipient %d is no e-mail address", i+1)
		}
	}
	return e.write(s, srv, d)
}

// subject is one line, whatever data it holds.
func (e *email) subject(s EmailSettings, m alert.Message, resolve resolver) (string, error) {
	text := title(m)
	if s.Subject != "" {
		fill, err := newFiller(m, resolve)
		if err != nil {
			return "", err
		}
		if text, err = fill.text(s.Subject, same); err != nil {
			return "", err
		}
		if m.Event == alert.EventTest {
			text = "TEST: " + text
		}
	}
	return cut(line(text), 250), nil
}

// write makes the message of two alternatives, text and HTML.
func (e *email) write(s EmailSettings, srv server, d alert.Delivery) (*letter, error) {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent(), mail.WithEncoding(mail.EncodingQP))
	if err := errors.Join(msg.From(srv.from), msg.To(s.Recipients...)); err != nil {
		return nil, permanent("an address cannot be used: %s", err)
	}
	msg.Subject(s.Subject)
	msg.SetDateWithValue(e.now())
	page, err := htmlText(d.Message)
	if err != nil {
		return nil, err
	}
	msg.SetBodyString(mail.TypeTextPlain, plainText(d.Message))
	msg.AddAlternativeString(mail.TypeTextHTML, page)
	out := &letter{msg: msg, mailSrv: srv}
	if out.from, err = msg.GetSender(false); err != nil {
		return nil, permanent("the sender cannot be used: %s", err)
	}
	if out.to, err = msg.GetRecipients(); err != nil {
		return nil, permanent("the recipients cannot be used: %s", err)
	}
	for _, address := range append([]string{out.from}, out.to...) {
		out.needUTF8 = out.needUTF8 || !isASCII(address)
	}
	e.thread(msg, d, out.from)
	return out, nil
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r >= 0x80 })
}

// thread names the message after its delivery, so that a retry is the same message on any
// machine, and lets it answer the root of its episode, which no message needs to be.
func (e *email) thread(msg *mail.Msg, d alert.Delivery, from string) {
	domain := strings.Trim(from[strings.LastIndexByte(from, '@')+1:], "<>")
	if domain == "" || !isASCII(domain) {
		domain = "sqlsentinel.invalid"
	}
	msg.SetMessageIDWithValue(d.Message.EventID + "@" + domain)
	if d.Message.EpisodeID != "" {
		root := "<" + d.Message.EpisodeID + "@" + domain + ">"
		msg.SetGenHeaderPreformatted(mail.HeaderReferences, root)
		msg.SetGenHeaderPreformatted(mail.HeaderInReplyTo, root)
	}
	// What good citizens say: no answers, please, and which kind of mail to filter by.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("X-Auto-Response-Suppress", "All")
	msg.SetGenHeaderPreformatted("List-Id", "<"+alert.Digest(d.Scope+"\x00"+d.Alert)+".sqlsentinel."+domain+">")
	msg.SetGenHeader("X-SQL-Sentinel-Run", line(d.Message.RunID))
	msg.SetGenHeader("X-SQL-Sentinel-Event", string(d.Message.Event))
}

// Send makes one attempt at the message. An attempt that fails for some recipients only is
// explained at deliver.
func (e *email) Send(ctx context.Context, d alert.Delivery) error {
	l, err := e.prepare(d)
	if err != nil {
		return err
	}
	if l.mailSrv.ses {
		return e.ses.send(ctx, l)
	}
	dialogue, err := e.open(ctx, l.mailSrv)
	if err != nil {
		return err
	}
	defer dialogue.close()
	retry := d.Attempts+1 < d.Target.WithDefaults().Attempts
	return dialogue.deliver(l, retry)
}

// Render shows the message's header and its text.
func (e *email) Render(_ context.Context, d alert.Delivery) (Rendered, error) {
	l, err := e.prepare(d)
	if err != nil {
		return Rendered{}, err
	}
	var raw bytes.Buffer
	if _, err := l.msg.WriteTo(&raw); err != nil {
		return Rendered{}, fmt.Errorf("write the message: %w", err)
	}
	parsed, err := netmail.ReadMessage(&raw)
	if err != nil {
		return Rendered{}, fmt.Errorf("read the message: %w", err)
	}
	out := Rendered{Summary: e.secrets.Clean(l.mailSrv.String()), Body: e.secrets.Clean(plainText(d.Message))}
	for _, name := range []string{"From", "To", "Subject", "Message-ID", "References"} {
		if value := parsed.Header.Get(name); value != "" {
			out.Headers = append(out.Headers, name+": "+e.secrets.Clean(readable(value)))
		}
	}
	return out, nil
}

// Connect greets the server and logs in, or asks Amazon SES whether the account may send.
func (e *email) Connect(ctx context.Context, t alert.Target) error {
	s, err := decode[EmailSettings](t.Settings)
	if err != nil {
		return err
	}
	srv, err := e.server(s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, t.WithDefaults().Timeout.Std())
	defer cancel()
	if srv.ses {
		return e.ses.connect(ctx)
	}
	dialogue, err := e.open(ctx, srv)
	if err != nil {
		return fmt.Errorf("reach the mail server: %w", err)
	}
	dialogue.quit()
	return nil
}
