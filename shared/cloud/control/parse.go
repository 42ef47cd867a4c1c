package control

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/config"
)

// Limits are what the functions of a stack can do.
type Limits struct {
	// QuerySeconds and SenderSeconds are the longest timeouts of a query and of a target, in seconds
	// below those of their functions.
	QuerySeconds, SenderSeconds int
}

// DefaultLimits are those of a stack that sets nothing.
var DefaultLimits = LimitsOf(0, 0)

// limitMargin is what a function needs beside the query, or the sending.
const limitMargin = 10 * time.Second

// LimitsOf are the limits of functions that have these timeouts. Zero means the default.
func LimitsOf(query, sender time.Duration) Limits {
	if query == 0 {
		query = cloud.DefaultQueryTimeout * time.Second
	}
	if sender == 0 {
		sender = cloud.DefaultSenderTimeout * time.Second
	}
	return Limits{QuerySeconds: int((query - limitMargin).Seconds()), SenderSeconds: int((sender - limitMargin).Seconds())}
}

// Parse reads a configuration for AWS: its scope is the stack, it names no other file, and a
// secret need only exist. The error is config.Problems if the content is wrong.
func Parse(data []byte, stack string, limits Limits, channels []config.Channel, exists func(user, name string) bool) (*config.File, error) {
	file, err := config.Parse(ConfigKey, data, config.Options{Channels: channels, Env: nil, NoEnvFile: true, Exists: exists, Scope: stack, Alone: true})
	if err != nil {
		return nil, err
	}
	if problems := Unfit(file, limits); len(problems) > 0 {
		return nil, problems
	}
	return file, nil
}

// Unfit lists what of a valid file cannot be run on AWS.
func Unfit(file *config.File, limits Limits) config.Problems {
	var out config.Problems
	wrong := func(path, format string, args ...any) {
		out = append(out, config.Problem{File: file.Path, Line: 1, Column: 1, Path: path, Message: fmt.Sprintf(format, args...), Severity: "error"})
	}
	for name, d := range file.Databases {
		path := "database.url"
		if name != "" {
			path = "databases." + name + ".url"
		}
		if why := unfitURL(d.URL); why != "" {
			wrong(path, "%s", why)
		}
	}
	for i, a := range file.Alerts {
		path := fmt.Sprintf("alerts[%d]", i)
		if _, err := TranslateCron(a.Schedule, a.Timezone); err != nil {
			wrong(path+".schedule", "%s: %s", a.Name, err)
		}
		if int(a.Timeout.Std().Seconds()) > limits.QuerySeconds {
			wrong(path+".timeout", "%s: is %s; the query function leaves %d s at most", a.Name, a.Timeout, limits.QuerySeconds)
		}
		for _, t := range targetsOf(a) {
			if int(t.Timeout.Std().Seconds()) > limits.SenderSeconds {
				wrong(path+".notify", "%s: the timeout of %s is %s; the sender functions leave %d s at most", a.Name, t.Label, t.Timeout, limits.SenderSeconds)
			}
		}
	}
	return out
}

// targetsOf lists every target of an alert.
func targetsOf(a alert.Alert) []alert.Target {
	all := append([]alert.Target{}, a.Notify...)
	all = append(append(all, a.OnError.Notify...), a.Owners...)
	for _, step := range a.Escalate {
		all = append(all, step.Notify...)
	}
	return all
}

// unfitURL says why a database cannot be reached from a function. A URL that is a reference
// as a whole is not known here.
func unfitURL(text string) string {
	scheme, _, ok := strings.Cut(text, "://")
	if !ok {
		return ""
	}
	kind, _, _ := strings.Cut(strings.ToLower(scheme), "+")
	if kind == "sqlite" || kind == "duckdb" {
		return kind + " is a file, and functions have no files; use a database that they can reach"
	}
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	host := u.Hostname()
	if addr, err := netip.ParseAddr(host); err == nil && addr.IsLoopback() || host == "localhost" || err == nil && net.ParseIP(host).IsUnspecified() {
		return "the host " + host + " is the machine that asks; a function has no database beside it"
	}
	return ""
}
