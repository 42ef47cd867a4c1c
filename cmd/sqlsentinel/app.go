package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/local/daemon"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// An app is one invocation of the program.
type app struct {
	in        io.Reader
	out, errs io.Writer
	env       func(name string) (string, bool)
	now       func() time.Time
	// terminal gives the width of the terminal that a writer is, in columns; false for
	// what is no terminal.
	terminal func(io.Writer) (width int, ok bool)
	started  bool // the command line is right and the command runs
	flags    flags
	secrets  atomic.Pointer[alert.Secrets] // known once the file is loaded; the daemon loads it again
	log      *slog.Logger
	saying   sync.Mutex // one message at a time
	// wire may change what the engine is made of before it is; tests that kill use it.
	wire func(*sentinel.Options)
	// clock is the daemon's; nil means this machine's. Tests have a faster one.
	clock daemon.Clock
}

// flags are those that several commands share.
type flags struct {
	json      bool
	state     string
	envFile   string
	noEnvFile bool
	alerts    []string
}

func newApp(in io.Reader, out, errs io.Writer, env func(string) (string, bool)) *app {
	a := &app{in: in, out: out, errs: errs, env: env, now: time.Now, terminal: terminalWidth}
	a.log = slog.New(slog.DiscardHandler)
	return a
}

// terminalWidth is how wide the terminal behind w is.
func terminalWidth(w io.Writer) (int, bool) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 20 {
		width = 80
	}
	return width, true
}

// variable is an environment variable; one that is empty counts as not set.
func (a *app) variable(name string) string {
	value, _ := a.env(name)
	return value
}

// say prints a message for people to stderr, without secrets and control characters.
func (a *app) say(format string, args ...any) {
	text := strings.ReplaceAll(a.secrets.Load().Clean(fmt.Sprintf(format, args...)), "\t", "  ")
	a.saying.Lock()
	defer a.saying.Unlock()
	_, _ = fmt.Fprintln(a.errs, printableLines(text)) // who reads stderr may be gone
}

// warn tells of an error that fails nothing; none is nothing to tell.
func (a *app) warn(what string, err error) {
	if err != nil {
		a.say("sqlsentinel: warning: %s: %v", what, err)
	}
}

// print writes a line of a result to stdout, without control characters.
func (a *app) print(format string, args ...any) error {
	return a.write(printableLines(a.secrets.Load().Clean(fmt.Sprintf(format, args...))) + "\n")
}

// write writes text to stdout as it is.
func (a *app) write(text string) error {
	if _, err := io.WriteString(a.out, text); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}
