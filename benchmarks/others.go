package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/sqlsentinel/sqlsentinel/benchmarks/report"
)

// The other programs, as `make bench` installs them.
const (
	python   = "sqlsentinel (Python)"
	dbt      = "dbt test"
	exporter = "query-exporter"
)

// otherProgram is where a program is installed.
func otherProgram(name string) (string, error) {
	path, err := filepath.Abs(map[string]string{
		python: ".tools/bench/sqlsentinel/bin/sqlsentinel", dbt: ".tools/bench/dbt/bin/dbt", exporter: ".tools/bench/query-exporter/bin/query-exporter",
	}[name])
	if err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not installed (make bench ONLY=others installs it): %w", name, err)
	}
	return path, nil
}

// competitor is a program that evaluates all queries of a folder once, and what else it can.
type competitor struct {
	name string
	// write puts what the program reads into a folder; a scan reads the whole table, else one
	// row is looked up by its key.
	write func(dir string, n int, scan bool) error
	// once evaluates everything once, and fails if not all was evaluated.
	once func(dir string, n int) (sample, error)
	// slow is measured once.
	slow bool
	// check is its command that only reads the file; version prints what it is.
	check, version []string
}

// others measures SQL Sentinel beside other programs, all on the same SQLite file and the same conditions.
func (b *suite) others() error {
	b.rounds = min(b.rounds, 2) // some of them take long
	b.now.Rounds = b.rounds
	all, err := b.competitors()
	if err != nil {
		return err
	}
	if err := b.versions(all); err != nil {
		return err
	}
	for _, n := range []int{10, 100, 1000} {
		if err := b.compare(all, n, false); err != nil {
			return err
		}
	}
	if err := b.compare(all, 100, true); err != nil {
		return err
	}
	if err := b.messages(all[:2]); err != nil {
		return err
	}
	return b.residents()
}

// compare measures one number of alerts: a run that does not count, then the rounds in turn.
func (b *suite) compare(all []competitor, n int, scan bool) error {
	var runs []func() (sample, error)
	for i, c := range all {
		dir := filepath.Join(b.dir, fmt.Sprintf("other-%d-%d-%v", i, n, scan))
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("make a folder: %w", err)
		}
		if err := c.write(dir, n, scan); err != nil {
			return err
		}
		runs = append(runs, func() (sample, error) { return c.once(dir, n) })
		if n < 1000 {
			continue
		}
		checked, err := b.patiently(c, func() (sample, error) { return b.measure(dir, c.check[0], c.check[1:]...) })
		if err != nil {
			return err
		}
		b.now.Add("validate", c.name, "s", n, median(walls(checked)).Seconds())
	}
	for i, c := range all {
		samples, err := b.patiently(c, runs[i])
		if err != nil {
			return err
		}
		b.noteOther(c, n, scan, samples)
	}
	return nil
}

// patiently measures a program in rounds, but one that takes long once; a first run does not count.
func (b *suite) patiently(c competitor, run func() (sample, error)) ([]sample, error) {
	once := *b
	if c.slow {
		once.rounds = 1
	}
	samples, err := once.inTurn(run)
	if err != nil {
		return nil, err
	}
	return samples[0], nil
}

func (b *suite) noteOther(c competitor, n int, scan bool, samples []sample) {
	wall, rss := median(walls(samples)), peak(samples)
	fmt.Printf("%6d alerts, scan %-5v  %-22s %10v  %10s\n", n, scan, c.name, wall.Round(time.Millisecond), megabytes(rss))
	if scan {
		b.now.Add("scan", c.name, "s", n, wall.Seconds())
		return
	}
	b.now.Add("run", c.name, "s", n, wall.Seconds())
	b.now.Add("memory", c.name, "MB", n, float64(rss)/1e6)
	if file := samples[0].file; file > 0 {
		b.now.Add("file", c.name, "MB", n, float64(file)/1e6)
	}
}

// versions notes what each program is, and how long it takes to say so.
func (b *suite) versions(all []competitor) error {
	b.now.Versions = map[string]string{"Python": ""}
	number := regexp.MustCompile(`\d+\.\d+[.\d]*`)
	for _, c := range all {
		out, err := exec.Command(c.version[0], c.version[1:]...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ask %s for its version: %w: %s", c.name, err, out)
		}
		samples, err := b.patiently(c, func() (sample, error) { return b.measure(b.dir, c.version[0], c.version[1:]...) })
		if err != nil {
			return err
		}
		b.now.Add("start", c.name, "s", 0, median(walls(samples)).Seconds())
		if c.name != report.Ours {
			b.now.Versions[c.name] = number.FindString(string(out))
		}
	}
	out, err := exec.Command("python3", "--version").Output()
	if err != nil {
		return fmt.Errorf("ask Python for its version: %w", err)
	}
	b.now.Versions["Python"] = strings.TrimPrefix(strings.TrimSpace(string(out)), "Python ")
	return nil
}
