package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/databases"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/mailserver"
)

// canary stands in every mark, in plain text and in whatever form it is written.
const canary = "c4n4ry"

// marks are the canary and how it looks in Base64, at each of three offsets, and in hexadecimal.
func marks() []string {
	out := []string{canary, hex.EncodeToString([]byte(canary))}
	for before, skip := range []int{0, 2, 3} {
		text := append(make([]byte, before), canary...)
		out = append(out, base64.RawStdEncoding.EncodeToString(text)[skip:len(text)*8/6])
	}
	return out
}

// noCanary fails if a text holds a part of a secret.
func noCanary(t *testing.T, where string, text []byte) {
	t.Helper()
	lower := bytes.ToLower(text)
	for _, m := range marks() {
		hay := text
		if m == canary {
			hay = lower
		}
		if at := bytes.Index(hay, []byte(m)); at >= 0 {
			t.Errorf("a secret in %s: …%q…", where, text[max(0, at-160):min(len(text), at+80)])
		}
	}
}

// A secretPlace is a secret in one place of the alert file.
type secretPlace struct {
	name, value string
	fromFile    bool // of .env, else of the process's environment
}

// secretPlaces are a secret for each place, with everything in it that encodings change where
// that place allows it.
func secretPlaces() []secretPlace {
	const odd = `"/+=%é <b>&\ 9f2c`
	wild := func(name string) string { return canary + name + odd }
	return []secretPlace{
		{"PG_PASSWORD", url.PathEscape(wild("pg")), false}, {"MY_PASSWORD", url.PathEscape(wild("my")), true},
		{"GONE_PASSWORD", url.PathEscape(wild("gone")), false}, {"DB_PARAMETER", url.QueryEscape(wild("parameter")), true},
		{"SLACK_PATH", canary + "slackpath0123456789abcdef", false}, {"HOOK_USER", url.PathEscape(wild("hookuser")), false}, {"HOOK_PASSWORD", url.PathEscape(wild("hookpassword")), true},
		{"API_KEY", canary + "apikey9f2c", false}, {"HOOK_QUERY", url.QueryEscape(wild("query")), false}, {"HOOK_HEADER", wild("header"), true},
		{"HOOK_PAYLOAD", wild("payload"), false}, {"SIGNING", wild("signing"), false}, {"MAIL_PASSWORD", wild("mail"), true},
		{"BEAT", canary + "heartbeat0123456789", false}, {"FALLBACK", "", false},
	}
}

