// Command benchmarks measures what SQL Sentinel costs beyond the queries themselves, as
// ratios against floors that run in turn with it: a raw serial loop of the same queries
// through the same drivers, a bare loop of POSTs, the run of the same file. It builds the binary, makes its own data in a temporary
// folder, prints a table and exits 1 if a bar is missed.
//
//	go run ./benchmarks                  SQLite, and PostgreSQL if it is installed
//	go run ./benchmarks -rounds 3 -quick a tenth of the alerts, to see that it works
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

func main() {
	rounds := flag.Int("rounds", 5, "measured rounds; the median counts")
	quick := flag.Bool("quick", false, "a tenth of the alerts and no bars")
	only := flag.String("only", "", "one group: run, functions, deliveries, idle or soak")
	floor := flag.String("floor", "", "internal: run as the serial floor on this database")
	queries := flag.String("queries", "", "internal: the floor's queries, one a line")
	flag.Parse()
	if *floor != "" {
		exitOn(runFloor(*floor, *queries))
		return
	}
	failed, err := bench(*rounds, *quick, *only)
	exitOn(err)
	if failed && !*quick {
		os.Exit(1)
	}
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(2)
	}
}

// bench runs every comparison and reports whether a bar was missed.
func bench(rounds int, quick bool, only string) (failed bool, err error) {
	dir, err := os.MkdirTemp("", "sqlsentinel-bench-")
	if err != nil {
		return false, fmt.Errorf("make a folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &suite{dir: dir, rounds: rounds, scale: 1, binary: filepath.Join(dir, "sqlsentinel")}
	if quick {
		b.scale = 10
	}
	if err := b.prepare(); err != nil {
		return false, err
	}
	defer b.close()
	fmt.Printf("%s, %d CPUs, %s/%s, medians of %d rounds\n\n", runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, rounds)
	for _, group := range []struct {
		name  string
		steps []func() error
	}{
		{"run", []func() error{b.steadySQLite, b.steadyPostgres, b.overhead, b.validate, b.start}},
		{"functions", []func() error{b.functions}},
		{"deliveries", []func() error{b.deliveries}},
		{"idle", []func() error{b.idle}},
		{"soak", []func() error{b.soak}},
	} {
		for _, step := range group.steps {
			if only != "" && only != group.name {
				continue
			}
			if err := step(); err != nil {
				return false, err
			}
		}
	}
	return b.failed, nil
}
