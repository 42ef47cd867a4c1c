// Package emulators gives tests AWS services that others wrote: DynamoDB Local, Amazon's
// own, for DynamoDB; ElasticMQ for SQS; ministack for S3, EventBridge, Scheduler,
// Parameter Store, SES, CloudFormation and functions that run as processes. It gives them
// databases that cannot be installed too: Crucible for BigQuery, fakesnow for Snowflake.
// `make emulators` fetches them. Each is started on a free loopback port once for all tests of a
// process that ask for it, and ends with it.
//
// Where one is not there, the test is skipped, except under CI=true, where it fails.
package emulators

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/servers"
)

// DynamoDB returns the endpoint of a DynamoDB whose tables live in memory.
func DynamoDB(t testing.TB) string {
	t.Helper()
	return dynamoDB.endpoint(t)
}

// SQS returns the endpoint of an SQS with the limits of the real one.
func SQS(t testing.TB) string {
	t.Helper()
	return elasticMQ.endpoint(t)
}

// AWS returns the endpoint of an emulator of all services that the product uses.
func AWS(t testing.TB) string {
	t.Helper()
	return ministack.endpoint(t)
}

// BigQuery returns the endpoint of an emulator of BigQuery, without authentication.
func BigQuery(t testing.TB) string {
	t.Helper()
	return crucible.endpoint(t)
}

// Snowflake returns the endpoint of an emulator of Snowflake, which takes any user.
func Snowflake(t testing.TB) string {
	t.Helper()
	return fakesnow.endpoint(t)
}

// Main runs the tests of a package and stops the emulators after the last one.
func Main(m interface{ Run() int }) int {
	defer func() {
		for _, e := range []*emulator{dynamoDB, elasticMQ, ministack, crucible, fakesnow} {
			e.stop()
		}
	}()
	return m.Run()
}

// An emulator is started for the first test that asks. It runs until Main returns; without
// Main, until the process ends.
type emulator struct {
	name    string // also of its folder under .tools/emulators
	start   func(home, dir string, port int) (*servers.Process, error)
	healthy string // a path that answers once it is ready; empty: listening is enough

	mu      sync.Mutex
	process *servers.Process
	dir     string
	url     string
	failure error
}

// The emulators of this process; tests that know nothing of each other share them.
var (
	dynamoDB  = &emulator{name: "dynamodb", start: startDynamoDB}
	elasticMQ = &emulator{name: "elasticmq", start: startElasticMQ}
	ministack = &emulator{name: "ministack", start: startMinistack, healthy: "/_ministack/health"}
	crucible  = &emulator{name: "bigquery", start: startBigQuery, healthy: "/_crucible/health"}
	fakesnow  = &emulator{name: "snowflake", start: startSnowflake}
)

// errNotFetched says that an emulator is not there.
var errNotFetched = errors.New("it is not fetched; `make emulators` does, with Maven, Java and Python")

func (e *emulator) endpoint(t testing.TB) string {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.process == nil && e.failure == nil {
		e.failure = e.begin()
	}
	switch {
	case errors.Is(e.failure, errNotFetched) && os.Getenv("CI") != "true":
		t.Skipf("SKIPPED, NOT TESTED: %s: %v", e.name, e.failure)
	case e.failure != nil:
		t.Fatalf("start %s: %v", e.name, e.failure)
	}
	return e.url
}

func (e *emulator) begin() error {
	home, err := folder(e.name)
	if err != nil {
		return err
	}
	if e.dir, err = servers.NewFolder(e.name); err != nil {
		return err
	}
	port, err := servers.WithPort(func(port int) error {
		p, err := e.start(home, e.dir, port)
		if err != nil {
			return err
		}
		if err := await(port, e.healthy); err != nil {
			p.Stop(syscall.SIGKILL)
			return err
		}
		e.process = p
		return nil
	})
	e.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	return err
}

func (e *emulator) stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.process != nil {
		e.process.Stop(syscall.SIGKILL)
		_ = os.RemoveAll(e.dir)
	}
}

// folder is where an emulator was fetched to.
func folder(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		return "", errNotFetched
	}
	home := filepath.Join(dir, ".tools", "emulators", name)
	if _, err := os.Stat(filepath.Join(home, "pin")); err != nil {
		return "", errNotFetched
	}
	return home, nil
}

// await returns when the port listens and, if there is one, the path answers.
func await(port int, path string) error {
	var err error
	for range 300 {
		time.Sleep(100 * time.Millisecond)
		if path == "" {
			var c net.Conn
			if c, err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
				return c.Close()
			}
			continue
		}
		var answer *http.Response
		if answer, err = http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path)); err == nil {
			return answer.Body.Close()
		}
	}
	return fmt.Errorf("it does not listen: %w", err)
}
