package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/sqlsentinel/sqlsentinel/benchmarks/report"
)

// section begins a group of measurements: when, where and with what it is made.
func (b *suite) section() (report.Section, error) {
	sync, err := fsync(b.dir)
	if err != nil {
		return report.Section{}, err
	}
	version, err := exec.Command("git", "describe", "--tags", "--always", "--dirty").Output()
	if err != nil {
		version = []byte("of unknown version") // built from an archive
	}
	return report.Section{
		Measured: time.Now().UTC().Format("2006-01-02 15:04 MST"), Rounds: b.rounds,
		Machine: report.Machine{
			Version: strings.TrimSpace(string(version)), Go: runtime.Version(), System: system(), Fsync: sync.Round(10 * time.Microsecond).String(),
			Processor: fmt.Sprintf("%d × %s", runtime.NumCPU(), field("/proc/cpuinfo", "model name", ":")), Memory: memory(),
		},
	}, nil
}

// system names the operating system.
func system() string {
	name := strings.Trim(field("/etc/os-release", "PRETTY_NAME", "="), `"`)
	return name + " " + runtime.GOOS + "/" + runtime.GOARCH
}

// memory is how much the machine has.
func memory() string {
	var kilobytes int64
	if _, err := fmt.Sscanf(field("/proc/meminfo", "MemTotal", ":"), "%d kB", &kilobytes); err != nil {
		return "an unknown amount"
	}
	return fmt.Sprintf("%.0f GB", float64(kilobytes)*1024/1e9)
}

// field is the value after the first line's name in a file of the system; "unknown" without one.
func field(path, name, separator string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, separator); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
