package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// maxAnswer is how much of an answer is read, in bytes; excerpt how much of it is shown.
const (
	maxAnswer = 64 << 10
	excerpt   = 300
)

// web sends requests through the egress guard. It follows no redirect: the answer to a
// message is an answer, not another address.
type web struct {
	verified, unverified *http.Client
	guard                *guard
}

func newWeb(g *guard) *web {
	client := func(verify bool) *http.Client {
		return &http.Client{
			Transport: &http.Transport{
				DialContext: g.dial, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second,
				TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: !verify}, //nolint:gosec // only where verify_tls: false is written
				TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: maxAnswer,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return &web{verified: client(true), unverified: client(false), guard: g}
}

// do sends a request and reads the beginning of the answer.
func (w *web) do(req *http.Request, verify bool) (status int, answer string, header http.Header, err error) {
	client := w.verified
	if !verify {
		client = w.unverified
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", nil, plain(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil && resp.StatusCode/100 != 2 {
		err = nil // the status says enough
	}
	return resp.StatusCode, string(body), resp.Header, plain(err)
}

// plain drops the URL that net/http puts into its errors, for it may be secret.
func plain(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// judge turns an answer into the outcome of the attempt.
func judge(status int, answer string, header http.Header, now time.Time) error {
	if status/100 == 2 {
		return nil
	}
	out := &alert.SendError{Message: fmt.Sprintf("HTTP %d %s", status, http.StatusText(status))}
	if text := shorten(answer, excerpt); text != "" {
		out.Message += ": " + text
	}
	switch {
	case status/100 == 3:
		out.Permanent = true
		out.Message = fmt.Sprintf("HTTP %d: the receiver redirects; write the address it means", status)
	case status == http.StatusTooManyRequests:
		out.RetryAfter = max(retryAfter(header, now), time.Second)
	case status == http.StatusServiceUnavailable:
		out.RetryAfter = retryAfter(header, now)
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status >= 500:
	default:
		out.Permanent = true
	}
	return out
}

// retryAfter reads Retry-After as seconds or a date, an hour at most.
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := header.Get("Retry-After")
	wait := time.Duration(0)
	if seconds, err := strconv.Atoi(strings.TrimSpace(text)); err == nil {
		wait = time.Duration(min(seconds, 3600)) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), time.Hour)
}

// shorten makes one line of printable text of at most n runes.
func shorten(text string, n int) string {
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "�")
	}
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == ' ' }), " ")
	return cut(text, n)
}

// cut shortens text to n runes, visibly.
func cut(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:max(n-1, 0)]) + "…"
}

// request makes a request with a body.
func request(ctx context.Context, method, address string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, &alert.SendError{Permanent: true, Message: "the URL cannot be used"}
	}
	if method == http.MethodGet {
		req.Body, req.ContentLength, req.GetBody = nil, 0, nil
	}
	req.Header.Set("User-Agent", "sqlsentinel")
	return req, nil
}

// connect resolves, connects and shakes hands; it sends no request.
func (w *web) connect(ctx context.Context, address string, verify bool) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return errors.New("the URL cannot be used")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	conn, err := w.guard.dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if u.Scheme != "https" {
		return nil
	}
	handshake := tls.Client(conn, &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12, InsecureSkipVerify: !verify}) //nolint:gosec // only where verify_tls: false is written
	if err := handshake.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	return nil
}

// checkURL tells what is wrong with a web address, after its references are resolved.
func checkURL(path, text string, env alert.Lookup) []alert.SettingProblem {
	resolved, err := alert.Expand(text, env)
	if err != nil {
		return []alert.SettingProblem{problem(path, "%s", err)}
	}
	u, err := url.Parse(resolved)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return []alert.SettingProblem{problem(path, "is not a URL that begins with https:// or http://")}
	}
	return nil
}
