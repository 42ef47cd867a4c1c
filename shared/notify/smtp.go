package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/textproto"
	"slices"
	"strings"

	"github.com/wneessen/go-mail/smtp"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// maxDialogue is how much a mail server may say in one session, in bytes.
const maxDialogue = 256 << 10

// dialogue is a session with a mail server. It ends with the context that opened it.
type dialogue struct {
	client *smtp.Client
	conn   net.Conn
	stop   func() bool
	clean  func(string) string
}

// open connects, secures, greets and logs in.
func (e *email) open(ctx context.Context, srv server) (*dialogue, error) {
	conn, err := e.guard.dial(ctx, "tcp", srv.address())
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	d := &dialogue{conn: &talk{Conn: conn, left: maxDialogue}, clean: e.secrets.Clean}
	d.stop = context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends what hangs
	if err := e.begin(ctx, d, srv); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (e *email) begin(ctx context.Context, d *dialogue, srv server) error {
	config := &tls.Config{ServerName: srv.host, RootCAs: e.roots, MinVersion: tls.VersionTLS12}
	if srv.tls == implicit {
		secured := tls.Client(d.conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("TLS: %w; a server that begins unencrypted needs smtp_tls: starttls", err)
		}
		d.conn = secured
	}
	var err error
	if d.client, err = smtp.NewClient(d.conn, srv.host); err != nil {
		return d.refused("greeting", err)
	}
	if err := d.client.Hello(e.hostname); err != nil {
		return d.refused("EHLO", err)
	}
	if srv.tls == starttls {
		if offered, _ := d.client.Extension("STARTTLS"); !offered {
			return permanent("the mail server offers no STARTTLS; port 465 needs smtp_tls: implicit, and none sends unencrypted")
		}
		if err := d.client.StartTLS(config); err != nil {
			return d.refused("STARTTLS", err)
		}
	}
	return d.login(srv)
}

// login authenticates by the strongest mechanism that both sides know.
func (d *dialogue) login(srv server) error {
	if srv.username == "" {
		return nil
	}
	_, offered := d.client.Extension("AUTH")
	mechanisms := strings.Fields(strings.ToUpper(offered))
	open := srv.tls == noTLS // only where the settings say so in words
	for _, x := range []struct {
		name string
		auth smtp.Auth
	}{
		{"SCRAM-SHA-256", smtp.ScramSHA256Auth(srv.username, srv.password)},
		{"PLAIN", smtp.PlainAuth("", srv.username, srv.password, srv.host, open)},
		{"LOGIN", smtp.LoginAuth(srv.username, srv.password, srv.host, open)},
		{"CRAM-MD5", smtp.CRAMMD5Auth(srv.username, srv.password)},
	} {
		if !slices.Contains(mechanisms, x.name) {
			continue
		}
		if err := d.client.Auth(x.auth); err != nil {
			return d.refused("login", err)
		}
		return nil
	}
	return permanent("the mail server offers no login that is known here (it offers %q); without smtp_username and SMTP_USERNAME nobody logs in", cut(line(offered), 80))
}

// deliver sends a letter. A recipient who is refused for good does not keep the message
// from the others: they get it, and the attempt is then a permanent failure that names who
// did not, for a second message to all would be worse. If a refusal may pass, nobody
// gets it while retry holds; after that, who can, gets it.
func (d *dialogue) deliver(l *letter, retry bool) error {
	d.client.SkipSMTPUTF8(!l.needUTF8)
	if err := d.client.Mail(l.from); err != nil {
		return d.refused("sender", err)
	}
	var missed []error
	for _, address := range l.to {
		err := d.client.Rcpt(address)
		var said *textproto.Error
		if err != nil && !errors.As(err, &said) {
			return d.refused("recipient", err)
		}
		if err != nil {
			missed = append(missed, d.refused("recipient "+address, err))
		}
	}
	waits := slices.ContainsFunc(missed, func(err error) bool { return !isPermanent(err) })
	if len(missed) == len(l.to) || waits && retry {
		return &alert.SendError{Permanent: !waits, Message: errors.Join(missed...).Error()}
	}
	if err := d.data(l); err != nil {
		return err
	}
	if len(missed) > 0 {
		return permanent("sent to %d of %d recipients, and not again; %s", len(l.to)-len(missed), len(l.to), errors.Join(missed...))
	}
	d.quit()
	return nil
}

// data hands the message over; it is sent once the server confirms it, whatever comes next.
func (d *dialogue) data(l *letter) error {
	into, err := d.client.Data()
	if err != nil {
		return d.refused("message", err)
	}
	if _, err := l.msg.WriteTo(into); err != nil {
		return fmt.Errorf("send the message: %w", err)
	}
	if err := into.Close(); err != nil {
		return d.refused("message", err)
	}
	return nil
}

// quit says goodbye without waiting for an answer.
func (d *dialogue) quit() {
	_, _ = d.client.Text.Cmd("QUIT") // a server that has gone needs no goodbye
	d.close()
}

func (d *dialogue) close() {
	d.stop()
	_ = d.conn.Close() // nothing is to be learnt from it any more
}

// refused tells a permanent refusal from a transient one: a 5xx is permanent, unless its
// enhanced code says otherwise; everything else may pass.
func (d *dialogue) refused(what string, err error) error {
	var said *textproto.Error
	if !errors.As(err, &said) {
		return fmt.Errorf("SMTP %s: %w", what, err)
	}
	text := fmt.Sprintf("SMTP %s: %d %s", what, said.Code, cut(line(d.clean(said.Msg)), excerpt))
	return &alert.SendError{Message: text, Permanent: said.Code >= 500 && said.Code < 600 && !strings.HasPrefix(said.Msg, "4.")}
}

func isPermanent(err error) bool {
	var known *alert.SendError
	return errors.As(err, &known) && known.Permanent
}

// talk is a connection on which the other side may say only so much.
type talk struct {
	net.Conn
	left int
}

// Read fails once the other side has said too much.
func (t *talk) Read(p []byte) (int, error) {
	if t.left <= 0 {
		return 0, errors.New("the mail server says too much")
	}
	n, err := t.Conn.Read(p[:min(len(p), t.left)])
	t.left -= n
	return n, err
}

// readable decodes the encoded words of a header.
func readable(text string) string {
	if decoded, err := new(mime.WordDecoder).DecodeHeader(text); err == nil {
		return decoded
	}
	return text
}
