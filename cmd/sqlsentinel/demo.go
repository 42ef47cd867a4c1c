package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

func (a *app) demoCommand() *cobra.Command {
	var keep string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Play a story: real alerts on a sample shop, messages on loopback",
		Long: `demo makes a sample shop in SQLite, starts a mail server and an HTTP receiver on loopback, and
plays an hour of alerts on them: the real queries, decisions, state and messages, only the clock
is moved. It reaches no other network, and leaves no files unless --keep names a folder for them.`,
		Example: `  sqlsentinel demo
  sqlsentinel demo --keep shop && sqlsentinel status shop/alerts.yaml`,
		Args: between(0, 0, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error { return a.demo(c.Context(), keep) },
	}
	c.Flags().StringVar(&keep, "keep", "", "keep the alert file, the shop and the state in this folder, which must be new or empty")
	return c
}

// demo plays the story in a folder that is removed afterwards, or kept.
func (a *app) demo(ctx context.Context, keep string) (err error) {
	defer outlivePipe()()
	defer func() {
		if errors.Is(err, syscall.EPIPE) {
			err = nil // who reads has seen enough
		}
	}()
	dir, cleanUp, err := demoFolder(keep)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanUp()) }()
	w, err := a.openDemo(ctx, dir)
	if err != nil {
		return err
	}
	explained, err := w.play(ctx)
	if err = errors.Join(err, w.close()); err != nil {
		return err
	}
	return w.epilogue(ctx, explained, keep)
}

// outlivePipe makes writing to a pipe that nobody reads an error, not the end of the
// process, which would leave the demo's files behind. It returns what undoes it.
func outlivePipe() func() {
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	return func() { signal.Stop(broken) }
}

// demoFolder makes the folder of the demo; cleanUp removes what shall not stay.
func demoFolder(keep string) (dir string, cleanUp func() error, err error) {
	if keep == "" {
		dir, err = os.MkdirTemp("", "sqlsentinel-demo-")
		if err != nil {
			return "", nil, fmt.Errorf("make a folder for the demo: %w", err)
		}
		return dir, func() error { return os.RemoveAll(dir) }, nil
	}
	if err := os.MkdirAll(keep, 0o750); err != nil {
		return "", nil, fmt.Errorf("make a folder for the demo: %w", err)
	}
	entries, err := os.ReadDir(keep)
	if err != nil {
		return "", nil, fmt.Errorf("look into the folder for the demo: %w", err)
	}
	if len(entries) > 0 {
		return "", nil, usagef("--keep %s: the folder is not empty, and nothing in it is overwritten; name a new one", keep)
	}
	return keep, func() error { return nil }, nil
}

// play plays every tick and returns the id of the run to be explained.
func (w *demoWorld) play(ctx context.Context) (explained string, err error) {
	w.prologue()
	for n, tick := range demoStory() {
		at := w.start.Add(demoStep * clockSteps(n))
		w.clock.set(at)
		w.print.tick(at, tick)
		if err := w.change(ctx, tick); err != nil {
			return "", err
		}
		run, err := w.tick(ctx)
		if err != nil {
			return "", err
		}
		if n == demoExplained {
			explained = run
		}
	}
	return explained, w.print.err
}

// tick evaluates every alert, delivers, and prints what came of it. It returns the id of
// the run of demoRevenue.
func (w *demoWorld) tick(ctx context.Context) (revenue string, err error) {
	for _, x := range w.session.file.Alerts {
		evaluation, err := w.engine.Evaluate(ctx, x.ID(), w.clock.now())
		if err != nil {
			return "", err
		}
		w.print.run(evaluation)
		if x.Name == demoRevenue {
			revenue = evaluation.Record.RunID
		}
	}
	if err := w.engine.Drain(ctx, sentinel.DrainOptions{Scope: w.session.file.Scope}); err != nil {
		return "", fmt.Errorf("deliver the demo's messages: %w", err)
	}
	return revenue, w.printMessages()
}

// printMessages prints what the receivers got since the last tick.
func (w *demoWorld) printMessages() error {
	all := w.mail.Messages()
	for _, received := range all[w.mailRead:] {
		m, err := readMail(received.Data)
		if err != nil {
			return err
		}
		w.print.mail(m)
	}
	w.mailRead = len(all)
	for _, r := range w.receiver.take() {
		if r.path != demoSlackPath {
			w.print.webhook(r)
			continue
		}
		if err := w.print.slack(r); err != nil {
			return err
		}
	}
	return nil
}

func (w *demoWorld) prologue() {
	w.print.line("A shop in SQLite, four alerts on it, a mail server and an HTTP receiver on loopback. Every ten minutes")
	w.print.line("each alert runs: the query, the decision, the state and the messages are real, only the clock is moved.")
	w.print.line("Each line says what the query found and, as a code, why somebody is told or not. Times are UTC. The first alert is:")
	w.print.line("")
	for _, line := range w.firstAlert() {
		w.print.line("  %s", line)
	}
}

// epilogue explains one run by the command of that name, and says what to try next.
func (w *demoWorld) epilogue(ctx context.Context, run, keep string) error {
	w.print.line("\n$ sqlsentinel explain %s %s", demoConfig, run)
	if w.print.err != nil {
		return w.print.err
	}
	if err := w.session.execute(ctx, []string{"explain", w.session.file.Path, run}); err != nil {
		return fmt.Errorf("explain a run of the demo: %w", err)
	}
	w.next(keep)
	return w.print.err
}

// next says what to try next.
func (w *demoWorld) next(keep string) {
	tips := [][2]string{{"sqlsentinel demo --keep shop", "keep the alert file, the shop and the state, to look around"}}
	if keep != "" {
		path := filepath.Join(keep, demoConfig)
		tips = [][2]string{
			{"sqlsentinel status " + path, "what is"},
			{"sqlsentinel history " + path, "what was"},
			{"sqlsentinel deliveries list " + path, "what happened to each message"},
		}
	}
	tips = append(tips, [2]string{"sqlsentinel init && sqlsentinel validate && sqlsentinel run", "alerts of your own"})
	width := 0
	for _, tip := range tips {
		width = max(width, len(tip[0]))
	}
	w.print.line("\nWhat to try next (`make build` puts the program into bin):")
	for _, tip := range tips {
		w.print.line("  %-*s  %s", width, tip[0], tip[1])
	}
	if keep != "" {
		w.print.line("The mail server and the HTTP receiver have ended with the demo: nobody receives messages any more.")
	}
}
