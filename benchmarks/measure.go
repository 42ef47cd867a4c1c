package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// sample is what one process cost.
type sample struct {
	wall, cpu time.Duration
	rss       int64 // peak, in bytes
}

// measure runs a command to its end. A process may exit 1 (a run with errors) only if
// allowed; this benchmark has none.
func measure(dir string, name string, args ...string) (sample, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return sample{}, fmt.Errorf("%s %v: %w: %s", name, args, err, stderr.String())
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return sample{}, fmt.Errorf("no resource usage of %s", name)
	}
	return sample{
		wall: time.Since(start), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), rss: usage.Maxrss * 1024,
	}, nil
}

// inTurn runs the commands one after the other, round by round, after a round that does
// not count, so that a drift of the machine's speed meets them all alike.
func (b *suite) inTurn(commands ...func() (sample, error)) ([][]sample, error) {
	out := make([][]sample, len(commands))
	for round := range b.rounds + 1 {
		for i, run := range commands {
			s, err := run()
			if err != nil {
				return nil, err
			}
			if round > 0 {
				out[i] = append(out[i], s)
			}
		}
	}
	return out, nil
}

func median[T int64 | float64 | time.Duration](values []T) T {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}

func walls(samples []sample) []time.Duration {
	out := make([]time.Duration, len(samples))
	for i, s := range samples {
		out[i] = s.wall
	}
	return out
}

// ratios are pair by pair: ours against the floor of the same round.
func ratios(ours, floor []sample) []float64 {
	out := make([]float64, len(ours))
	for i := range ours {
		out[i] = float64(ours[i].wall) / float64(floor[i].wall)
	}
	return out
}

func peak(samples []sample) int64 {
	var out []int64
	for _, s := range samples {
		out = append(out, s.rss)
	}
	return median(out)
}

// bar prints one line and notes whether the bar is met.
func (b *suite) bar(what, measured string, met bool, limit string) {
	verdict := "ok"
	if !met {
		verdict, b.failed = "MISSED", true
	}
	fmt.Fprintf(os.Stdout, "%-58s %-34s bar %-10s %s\n", what, measured, limit, verdict)
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
