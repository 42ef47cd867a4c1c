// Package notify sends messages: one file a channel, each with its settings, its payload
// and its success test. One call is one attempt; when the next one follows is not decided
// here.
package notify

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// Channel is one way to tell people. A fourth channel is one file with these methods, and
// a line in New.
type Channel interface {
	// Name is the word after `channel:`.
	Name() string
	// Settings returns a pointer to a zero struct whose json, doc, alias and file tags
	// describe the settings.
	Settings() any
	// Check finds everything that is wrong with settings as written.
	Check(settings json.RawMessage, env alert.Lookup) []alert.SettingProblem
	// Address returns the address as written, which identifies a target, and a label fit
	// to be shown.
	Address(settings json.RawMessage) (identity, label string)
	// Render shows a message as it would be sent, without secrets.
	Render(ctx context.Context, d alert.Delivery) (Rendered, error)
	// Send makes one attempt. *alert.SendError says whether another one is worth while.
	Send(ctx context.Context, d alert.Delivery) error
	// Connect goes as far as it can without sending anything: it resolves, connects,
	// shakes hands, greets and logs in.
	Connect(ctx context.Context, t alert.Target) error
}

// Rendered is a message as it would be sent.
type Rendered struct {
	// Summary says to whom and how, in one line.
	Summary string `json:"summary"`
	// Headers are those worth looking at, as "Name: value".
	Headers []string `json:"headers,omitempty"`
	Body    string   `json:"body"`
}

// Options are what New needs. All have defaults.
type Options struct {
	// Secrets resolves references and variables; nil resolves nothing.
	Secrets *alert.Secrets
	// Hostname greets mail servers; default the machine's.
	Hostname string
	// EgressDenyLoopback refuses receivers on this machine, as on AWS.
	EgressDenyLoopback bool
	// Now is the clock of signatures and dates; nil means time.Now.
	Now func() time.Time
	// RootCAs vouch for receivers; nil means the system's.
	RootCAs *x509.CertPool
	// AWS gives the configuration for Amazon SES. It is called at the first use of SES; nil
	// means that this program does not send by SES.
	AWS func() (aws.Config, error)
}

// Senders are all channels. They are safe for concurrent use.
type Senders struct {
	secrets  *alert.Secrets
	web      *web
	channels []Channel
}

// New makes the channels. The error says that EGRESS_ALLOW is malformed.
func New(o Options) (*Senders, error) {
	if o.Secrets == nil {
		o.Secrets = alert.NewSecrets(nil)
	}
	if o.Hostname == "" {
		o.Hostname, _ = os.Hostname() // without one, the name below does
	}
	if o.Hostname == "" {
		o.Hostname = "localhost"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	guard, err := newGuard(o.Secrets.Setting, o.EgressDenyLoopback)
	if err != nil {
		return nil, err
	}
	web := newWeb(guard, o.RootCAs)
	return &Senders{secrets: o.Secrets, web: web, channels: []Channel{
		&email{secrets: o.Secrets, guard: guard, hostname: o.Hostname, now: o.Now, roots: o.RootCAs, ses: &amazonSES{configure: o.AWS, secrets: o.Secrets}},
		&slackChannel{secrets: o.Secrets, web: web, now: o.Now},
		&webhook{secrets: o.Secrets, web: web, now: o.Now},
	}}, nil
}

// Channels lists the channels.
func (s *Senders) Channels() []Channel { return s.channels }

// Channel finds a channel by name.
func (s *Senders) Channel(name string) (Channel, bool) {
	for _, c := range s.channels {
		if c.Name() == name {
			return c, true
		}
	}
	return nil, false
}

// Send makes one attempt over the delivery's channel, within the target's timeout. Its
// error is *alert.SendError and holds no secret.
func (s *Senders) Send(ctx context.Context, d alert.Delivery) error {
	channel, ok := s.Channel(d.Target.Channel)
	if !ok {
		return permanent("there is no channel %q", d.Target.Channel)
	}
	timeout := d.Target.WithDefaults().Timeout.Std()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := channel.Send(ctx, d)
	if err == nil {
		return nil
	}
	var known *alert.SendError
	switch {
	case errors.As(err, &known):
		out := *known
		out.Message = s.secrets.Clean(out.Message)
		return &out
	case errors.Is(err, context.DeadlineExceeded), errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &alert.SendError{Message: fmt.Sprintf("no answer within %s", alert.Duration(timeout))}
	}
	return &alert.SendError{Message: s.secrets.Clean(err.Error())}
}

// permanent is an error that no later attempt can mend.
func permanent(format string, args ...any) *alert.SendError {
	return &alert.SendError{Permanent: true, Message: fmt.Sprintf(format, args...)}
}

// decode reads settings as written.
func decode[T any](raw json.RawMessage) (T, error) {
	var out T
	if len(raw) == 0 {
		return out, nil
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return out, permanent("the target's settings cannot be read: %s", err)
	}
	return out, nil
}

// problem is a finding about one setting.
func problem(path, format string, args ...any) alert.SettingProblem {
	return alert.SettingProblem{Path: path, Message: fmt.Sprintf(format, args...)}
}

// warning is a finding about a setting that works nevertheless.
func warning(path, format string, args ...any) alert.SettingProblem {
	out := problem(path, format, args...)
	out.Warning = true
	return out
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
