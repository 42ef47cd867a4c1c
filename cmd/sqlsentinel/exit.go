package main

import (
	"context"
	"errors"
	"fmt"
)

// The exit codes.
const (
	exitFailed      = 1   // it failed, a run is ERROR, a delivery is dead
	exitUsage       = 2   // wrong usage, an unknown name, an invalid file
	exitAlert       = 3   // an alert, under --fail-on-alert
	exitInterrupted = 130 // a signal ended it
)

// errInterrupted is the cause of a context that a signal ended.
var errInterrupted = errors.New("interrupted")

// A failure is an error with an exit code of its own. Without err, what is wrong has been
// said already.
type failure struct {
	code int
	err  error
}

// Error returns the message.
func (f *failure) Error() string {
	if f.err == nil {
		return fmt.Sprintf("exit code %d", f.code)
	}
	return f.err.Error()
}

// Unwrap returns the cause.
func (f *failure) Unwrap() error { return f.err }

// usagef is an error of how the program was called.
func usagef(format string, args ...any) error {
	return &failure{exitUsage, fmt.Errorf(format, args...)}
}

// exit ends the program with a code; what is wrong has been said already. Zero is no error.
func exit(code int) error {
	if code == 0 {
		return nil
	}
	return &failure{code: code}
}

// finish prints the error that a command ended with, and gives its exit code.
func (a *app) finish(ctx context.Context, err error) int {
	var f *failure
	known := errors.As(err, &f)
	interrupted := errors.Is(context.Cause(ctx), errInterrupted)
	expected := interrupted && (errors.Is(err, errInterrupted) || errors.Is(err, context.Canceled))
	if err != nil && (!known || f.err != nil) && !expected {
		a.say("sqlsentinel: %v", err)
	}
	switch {
	case interrupted && err != nil:
		return exitInterrupted
	case err == nil:
		return 0
	case known:
		return f.code
	case !a.started: // cobra found the command line wrong
		return exitUsage
	}
	return exitFailed
}
