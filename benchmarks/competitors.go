package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sqlsentinel/sqlsentinel/benchmarks/report"
)

func (b *suite) competitors() ([]competitor, error) {
	var paths [3]string
	for i, name := range []string{python, dbt, exporter} {
		path, err := otherProgram(name)
		if err != nil {
			return nil, err
		}
		paths[i] = path
	}
	return []competitor{b.ours(), b.python(paths[0]), b.dbt(paths[1]), b.exporter(paths[2])}, nil
}

func (b *suite) ordersURL() string { return "sqlite:///" + filepath.Join(b.dir, "orders.db") }

// calmQuery never says ALERT.
func calmQuery(scan bool) func(int) string {
	if !scan {
		return lookupQuery
	}
	return func(i int) string {
		return fmt.Sprintf("SELECT CASE WHEN SUM(total) < -1 THEN 'ALERT' ELSE 'OK' END AS status, SUM(total) AS actual_value, -1 AS threshold FROM orders WHERE region = %d", i)
	}
}

// plainFile is an alert file that the Python program reads, too.
func (b *suite) plainFile(dir, notify string, n int, query func(int) string) error {
	head := fmt.Sprintf("database: {url: %q}\nalerts:\n", b.ordersURL())
	return writeLines(filepath.Join(dir, "alerts.yaml"), head, n, func(i int) string {
		return fmt.Sprintf("  - name: \"alert %d\"\n    description: \"Region %d\"\n    query: |\n      %s\n    schedule: \"0 0 29 2 *\"\n%s", i, i, query(i), notify)
	})
}

func (b *suite) ours() competitor {
	return competitor{
		name: report.Ours,
		write: func(dir string, n int, scan bool) error {
			return b.plainFile(dir, "    notify: []\n", n, calmQuery(scan))
		},
		once: func(dir string, n int) (sample, error) {
			s, err := b.measure(dir, b.binary, "run", "alerts.yaml", "--no-env-file")
			if err != nil {
				return s, err
			}
			s.file, err = sizeOf(filepath.Join(dir, "sqlsentinel.db"))
			return s, err
		},
		check: []string{b.binary, "validate", "alerts.yaml", "--no-env-file"}, version: []string{b.binary, "version"},
	}
}

func (b *suite) python(path string) competitor {
	return competitor{
		name: python, slow: true,
		write: func(dir string, n int, scan bool) error {
			if err := b.plainFile(dir, "    notify: []\n", n, calmQuery(scan)); err != nil {
				return err
			}
			_, err := b.measure(dir, path, "init", "--state-db", "sqlite:///sqlsentinel.db")
			return err
		},
		once: func(dir string, n int) (sample, error) {
			s, err := b.measure(dir, path, "run", "alerts.yaml", "--state-db", "sqlite:///sqlsentinel.db")
			var exit *exec.ExitError
			if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) { // 1: an alert fires
				return s, err
			}
			if !strings.Contains(s.output, fmt.Sprintf("Total: %d ", n)) {
				return s, fmt.Errorf("%s did not evaluate %d alerts: %s", python, n, s.output)
			}
			s.file, err = sizeOf(filepath.Join(dir, "sqlsentinel.db"))
			return s, err
		},
		check: []string{path, "validate", "alerts.yaml"}, version: []string{path, "--version"},
	}
}

