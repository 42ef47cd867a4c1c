// Command sqlsentinel turns SQL into alerts on one machine: it reads an alert file,
// evaluates its queries, remembers what they said in one SQLite file and delivers messages.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // time zones are known on machines that have none
)

// version is set by the linker; empty means that the build's own information is shown.
var version string

func main() { os.Exit(program()) }

// program runs the command line of this process. The first signal interrupts: what was
// begun is finished. The second one ends the process at once.
func program() int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	stopOnSignal(cancel)
	return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.LookupEnv)
}

// stopOnSignal cancels at the first signal, and ends the process at the second.
func stopOnSignal(cancel context.CancelCauseFunc) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel(errInterrupted)
		<-signals
		os.Exit(exitInterrupted)
	}()
}

// run executes one command line and returns the exit code. env looks up environment
// variables.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer, env func(string) (string, bool)) int {
	a := newApp(in, out, errs, env)
	err := a.execute(ctx, args)
	return a.finish(ctx, err)
}