// canaryFile is an alert file with a secret in every place where one may stand. write gives a
// secret as a reference, or as it is.
func canaryFile(write func(name string) string, w *canaryWorld) string {
	quoted := func(text string) string { raw, _ := json.Marshal(text); return string(raw) }
	host := strings.TrimPrefix(w.web.URL, "http://")
	hook := func(name, settings string) string {
		return fmt.Sprintf("  %s: {channel: webhook, attempts: 1, %s}\n", name, settings)
	}
	out := "databases:\n" +
		"  shop: {url: 'sqlite:///shop.db'}\n" +
		"  pg: {url: " + quoted("postgresql://reader:"+write("PG_PASSWORD")+"@"+w.postgres+"/x?sslmode=disable") + "}\n" +
		"  my: {url: " + quoted("mysql://reader:"+write("MY_PASSWORD")+"@"+w.mariadb+"/x") + "}\n" +
		"  pggone: {url: " + quoted("postgresql://reader:"+write("GONE_PASSWORD")+"@127.0.0.1:1/x?sslmode=disable") + "}\n" +
		"  mygone: {url: " + quoted("mysql://reader:"+write("GONE_PASSWORD")+"@127.0.0.1:1/x") + "}\n" +
		"  pgparameter: {url: " + quoted("postgresql://reader@"+w.postgres+"/x?sslmode=disable&password="+write("DB_PARAMETER")) + "}\n" +
		"heartbeat: {url: " + quoted(w.web.URL+"/beat/"+write("BEAT")) + ", every: 1m}\n" +
		"channels:\n" +
		hook("ops", "url: "+quoted(w.web.URL+"/good")) +
		hook("user", "url: "+quoted("http://"+write("HOOK_USER")+":"+write("HOOK_PASSWORD")+"@"+host+"/echo/user")) +
		hook("key", "url: "+quoted("http://"+write("API_KEY")+"@"+host+"/echo/key")) +
		hook("query", "url: "+quoted(w.web.URL+"/echo/query?token="+write("HOOK_QUERY"))) +
		hook("header", "url: "+quoted(w.web.URL+"/echo/header")+", headers: {X-Api-Key: "+quoted(write("HOOK_HEADER"))+", Authorization: "+quoted("Bearer "+write("API_KEY"))+"}") +
		hook("payload", "url: "+quoted(w.web.URL+"/echo/payload")+", payload: {a: "+quoted("x "+write("HOOK_PAYLOAD"))+"}") +
		hook("signed", "url: "+quoted(w.web.URL+"/echo/signed")+", signing_secret: "+quoted(write("SIGNING"))) +
		hook("moved", "url: "+quoted(w.web.URL+"/moved?token="+write("HOOK_QUERY"))) +
		hook("closed", "url: "+quoted("http://"+write("HOOK_USER")+":"+write("HOOK_PASSWORD")+"@127.0.0.1:1/x?token="+write("HOOK_QUERY"))) +
		"  slack: {channel: slack, attempts: 1, webhook_url: " + quoted(w.web.URL+"/echo/"+write("SLACK_PATH")) + "}\n" +
		"  slackclosed: {channel: slack, attempts: 1, webhook_url: " + quoted("http://127.0.0.1:1/services/"+write("SLACK_PATH")) + "}\n" +
		"  mail: {channel: email, attempts: 1, recipients: [a@example.com], from: s@example.com, smtp_host: 127.0.0.1, smtp_port: " + fmt.Sprint(w.refusing.Port()) +
		", smtp_tls: none, smtp_username: s@example.com, smtp_password: " + quoted(write("MAIL_PASSWORD")) + "}\n" +
		"  letters: {channel: email, attempts: 1, recipients: [a@example.com], from: s@example.com, smtp_host: 127.0.0.1, smtp_port: " + fmt.Sprint(w.taking.Port()) +
		", smtp_tls: none, smtp_username: s@example.com, smtp_password: " + quoted(write("MAIL_PASSWORD")) + "}\n" +
		"alerts:\n  - {name: Rings, database: shop, schedule: '* * * * *', query: \"SELECT 'ALERT' AS status, 7 AS actual_value\", notify: [ops, user, key, query, header, payload, signed, moved, closed, slack, slackclosed, mail, letters]}\n"
	for _, name := range []string{"pg", "my", "pggone", "mygone", "pgparameter"} {
		out += "  - {name: Fails " + name + ", database: " + name + ", schedule: '* * * * *', query: SELECT 1, notify: [ops, letters], on_error: {after: 1 runs, notify: [ops, letters]}}\n"
	}
	return out
}

// A canaryWorld is what the program speaks to. It says back everything that it is told.
type canaryWorld struct {
	web               *httptest.Server
	postgres, mariadb string // host:port
	refusing, taking  *mailserver.Server
	mu                sync.Mutex
	good              [][]byte // requests that hold no secret by rights
}

func newCanaryWorld(t *testing.T, places map[string]string) *canaryWorld {
	t.Helper()
	w := &canaryWorld{}
	w.web = httptest.NewServer(http.HandlerFunc(w.answer))
	t.Cleanup(w.web.Close)
	for into, text := range map[*string]string{&w.postgres: databases.Postgres(t), &w.mariadb: databases.MariaDB(t)} {
		u, err := url.Parse(text)
		require.NoError(t, err)
		*into = u.Host
	}
	password := places["MAIL_PASSWORD"]
	for _, into := range []**mailserver.Server{&w.refusing, &w.taking} {
		server, err := mailserver.Start(mailserver.Options{Username: "s@example.com", Password: password})
		require.NoError(t, err)
		t.Cleanup(func() { _ = server.Close() })
		*into = server
	}
	w.refusing.Script(mailserver.Rule{At: mailserver.AtAuth, Do: mailserver.Answer(535, "no "+strings.Join(forms(password), " ")+" "+base64.StdEncoding.EncodeToString([]byte("\x00s@example.com\x00"+password)))})
	return w
}

// forms are how a receiver may write a secret.
func forms(secret string) []string {
	plain, err := url.PathUnescape(secret)
	if err != nil {
		plain = secret
	}
	var out []string
	for _, s := range []string{secret, plain} {
		asJSON, _ := json.Marshal(s)
		out = append(out, s, strings.Trim(string(asJSON), `"`), fmt.Sprintf("%q", s), html.EscapeString(s), url.QueryEscape(s), url.PathEscape(s), base64.StdEncoding.EncodeToString([]byte(s)), base64.RawURLEncoding.EncodeToString([]byte(s)))
	}
	return out
}

