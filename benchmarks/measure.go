package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/sqlsentinel/sqlsentinel/benchmarks/report"
)

// sample is what one process cost.
type sample struct {
	wall, cpu time.Duration
	rss       int64  // peak, in bytes
	file      int64  // of its state, in bytes, where that is looked at
	output    string // what it printed
}

// measure runs a command to its end. An exit code other than 0 is an error, beside which the
// sample counts all the same.
func (b *suite) measure(dir string, name string, args ...string) (s sample, err error) {
	from, to, err := os.Pipe()
	if err != nil {
		return s, fmt.Errorf("measure %s: %w", name, err)
	}
	defer func() { _ = from.Close() }()
	cmd := exec.Command(b.usage, append([]string{name}, args...)...)
	cmd.Dir, cmd.ExtraFiles = dir, []*os.File{to}
	out, failed := cmd.CombinedOutput()
	if failed != nil {
		failed = fmt.Errorf("%s %v: %w: %s", name, args, failed, out)
	}
	if err := to.Close(); err != nil {
		return s, fmt.Errorf("measure %s: %w", name, err)
	}
	var cost struct{ Wall, CPU, RSS int64 }
	if err := json.NewDecoder(from).Decode(&cost); err != nil {
		return s, fmt.Errorf("measure %s: %w", name, errors.Join(failed, err))
	}
	return sample{wall: time.Duration(cost.Wall), cpu: time.Duration(cost.CPU), rss: cost.RSS, output: string(out)}, failed
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

// atMost holds a measure to a limit.
func atMost[T ~int64 | ~float64](b *suite, what, shown string, value, limit T, limitShown string) {
	b.bar(what, shown, float64(value) <= float64(limit)*b.slack, "≤ "+limitShown)
}

// atLeast holds a measure to a limit from below.
func atLeast(b *suite, what, shown string, value, limit float64, limitShown string) {
	b.bar(what, shown, value >= limit/b.slack, "≥ "+limitShown)
}

// bar prints one line and notes whether the bar is met.
func (b *suite) bar(what, measured string, met bool, limit string) {
	verdict := "ok"
	if !met {
		verdict, b.missed = "MISSED", true
	}
	b.now.Bars = append(b.now.Bars, report.Bar{What: what, Measured: measured, Limit: limit, Met: met})
	if b.slack > 1 {
		limit += fmt.Sprintf(", slack %g ×", b.slack)
	}
	fmt.Fprintf(os.Stdout, "%-58s %-34s bar %-10s %s\n", what, measured, limit, verdict)
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
