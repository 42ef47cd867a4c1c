package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// sizes are the numbers of alerts of the curves.
func (b *suite) sizes() []int {
	all := []int{10, 100, 1000, 10_000, 100_000}
	if b.scale > 1 {
		return all[:3]
	}
	return all
}

// curves measures how the costs of one machine grow with the number of alerts, each of which
// looks one order up. From 10,000 alerts on everything is measured once.
func (b *suite) curves() error {
	b.now.Rounds = min(b.rounds, 3)
	for _, n := range b.sizes() {
		rounds := b.now.Rounds
		if n >= 10_000 {
			rounds = 1
		}
		dir := filepath.Join(b.dir, fmt.Sprintf("scale-%d", n))
		config, _, err := alertFile(dir, "sqlite:///"+filepath.Join(b.dir, "orders.db"), "", n, 4, lookupQuery)
		if err != nil {
			return err
		}
		if err := b.commands(config, n, rounds); err != nil {
			return err
		}
		if err := b.starts(config, n, rounds); err != nil {
			return err
		}
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("clean up: %w", err)
		}
	}
	return b.linear()
}

// commands measures what people and cron call.
func (b *suite) commands(config string, n, rounds int) error {
	taken := map[string][]sample{}
	for range rounds {
		state := filepath.Join(filepath.Dir(config), "sqlsentinel.db")
		if err := forget(state); err != nil {
			return err
		}
		for _, step := range []struct{ name, command string }{{"validate", "validate"}, {"run, first", "run"}, {"run, again", "run"}, {"status", "status"}} {
			s, err := b.measure(b.dir, b.binary, step.command, config, "--no-env-file")
			if err != nil {
				return err
			}
			if step.command == "run" {
				if s.file, err = sizeOf(state); err != nil {
					return err
				}
			}
			taken[step.name] = append(taken[step.name], s)
		}
	}
	for _, name := range []string{"validate", "run, first", "run, again", "status"} {
		b.noteCost(name, n, taken[name])
		if file := taken[name][0].file; file > 0 {
			b.now.Add("file", "after "+name, "MB", n, float64(file)/1e6)
		}
	}
	return nil
}

// noteCost notes the medians of time and memory.
func (b *suite) noteCost(name string, n int, samples []sample) {
	wall, rss := median(walls(samples)), peak(samples)
	b.now.Add("time", name, "s", n, wall.Seconds())
	b.now.Add("memory", name, "MB", n, float64(rss)/1e6)
	fmt.Printf("%8d alerts  %-26s %10v  %10s\n", n, name, wall.Round(time.Millisecond), megabytes(rss))
}

// starts measures from the start of a daemon until it has read its file, made its definitions
// and begun its schedules: with a state file that is new, and with one that has them.
func (b *suite) starts(config string, n, rounds int) error {
	config, err := rarely(config)
	if err != nil {
		return err
	}
	taken := map[string][]sample{}
	for range rounds {
		if err := forget(filepath.Join(filepath.Dir(config), "sqlsentinel.db")); err != nil {
			return err
		}
		for _, name := range []string{"daemon start, first", "daemon start, unchanged"} {
			began := time.Now()
			daemon, err := b.daemon(config)
			if err != nil {
				return err
			}
			if err := daemon.started(); err != nil {
				return err
			}
			wall := time.Since(began)
			rss, err := daemon.stop()
			if err != nil {
				return err
			}
			taken[name] = append(taken[name], sample{wall: wall, rss: rss})
		}
	}
	for _, name := range []string{"daemon start, first", "daemon start, unchanged"} {
		b.noteCost(name, n, taken[name])
	}
	return nil
}

// linear holds the curves to growing no faster than the number of alerts, with a half more
// allowed: of each table, the steepest.
func (b *suite) linear() error {
	sizes := b.sizes()
	large, small := sizes[len(sizes)-1], sizes[len(sizes)-2]
	for _, table := range []string{"time", "memory", "file"} {
		steepest, name := 0.0, ""
		for _, c := range b.now.Curves {
			if c.Table != table {
				continue
			}
			last := len(c.Points) - 1
			if last < 1 || c.Points[last].Alerts != large || c.Points[last-1].Alerts != small {
				return fmt.Errorf("the curve %s of %s is not complete", c.Name, c.Table)
			}
			if ratio := c.Points[last].Value / c.Points[last-1].Value / float64(large/small); ratio > steepest {
				steepest, name = ratio, c.Name
			}
		}
		atMost(b, fmt.Sprintf("%s: steepest growth from %d to %d alerts", table, small, large), fmt.Sprintf("%.2f × linear (%s)", steepest, name), steepest, 1.5, "1.5 ×")
	}
	return nil
}

// forget removes a state file and what SQLite keeps beside it.
func forget(state string) error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(state + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the state file: %w", err)
		}
	}
	return nil
}

// sizeOf is what a state file takes on the disk.
func sizeOf(state string) (int64, error) {
	var all int64
	for _, suffix := range []string{"", "-wal"} {
		switch info, err := os.Stat(state + suffix); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return 0, fmt.Errorf("look at the state file: %w", err)
		default:
			all += info.Size()
		}
	}
	return all, nil
}