func (w *canaryWorld) answer(rw http.ResponseWriter, r *http.Request) {
	dump, _ := httputil.DumpRequest(r, true)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case r.URL.Path == "/good":
		w.good = append(w.good, dump)
		return
	case r.URL.Path == "/moved":
		rw.Header().Set("Location", "http://user:"+url.PathEscape(r.URL.Query().Get("token"))+"@elsewhere.example/"+url.PathEscape(r.URL.Query().Get("token")))
		rw.WriteHeader(http.StatusFound)
	case strings.HasPrefix(r.URL.Path, "/beat/"):
		rw.WriteHeader(http.StatusInternalServerError)
	default:
		rw.WriteHeader(http.StatusBadRequest)
	}
	user, password, _ := r.BasicAuth()
	said := []string{r.Header.Get("X-Api-Key"), r.Header.Get("Authorization"), r.URL.Path, r.URL.RawQuery, r.URL.Query().Get("token"), user, password, r.RequestURI}
	for _, s := range said {
		_, _ = io.WriteString(rw, strings.Join(forms(s), "\n")+"\n")
	}
	_, _ = rw.Write(dump)
}

// all runs every command on the alert file, and gives what each said.
func (w *canaryWorld) all(t *testing.T, dir string, env []string, check func(where string, text []byte)) {
	t.Helper()
	say := func(extra []string, args ...string) []byte {
		command := exec.Command("sqlsentinel", args...)
		command.Dir, command.Env = dir, append(append(os.Environ(), env...), extra...)
		out, _ := command.CombinedOutput() // many of them fail, and are meant to
		check(strings.Join(args, " "), out)
		return out
	}
	for _, log := range [][]string{{"LOG_LEVEL=debug", "LOG_FORMAT=json"}, {"LOG_LEVEL=debug", "LOG_FORMAT=text"}, nil} {
		require.Contains(t, string(say(log, "run")), "Rings")
	}
	say(nil, "validate")
	say(nil, "validate", "--json", "--connect")
	require.Contains(t, string(say(nil, "validate", "--connect")), "failed")
	say(nil, "run", "--dry-run")
	say(nil, "run", "--dry-run", "--json")
	say(nil, "test-notify")
	say(nil, "test-notify", "--json")
	say(nil, "test-notify", "--event", "alert", "--alert", "Rings", "--dry-run")
	say(nil, "status")
	say(nil, "status", "--json")
	say(nil, "history")
	say(nil, "history", "--json")
	require.Contains(t, string(say(nil, "explain", "Rings")), "Why")
	require.Contains(t, string(say(nil, "explain", "Fails pg")), "error: ")
	say(nil, "explain", "Fails my", "--json")
	say(nil, "metrics")
	say(nil, "deliveries", "list")
	var listed struct{ Deliveries []struct{ ID string } }
	require.NoError(t, json.Unmarshal(say(nil, "deliveries", "list", "--limit", "1000", "--json"), &listed))
	require.NotEmpty(t, listed.Deliveries)
	for _, d := range listed.Deliveries[:min(len(listed.Deliveries), 16)] {
		say(nil, "deliveries", "show", d.ID)
		say(nil, "deliveries", "show", d.ID, "--json")
	}
}

// canaryFolder is a folder with the alert file, its database and .env.
func canaryFolder(t *testing.T, alerts string, env map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, execSQLite(filepath.Join(dir, "shop.db"), "CREATE TABLE t (v INT)"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "alerts.yaml"), []byte(alerts), 0o600))
	text := ""
	for name, value := range env {
		text += name + "='" + value + "'\n"
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".env"), []byte(text), 0o600))
	return dir
}

func TestASecretIsInNothingThatTheProgramSaysOrKeeps(t *testing.T) {
	values, environment, file := map[string]string{}, []string{}, map[string]string{}
	for _, p := range secretPlaces() {
		values[p.name] = p.value
		if p.fromFile {
			file[p.name] = p.value
		} else if p.value != "" {
			environment = append(environment, p.name+"="+p.value)
		}
	}
	for _, c := range []struct {
		name     string
		write    func(name string) string
		inTheEnd func(t *testing.T, dir string)
	}{
		{"as references", func(name string) string { return "${" + name + "}" }, stateHasNoCanary},
		{"as they stand in the file", func(name string) string {
			if name == "HOOK_PAYLOAD" {
				return "data" // what a file says in a payload is what it wants to be said
			}
			return strings.ReplaceAll(values[name], "$", "$$")
		}, func(*testing.T, string) {}},
		{"as defaults of references", func(name string) string {
			if name == "HOOK_PAYLOAD" {
				return "data"
			}
			return "${NOT_SET:-" + strings.ReplaceAll(values[name], "}", "") + "}"
		}, func(*testing.T, string) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newCanaryWorld(t, values)
			dir := canaryFolder(t, canaryFile(c.write, w), file)
			w.all(t, dir, environment, func(where string, text []byte) { noCanary(t, where, text) })
			w.daemon(t, dir, environment, file)
			require.NotEmpty(t, w.good)
			for _, request := range w.good {
				noCanary(t, "a message", request)
			}
			for _, m := range w.taking.Messages() {
				noCanary(t, "a mail", m.Data)
			}
			require.NotEmpty(t, w.taking.Messages())
			c.inTheEnd(t, dir)
		})
	}
}

