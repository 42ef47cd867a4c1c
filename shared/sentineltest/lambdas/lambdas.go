// Package lambdas runs the bootstrap of a Lambda function as AWS does, without AWS: a
// process that asks the Runtime API for events and answers them. A test can hand it any
// event, with any deadline, and kill it at any moment.
//
// Source of the protocol: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
package lambdas

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Function is a bootstrap, run when an event comes, and kept warm for the next one.
type Function struct {
	t    testing.TB
	path string
	env  []string
	api  *httptest.Server

	mu      sync.Mutex
	process *exec.Cmd
	ended   chan struct{}
	log     lockedBuffer
	events  chan event
	answers map[string]chan Answer
	n       int
}

type event struct {
	id       string
	payload  []byte
	deadline time.Time
}

// An Answer is what an invocation came to.
type Answer struct {
	Payload []byte
	// Err is an error that the handler returned, or the end of the process.
	Err error
}

// ErrKilled says that the process ended before it answered.
var ErrKilled = errors.New("the process ended before it answered")

// New prepares a function; nothing runs until the first event. The environment has nothing
// of the test's own but PATH and HOME.
func New(t testing.TB, bootstrap string, env map[string]string) *Function {
	t.Helper()
	f := &Function{t: t, path: bootstrap, events: make(chan event), answers: map[string]chan Answer{}}
	f.api = httptest.NewServer(f)
	f.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(f.api.URL, "http://"), "AWS_LAMBDA_FUNCTION_NAME=test"}
	for name, value := range env {
		f.env = append(f.env, name+"="+value)
	}
	t.Cleanup(func() {
		f.Kill()
		_ = f.api.Listener.Close() // nobody comes again
		f.api.CloseClientConnections()
		f.api.Close()
		if t.Failed() {
			t.Logf("log of %s:\n%s", bootstrap, f.log.String())
		}
	})
	return f
}

// Log is what the function has written so far.
func (f *Function) Log() string { return f.log.String() }

// Invoke hands an event to the function, which is started if it does not run, and waits
// for its answer, until the limit at most; then the process is killed, as AWS does.
func (f *Function) Invoke(payload any, limit time.Duration) Answer {
	f.t.Helper()
	body, ok := payload.([]byte)
	if !ok {
		var err error
		if body, err = json.Marshal(payload); err != nil {
			f.t.Fatalf("write an event: %v", err)
		}
	}
	ended, err := f.start()
	if err != nil {
		f.t.Fatalf("start %s: %v", f.path, err)
	}
	f.mu.Lock()
	f.n++
	e := event{fmt.Sprintf("request-%d", f.n), body, time.Now().Add(limit)}
	answer := make(chan Answer, 1)
	f.answers[e.id] = answer
	f.mu.Unlock()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case f.events <- e:
	case <-ended:
		return Answer{Err: fmt.Errorf("%w: %s: %s", ErrKilled, f.state(), f.log.String())}
	case <-timer.C:
		f.Kill()
		return Answer{Err: fmt.Errorf("%w: it did not ask for the event", ErrKilled)}
	}
	select {
	case a := <-answer:
		return a
	case <-ended:
		select {
		case a := <-answer:
			return a
		default:
			return Answer{Err: fmt.Errorf("%w: %s: %s", ErrKilled, f.state(), f.log.String())}
		}
	case <-timer.C:
		f.Kill()
		return Answer{Err: fmt.Errorf("%w: its time was over", ErrKilled)}
	}
}

// state says how the process ended.
func (f *Function) state() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.process.ProcessState.String()
}

func (f *Function) start() (chan struct{}, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.process != nil {
		select {
		case <-f.ended:
		default:
			return f.ended, nil
		}
	}
	cmd := exec.CommandContext(context.Background(), f.path)
	cmd.Env, cmd.Stdout, cmd.Stderr = f.env, &f.log, &f.log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	f.process, f.ended = cmd, ended
	go func() {
		_ = cmd.Wait() // how it ended is seen by the answers that do not come
		close(ended)
	}()
	return ended, nil
}

// Kill ends the process at once, if it runs.
func (f *Function) Kill() {
	f.mu.Lock()
	process, ended := f.process, f.ended
	f.mu.Unlock()
	if process != nil {
		_ = process.Process.Kill()
		<-ended
	}
}

// ServeHTTP is the Runtime API.
func (f *Function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/2018-06-01/runtime/")
	parts := strings.Split(path, "/")
	switch {
	case path == "invocation/next":
		f.next(w, r)
	case len(parts) == 3 && parts[2] == "response":
		body, err := io.ReadAll(r.Body)
		f.answer(parts[1], Answer{body, err})
		w.WriteHeader(http.StatusAccepted)
	case len(parts) == 3 && parts[2] == "error", path == "init/error":
		body, _ := io.ReadAll(r.Body)
		if len(parts) == 3 {
			f.answer(parts[1], Answer{Err: fmt.Errorf("the handler failed: %s", body)})
		}
		w.WriteHeader(http.StatusAccepted)
	default:
		http.NotFound(w, r)
	}
}

func (f *Function) next(w http.ResponseWriter, r *http.Request) {
	select {
	case e := <-f.events:
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", e.id)
		w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(e.deadline.UnixMilli()))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:test")
		w.Header().Set("Lambda-Runtime-Trace-Id", "Root=1-00000000-000000000000000000000001;Parent=0000000000000001;Sampled=1")
		_, _ = w.Write(e.payload)
	case <-r.Context().Done():
	}
}

func (f *Function) answer(id string, a Answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if waiting, ok := f.answers[id]; ok {
		delete(f.answers, id)
		waiting <- a
	}
}

// A lockedBuffer is what a process writes and a test reads.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write takes a piece of the log.
func (b *lockedBuffer) Write(piece []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(piece)
}

// String is all of it.
func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
