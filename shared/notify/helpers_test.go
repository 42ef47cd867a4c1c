package notify_test

import (
	"crypto/x509"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/notify"
)

// clock is the time that every test lives in.
func clock() time.Time { return time.Date(2026, 3, 9, 8, 0, 0, 0, time.UTC) }

// message is a message with every field set.
func message(event alert.Event) alert.Message {
	status := map[alert.Event]alert.Status{alert.EventRecovery: alert.StatusOK, alert.EventErrorRecovery: alert.StatusOK, alert.EventError: alert.StatusError}[event]
	if status == "" {
		status = alert.StatusAlert
	}
	return alert.Message{
		EventID: "dlv_" + string(event), EpisodeID: "ep_1", Event: event, AlertName: "Daily revenue", Description: "Revenue fell below 10,000",
		Severity: alert.Critical, Labels: map[string]string{"team": "sales"}, RunbookURL: "https://wiki.example.com/revenue?a=1&b=2",
		Status: status, Reason: "ALERT 3 of 3 runs", ActualValue: alert.NumberValue("5480.50"), Threshold: alert.IntValue(10000),
		Context: alert.Fields{{Name: "region", Value: alert.TextValue("EU")}, {Name: "orders", Value: alert.IntValue(40)}, {Name: "note", Value: alert.NullValue()}},
		Firing:  1, Timestamp: clock(), RunID: "run_1",
	}
}

// delivery is a message to a target with these settings.
func delivery(t *testing.T, channel string, settings map[string]any, m alert.Message) alert.Delivery {
	raw, err := json.Marshal(settings)
	require.NoError(t, err)
	return alert.Delivery{
		ID: m.EventID, Scope: "shop", Alert: m.AlertName, Message: m,
		Target: alert.Target{ID: channel, Channel: channel, Label: channel, Settings: raw, Timeout: alert.Duration(20 * time.Second)},
	}
}

// lookup is an environment.
func lookup(env map[string]string) alert.Lookup {
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}

func senders(t *testing.T, env map[string]string, roots ...*x509.CertPool) *notify.Senders {
	o := notify.Options{Secrets: alert.NewSecrets(lookup(env)), Hostname: "sender.example.com", Now: clock}
	for _, r := range roots {
		o.RootCAs = r
	}
	s, err := notify.New(o)
	require.NoError(t, err)
	return s
}

func channel(t *testing.T, s *notify.Senders, name string) notify.Channel {
	c, ok := s.Channel(name)
	require.True(t, ok)
	return c
}

// failed is the error of a send that must have failed.
func failed(t *testing.T, err error) *alert.SendError {
	require.Error(t, err)
	var out *alert.SendError
	require.ErrorAs(t, err, &out)
	return out
}

// problems checks settings and returns path and message of what is wrong.
func problems(t *testing.T, name string, settings map[string]any, env map[string]string) map[string]string {
	raw, err := json.Marshal(settings)
	require.NoError(t, err)
	out := map[string]string{}
	for _, p := range channel(t, senders(t, nil), name).Check(raw, lookup(env)) {
		text := p.Message
		if p.Warning {
			text = "warning: " + text
		}
		out[p.Path] += text
	}
	return out
}

// A received request.
type received struct {
	method, path, query, host string
	header                    http.Header
	body                      []byte
}

func (r received) json(t *testing.T) map[string]any {
	var out map[string]any
	require.NoError(t, json.Unmarshal(r.body, &out), string(r.body))
	return out
}

// receiver keeps what it gets and answers as told; 200 without an answer.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	got []received
}

func listen(t *testing.T, answer http.HandlerFunc) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(r.handler(answer))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) handler(answer http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.got = append(r.got, received{req.Method, req.URL.EscapedPath(), req.URL.RawQuery, req.Host, req.Header, body})
		r.mu.Unlock()
		if answer != nil {
			answer(w, req)
		}
	})
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.got...)
}

// one is the only request that came.
func (r *receiver) one(t *testing.T) received {
	all := r.all()
	require.Len(t, all, 1)
	return all[0]
}

// newSenders is senders by another clock.
func newSenders(t *testing.T, env map[string]string, now func() time.Time) *notify.Senders {
	s, err := notify.New(notify.Options{Secrets: alert.NewSecrets(lookup(env)), Now: now})
	require.NoError(t, err)
	return s
}

// quiet drops what a server logs about clients that break off.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
