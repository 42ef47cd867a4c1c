// Command benchmarks measures what SQL Sentinel costs beyond the queries themselves, as
// ratios against floors that run in turn with it: a raw serial loop of the same queries
// through the same drivers, a bare loop of POSTs, the run of the same file. It measures how costs grow
// with the number of alerts, and other programs beside SQL Sentinel. It builds the binary, makes its own data in a
// temporary folder, prints a line for each bar, and exits 1 if one is missed.
//
// What it measures it keeps in docs/performance/results.json, section by section, and makes
// docs/performance.md and its charts of that file.
//
//	go run ./benchmarks                  all sections; make bench installs the other programs before
//	go run ./benchmarks -only scale      one section
//	go run ./benchmarks -render          the page again, from what was measured before
//	go run ./benchmarks -rounds 1 -quick a tenth of the alerts and five times the bars, and no page
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/sqlsentinel/sqlsentinel/benchmarks/report"
)

func main() {
	rounds := flag.Int("rounds", 5, "measured rounds; the median counts")
	quick := flag.Bool("quick", false, "a tenth of the alerts, five times the bars, and only what takes seconds; keeps no results")
	only := flag.String("only", "", "one section: "+strings.Join(report.Names(), ", "))
	render := flag.Bool("render", false, "measure nothing; make the page of the results")
	floor := flag.String("floor", "", "internal: run as the serial floor on this database")
	queries := flag.String("queries", "", "internal: the floor's queries, one a line")
	flag.Parse()
	switch {
	case *floor != "":
		exitOn(runFloor(*floor, *queries))
	case *render:
		exitOn(write())
	default:
		missed, err := bench(*rounds, *quick, *only)
		exitOn(err)
		if missed {
			fmt.Fprintln(os.Stderr, "benchmarks: a bar is missed")
			os.Exit(1)
		}
	}
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(2)
	}
}

// bench measures, and reports whether a bar was missed.
func bench(rounds int, quick bool, only string) (missed bool, err error) {
	if only != "" && !slices.Contains(report.Names(), only) {
		return false, fmt.Errorf("there is no section %q; the sections are %s", only, strings.Join(report.Names(), ", "))
	}
	if only == "" && !quick {
		return each(rounds)
	}
	dir, err := os.MkdirTemp("", "sqlsentinel-bench-")
	if err != nil {
		return false, fmt.Errorf("make a folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &suite{dir: dir, rounds: rounds, scale: 1, slack: 1, binary: filepath.Join(dir, "sqlsentinel"), usage: filepath.Join(dir, "usage")}
	if quick {
		b.scale, b.slack = 10, 5
	}
	if err := b.prepare(); err != nil {
		return false, err
	}
	defer b.close()
	fmt.Printf("%s, %d CPUs, %s/%s, medians of %d rounds\n\n", runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, rounds)
	for _, name := range report.Names() {
		switch {
		case only != "" && only != name:
		case only == "" && (name == "soak" || name == "others"): // a soak takes minutes, the others are to be installed
			fmt.Printf("%s is not part of -quick; measure it with -only %s\n", name, name)
		default:
			if err := b.measureSection(name, !quick); err != nil {
				return false, fmt.Errorf("section %s: %w", name, err)
			}
		}
	}
	if !quick {
		return b.missed, write()
	}
	return b.missed, nil
}

// each measures every section in a process of its own, as -only does.
func each(rounds int) (missed bool, err error) {
	for _, name := range report.Names() {
		fmt.Printf("== %s: ", name)
		switch code, err := again("-only", name, "-rounds", fmt.Sprint(rounds)); {
		case err != nil:
			return false, err
		case code == 1:
			missed = true
		case code != 0:
			return false, fmt.Errorf("section %s ended with exit code %d", name, code)
		}
	}
	return missed, nil
}

// measureSection runs the steps of a section, and keeps what they measured.
func (b *suite) measureSection(name string, keep bool) (err error) {
	began := time.Now()
	if b.now, err = b.section(); err != nil {
		return err
	}
	for _, step := range b.steps(name) {
		if err := step(); err != nil {
			return err
		}
	}
	b.now.Seconds = time.Since(began).Round(time.Second).Seconds()
	if !keep {
		return nil
	}
	return report.Merge(resultsFile, name, b.now)
}

func (b *suite) steps(name string) []func() error {
	return map[string][]func() error{
		"run":        {b.steadySQLite, b.steadyPostgres, b.overhead, b.validate, b.start},
		"scale":      {b.curves},
		"others":     {b.others},
		"deliveries": {b.deliveries},
		"soak":       {b.soak},
		"idle":       {b.idle},
		"functions":  {b.functions},
	}[name]
}
