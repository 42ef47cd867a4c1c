package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// startLog makes the log that LOG_LEVEL and LOG_FORMAT ask for. Without them only warnings
// and errors are told, as sentences.
func (a *app) startLog() error { return a.logTo(a.errs, "", "") }

// logTo is startLog to another place, with a level and a format for those who ask for none.
func (a *app) logTo(to io.Writer, level, format string) error {
	level, format = cmp.Or(a.variable("LOG_LEVEL"), level), strings.ToLower(cmp.Or(a.variable("LOG_FORMAT"), format))
	if level == "" && format == "" {
		a.log = slog.New(&sentences{a: a})
		return nil
	}
	options := &slog.HandlerOptions{ReplaceAttr: a.attribute}
	if level != "" {
		var parsed slog.Level
		if err := parsed.UnmarshalText([]byte(level)); err != nil {
			return usagef("LOG_LEVEL %q is none of debug, info, warn, error", level)
		}
		options.Level = parsed
	}
	switch format {
	case "", "json":
		a.log = slog.New(slog.NewJSONHandler(to, options))
	case "text":
		a.log = slog.New(slog.NewTextHandler(to, options))
	default:
		return usagef("LOG_FORMAT %q is neither json nor text", format)
	}
	return nil
}

// attribute names the standard fields as documented and keeps secrets out.
func (a *app) attribute(groups []string, field slog.Attr) slog.Attr {
	if len(groups) == 0 {
		switch field.Key {
		case slog.TimeKey:
			field.Key = "timestamp"
		case slog.MessageKey:
			field.Key = "message"
		}
	}
	switch v := field.Value.Any().(type) {
	case string:
		field.Value = slog.StringValue(printable(a.secrets.Load().Clean(v)))
	case error:
		field.Value = slog.StringValue(printable(a.secrets.Load().Clean(v.Error())))
	}
	return field
}

// sentences is a log handler for people.
type sentences struct {
	a      *app
	fields []slog.Attr
}

// Enabled lets warnings and errors through.
func (s *sentences) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle writes a record as a sentence with its fields in brackets.
func (s *sentences) Handle(_ context.Context, r slog.Record) error {
	var fields []string
	note := func(f slog.Attr) bool {
		fields = append(fields, fmt.Sprintf("%s=%v", f.Key, f.Value))
		return true
	}
	for _, f := range s.fields {
		note(f)
	}
	r.Attrs(note)
	text := "sqlsentinel: " + strings.ToLower(r.Level.String()) + ": " + r.Message
	if len(fields) > 0 {
		text += " (" + strings.Join(fields, ", ") + ")"
	}
	s.a.say("%s", text)
	return nil
}

// WithAttrs returns a handler that adds fields.
func (s *sentences) WithAttrs(fields []slog.Attr) slog.Handler {
	return &sentences{s.a, append(append([]slog.Attr(nil), s.fields...), fields...)}
}

// WithGroup returns the handler itself: sentences have no groups.
func (s *sentences) WithGroup(string) slog.Handler { return s }
