package notify_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/notify"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/mailserver"
)

func TestARefusalIsForGoodOrForNow(t *testing.T) {
	for _, c := range []struct {
		name      string
		rule      mailserver.Rule
		want      string
		permanent bool
	}{
		{"no service now", mailserver.Rule{At: mailserver.AtConnect, Do: mailserver.Answer(421, "busy")}, "SMTP greeting: 421 busy", false},
		{"no service", mailserver.Rule{At: mailserver.AtConnect, Do: mailserver.Answer(554, "not for you")}, "SMTP greeting: 554 not for you", true},
		{"login not now", mailserver.Rule{At: mailserver.AtAuth, Do: mailserver.Answer(454, "try later")}, "SMTP login: 454", false},
		{"login", mailserver.Rule{At: mailserver.AtAuth, Do: mailserver.Answer(535, "x")}, "SMTP login: 535", true},
		{"sender", mailserver.Rule{At: mailserver.AtMail, Do: mailserver.Answer(550, "unknown sender")}, "SMTP sender: 550", true},
		{"sender, transient", mailserver.Rule{At: mailserver.AtMail, Do: mailserver.Answer(451, "greylisted")}, "SMTP sender: 451", false},
		{"recipient", mailserver.Rule{At: mailserver.AtRecipient, Do: mailserver.Answer(550, "no such user")}, "SMTP recipient <team@example.com>: 550", true},
		{"recipient, transient", mailserver.Rule{At: mailserver.AtRecipient, Do: mailserver.Answer(450, "greylisted")}, "SMTP recipient <team@example.com>: 450", false},
		{"message", mailserver.Rule{At: mailserver.AtData, Do: mailserver.Answer(554, "spam")}, "SMTP message: 554", true},
		{"message, transient", mailserver.Rule{At: mailserver.AtData, Do: mailserver.Answer(452, "disk full")}, "SMTP message: 452", false},
		{"dropped at connect", mailserver.Rule{At: mailserver.AtConnect, Do: mailserver.Drop()}, "SMTP greeting", false},
		{"dropped at the recipient", mailserver.Rule{At: mailserver.AtRecipient, Do: mailserver.Drop()}, "SMTP recipient", false},
		{"dropped after the message", mailserver.Rule{At: mailserver.AtData, Do: mailserver.KeepAndDrop()}, "SMTP message", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := mailServer(t, mailserver.Options{Username: "u", Password: "pass"})
			server.Script(c.rule)
			env := reach(server, "false", "SMTP_USER", "u", "SMTP_PASSWORD", "pass")
			err := failed(t, senders(t, env).Send(t.Context(), delivery(t, "email", map[string]any{"recipients": []string{"team@example.com"}}, message(alert.EventAlert))))
			require.Contains(t, err.Message, c.want)
			require.Equal(t, c.permanent, err.Permanent, err.Message)
			require.Zero(t, err.RetryAfter)
			require.LessOrEqual(t, server.Count(mailserver.AtData), 1)
		})
	}
}

func TestAnEnhancedCodeCanMakeARefusalTemporary(t *testing.T) {
	address := raw(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "220 hello\r\n")
		talkSMTP(conn, func(command string) string {
			if strings.HasPrefix(command, "MAIL") {
				return "550-4.7.1 policy, come back\r\n550 4.7.1 later"
			}
			return "250 ok"
		})
	})
	err := failed(t, senders(t, nil).Send(t.Context(), delivery(t, "email", atAddress(t, address), message(alert.EventAlert))))
	require.Contains(t, err.Message, "550 4.7.1 policy, come back")
	require.False(t, err.Permanent)
}

// talkSMTP answers commands until the other side goes.
func talkSMTP(conn net.Conn, answer func(command string) string) {
	buffer := make([]byte, 4096)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		said := answer(string(buffer[:n]))
		if said == "" {
			continue // the client is not done yet
		}
		if _, err := io.WriteString(conn, said+"\r\n"); err != nil {
			return
		}
	}
}

func atAddress(t *testing.T, address string) map[string]any {
	host, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	var number int
	_, err = fmt.Sscan(port, &number)
	require.NoError(t, err)
	return map[string]any{"recipients": []string{"team@example.com"}, "from": "a@example.com", "smtp_host": host, "smtp_port": number, "smtp_tls": "none"}
}

