package notify_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

func TestAnAnswerDecidesWhetherAnotherAttemptIsWorthWhile(t *testing.T) {
	for _, c := range []struct {
		name       string
		status     int
		header     string
		permanent  bool
		retryAfter time.Duration
	}{
		{"not found", 404, "", true, 0}, {"bad request", 400, "", true, 0}, {"unauthorized", 401, "", true, 0}, {"gone", 410, "", true, 0},
		{"request timeout", 408, "", false, 0}, {"too early", 425, "", false, 0}, {"server error", 500, "", false, 0}, {"bad gateway", 502, "", false, 0},
		{"unavailable", 503, "", false, 0}, {"unavailable for a while", 503, "120", false, 2 * time.Minute},
		{"unavailable until", 503, clock().Add(90 * time.Second).Format(http.TimeFormat), false, 90 * time.Second},
		{"unavailable since", 503, clock().Add(-time.Hour).Format(http.TimeFormat), false, 0},
		{"too many", 429, "7", false, 7 * time.Second}, {"too many, no word when", 429, "", false, time.Minute}, {"too many, at once", 429, "0", false, time.Minute},
		{"too many, a day", 429, "86400", false, time.Hour}, {"too many, a date", 429, clock().Add(48 * time.Hour).Format(http.TimeFormat), false, time.Hour},
		{"too many, too many digits", 429, "99999999999999999999999", false, time.Hour}, {"too many, nonsense", 429, "-5", false, time.Minute},
		{"a wait on another error is none", 500, "60", false, 0},
		{"moved", 301, "", true, 0}, {"not modified", 304, "", true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := listen(t, func(w http.ResponseWriter, _ *http.Request) {
				if c.header != "" {
					w.Header().Set("Retry-After", c.header)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, "reason\x1b[31m of\r\nthe receiver")
			})
			for _, name := range []string{"webhook", "slack"} {
				err := failed(t, senders(t, nil).Send(t.Context(), delivery(t, name, map[string]any{"url": r.URL, "webhook_url": r.URL}, message(alert.EventAlert))))
				require.Equal(t, c.permanent, err.Permanent, err.Message)
				require.Equal(t, c.retryAfter, err.RetryAfter)
				if c.status >= 400 {
					require.Contains(t, err.Message, "reason [31m of the receiver", "on one line, without control characters")
				}
			}
			require.Len(t, r.all(), 2, "one attempt each")
		})
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	elsewhere := listen(t, nil)
	r := listen(t, func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, "http://169.254.169.254/latest/meta-data?secret=1", http.StatusFound)
	})
	for _, method := range []string{"POST", "GET"} {
		err := failed(t, senders(t, nil).Send(t.Context(), delivery(t, "webhook", map[string]any{"url": r.URL, "method": method}, message(alert.EventAlert))))
		require.True(t, err.Permanent)
		require.Equal(t, "HTTP 302: the receiver redirects to http://169.254.169.254; redirects are not followed, write the address it means", err.Message)
	}
	require.Empty(t, elsewhere.all())
}

// raw is a receiver that is no HTTP server: it does what it likes with a connection.
func raw(t *testing.T, serve func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				serve(conn)
			}()
		}
	}()
	return l.Addr().String()
}

// readRequest reads a request of HTTP from a connection.
func readRequest(conn net.Conn) {
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err == nil {
		_, _ = io.Copy(io.Discard, req.Body)
	}
}

