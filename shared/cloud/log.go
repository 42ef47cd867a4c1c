package cloud

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// A Log writes lines of JSON that name the invocation they belong to: its request, and the
// trace that follows a message from the schedule to the receiver.
type Log struct {
	*slog.Logger
	current *atomic.Pointer[[]slog.Attr]
}

// NewLog makes a log at a level by name; one that is unknown is info.
func NewLog(out io.Writer, level string) *Log {
	var l slog.Level
	if l.UnmarshalText([]byte(level)) != nil {
		l = slog.LevelInfo
	}
	current := &atomic.Pointer[[]slog.Attr]{}
	lines := slog.NewJSONHandler(out, &slog.HandlerOptions{Level: l, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		switch {
		case len(groups) > 0:
		case a.Key == slog.TimeKey:
			a.Key = "timestamp"
		case a.Key == slog.MessageKey:
			a.Key = "message"
		case a.Key == slog.LevelKey:
			a.Value = slog.StringValue(strings.ToLower(a.Value.String()))
		}
		return a
	}})
	return &Log{slog.New(invocation{lines, current}), current}
}

// Begin names the invocation in every line from now on. An environment of Lambda handles
// one at a time.
func (l *Log) Begin(ctx context.Context) {
	var attrs []slog.Attr
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		attrs = append(attrs, slog.String("request_id", lc.AwsRequestID))
	}
	trace, _ := ctx.Value("x-amzn-trace-id").(string)
	if trace == "" {
		trace = os.Getenv("_X_AMZN_TRACE_ID")
	}
	if trace != "" {
		attrs = append(attrs, slog.String("trace_id", trace))
	}
	l.current.Store(&attrs)
}

// invocation adds what is current to each line.
type invocation struct {
	slog.Handler
	current *atomic.Pointer[[]slog.Attr]
}

// Handle implements slog.Handler.
func (i invocation) Handle(ctx context.Context, r slog.Record) error {
	if attrs := i.current.Load(); attrs != nil {
		r.AddAttrs(*attrs...)
	}
	return i.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (i invocation) WithAttrs(attrs []slog.Attr) slog.Handler {
	return invocation{i.Handler.WithAttrs(attrs), i.current}
}

// WithGroup implements slog.Handler.
func (i invocation) WithGroup(name string) slog.Handler {
	return invocation{i.Handler.WithGroup(name), i.current}
}
