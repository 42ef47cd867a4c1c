package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sqlsentinel/sqlsentinel/benchmarks/report"
)

// messages measures a run of 100 alerts that all say ALERT, each with one webhook of its own
// to tell, until the program ends: for the programs that send.
func (b *suite) messages(all []competitor) error {
	const n = 100
	ear := newArrivals()
	defer ear.Close()
	// The Python program wants the address in its file, and uses this one.
	if err := os.Setenv("WEBHOOK_URL", ear.URL); err != nil {
		return fmt.Errorf("set the address: %w", err)
	}
	for i, c := range all {
		dir := filepath.Join(b.dir, fmt.Sprintf("messages-%d", i))
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("make a folder: %w", err)
		}
		samples, err := b.patiently(c, func() (sample, error) { return b.announce(c, dir, ear, n) })
		if err != nil {
			return err
		}
		b.now.Add("messages", c.name, "s", n, median(walls(samples)).Seconds())
	}
	return nil
}

// announce runs the alerts with a state that knows nothing yet, and wants every message.
func (b *suite) announce(c competitor, dir string, ear *arrivals, n int) (sample, error) {
	if err := forget(filepath.Join(dir, "sqlsentinel.db")); err != nil {
		return sample{}, err
	}
	if err := c.write(dir, n, false); err != nil {
		return sample{}, err
	}
	alerting := func(i int) string {
		return fmt.Sprintf("SELECT 'ALERT' AS status, total AS actual_value, -1 AS threshold FROM orders WHERE id = %d", i)
	}
	notify := fmt.Sprintf("    notify: [{channel: webhook, url: %q}]\n", ear.URL)
	if err := b.plainFile(dir, notify, n, alerting); err != nil {
		return sample{}, err
	}
	before := ear.requests()
	s, err := c.once(dir, n)
	if err != nil {
		return s, err
	}
	if came := ear.requests() - before; came != n {
		return s, fmt.Errorf("%s sent %d of %d messages", c.name, came, n)
	}
	return s, nil
}

// residents measures what a process takes that watches ten alerts, five seconds after it
// listens.
func (b *suite) residents() error {
	const n = 10
	py, err := otherProgram(python)
	if err != nil {
		return err
	}
	exp, err := otherProgram(exporter)
	if err != nil {
		return err
	}
	dir := filepath.Join(b.dir, fmt.Sprintf("other-%d-%d-false", 1, n))
	for _, p := range []struct {
		name, dir, path string
		args            []string
	}{
		{report.Ours, filepath.Join(b.dir, "other-0-10-false"), b.binary, []string{"daemon", "alerts.yaml", "--no-env-file", "--log-file", "log", "--listen", "127.0.0.1:"}},
		{python, dir, py, []string{"daemon", "alerts.yaml", "--log-level", "ERROR", "--state-db", "sqlite:///sqlsentinel.db", "--database-url", b.ordersURL(), "--port", ""}},
		{exporter, filepath.Join(b.dir, "other-3-10-false"), exp, []string{"--log-level", "error", "--port", ""}},
	} {
		rss, err := residentOf(p.dir, p.path, p.args)
		if err != nil {
			return err
		}
		fmt.Printf("%6d alerts, daemon      %-22s %10s\n", n, p.name, megabytes(rss))
		b.now.Add("daemon", p.name, "MB", n, float64(rss)/1e6)
	}
	return nil
}

// residentOf starts a server, whose last argument lacks the port.
func residentOf(dir, path string, args []string) (rss int64, err error) {
	port, err := freePort()
	if err != nil {
		return 0, err
	}
	args[len(args)-1] += port
	p, err := serve(dir, path, args...)
	if err != nil {
		return 0, err
	}
	if err := reached(port); err != nil {
		return 0, err
	}
	time.Sleep(5 * time.Second)
	if rss, err = p.resident("VmRSS"); err != nil {
		return 0, err
	}
	return rss, p.end()
}
