package mailserver

import (
	"fmt"
	"io"
	"net"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// session is one client's conversation; the SMTP library calls it in order.
type session struct {
	server *Server
	conn   net.Conn
	tls    bool
	user   string
	from   string
	to     []string
}

func (s *Server) newSession(c *smtp.Conn) (smtp.Session, error) {
	_, encrypted := c.TLSConnectionState()
	return &session{server: s, conn: c.Conn(), tls: encrypted}, nil
}

// AuthMechanisms lists what the server offers.
func (c *session) AuthMechanisms() []string {
	if c.server.opts.Username == "" {
		return nil
	}
	return []string{sasl.Plain, sasl.Login}
}

// Auth begins an authentication.
func (c *session) Auth(mechanism string) (sasl.Server, error) {
	switch {
	case c.server.opts.Username == "":
		return nil, smtp.ErrAuthUnsupported
	case mechanism == sasl.Plain:
		return sasl.NewPlainServer(func(_, username, password string) error { return c.authenticate(username, password) }), nil
	case mechanism == sasl.Login:
		return &loginServer{authenticate: c.authenticate}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

func (c *session) authenticate(username, password string) error {
	if err := c.server.play(AtAuth, "", c.conn); err != nil {
		return err
	}
	if username != c.server.opts.Username || password != c.server.opts.Password {
		return smtp.ErrAuthFailed
	}
	c.user = username
	return nil
}

// Mail opens an envelope.
func (c *session) Mail(from string, _ *smtp.MailOptions) error {
	switch {
	case c.server.opts.Security == STARTTLS && !c.tls:
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Must issue a STARTTLS command first"}
	case c.server.opts.Username != "" && c.user == "":
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Authentication required"}
	}
	c.from = from
	return c.server.play(AtMail, "", c.conn)
}

// Rcpt adds a recipient.
func (c *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if err := c.server.play(AtRecipient, to, c.conn); err != nil {
		return err
	}
	c.to = append(c.to, to)
	return nil
}

// Data reads the message and keeps it.
func (c *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("read message: %w", err)
	}
	do, ok := c.server.next(AtData, "")
	if !ok || do.kind == keepAndDrop {
		c.server.keep(Message{From: c.from, To: c.to, Data: data, TLS: c.tls, User: c.user})
	}
	if ok {
		return c.server.do(do, c.conn)
	}
	return nil
}

// Reset forgets the envelope.
func (c *session) Reset() { c.from, c.to = "", nil }

// Logout ends the session.
func (c *session) Logout() error { return nil }

// loginServer is the server's side of AUTH LOGIN, which the SASL library lacks: it asks
// for the user's name, unless that came first, and then for the password.
type loginServer struct {
	authenticate func(username, password string) error
	username     string
	named        bool
}

// Next takes an answer of the client and returns what to ask next.
func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case response == nil:
		return []byte("Username:"), false, nil
	case !l.named:
		l.username, l.named = string(response), true
		return []byte("Password:"), false, nil
	}
	return nil, true, l.authenticate(l.username, string(response))
}
