package mailserver_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/smtp"
	"net/textproto"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	emersion "github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/mailserver"
)

const letter = "Subject: hello\r\n\r\nfirst line\r\n.dotted line\r\n"

func start(t *testing.T, opts mailserver.Options) *mailserver.Server {
	t.Helper()
	s, err := mailserver.Start(opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// dial connects with the standard library's client; a deadline bounds the conversation.
func dial(t *testing.T, s *mailserver.Server, implicit bool) (*smtp.Client, error) {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	if implicit {
		conn = tls.Client(conn, &tls.Config{RootCAs: s.CertPool(), ServerName: s.Host()})
	}
	return smtp.NewClient(conn, s.Host())
}

func send(c *smtp.Client, to ...string) error {
	if err := c.Mail("sentinel@example.com"); err != nil {
		return err
	}
	for _, rcpt := range to {
		if err := c.Rcpt(rcpt); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, letter); err != nil {
		return err
	}
	return w.Close()
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func code(t *testing.T, err error) int {
	t.Helper()
	var reply *textproto.Error
	require.ErrorAs(t, err, &reply)
	return reply.Code
}

func TestAMessageIsKeptAsItWasSent(t *testing.T) {
	t.Parallel()
	s := start(t, mailserver.Options{})
	c, err := dial(t, s, false)
	require.NoError(t, err)
	require.NoError(t, send(c, "a@example.com", "b@example.com"))
	require.NoError(t, send(c, "c@example.com"))
	all, err := s.Wait(soon(t), 2)
	require.NoError(t, err)
	require.Equal(t, all, s.Messages())
	first, err := s.Next(soon(t))
	require.NoError(t, err)
	require.Equal(t, mailserver.Message{From: "sentinel@example.com", To: []string{"a@example.com", "b@example.com"}, Data: []byte(letter)}, first)
	second, err := s.Next(soon(t))
	require.NoError(t, err)
	require.Equal(t, []string{"c@example.com"}, second.To)
	require.Equal(t, 1, s.Count(mailserver.AtConnect))
	require.Equal(t, 3, s.Count(mailserver.AtRecipient))
	require.Empty(t, s.CertPEM())
}

func TestEachKindOfEncryptionWorksWithAuthentication(t *testing.T) {
	t.Parallel()
	for name, security := range map[string]mailserver.Security{"plain": mailserver.Plain, "starttls": mailserver.STARTTLS, "implicit": mailserver.ImplicitTLS} {
		t.Run(name, func(t *testing.T) {
			s := start(t, mailserver.Options{Security: security, Username: "sentinel", Password: "hunter2"})
			c, err := dial(t, s, security == mailserver.ImplicitTLS)
			require.NoError(t, err)
			if security == mailserver.STARTTLS {
				require.Equal(t, 530, code(t, c.Mail("early@example.com")), "no mail before STARTTLS")
				require.NoError(t, c.StartTLS(&tls.Config{RootCAs: s.CertPool(), ServerName: s.Host()}))
			}
			require.Equal(t, 530, code(t, c.Mail("anonymous@example.com")), "no mail before AUTH")
			require.NoError(t, c.Auth(smtp.PlainAuth("", "sentinel", "hunter2", s.Host())))
			require.NoError(t, send(c, "a@example.com"))
			m, err := s.Next(soon(t))
			require.NoError(t, err)
			require.Equal(t, "sentinel", m.User)
			require.Equal(t, security != mailserver.Plain, m.TLS)
		})
	}
}

func TestAWrongPasswordIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, mailserver.Options{Username: "sentinel", Password: "hunter2"})
	c, err := dial(t, s, false)
	require.NoError(t, err)
	require.Equal(t, 535, code(t, c.Auth(smtp.PlainAuth("", "sentinel", "hunter3", s.Host()))))
}

func TestLoginIsUnderstoodWithAndWithoutInitialResponse(t *testing.T) {
	t.Parallel()
	s := start(t, mailserver.Options{Username: "sentinel", Password: "hunter2"})
	first, err := emersion.Dial(s.Addr())
	require.NoError(t, err)
	require.NoError(t, first.Auth(sasl.NewLoginClient("sentinel", "hunter2")))
	require.NoError(t, first.SendMail("x@example.com", []string{"y@example.com"}, emptyBody{}))
	require.NoError(t, first.Close())

	second, err := dial(t, s, false)
	require.NoError(t, err)
	require.NoError(t, second.Hello("test"))
	text := second.Text
	for _, step := range []struct {
		say  string
		want int
	}{{"AUTH LOGIN", 334}, {"c2VudGluZWw=", 334}, {"aHVudGVyMg==", 235}} {
		require.NoError(t, text.PrintfLine("%s", step.say))
		_, _, err := text.ReadResponse(step.want)
		require.NoError(t, err)
	}
	require.NoError(t, send(second, "a@example.com"))
}

type emptyBody struct{}

func (emptyBody) Read([]byte) (int, error) { return 0, io.EOF }

func TestTheCertificateIsTrustedOnlyForItsHosts(t *testing.T) {
	t.Parallel()
	s := start(t, mailserver.Options{Security: mailserver.ImplicitTLS, Hosts: []string{"mail.example.com"}})
	c, err := dial(t, s, true)
	if err == nil {
		err = c.Hello("test")
	}
	var hostname *tls.CertificateVerificationError
	require.ErrorAs(t, err, &hostname)
}

func TestAScriptAnswersAtTheStageItNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		rule mailserver.Rule
		want int
	}{
		{"connect", mailserver.Rule{At: mailserver.AtConnect, Do: mailserver.Answer(421, "too busy")}, 421},
		{"mail", mailserver.Rule{At: mailserver.AtMail, Do: mailserver.Answer(451, "greylisted")}, 451},
		{"recipient", mailserver.Rule{At: mailserver.AtRecipient, Recipient: "B@example.com", Do: mailserver.Answer(550, "no such user")}, 550},
		{"data", mailserver.Rule{At: mailserver.AtData, Do: mailserver.Answer(452, "disk full")}, 452},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, mailserver.Options{})
			s.Script(c.rule)
			client, err := dial(t, s, false)
			if err == nil {
				err = send(client, "a@example.com", "b@example.com")
			}
			require.Equal(t, c.want, code(t, err))
			require.Empty(t, s.Messages())
		})
	}
}

