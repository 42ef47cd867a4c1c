package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/sqlsentinel/sqlsentinel/benchmarks/report"
)

const (
	pageFile    = "docs/performance.md"
	chartFolder = "docs/performance"
	resultsFile = chartFolder + "/results.json"
)

// write makes the page and its charts of the results.
func write() error {
	r, err := report.Load(resultsFile)
	if err != nil {
		return err
	}
	var missing []string
	for _, name := range report.Names() {
		if _, ok := r.Sections[name]; !ok {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		fmt.Printf("no page yet: not measured: %s\n", strings.Join(missing, ", "))
		return nil
	}
	page, err := report.Page(r)
	if err != nil {
		return err
	}
	if err := os.WriteFile(pageFile, []byte(page), 0o600); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	charts, err := json.Marshal(report.Charts(r))
	if err != nil {
		return fmt.Errorf("write the charts: %w", err)
	}
	draw := exec.Command("go", "run", "-C", "benchmarks/plot", ".", "../../"+chartFolder)
	draw.Stdin = bytes.NewReader(charts)
	if out, err := draw.CombinedOutput(); err != nil {
		return fmt.Errorf("draw the charts: %w: %s", err, out)
	}
	fmt.Printf("written: %s and its charts\n", pageFile)
	return nil
}

// again runs this program with other arguments, and tells its exit code.
func again(args ...string) (code int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("find myself: %w", err)
	}
	cmd := exec.Command(self, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		return 0, fmt.Errorf("run %v: %w", args, err)
	}
	return cmd.ProcessState.ExitCode(), nil
}
