package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/mailserver"
)

func TestMain(m *testing.M) {
	testscript.Main(patient{m}, map[string]func(){"sqlsentinel": main})
}

// patient runs more tests at once than there are processors: those of daemons mostly wait.
type patient struct{ *testing.M }

func (p patient) Run() int {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		if err := f.Value.Set(strconv.Itoa(max(8, runtime.GOMAXPROCS(0)))); err != nil {
			panic(err)
		}
	}
	return p.M.Run()
}

// TestScripts plays testdata/script: the real program on real databases, a real receiver
// and a real mail server.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup:               setUpScript,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"json": scriptJSON, "receiver": scriptReceiver, "mail": scriptMail, "exits": scriptExits, "sqlite": scriptSQLite, "eventually": scriptEventually,
		},
	})
}

type receiverKey struct{}
type mailKey struct{}

func setUpScript(env *testscript.Env) error {
	receiver := newReceiver()
	env.Defer(receiver.server.Close)
	mails, err := mailserver.Start(mailserver.Options{})
	if err != nil {
		return err
	}
	env.Defer(func() { _ = mails.Close() })
	env.Values[receiverKey{}], env.Values[mailKey{}] = receiver, mails
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(free.Addr().String())
	env.Setenv("FREE_PORT", port)
	if err := free.Close(); err != nil {
		return err
	}
	env.Setenv("URL", receiver.server.URL)
	env.Setenv("ADDRESS", strings.TrimPrefix(receiver.server.URL, "http://"))
	env.Setenv("SMTP_HOST", mails.Host())
	env.Setenv("SMTP_PORT", strconv.Itoa(mails.Port()))
	env.Setenv("SMTP_USE_TLS", "false")
	env.Setenv("SMTP_FROM_ADDRESS", "sentinel@example.com")
	return nil
}

// A receiver takes HTTP messages, and answers as it is told.
type receiver struct {
	server *httptest.Server
	mu     sync.Mutex
	status int
	got    []string
	bodies []string
	ids    []string
	came   chan struct{}
	before func() // what happens before it answers; nil: nothing
}

func newReceiver() *receiver {
	r := &receiver{status: http.StatusOK, came: make(chan struct{}, 1000)}
	r.server = httptest.NewServer(r)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.got = append(r.got, request.Method+" "+request.URL.Path)
		r.bodies = append(r.bodies, string(body))
		r.ids = append(r.ids, request.Header.Get("Idempotency-Key"))
	}
	if r.before != nil {
		r.before()
	}
	w.WriteHeader(r.status)
	r.came <- struct{}{}
}

// scriptReceiver is: receiver answer 500 | receiver count N [PATH] | receiver contains TEXT.
func scriptReceiver(ts *testscript.TestScript, neg bool, args []string) {
	r := ts.Value(receiverKey{}).(*receiver)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch args[0] {
	case "answer":
		status, err := strconv.Atoi(args[1])
		ts.Check(err)
		r.status = status
	case "count":
		n := 0
		for _, line := range r.got {
			if len(args) == 2 || strings.HasSuffix(line, args[2]) {
				n++
			}
		}
		if (strconv.Itoa(n) == args[1]) == neg {
			ts.Fatalf("the receiver got %d: %s\n%s", n, strings.Join(r.got, ", "), strings.Join(r.bodies, "\n"))
		}
	case "contains":
		if strings.Contains(strings.Join(r.bodies, "\n"), args[1]) == neg {
			ts.Fatalf("the receiver got:\n%s", strings.Join(r.bodies, "\n"))
		}
	default:
		ts.Fatalf("receiver %s is unknown", args[0])
	}
}

// scriptMail is: mail count N | mail contains TEXT.
func scriptMail(ts *testscript.TestScript, neg bool, args []string) {
	messages := ts.Value(mailKey{}).(*mailserver.Server).Messages()
	var all []string
	for _, m := range messages {
		all = append(all, string(m.Data))
	}
	ok := false
	switch args[0] {
	case "count":
		ok = strconv.Itoa(len(messages)) == args[1]
	case "contains":
		ok = strings.Contains(strings.Join(all, "\n"), args[1])
	default:
		ts.Fatalf("mail %s is unknown", args[0])
	}
	if ok == neg {
		ts.Fatalf("the mail server got %d:\n%s", len(messages), strings.Join(all, "\n"))
	}
}

// scriptExits is: exits CODE sqlsentinel ARGS…
func scriptExits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("exit code %s, not %s\nstdout: %s\nstderr: %s", got, args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// scriptEventually is: eventually sqlsentinel ARGS…, until it succeeds.
func scriptEventually(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(30 * time.Second); ts.Exec(args[0], args[1:]...) != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("it does not succeed\nstderr: %s", ts.ReadFile("stderr"))
		}
	}
}

// scriptSQLite is: sqlite FILE SQL.
func scriptSQLite(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(execSQLite(ts.MkAbs(args[0]), args[1]))
}

// scriptJSON holds a value of stdout's JSON against a text: json runs.0.status ALERT. Of
// a list or an object `len` is the length, `keys` the names, and `!json PATH VALUE` that it differs. The value
// itself is compared as JSON, a string without quotes.
func scriptJSON(ts *testscript.TestScript, neg bool, args []string) {
	decoder := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	decoder.UseNumber()
	var value any
	ts.Check(decoder.Decode(&value))
	if decoder.More() {
		ts.Fatalf("stdout is more than one JSON value")
	}
	got, err := lookUp(value, args[0])
	ts.Check(err)
	if want := args[1]; (got == want) == neg {
		ts.Fatalf("%s is %s, not %s in\n%s", args[0], got, want, ts.ReadFile("stdout"))
	}
}

func lookUp(value any, path string) (string, error) {
	for _, step := range strings.Split(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			inner, known := v[step]
			switch {
			case step == "len":
				inner = len(v)
			case step == "keys":
				var keys []string
				for k := range v {
					keys = append(keys, k)
				}
				slices.Sort(keys)
				inner = strings.Join(keys, ",")
			case !known:
				return "", fmt.Errorf("%s: there is no %s", path, step)
			}
			value = inner
		case []any:
			if step == "len" {
				value = len(v)
				continue
			}
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(v) {
				return "", fmt.Errorf("%s: there is no %s among %d", path, step, len(v))
			}
			value = v[i]
		default:
			return "", fmt.Errorf("%s: there is nothing in %v", path, v)
		}
	}
	if text, ok := value.(string); ok {
		return text, nil
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(value)
	return strings.TrimSpace(out.String()), err
}