// daemon runs it for a while, and asks for everything that it answers.
func (w *canaryWorld) daemon(t *testing.T, dir string, environment []string, file map[string]string) {
	t.Helper()
	for _, pair := range environment {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	for name, value := range file {
		t.Setenv(name, value) // the test's daemon reads no .env
	}
	t.Setenv("LOG_LEVEL", "debug")
	d := watch(t, &cli{dir: dir, now: time.Now, env: map[string]string{}})
	d.eventually("it delivers", func() bool { return strings.Count(d.log.String(), "Fails mygone") > 1 })
	for _, path := range []string{"/metrics", "/ready", "/health"} {
		_, body := d.get(path)
		noCanary(t, path, []byte(body))
	}
	require.NoError(t, d.process.Process.Signal(os.Interrupt))
	_ = d.process.Wait()
	noCanary(t, "the daemon's log", []byte(d.log.String()))
}

// stateHasNoCanary looks at every byte of the state.
func stateHasNoCanary(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, stateName+"*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		data, err := os.ReadFile(f)
		require.NoError(t, err)
		noCanary(t, f, data)
	}
}

// A wrong file is told with its places, never with what stands there.
func TestASecretIsInNoProblemOfAWrongFile(t *testing.T) {
	secret := canary + "wrong9f2c"
	env := []string{"SECRET=" + secret, "BAD_URL=postgresql://u:" + secret + "%zz@h/d", "BAD_HOOK=ftp://u:" + secret + "@h/" + secret}
	for name, text := range map[string]string{
		"references": `
database: {url: "${BAD_URL}"}
channels:
  a: {channel: webhook, url: "${BAD_HOOK}", method: "${SECRET}", headers: {"X Y": "${SECRET}", Host: "a${SECRET}\nb"}, signing_secret: "whsec_${SECRET}"}
  b: {channel: slack, webhook_url: "${SECRET}", icon_emoji: "${SECRET}"}
  c: {channel: email, recipients: ["${SECRET}"], from: "${SECRET}", smtp_host: "x/${SECRET}", provider: "${SECRET}", smtp_tls: "${SECRET}"}
heartbeat: {url: "${SECRET}", every: 1m}
alerts: [{name: A, query: x, schedule: "@daily", notify: [a, b, c, "${SECRET}"]}]
`,
		"no YAML":       "database: {url: \"postgresql://u:" + secret + "@h/d\"\nalerts: [\n",
		"a bad URL":     "database: {url: \"postgresql://u:" + secret + "%zz@h/d\"}\nalerts: [{name: A, query: x, schedule: '@daily', notify: []}]\n",
		"a bad port":    "database: {url: \"mysql://u:" + secret + "@h:99999999/d?tls=" + secret + "\"}\nalerts: [{name: A, query: x, schedule: '@daily', notify: []}]\n",
		"an old scheme": "database: {url: \"oracle://u:" + secret + "@h/d\"}\nalerts: [{name: A, query: x, schedule: '@daily', notify: [{channel: slack, webhook_url: \"hooks.slack.com/" + secret + "\"}, {channel: webhook, url: \"ftp://u:" + secret + "@h\"}]}]\n",
		"a wrong kind":  "database: {url: [\"" + secret + "\"]}\nalerts: [{name: A, query: x, schedule: '@daily', notify: [{channel: webhook, url: 'https://h', headers: [\"" + secret + "\"], signing_secret: {a: \"" + secret + "\"}, attempts: \"" + secret + "\"}]}]\n",
	} {
		dir := canaryFolder(t, text, map[string]string{"OTHER": secret})
		for _, args := range [][]string{{"validate"}, {"validate", "--json"}, {"run"}, {"status"}, {"daemon", "--listen", "none"}, {"test-notify"}, {"secrets", "set", "X", "--stack", ""}} {
			command := exec.Command("sqlsentinel", args...)
			command.Dir, command.Env = dir, append(os.Environ(), env...)
			out, err := command.CombinedOutput()
			require.Error(t, err, "%s: %s", name, args)
			noCanary(t, name+": "+strings.Join(args, " "), out)
		}
	}
	dir := canaryFolder(t, hourly, nil)
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".env"), []byte("no list "+secret+"\n\"="+secret), 0o600))
	command := exec.Command("sqlsentinel", "validate")
	command.Dir = dir
	out, err := command.CombinedOutput()
	require.Error(t, err)
	noCanary(t, "a wrong .env", out)
}
