package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// execSQLite runs SQL on a database file, which it creates.
func execSQLite(path, text string) error {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(30000)")
	if err != nil {
		return err
	}
	_, err = db.Exec(text)
	return errors.Join(err, db.Close())
}

// a cli calls the program in its own process: with a clock, a terminal, and variables.
type cli struct {
	dir   string
	now   func() time.Time
	width int // of the terminal that stdout and stderr are; zero: they are none
	env   map[string]string
}

// newCLI makes a folder with an alert file and a database file beside it.
func newCLI(t *testing.T, alerts string) *cli {
	t.Helper()
	c := &cli{dir: t.TempDir(), now: time.Now, env: map[string]string{}}
	require.NoError(t, execSQLite(filepath.Join(c.dir, "shop.db"), "CREATE TABLE t (v INT)"))
	c.write(t, alerts)
	return c
}

func (c *cli) config() string { return filepath.Join(c.dir, "alerts.yaml") }

func (c *cli) write(t *testing.T, alerts string) {
	t.Helper()
	require.NoError(t, os.WriteFile(c.config(), []byte("database: {url: \"sqlite:///shop.db\"}\n"+alerts), 0o600))
}

// call runs a command with the alert file as its CONFIG.
func (c *cli) call(ctx context.Context, command string, args ...string) (code int, out, errs string) {
	var stdout, stderr bytes.Buffer
	a := newApp(strings.NewReader(""), &stdout, &stderr, func(name string) (string, bool) {
		value, ok := c.env[name]
		return value, ok
	})
	a.now = c.now
	a.terminal = func(io.Writer) (int, bool) { return c.width, c.width > 0 }
	words := append(strings.Fields(command), c.config())
	err := a.execute(ctx, append(words, args...))
	code = a.finish(ctx, err)
	return code, stdout.String(), stderr.String()
}

// lock holds the write lock of a database until it is released.
func lock(t *testing.T, path string) (release func()) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(30000)")
	require.NoError(t, err)
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	_, err = conn.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	require.NoError(t, err)
	return func() {
		_, err := conn.ExecContext(t.Context(), "ROLLBACK")
		require.NoError(t, errors.Join(err, conn.Close(), db.Close()))
	}
}
