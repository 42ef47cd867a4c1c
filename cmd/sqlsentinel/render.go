package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/notify"
)

// renderedJSON is a message as it would be sent.
type renderedJSON struct {
	Alert   string      `json:"alert"`
	Event   alert.Event `json:"event"`
	Channel string      `json:"channel"`
	Target  string      `json:"target"`
	Summary string      `json:"summary"`
	Headers []string    `json:"headers"`
	Body    string      `json:"body"`
	Error   *string     `json:"error"`
}

// render shows a delivery as its channel would send it.
func (s *session) render(ctx context.Context, senders *notify.Senders, d alert.Delivery) renderedJSON {
	out := renderedJSON{Alert: d.Alert, Event: d.Message.Event, Channel: d.Target.Channel, Target: d.Target.Label, Headers: []string{}}
	channel, known := senders.Channel(d.Target.Channel)
	if !known {
		out.Error = optional("there is no such channel")
		return out
	}
	rendered, err := channel.Render(ctx, d)
	if err != nil {
		out.Error = optional(s.file.Secrets.Clean(err.Error()))
		return out
	}
	out.Summary, out.Body = s.file.Secrets.Clean(rendered.Summary), s.file.Secrets.Clean(rendered.Body)
	for _, h := range rendered.Headers {
		out.Headers = append(out.Headers, s.file.Secrets.Clean(h))
	}
	return out
}

// renderedText is a rendered message for people.
func (s *session) renderedText(r renderedJSON) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s to %s (%s)\n", s.bold(string(r.Event)), printable(r.Target), printable(r.Channel))
	if r.Error != nil {
		fmt.Fprintf(&out, "  | cannot be made: %s\n", printable(*r.Error))
		return out.String()
	}
	lines := append([]string{r.Summary}, r.Headers...)
	lines = append(lines, "")
	lines = append(lines, strings.Split(strings.TrimRight(strings.ReplaceAll(r.Body, "\r\n", "\n"), "\n"), "\n")...)
	for _, line := range lines {
		out.WriteString(strings.TrimRight("  | "+printable(line), " ") + "\n")
	}
	return out.String()
}