func TestARuleIsUsedUp(t *testing.T) {
	t.Parallel()
	s := start(t, mailserver.Options{})
	s.Script(mailserver.Rule{At: mailserver.AtRecipient, Times: 2, Do: mailserver.Answer(451, "greylisted")})
	c, err := dial(t, s, false)
	require.NoError(t, err)
	for range 2 {
		require.Equal(t, 451, code(t, send(c, "a@example.com")))
		require.NoError(t, c.Reset())
	}
	require.NoError(t, send(c, "a@example.com"))
	s.Script()
	require.NoError(t, send(c, "a@example.com"))
	require.Len(t, s.Messages(), 2)
}

func TestADroppedConnectionLeavesNoAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		rule mailserver.Rule
		kept int
	}{
		{"connect", mailserver.Rule{At: mailserver.AtConnect, Do: mailserver.Drop()}, 0},
		{"recipient", mailserver.Rule{At: mailserver.AtRecipient, Do: mailserver.Drop()}, 0},
		{"data", mailserver.Rule{At: mailserver.AtData, Do: mailserver.Drop()}, 0},
		{"after the message was taken", mailserver.Rule{At: mailserver.AtData, Do: mailserver.KeepAndDrop()}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, mailserver.Options{})
			s.Script(c.rule)
			client, err := dial(t, s, false)
			if err == nil {
				err = send(client, "a@example.com")
			}
			require.Error(t, err)
			var reply *textproto.Error
			require.False(t, errors.As(err, &reply), "no answer, but %v", err)
			require.Len(t, s.Messages(), c.kept)
		})
	}
}

func TestAHangingServerLetsGoWhenItIsClosed(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]mailserver.Stage{"connect": mailserver.AtConnect, "mail": mailserver.AtMail, "data": mailserver.AtData} {
		t.Run(name, func(t *testing.T) {
			s, err := mailserver.Start(mailserver.Options{})
			require.NoError(t, err)
			s.Script(mailserver.Rule{At: at, Do: mailserver.Hang()})
			conn, err := net.Dial("tcp", s.Addr())
			require.NoError(t, err)
			defer func() { _ = conn.Close() }()
			failed := make(chan error, 1)
			go func() {
				c, err := smtp.NewClient(conn, "localhost")
				if err == nil {
					err = send(c, "a@example.com")
				}
				failed <- err
			}()
			require.Eventually(t, func() bool { return s.Count(at) == 1 }, 60*time.Second, time.Millisecond)
			require.Empty(t, failed)
			require.NoError(t, s.Close())
			require.Error(t, <-failed)
			require.Empty(t, s.Messages())
		})
	}
}

func TestWaitingForMailEnds(t *testing.T) {
	t.Parallel()
	s, err := mailserver.Start(mailserver.Options{})
	require.NoError(t, err)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Next(gone)
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Wait(gone, 1)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, s.Close())
	_, err = s.Next(t.Context())
	require.ErrorContains(t, err, "the server is closed")
}

func TestAServerComesBackOnItsAddress(t *testing.T) {
	t.Parallel()
	s, err := mailserver.Start(mailserver.Options{})
	require.NoError(t, err)
	addr, port := s.Addr(), s.Port()
	_, err = mailserver.Start(mailserver.Options{Addr: addr})
	require.ErrorContains(t, err, "start mail server")
	require.NoError(t, s.Close())
	again := start(t, mailserver.Options{Addr: addr})
	require.Equal(t, port, again.Port())
}
