package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// starts is how often each function is started: a start is short, and varies.
const starts = 30

// functions compares the start of the query function, from the start of the process to its
// first question for an event, with a function that does nothing.
func (b *suite) functions() error {
	b.now.Rounds = starts
	programs := map[string]string{"query": "./functions/query", "hello": "./benchmarks/hello"}
	for name, source := range programs {
		build := exec.Command("go", "build", "-buildvcs=false", "-tags=lambda.norpc,minicore_disabled", "-ldflags=-s -w", "-o", filepath.Join(b.dir, name), source)
		build.Env = append(build.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w: %s", name, err, out)
		}
	}
	asked := make(chan time.Time, 1)
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- time.Now()
		<-r.Context().Done()
	}))
	defer api.Close()
	taken := map[string][]time.Duration{}
	for n := range starts + 3 {
		for name := range programs {
			d, err := b.startFunction(filepath.Join(b.dir, name), strings.TrimPrefix(api.URL, "http://"), asked)
			if err != nil {
				return err
			}
			if n >= 2 { // the first ones read the files
				taken[name] = append(taken[name], d)
			}
		}
	}
	query, hello := median(taken["query"]), median(taken["hello"])
	ratio := float64(query) / float64(hello)
	atMost(b, "query function, all drivers: start to first event", fmt.Sprintf("%.2f × hello of %v (%v)", ratio, hello.Round(100*time.Microsecond), query.Round(100*time.Microsecond)), ratio, 3, "3 ×")
	return nil
}

func (b *suite) startFunction(path, api string, asked <-chan time.Time) (time.Duration, error) {
	cmd := exec.Command(path)
	cmd.Env = []string{"AWS_LAMBDA_RUNTIME_API=" + api, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x", "SENTINEL_STACK=x", "SENTINEL_TABLE=x",
		"SENTINEL_QUEUE_EMAIL=x", "SENTINEL_QUEUE_SLACK=x", "SENTINEL_QUEUE_WEBHOOK=x"}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start %s: %w", path, err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}()
	select {
	case at := <-asked:
		return at.Sub(began), nil
	case <-time.After(20 * time.Second):
		return 0, fmt.Errorf("%s did not ask for an event", path)
	}
}
