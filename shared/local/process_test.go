package local_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/local"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// The test binary is also the other process: with a role in its environment it plays that
// instead of running tests.
const roleVariable = "SENTINEL_LOCAL_TEST_ROLE"

// roles are what another process can do with the state file.
var roles = map[string]func(path string) error{
	"hold": hold, "write": writeForever, "share": share, "hammer": hammer, "open": openOnly, "read": readOnly,
}

func TestMain(m *testing.M) {
	role, ok := roles[os.Getenv(roleVariable)]
	if !ok {
		os.Exit(m.Run())
	}
	if err := role(os.Args[len(os.Args)-1]); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

// A child is another process with a role.
type child struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func start(t *testing.T, role, path string, tune ...func(*exec.Cmd)) *child {
	t.Helper()
	c := &child{Cmd: exec.Command(os.Args[0], path)}
	c.Env = append(os.Environ(), roleVariable+"="+role)
	c.Stderr = os.Stderr
	for _, f := range tune {
		f(c.Cmd)
	}
	var err error
	c.in, err = c.StdinPipe()
	require.NoError(t, err)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	c.out = bufio.NewReader(out)
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	return c
}

// line is the next line that the child prints; empty when it ended.
func (c *child) line() string {
	text, _ := c.out.ReadString('\n')
	return strings.TrimSpace(text)
}

// hold takes the write lock until its input ends.
func hold(path string) error {
	ctx := context.Background()
	db, err := sql.Open("sqlite", rawDSN(path))
	if err != nil {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	fmt.Println("locked")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		return err
	}
	return errors.Join(conn.Close(), db.Close())
}

func rawDSN(path string) string {
	return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: "mode=rw"}).String()
}

// writeForever commits a run after the other and prints the number of each that is durable.
func writeForever(path string) error {
	s, err := local.Open(context.Background(), local.Options{Path: path})
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		if err := commitRun(s, "killed", n); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// commitRun commits the nth run of an alert, with a delivery.
func commitRun(s *local.Store, name string, n int) error {
	ctx := context.Background()
	id := alert.ID{Scope: "test", Name: name}
	at := noon.Add(time.Duration(n) * time.Minute)
	states, err := s.States(ctx, "test")
	if err != nil {
		return err
	}
	commit := steady(sentinel.Snapshot{Definition: sentinel.Definition{Alert: alert.Alert{Scope: "test", Name: name}}, State: states[name]}, at)
	delivery := alert.Delivery{ID: fmt.Sprintf("dlv_%s_%d", name, n), Scope: "test", Alert: name, CreatedAt: at, DueAt: at, Status: alert.Pending, Try: 1}
	commit.ID, commit.Deliveries = id, []alert.Delivery{delivery}
	return s.Commit(ctx, commit)
}

// share raises a counter that all processes share and runs an alert of its own, until its
// input ends. It prints "sharing" once it did, and at the end how often.
func share(path string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	s, err := local.Open(ctx, local.Options{Path: path})
	if err != nil {
		return err
	}
	n := 0
	for ; ctx.Err() == nil; n++ {
		if err := raise(s); err != nil {
			return fmt.Errorf("raise: %w", err)
		}
		if err := commitRun(s, strconv.Itoa(os.Getpid()), n); err != nil {
			return fmt.Errorf("run: %w", err)
		}
		if n == 0 {
			fmt.Println("sharing")
		}
	}
	fmt.Println(n)
	return s.Close()
}

// hammer commits as fast as a crowd can, so that its writer is never idle.
func hammer(path string) error {
	s, err := local.Open(context.Background(), local.Options{Path: path})
	if err != nil {
		return err
	}
	failed := make(chan error)
	for worker := range 64 {
		go func() {
			id := alert.ID{Scope: "hammer", Name: strconv.Itoa(worker)}
			for n := 0; ; n++ {
				record := alert.Record{RunID: fmt.Sprintf("run_%d_%d", worker, n), Scope: id.Scope, Alert: id.Name, Scheduled: noon.Add(time.Duration(n))}
				if err := s.Commit(context.Background(), sentinel.Commit{ID: id, Record: &record}); err != nil {
					failed <- err
				}
				if worker == 0 && n == 100 {
					fmt.Println("hammering")
				}
			}
		}()
	}
	return <-failed
}

// raise adds one to the shared counter, deciding again after each conflict.
func raise(s *local.Store) error {
	ctx := context.Background()
	for {
		states, err := s.States(ctx, "shared")
		if err != nil {
			return err
		}
		state := states["counter"]
		state.Escalations++
		err = s.Commit(ctx, sentinel.Commit{ID: alert.ID{Scope: "shared", Name: "counter"}, State: &state})
		if !errors.Is(err, sentinel.ErrConflict) {
			return err
		}
	}
}

// openOnly opens the state for everything and prints what came of it.
func openOnly(path string) error { return report(local.Options{Path: path}) }

// readOnly opens the state for reading and prints what it has.
func readOnly(path string) error { return report(local.Options{Path: path, ReadOnly: true}) }

func report(o local.Options) error {
	s, err := local.Open(context.Background(), o)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("missing: %w", err)
	}
	if err != nil {
		return err
	}
	states, err := s.States(context.Background(), "test")
	if err != nil {
		return err
	}
	fmt.Println(len(states), "states")
	return s.Close()
}

// must skips what this machine cannot do; under CI nothing is skipped.
func must(t *testing.T, can bool, what string) {
	t.Helper()
	if can {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("CANNOT TEST: %s", what)
	}
	t.Skipf("NOT TESTED: %s", what)
}