// dbt has a test for each alert, which fails if its query has a row.
func (b *suite) dbt(path string) competitor {
	return competitor{
		name: dbt, slow: true,
		write: func(dir string, n int, scan bool) error {
			if err := os.MkdirAll(filepath.Join(dir, "tests"), 0o750); err != nil {
				return fmt.Errorf("make a folder: %w", err)
			}
			files := map[string]string{
				"dbt_project.yml": "name: bench\nversion: '1.0'\nprofile: bench\nflags: {send_anonymous_usage_stats: false}\n",
				"profiles.yml": fmt.Sprintf("bench:\n  target: dev\n  outputs:\n    dev: {type: sqlite, threads: 1, database: database, schema: main, schemas_and_paths: {main: %q}, schema_directory: %q}\n",
					filepath.Join(b.dir, "orders.db"), dir),
			}
			for i := range n {
				query := fmt.Sprintf("SELECT total FROM orders WHERE id = %d AND total < -1\n", i%orderRows)
				if scan {
					query = fmt.Sprintf("SELECT SUM(total) AS actual_value FROM orders WHERE region = %d HAVING SUM(total) < -1\n", i)
				}
				files[fmt.Sprintf("tests/alert_%d.sql", i)] = query
			}
			for name, text := range files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					return fmt.Errorf("write a project of dbt: %w", err)
				}
			}
			return nil
		},
		once: func(dir string, n int) (sample, error) {
			s, err := b.measure(dir, path, "test", "--profiles-dir", ".")
			if err == nil && !strings.Contains(s.output, fmt.Sprintf("PASS=%d ", n)) {
				err = fmt.Errorf("%s did not evaluate %d tests: %s", dbt, n, s.output)
			}
			return s, err
		},
		check: []string{path, "parse", "--profiles-dir", "."}, version: []string{path, "--version"},
	}
}

// exporter is a server that evaluates queries without an interval whenever its metrics are
// asked for. Its time is that of the answer; its start is not counted.
func (b *suite) exporter(path string) competitor {
	return competitor{
		name: exporter,
		write: func(dir string, n int, scan bool) error {
			head := fmt.Sprintf("databases: {main: {dsn: %q}}\nmetrics:\n  actual_value: {type: gauge, labels: [alert]}\nqueries:\n", b.ordersURL())
			return writeLines(filepath.Join(dir, "config.yaml"), head, n, func(i int) string {
				query := fmt.Sprintf("SELECT total AS actual_value, 'alert %d' AS alert FROM orders WHERE id = %d", i, i%orderRows)
				if scan {
					query = fmt.Sprintf("SELECT SUM(total) AS actual_value, 'alert %d' AS alert FROM orders WHERE region = %d", i, i)
				}
				return fmt.Sprintf("  alert_%d: {databases: [main], metrics: [actual_value], sql: %q}\n", i, query)
			})
		},
		once:  func(dir string, n int) (sample, error) { return scrape(path, dir, n) },
		check: []string{path, "--check-only"}, version: []string{path, "--version"},
	}
}

// scrape starts the exporter and asks once for its metrics.
func scrape(path, dir string, n int) (s sample, err error) {
	port, err := freePort()
	if err != nil {
		return s, err
	}
	p, err := serve(dir, path, "--port", port, "--log-level", "error")
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	if err := reached(port); err != nil {
		return s, err
	}
	began := time.Now()
	answer, err := http.Get("http://127.0.0.1:" + port + "/metrics")
	if err != nil {
		return s, fmt.Errorf("ask for the metrics: %w", err)
	}
	text, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return s, fmt.Errorf("read the metrics: %w", err)
	}
	s.wall = time.Since(began)
	if got := bytes.Count(text, []byte("\nactual_value{")); got != n {
		return s, fmt.Errorf("query-exporter answered %d of %d metrics", got, n)
	}
	s.rss, err = p.resident("VmHWM")
	return s, err
}

// A server is a program that runs until it is ended.
type server struct{ *exec.Cmd }

func serve(dir, path string, args ...string) (*server, error) {
	s := &server{exec.Command(path, args...)}
	s.Dir = dir
	if err := s.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return s, nil
}

// end stops it, and minds no exit code: to a signal they answer as they like.
func (s *server) end() error {
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop %s: %w", s.Path, err)
	}
	_ = s.Wait()
	return nil
}

// resident is its memory by the kernel's count: VmRSS now, VmHWM at most.
func (s *server) resident(which string) (int64, error) {
	var kilobytes int64
	if _, err := fmt.Sscanf(field(fmt.Sprintf("/proc/%d/status", s.Process.Pid), which, ":"), "%d kB", &kilobytes); err != nil {
		return 0, fmt.Errorf("read the memory of %s: %w", s.Path, err)
	}
	return kilobytes * 1024, nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a port: %w", err)
	}
	_, port, _ := strings.Cut(l.Addr().String(), ":")
	return port, l.Close()
}

// reached waits until somebody listens on a port.
func reached(port string) error {
	for range 3000 {
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			return c.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("nobody listens on port %s", port)
}
