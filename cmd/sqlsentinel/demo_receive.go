package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"time"
)

// A demoRequest is what the HTTP receiver of the demo got.
type demoRequest struct {
	method, path, key string
	body              []byte
}

// demoReceiver takes Slack messages and webhooks on loopback and keeps them.
type demoReceiver struct {
	server *http.Server
	url    string

	mu       sync.Mutex
	requests []demoRequest
}

// startReceiver listens on a free port of loopback.
func startReceiver(ctx context.Context) (*demoReceiver, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the HTTP receiver: %w", err)
	}
	r := &demoReceiver{url: "http://" + listener.Addr().String()}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = r.server.Serve(listener) }() // ends with ErrServerClosed
	return r, nil
}

// maxDemoBody bounds what the receiver reads.
const maxDemoBody = 1 << 20

// ServeHTTP keeps the request and accepts it.
func (r *demoReceiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(io.LimitReader(request.Body, maxDemoBody))
	if err != nil {
		http.Error(w, "read the body", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.requests = append(r.requests, demoRequest{request.Method, request.URL.Path, request.Header.Get("Idempotency-Key"), body})
	r.mu.Unlock()
	_, _ = io.WriteString(w, "ok") // the answer of Slack; whoever asked may be gone
}

// take returns what came since the last call, the Slack messages first: targets are served
// at once, so that the order between them is chance.
func (r *demoReceiver) take() []demoRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.requests
	r.requests = nil
	slices.SortStableFunc(out, func(a, b demoRequest) int { return strings.Compare(b.path, a.path) })
	return out
}

func (r *demoReceiver) close() error {
	if err := r.server.Close(); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("stop the HTTP receiver: %w", err)
	}
	return nil
}

// slackLines is the text of a Slack message, block by block, as a reader sees it.
func slackLines(body []byte) ([]string, error) {
	var message any
	if err := json.Unmarshal(body, &message); err != nil {
		return nil, fmt.Errorf("read a Slack message: %w", err)
	}
	var lines []string
	collectText(find(message, "blocks"), &lines)
	return lines, nil
}

// find returns the first value under a key, looking into attachments too.
func find(value any, key string) any {
	switch v := value.(type) {
	case map[string]any:
		if found, ok := v[key]; ok {
			return found
		}
		return find(v["attachments"], key)
	case []any:
		for _, item := range v {
			if found := find(item, key); found != nil {
				return found
			}
		}
	}
	return nil
}

// collectText adds the texts of blocks: each string under "text" is one, in the order in
// which Slack shows text, fields and elements.
func collectText(value any, lines *[]string) {
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			collectText(item, lines)
		}
	case map[string]any:
		if text, ok := v["text"].(string); ok {
			if name, value, ok := strings.Cut(text, "*\n"); ok {
				text = strings.TrimPrefix(name, "*") + ": " + value // a field: its name is bold
			}
			*lines = append(*lines, strings.Split(text, "\n")...)
			return
		}
		for _, part := range []string{"text", "fields", "elements"} {
			collectText(v[part], lines)
		}
	}
}

// A demoMail is a received email as a reader sees it.
type demoMail struct {
	to, subject string
	lines       []string // of the plain text
}

// readMail reads a message as SMTP carried it.
func readMail(raw []byte) (demoMail, error) {
	message, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return demoMail{}, fmt.Errorf("read an email: %w", err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(message.Header.Get("Subject"))
	if err != nil {
		return demoMail{}, fmt.Errorf("read an email's subject: %w", err)
	}
	text, err := plainText(message)
	if err != nil {
		return demoMail{}, err
	}
	out := demoMail{to: strings.Trim(message.Header.Get("To"), "<>"), subject: subject}
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n "); line != "" && line != subject {
			out.lines = append(out.lines, line)
		}
	}
	return out, nil
}

// plainText finds the plain part of an email that has an HTML part too.
func plainText(message *mail.Message) (string, error) {
	_, params, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil {
		return "", fmt.Errorf("read an email's type: %w", err)
	}
	parts := multipart.NewReader(message.Body, params["boundary"])
	for {
		part, err := parts.NextPart()
		if err != nil {
			return "", fmt.Errorf("find an email's plain text: %w", err)
		}
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/plain") {
			text, err := io.ReadAll(part)
			if err != nil {
				return "", fmt.Errorf("read an email's plain text: %w", err)
			}
			return string(text), nil
		}
	}
}
