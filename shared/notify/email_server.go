package notify

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// server is where and as whom to send, resolved. With Amazon SES it has a sender only.
type server struct {
	ses                            bool
	host, username, password, from string
	port                           int
	tls                            tlsMode
}

type tlsMode string

const (
	starttls tlsMode = "starttls"
	implicit tlsMode = "implicit"
	noTLS    tlsMode = "none"
)

// address is host:port.
func (s server) address() string { return net.JoinHostPort(s.host, strconv.Itoa(s.port)) }

// String says where and how, without credentials.
func (s server) String() string {
	if s.ses {
		return "by Amazon SES"
	}
	return "SMTP " + s.address() + map[tlsMode]string{starttls: ", STARTTLS required", implicit: ", TLS", noTLS: ", not encrypted"}[s.tls]
}

// server resolves settings over the SMTP_ variables, and hides the credentials.
func (e *email) server(s EmailSettings) (server, error) {
	srv, found := s.server(live(e.secrets), e.secrets.Setting)
	if len(found) > 0 {
		return srv, permanent("%s %s", found[0].Path, found[0].Message)
	}
	hide(e.secrets, srv.password)
	if srv.username != srv.from {
		hide(e.secrets, srv.username)
	}
	if srv.password != "" {
		hide(e.secrets, "\x00"+srv.username+"\x00"+srv.password) // as AUTH PLAIN says it
	}
	return srv, nil
}

// checkServer finds what is wrong with the server's settings, and warns of a password that
// would travel unencrypted.
func (e *email) checkServer(s EmailSettings, env alert.Lookup) []alert.SettingProblem {
	srv, out := s.server(func(text string) (string, error) { return alert.Expand(text, env) }, env)
	if srv.ses {
		return append(out, e.ses.check(len(s.Recipients))...)
	}
	if e.guard.refusesHost(srv.host) {
		out = append(out, problem("smtp_host", "is a link-local or metadata address, which is never a receiver"))
	}
	if srv.tls == noTLS && srv.password != "" {
		out = append(out, warning("smtp_tls", "the password is sent unencrypted"))
	}
	return out
}

// server resolves settings over the SMTP_ variables and says everything that is wrong.
func (s EmailSettings) server(resolve resolver, env alert.Lookup) (server, []alert.SettingProblem) {
	var out server
	var found []alert.SettingProblem
	var mode, provider string
	for _, x := range []struct {
		into          *string
		path, written string
		names         []string
	}{
		{&provider, "provider", s.Provider, []string{"EMAIL_PROVIDER"}},
		{&out.host, "smtp_host", s.Host, []string{"SMTP_HOST"}},
		{&out.username, "smtp_username", s.Username, []string{"SMTP_USERNAME", "SMTP_USER"}},
		{&out.password, "smtp_password", s.Password, []string{"SMTP_PASSWORD"}},
		{&out.from, "from", s.From, []string{"SMTP_FROM_ADDRESS", "SMTP_FROM"}},
		{&mode, "smtp_tls", s.TLS, []string{"SMTP_USE_TLS"}},
	} {
		if out.ses = strings.ToLower(provider) == "ses"; out.ses && strings.HasPrefix(x.path, "smtp_") {
			continue // another provider's settings are not read
		}
		text, err := resolve(x.written)
		if err != nil {
			found = append(found, problem(x.path, "%s", err))
		}
		*x.into = or(text, fromEnv(env, x.names...))
	}
	if out.ses {
		return out, append(found, out.checkFrom()...)
	}
	var err error
	if out.port, err = smtpPort(s.Port, env); err != nil {
		found = append(found, problem("smtp_port", "%s", err))
	}
	if out.tls, err = parseTLS(mode, out.port); err != nil {
		found = append(found, problem("smtp_tls", "%s", err))
	}
	out.from = or(out.from, out.username)
	return out, append(found, out.check(provider)...)
}

// check finds what is missing or malformed in resolved settings.
func (s server) check(provider string) []alert.SettingProblem {
	var found []alert.SettingProblem
	if p := strings.ToLower(provider); p != "" && p != "smtp" {
		found = append(found, problem("provider", "is %q (from here or EMAIL_PROVIDER); write smtp or ses", cut(line(provider), 40)))
	}
	switch {
	case s.host == "":
		found = append(found, problem("smtp_host", "is missing; write it here or set SMTP_HOST"))
	case strings.ContainsAny(s.host, "/ @\r\n\t") || strings.Count(s.host, ":") == 1:
		found = append(found, problem("smtp_host", "is no name of a host; a port stands in smtp_port or SMTP_PORT"))
	}
	found = append(found, s.checkFrom()...)
	switch {
	case s.username != "" && s.password == "":
		found = append(found, problem("smtp_password", "is missing beside a user name; write it here or set SMTP_PASSWORD"))
	case s.username == "" && s.password != "":
		found = append(found, problem("smtp_username", "is missing beside a password; write it here or set SMTP_USERNAME"))
	}
	return found
}

// checkFrom finds a sender that is missing or malformed.
func (s server) checkFrom() []alert.SettingProblem {
	switch {
	case s.from == "":
		return []alert.SettingProblem{problem("from", "is missing; write it here or set SMTP_FROM_ADDRESS")}
	case checkMailbox(s.from) != nil:
		return []alert.SettingProblem{problem("from", "is no e-mail address")}
	}
	return nil
}

func smtpPort(written int, env alert.Lookup) (int, error) {
	port, text := written, fromEnv(env, "SMTP_PORT")
	switch {
	case written == 0 && text == "":
		return 587, nil
	case written == 0:
		port, _ = strconv.Atoi(strings.TrimSpace(text)) // what is no number is no port either
	}
	if port < 1 || port > 65535 {
		return 587, errors.New("is no port number, here or in SMTP_PORT")
	}
	return port, nil
}

// parseTLS reads smtp_tls or SMTP_USE_TLS; port 465 means implicit where nothing else is said.
func parseTLS(text string, port int) (tlsMode, error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "", "true", "yes", "1", "on":
		if port == 465 {
			return implicit, nil
		}
		return starttls, nil
	case "starttls":
		return starttls, nil
	case "implicit", "ssl":
		return implicit, nil
	case "false", "no", "0", "off", "none":
		return noTLS, nil
	}
	return starttls, fmt.Errorf("must be starttls (or true), implicit or none (or false), here or in SMTP_USE_TLS")
}
