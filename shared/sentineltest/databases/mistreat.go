package databases

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// OwnPostgres starts a PostgreSQL that no other test uses, so that it can be ended and
// frozen. It stops when the test ends.
func OwnPostgres(t testing.TB) *Server {
	t.Helper()
	s, err := startPostgres()
	switch {
	case errors.Is(err, ErrNotInstalled) && os.Getenv("CI") != "true":
		t.Skipf("SKIPPED, NOT TESTED: PostgreSQL: %v", err)
	case err != nil:
		t.Fatalf("start a PostgreSQL: %v", err)
	}
	t.Cleanup(s.Stop)
	return s
}

// Restart ends a server of OwnPostgres and starts it again at the same address. SIGINT is
// PostgreSQL's fast shutdown, SIGQUIT its immediate one, after which it recovers.
func (s *Server) Restart(by syscall.Signal, between func()) error {
	s.process.Stop(by)
	between()
	if err := s.again(); err != nil {
		return fmt.Errorf("start the server again: %w", err)
	}
	return nil
}

// Freeze stops the processes of a server of OwnPostgres where they stand, as if its machine
// hung: connections stay open, and new ones are taken by the kernel. It works on Linux. The
// function that it returns lets them go on.
func (s *Server) Freeze() (thaw func() error, err error) {
	pids, err := family(s.process.Pid())
	if err != nil {
		return nil, err
	}
	signal := func(what syscall.Signal) error {
		var all []error
		for _, pid := range pids {
			if err := syscall.Kill(pid, what); err != nil && !errors.Is(err, syscall.ESRCH) {
				all = append(all, fmt.Errorf("signal process %d: %w", pid, err))
			}
		}
		return errors.Join(all...)
	}
	return func() error { return signal(syscall.SIGCONT) }, signal(syscall.SIGSTOP)
}

// family is a process and its children.
func family(parent int) ([]int, error) {
	pids := []int{parent}
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		// "pid (name) state ppid …"; the name may hold anything.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		pid, pidErr := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if len(fields) > 1 && fields[1] == strconv.Itoa(parent) && pidErr == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