func TestARefusedRecipientDoesNotKeepTheMessageFromTheOthers(t *testing.T) {
	three := map[string]any{"recipients": []string{"a@example.com", "b@example.com", "c@example.com"}}
	refuse := func(server *mailserver.Server, code int) {
		server.Script(mailserver.Rule{At: mailserver.AtRecipient, Recipient: "b@example.com", Do: mailserver.Answer(code, "mailbox b")})
	}
	t.Run("for good: the others get it, and the failure says who did not", func(t *testing.T) {
		server := mailServer(t, mailserver.Options{})
		refuse(server, 550)
		err := failed(t, senders(t, reach(server, "false")).Send(t.Context(), delivery(t, "email", three, message(alert.EventAlert))))
		require.True(t, err.Permanent)
		require.Equal(t, "sent to 2 of 3 recipients, and not again; SMTP recipient <b@example.com>: 550 5.0.0 mailbox b", err.Message)
		require.Equal(t, []string{"a@example.com", "c@example.com"}, server.Messages()[0].To)
	})
	t.Run("transient: nobody gets it while fast attempts are left", func(t *testing.T) {
		server := mailServer(t, mailserver.Options{})
		refuse(server, 450)
		d := delivery(t, "email", three, message(alert.EventAlert))
		for d.Attempts = range 2 {
			err := failed(t, senders(t, reach(server, "false")).Send(t.Context(), d))
			require.False(t, err.Permanent)
			require.Empty(t, server.Messages())
		}
		d.Attempts = 2
		err := failed(t, senders(t, reach(server, "false")).Send(t.Context(), d))
		require.True(t, err.Permanent)
		require.Contains(t, err.Message, "sent to 2 of 3 recipients")
		require.Len(t, server.Messages(), 1)
	})
	t.Run("all of them, some transient: it is tried again", func(t *testing.T) {
		server := mailServer(t, mailserver.Options{})
		server.Script(mailserver.Rule{At: mailserver.AtRecipient, Recipient: "b@example.com", Do: mailserver.Answer(450, "later")}, mailserver.Rule{At: mailserver.AtRecipient, Do: mailserver.Answer(550, "never")})
		d := delivery(t, "email", three, message(alert.EventAlert))
		d.Attempts = 5
		err := failed(t, senders(t, reach(server, "false")).Send(t.Context(), d))
		require.False(t, err.Permanent)
		require.Empty(t, server.Messages())
	})
}

func TestAMailServerThatMisbehavesIsLeftWithinTheTimeout(t *testing.T) {
	slow := func(t *testing.T, s *notify.Senders, d alert.Delivery, want string) {
		d.Target.Timeout = alert.Duration(500 * time.Millisecond)
		if !strings.Contains(want, "no answer") {
			d.Target.Timeout = alert.Duration(10 * time.Second) // it ends by itself
		}
		began := time.Now()
		err := failed(t, s.Send(t.Context(), d))
		require.Less(t, time.Since(began), d.Target.Timeout.Std()+8*time.Second)
		require.Contains(t, err.Message, want)
		require.False(t, err.Permanent)
		began = time.Now()
		require.Error(t, channel(t, s, "email").Connect(context.Background(), d.Target))
		require.Less(t, time.Since(began), d.Target.Timeout.Std()+8*time.Second)
	}
	for name, at := range map[string]mailserver.Stage{"at connect": mailserver.AtConnect, "at login": mailserver.AtAuth} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := mailServer(t, mailserver.Options{Security: mailserver.STARTTLS, Username: "u", Password: "pass"})
			server.Script(mailserver.Rule{At: at, Do: mailserver.Hang()})
			s := senders(t, reach(server, "true", "SMTP_USER", "u", "SMTP_PASSWORD", "pass"), server.CertPool())
			slow(t, s, delivery(t, "email", map[string]any{"recipients": []string{"team@example.com"}}, message(alert.EventAlert)), "no answer within 500ms")
		})
	}
	for name, c := range map[string]struct {
		serve func(net.Conn)
		want  string
	}{
		"a gigabyte of greeting": {func(conn net.Conn) {
			block := []byte("220-" + strings.Repeat("x", 1<<20))
			for range 1 << 10 {
				if _, err := conn.Write(block); err != nil {
					return
				}
			}
		}, "says too much"},
		"a greeting byte by byte": {func(conn net.Conn) {
			for {
				if _, err := conn.Write([]byte("2")); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}, "no answer within"},
		"closes":                  {func(net.Conn) {}, "SMTP greeting"},
		"speaks another language": {func(conn net.Conn) { _, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n") }, "SMTP greeting"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			slow(t, senders(t, nil), delivery(t, "email", atAddress(t, raw(t, c.serve)), message(alert.EventAlert)), c.want)
		})
	}
}

func TestAMailIsSentOnceTheServerConfirmsItWhateverComesNext(t *testing.T) {
	address := raw(t, func(conn net.Conn) {
		var letter *strings.Builder
		_, _ = io.WriteString(conn, "220 hello\r\n")
		talkSMTP(conn, func(command string) string {
			switch {
			case letter != nil:
				if letter.WriteString(command); !strings.HasSuffix(letter.String(), "\r\n.\r\n") {
					return ""
				}
				letter = nil
			case strings.HasPrefix(command, "DATA"):
				letter = &strings.Builder{}
				return "354 go on"
			case strings.HasPrefix(command, "QUIT"), strings.HasPrefix(command, "RSET"):
				_ = conn.Close()
			}
			return "250 ok"
		})
	})
	require.NoError(t, senders(t, nil).Send(t.Context(), delivery(t, "email", atAddress(t, address), message(alert.EventAlert))))
}
