package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/sqlsentinel/sqlsentinel/benchmarks/report"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/databases"
)

// suite is one run of all comparisons.
type suite struct {
	dir, binary   string
	usage         string // the program that tells what another one costs
	rounds, scale int
	receiver      *httptest.Server
	missed        bool
	// slack is how many times the bars may be missed by.
	slack float64
	// now is the section that is being measured.
	now report.Section
	// linked is how much more memory the start takes than that of a program with three
	// drivers and nothing of AWS, for which the bars were set.
	linked int64
}

// bareRSS is the peak RSS of "version" with SQLite, PostgreSQL and MySQL, in bytes.
const bareRSS = 13_700_000

// prepare builds the binary and starts a receiver for the messages of the first round.
func (b *suite) prepare() error {
	for path, source := range map[string]string{b.binary: "./cmd/sqlsentinel", b.usage: "./benchmarks/usage"} {
		build := exec.Command("go", "build", "-buildvcs=false", "-tags=minicore_disabled", "-ldflags=-s -w", "-o", path, source)
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w: %s", source, err, out)
		}
	}
	version, err := b.measure(b.dir, b.binary, "version")
	if err != nil {
		return err
	}
	b.linked = max(version.rss-bareRSS, 0)
	b.receiver = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return b.orders()
}

// orders makes the table that the alerts scan.
func (b *suite) orders() error {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.dir, "orders.db"))
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { _ = db.Close() }()
	return fill(db, 1000/b.scale, func(int) string { return "?" })
}

func (b *suite) close() { b.receiver.Close() }

func (b *suite) notify() string {
	return fmt.Sprintf("    notify: [{channel: webhook, url: %q}]\n", b.receiver.URL)
}

// steady compares `run` of 1,000 alerts with the serial floor, at one connection and at
// the default.
func (b *suite) steady(name, url string) error {
	n := 1000 / b.scale
	one, queries, err := alertFile(filepath.Join(b.dir, name+"-1"), url, b.notify(), n, 1, scanQuery)
	if err != nil {
		return err
	}
	four, _, err := alertFile(filepath.Join(b.dir, name+"-4"), url, b.notify(), n, 4, scanQuery)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find myself: %w", err)
	}
	samples, err := b.inTurn(
		func() (sample, error) { return b.measure(b.dir, self, "-floor", url, "-queries", queries) },
		func() (sample, error) { return b.measure(b.dir, b.binary, "run", one, "--no-env-file") },
		func() (sample, error) { return b.measure(b.dir, b.binary, "run", four, "--no-env-file") },
	)
	if err != nil {
		return err
	}
	floor, serial, parallel := samples[0], samples[1], samples[2]
	show := func(s []sample) string {
		return fmt.Sprintf("%.2f × floor of %v (%v)", median(ratios(s, floor)), median(walls(floor)).Round(time.Millisecond), median(walls(s)).Round(time.Millisecond))
	}
	atMost(b, fmt.Sprintf("run, %d alerts, %s, max_connections 1", n, name), show(serial), median(ratios(serial, floor)), 1.15, "1.15 ×")
	atMost(b, fmt.Sprintf("run, %d alerts, %s, default connections", n, name), show(parallel), median(ratios(parallel, floor)), 0.75, "0.75 ×")
	limit := 45e6 + float64(b.linked)
	atMost(b, fmt.Sprintf("peak RSS of run, %d alerts, %s", n, name), megabytes(peak(parallel)), float64(peak(parallel)), limit, megabytes(int64(limit)))
	return nil
}

func (b *suite) steadySQLite() error {
	return b.steady("sqlite", "sqlite:///"+filepath.Join(b.dir, "orders.db"))
}

func (b *suite) steadyPostgres() error {
	server, err := databases.StartPostgres()
	if errors.Is(err, databases.ErrNotInstalled) {
		if os.Getenv("CI") == "true" {
			return fmt.Errorf("start PostgreSQL: %w", err)
		}
		fmt.Println("SKIPPED: PostgreSQL is not installed; its bars are not measured")
		return nil
	}
	if err != nil {
		return err
	}
	defer server.Stop()
	url, err := server.NewDatabase(context.Background())
	if err != nil {
		return err
	}
	db, err := sql.Open("postgres", url)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { _ = db.Close() }()
	if err := fill(db, 1000/b.scale, func(i int) string { return fmt.Sprintf("$%d", i) }); err != nil {
		return err
	}
	var version string
	if err := db.QueryRow("SELECT split_part(current_setting('server_version'), ' ', 1)").Scan(&version); err != nil {
		return fmt.Errorf("ask for the version: %w", err)
	}
	b.now.Versions = map[string]string{"PostgreSQL": version}
	return b.steady("postgres", url)
}

func okQuery(int) string { return "SELECT 'OK' AS status" }

// overhead is what 10,000 alerts cost beyond their queries: parsing, state and history.
func (b *suite) overhead() error {
	n := 10_000 / b.scale
	url := "sqlite:///" + filepath.Join(b.dir, "orders.db")
	config, queries, err := alertFile(filepath.Join(b.dir, "many"), url, "", n, 4, okQuery)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find myself: %w", err)
	}
	samples, err := b.inTurn(
		func() (sample, error) { return b.measure(b.dir, self, "-floor", url, "-queries", queries) },
		func() (sample, error) { return b.measure(b.dir, b.binary, "run", config, "--no-env-file") },
	)
	if err != nil {
		return err
	}
	var own []time.Duration
	for i := range samples[1] {
		own = append(own, (samples[1][i].cpu-samples[0][i].cpu)/time.Duration(n))
	}
	atMost(b, fmt.Sprintf("run, %d alerts: own CPU beyond the query, an alert", n), median(own).Round(time.Microsecond).String(), median(own), 150*time.Microsecond, "150 µs")
	limit := 150e6 + float64(b.linked)
	atMost(b, fmt.Sprintf("peak RSS of run, %d alerts", n), megabytes(peak(samples[1])), float64(peak(samples[1])), limit, megabytes(int64(limit)))
	return nil
}

func (b *suite) validate() error {
	config := filepath.Join(b.dir, "many", "alerts.yaml")
	samples, err := b.inTurn(func() (sample, error) { return b.measure(b.dir, b.binary, "validate", config, "--no-env-file") })
	if err != nil {
		return err
	}
	wall, rss := median(walls(samples[0])), peak(samples[0])
	atMost(b, fmt.Sprintf("validate, %d alerts", 10_000/b.scale), wall.Round(time.Millisecond).String(), wall, 600*time.Millisecond, "0.6 s")
	atMost(b, "peak RSS of validate", megabytes(rss), rss, 150_000_000, "150 MB")
	return nil
}

func (b *suite) start() error {
	samples, err := b.inTurn(func() (sample, error) { return b.measure(b.dir, b.binary, "version") })
	if err != nil {
		return err
	}
	wall := median(walls(samples[0]))
	atMost(b, "version, start to exit", wall.Round(100*time.Microsecond).String(), wall, 40*time.Millisecond, "40 ms")
	return nil
}
