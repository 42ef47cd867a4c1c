package functions_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A proxy stands between a function and AWS. It counts the calls, and can do something
// before or after the nth of them: end the function, above all.
type proxy struct {
	url     string
	forward *httputil.ReverseProxy

	mu     sync.Mutex
	calls  []string
	at     int
	before bool
	do     func()
}

func newProxy(t testing.TB, to string) *proxy {
	target, err := url.Parse(to)
	require.NoError(t, err)
	p := &proxy{forward: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host // the host that was signed stays
			r.Out.Host = r.In.Host
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// kill does something before or after the nth call from now; zero: never.
func (p *proxy) kill(n int, before bool, do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls, p.at, p.before, p.do = nil, n, before, do
}

// seen are the calls since kill was last told.
func (p *proxy) seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

// ServeHTTP forwards a call.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.calls = append(p.calls, operation(r))
	hit := len(p.calls) == p.at
	p.mu.Unlock()
	if hit && p.before {
		p.do()
		return
	}
	if !hit {
		p.forward.ServeHTTP(w, r)
		return
	}
	p.forward.ServeHTTP(httptest.NewRecorder(), r) // AWS did it, and the function never learns
	p.do()
}

func operation(r *http.Request) string {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		_, name, _ := strings.Cut(target, ".")
		return name
	}
	return r.Method + " " + r.URL.Path
}
