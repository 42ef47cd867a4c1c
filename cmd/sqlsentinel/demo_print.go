package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// demoWidth is the longest line that the demo prints of a message.
const demoWidth = 110

// A demoPrinter writes the story so that it can be read from top to bottom.
type demoPrinter struct {
	out      io.Writer
	err      error // the first failure to write
	webhooks int   // how many were printed
}

func (p *demoPrinter) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format+"\n", args...)
	}
}

// tick prints what happened in the shop.
func (p *demoPrinter) tick(at time.Time, t demoTick) {
	p.line("\n%s  %s", at.Format("15:04"), t.title)
	for _, statement := range t.sql {
		p.line("       sql> %s", statement)
	}
	if s := t.silence; s != nil {
		p.line("       %s silences %q for %s: %s", s.author, s.alert, alert.Duration(s.span), s.reason)
	}
}

// run prints one result and why it did or did not notify.
func (p *demoPrinter) run(e sentinel.Evaluation) {
	var words []string
	for _, reason := range e.Record.Reasons {
		words = append(words, string(reason.Code))
	}
	line := fmt.Sprintf("  %-6s %-16s %-14s %s", e.Record.Status, e.Alert.Name, demoValues(e.Record), strings.Join(words, " "))
	p.line("%s", strings.TrimRight(line, " "))
	if e.Record.Error != "" {
		p.text("         ", e.Record.Error)
	}
}

// demoValues shows what was measured against what; with a key, the instances that are not OK.
func demoValues(r alert.Record) string {
	if len(r.Instances) > 0 {
		var names []string
		for _, i := range r.Instances {
			names = append(names, i.Instance[0].Value.String()+"="+i.ActualValue.String())
		}
		return strings.Join(names, " ")
	}
	if r.Actual.IsNull() {
		return ""
	}
	return r.Actual.String() + " / " + r.Threshold.String()
}

// How much of a message is printed, in lines.
const (
	mailLines    = 5
	webhookLines = 3 // of the first webhook all
)

func (p *demoPrinter) mail(m demoMail) {
	p.line("    → email to %s: %s", m.to, m.subject)
	p.lines(m.lines, mailLines)
}

func (p *demoPrinter) slack(r demoRequest) error {
	lines, err := slackLines(r.body)
	if err != nil {
		return err
	}
	p.line("    → Slack, POST %s", r.path)
	p.lines(lines, len(lines))
	return nil
}

func (p *demoPrinter) webhook(r demoRequest) {
	p.line("    → webhook, %s %s, Idempotency-Key: %s", r.method, r.path, r.key)
	lines := wrap(string(r.body), demoWidth-8)
	if p.webhooks++; p.webhooks == 1 {
		p.lines(lines, len(lines))
		return
	}
	p.lines(lines, webhookLines)
}

func (p *demoPrinter) lines(lines []string, most int) {
	for _, line := range lines[:min(len(lines), most)] {
		p.text("      | ", line)
	}
	if more := len(lines) - most; more > 0 {
		p.line("      | … (%s)", plural(more, "more line"))
	}
}

// text prints a text of any length in lines of demoWidth runes.
func (p *demoPrinter) text(indent, text string) {
	for _, line := range wrap(text, demoWidth-utf8.RuneCountInString(indent)) {
		p.line("%s%s", indent, line)
	}
}

// wrap cuts a text into lines of at most width runes, after a blank or a comma if it can.
func wrap(text string, width int) []string {
	var lines []string
	runes := []rune(text)
	for len(runes) > width {
		n := width
		for n > width/2 && runes[n-1] != ' ' && runes[n-1] != ',' {
			n--
		}
		if n == width/2 {
			n = width
		}
		lines = append(lines, strings.TrimRight(string(runes[:n]), " "))
		runes = runes[n:]
	}
	return append(lines, string(runes))
}
