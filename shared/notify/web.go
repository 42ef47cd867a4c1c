package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 64 << 10

// web sends requests through the egress guard. It follows no redirect: the answer to a
// message is an answer, not another address. It goes through no proxy, behind which the
// guard could not see the receiver.
type web struct {
	verified, unverified *http.Client
	guard                *guard
	roots                *x509.CertPool
}

func newWeb(g *guard, roots *x509.CertPool) *web {
	w := &web{guard: g, roots: roots}
	w.verified, w.unverified = w.client(true), w.client(false)
	return w
}

// client makes a client. It uses each connection once: on a used one net/http would repeat
// a request that carries an Idempotency-Key by itself, and one call is one attempt.
func (w *web) client(verify bool) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext: w.guard.dial, DisableKeepAlives: true, MaxResponseHeaderBytes: maxAnswer,
			TLSClientConfig: w.tls("", verify), TLSHandshakeTimeout: time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (w *web) tls(host string, verify bool) *tls.Config {
	return &tls.Config{ServerName: host, RootCAs: w.roots, MinVersion: tls.VersionTLS12, InsecureSkipVerify: !verify} //nolint:gosec // only where verify_tls: false is written
}

// do sends a request and reads the beginning of an answer that is no success. A success is
// one by its status: whatever becomes of its body, the message was taken.
func (w *web) do(req *http.Request, verify bool) (answer, error) {
	client := w.verified
	if !verify {
		client = w.unverified
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, plain(err)
	}
	defer func() { _ = resp.Body.Close() }() // what is left of the answer is not wanted
	out := answer{status: resp.StatusCode, header: resp.Header}
	if resp.StatusCode/100 != 2 {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // the status says enough
		out.body = string(body)
	}
	return out, nil
}

// plain drops the URL that net/http puts into its errors, for it may be secret.
func plain(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// request makes a request with a body; a GET has none.
func request(ctx context.Context, method, address string, body []byte) (*http.Request, error) {
	var content io.Reader
	if method != http.MethodGet {
		content = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, content)
	if err != nil {
		return nil, permanent("the URL cannot be used")
	}
	req.Header.Set("User-Agent", "sqlsentinel")
	return req, nil
}

// connect resolves, connects and shakes hands within a time; it sends no request.
func (w *web) connect(ctx context.Context, address string, verify bool, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
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
	defer func() { _ = conn.Close() }() // nothing was sent over it
	if u.Scheme != "https" {
		return nil
	}
	if err := tls.Client(conn, w.tls(u.Hostname(), verify)).HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	return nil
}

// checkURL tells what is wrong with a web address that may hold references and fields.
func (w *web) checkURL(path, text string, env alert.Lookup) []alert.SettingProblem {
	if found := checkTemplate(path, text, env); len(found) > 0 {
		return found
	}
	one, err := sampleURL(text, env, "a")
	if err != nil || one.Host == "" || one.Scheme != "https" && one.Scheme != "http" {
		return []alert.SettingProblem{problem(path, "is not a URL that begins with https:// or http://")}
	}
	if port := one.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return []alert.SettingProblem{problem(path, "has the port %s; a port is a number from 1 to 65535", port)}
		}
	}
	other, err := sampleURL(text, env, "b")
	if err != nil || other.Scheme != one.Scheme || other.Host != one.Host || other.User.String() != one.User.String() {
		return []alert.SettingProblem{problem(path, "has a field before the path; data must not choose the receiver")}
	}
	if w.guard.refusesHost(one.Hostname()) {
		return []alert.SettingProblem{problem(path, "is a link-local or metadata address, which is never a receiver")}
	}
	return nil
}

// sampleURL is the address with a word in the place of every field.
func sampleURL(text string, env alert.Lookup, word string) (*url.URL, error) {
	f := filler{resolve: func(s string) (string, error) { return alert.Expand(s, env) }}
	filled, err := f.text(text, func(string) string { return word })
	if err != nil {
		return nil, err
	}
	return url.Parse(filled)
}