func TestAReceiverThatMisbehavesIsLeftWithinTheTimeout(t *testing.T) {
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	trickle := func(conn net.Conn, text string) {
		for i := 0; ; i++ {
			if _, err := conn.Write([]byte{text[i%len(text)]}); err != nil {
				return
			}
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	flood := func(conn net.Conn, head string) {
		_, _ = io.WriteString(conn, head)
		block := []byte(strings.Repeat("x", 1<<20))
		for range 1 << 10 {
			if _, err := conn.Write(block); err != nil {
				return
			}
		}
	}
	for name, c := range map[string]struct {
		serve func(net.Conn)
		want  string
	}{
		"says nothing":             {func(net.Conn) { <-done }, "no answer within 500ms"},
		"closes at once":           {func(net.Conn) {}, ""},
		"closes after the request": {readRequest, "EOF"},
		"speaks another language":  {func(c net.Conn) { readRequest(c); _, _ = io.WriteString(c, "220 mail ready\r\n") }, "malformed HTTP"},
		"answers byte by byte":     {func(c net.Conn) { readRequest(c); trickle(c, "HTTP/1.1 200 OK") }, ""},
		"an endless header":        {func(c net.Conn) { readRequest(c); flood(c, "HTTP/1.1 200 OK\r\nX: ") }, ""},
		"a gigabyte of error":      {func(c net.Conn) { readRequest(c); flood(c, "HTTP/1.1 500 No\r\n\r\n") }, "HTTP 500 Internal Server Error: xxx"},
		"an error that never ends": {func(c net.Conn) { readRequest(c); _, _ = io.WriteString(c, "HTTP/1.1 500 No\r\n\r\n"); trickle(c, "y") }, "HTTP 500 Internal Server Error"}, // with as much of yyy as came,
		"an error of broken chunks": {func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\nzzz")
		}, "HTTP 404"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			address := raw(t, func(conn net.Conn) { calls.Add(1); c.serve(conn) })
			d := delivery(t, "webhook", map[string]any{"url": "http://" + address}, message(alert.EventAlert))
			d.Target.Timeout = alert.Duration(500 * time.Millisecond)
			if c.want != "" && !strings.Contains(c.want, "no answer") && name != "an error that never ends" {
				d.Target.Timeout = alert.Duration(10 * time.Second) // it ends by itself
			}
			began := time.Now()
			err := failed(t, senders(t, nil).Send(t.Context(), d))
			require.Less(t, time.Since(began), d.Target.Timeout.Std()+8*time.Second)
			require.Contains(t, err.Message, c.want)
			require.Less(t, len(err.Message), 1000)
			require.Equal(t, strings.Contains(err.Message, "404"), err.Permanent, err.Message)
			require.EqualValues(t, 1, calls.Load(), "one attempt")
		})
	}
}

func TestASuccessIsOneWhateverItsBodyDoes(t *testing.T) {
	for name, rest := range map[string]string{"hangs": "Content-Length: 5\r\n\r\n", "breaks off": "Content-Length: 5\r\n\r\nab", "is malformed": "Transfer-Encoding: chunked\r\n\r\nzz\r\n"} {
		t.Run(name, func(t *testing.T) {
			done := make(chan struct{})
			t.Cleanup(func() { close(done) })
			address := raw(t, func(conn net.Conn) {
				readRequest(conn)
				_, _ = io.WriteString(conn, "HTTP/1.1 202 Accepted\r\n"+rest)
				if name == "hangs" {
					<-done
				}
			})
			began := time.Now()
			require.NoError(t, senders(t, nil).Send(t.Context(), delivery(t, "webhook", map[string]any{"url": "http://" + address}, message(alert.EventAlert))))
			require.Less(t, time.Since(began), 10*time.Second, "the body is not waited for")
		})
	}
}

func TestNoRequestIsRepeatedOnAConnectionThatBreaks(t *testing.T) {
	var requests atomic.Int32
	address := raw(t, func(conn net.Conn) {
		reader := bufio.NewReader(conn)
		for {
			req, err := http.ReadRequest(reader)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			if requests.Add(1) > 1 {
				return // the second one gets no answer
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	s := senders(t, nil)
	d := delivery(t, "webhook", map[string]any{"url": "http://" + address}, message(alert.EventAlert))
	require.NoError(t, s.Send(t.Context(), d))
	require.False(t, failed(t, s.Send(t.Context(), d)).Permanent)
	require.EqualValues(t, 2, requests.Load())
}

func TestNobodyThereIsWorthAnotherAttempt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	host, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	env := map[string]string{"SMTP_PORT": port, "SMTP_HOST": host, "SMTP_FROM": "a@example.com"}
	for name, settings := range map[string]map[string]any{
		"webhook": {"url": "http://" + address + "/a-path-that-is-secret"}, "slack": {"webhook_url": "http://" + address + "/a-path-that-is-secret"}, "email": {"recipients": []string{"b@example.com"}},
	} {
		err := failed(t, senders(t, env).Send(t.Context(), delivery(t, name, settings, message(alert.EventAlert))))
		require.False(t, err.Permanent)
		require.Contains(t, err.Message, "connection refused")
		require.NotContains(t, err.Message, "secret")
		require.ErrorContains(t, channel(t, senders(t, env), name).Connect(t.Context(), delivery(t, name, settings, alert.Message{}).Target), "connection refused")
	}
	d := delivery(t, "webhook", map[string]any{"url": "http://no-such-host.invalid/"}, message(alert.EventAlert))
	require.False(t, failed(t, senders(t, nil).Send(t.Context(), d)).Permanent)
}
