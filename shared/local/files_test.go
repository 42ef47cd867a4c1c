package local_test

import (
	"context"
	"database/sql"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/local"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

func TestANewFileIsForItsOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "100% odd ?name#.db")
	s := open(t, local.Options{Path: path})
	require.NoError(t, commitRun(s, "a", 0))
	files, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, files, 3, "the file, its log and its index")
	for _, file := range files {
		info, err := file.Info()
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode(), file.Name())
	}
}

func TestARelativePathIsFound(t *testing.T) {
	t.Chdir(t.TempDir())
	open(t, local.Options{Path: "state.db"})
	require.FileExists(t, "state.db")
}

func TestAPathIsRequired(t *testing.T) {
	_, err := local.Open(t.Context(), local.Options{})
	require.ErrorContains(t, err, "path is required")
}

func TestAMissingFileIsNotCreatedForReading(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	_, err := local.Open(t.Context(), local.Options{Path: path, ReadOnly: true})
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoFileExists(t, path)
}

func TestAnEmptyFileIsNoStateForReadingAndANewOneForWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err := local.Open(t.Context(), local.Options{Path: path, ReadOnly: true})
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, commitRun(open(t, local.Options{Path: path}), "a", 0))
}

func TestAFolderThatIsMissingIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nowhere", "state.db")
	_, err := local.Open(t.Context(), local.Options{Path: path})
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, path)
}

func TestWhatIsNoStateFileIsRefusedUntouched(t *testing.T) {
	foreign := func(pragma string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			execute(t, path, pragma, "CREATE TABLE orders (total)", "INSERT INTO orders VALUES (1)")
		}
	}
	for name, c := range map[string]struct {
		make func(t *testing.T, path string)
		says string
	}{
		"text": {func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("alerts:\n", 1000)), 0o600))
		}, "not a SQLite database"},
		"a few bytes": {func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
		}, "not a SQLite database"},
		"another program's database":          {foreign("PRAGMA journal_mode = DELETE"), "another program's database"},
		"another program's, with its own log": {foreign("PRAGMA journal_mode = WAL"), "another program's database"},
		"a folder": {func(t *testing.T, path string) {
			require.NoError(t, os.Mkdir(path, 0o700))
		}, "not a file"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			c.make(t, path)
			before := contents(t, filepath.Dir(path))
			for _, reading := range []bool{false, true} {
				_, err := local.Open(t.Context(), local.Options{Path: path, ReadOnly: reading})
				require.ErrorContains(t, err, c.says)
				require.ErrorContains(t, err, path)
				require.Equal(t, before, contents(t, filepath.Dir(path)))
			}
		})
	}
}

func TestANewerSchemaIsRefusedUntouched(t *testing.T) {
	path := written(t, 1)
	execute(t, path, "PRAGMA user_version = 99")
	before := contents(t, filepath.Dir(path))
	_, err := local.Open(t.Context(), local.Options{Path: path})
	require.ErrorContains(t, err, "version 99 and this program knows versions up to 2")
	_, err = local.Open(t.Context(), local.Options{Path: path, ReadOnly: true})
	require.ErrorContains(t, err, "version 99 and this program knows versions up to 2")
	require.Equal(t, before[path], contents(t, filepath.Dir(path))[path])
}

func TestAnOlderSchemaIsNotMigratedByAReader(t *testing.T) {
	path := written(t, 1)
	execute(t, path, "PRAGMA user_version = 0")
	_, err := local.Open(t.Context(), local.Options{Path: path, ReadOnly: true})
	require.ErrorContains(t, err, "run `sqlsentinel run` once")
}

func TestADamagedFileIsSaid(t *testing.T) {
	path := written(t, 50)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte(strings.Repeat("\xff", 20*4096)), 4096)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	s, err := local.Open(t.Context(), local.Options{Path: path, ReadOnly: true})
	if err == nil {
		defer func() { require.NoError(t, s.Close()) }()
		_, err = s.States(t.Context(), "test")
	}
	require.ErrorContains(t, err, "damaged")
}

func TestARowThatCannotBeReadIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, local.Options{Path: path})
	define(t, s, "a")
	require.NoError(t, commitRun(s, "a", 0))
	outage := alert.Outage{Scope: "test", Subject: "database", Episode: &alert.Episode{ID: "ep"}}
	require.NoError(t, s.Commit(t.Context(), sentinel.Commit{Outages: []alert.Outage{outage}}))
	id := alert.ID{Scope: "test", Name: "a"}
	for _, c := range []struct {
		table string
		read  func() error
	}{
		{"states", func() error { _, err := s.Load(t.Context(), id); return err }},
		{"states", func() error { _, err := s.States(t.Context(), "test"); return err }},
		{"history", func() error { _, err := s.History(t.Context(), sentinel.HistoryFilter{Scope: "test"}); return err }},
		{"history", func() error { _, err := s.Record(t.Context(), "test", alert.RunID(id, noon)); return err }},
		{"deliveries", func() error { _, err := s.Delivery(t.Context(), "dlv_a_0"); return err }},
		{"deliveries", func() error { _, err := s.Due(t.Context(), "test", noon, 0); return err }},
		{"outages", func() error { _, err := s.Outage(t.Context(), "test", "database"); return err }},
		{"outages", func() error { _, err := s.Outages(t.Context(), "test"); return err }},
		{"outages", func() error { return s.Preload(t.Context(), "test") }},
		{"definitions", func() error { _, err := s.Definitions(t.Context(), "test"); return err }},
		{"definitions", func() error { _, err := open(t, local.Options{Path: path}).Load(t.Context(), id); return err }},
	} {
		var whole string
		db, err := sql.Open("sqlite", path)
		require.NoError(t, err)
		require.NoError(t, db.QueryRow("SELECT body FROM "+c.table).Scan(&whole))
		require.NoError(t, db.Close())
		execute(t, path, "UPDATE "+c.table+" SET body = '{'")
		err = c.read()
		execute(t, path, "UPDATE "+c.table+" SET body = '"+strings.ReplaceAll(whole, "'", "''")+"'")
		require.ErrorContains(t, err, "decode", c.table)
		require.ErrorContains(t, err, path)
		require.NoError(t, c.read())
	}
}

func TestReadingEndsWithItsContextAndWithTheStore(t *testing.T) {
	s, err := local.Open(t.Context(), local.Options{Path: written(t, 1)})
	require.NoError(t, err)
	reads := map[string]func(ctx context.Context) error{
		"Load":    func(ctx context.Context) error { _, err := s.Load(ctx, alert.ID{}); return err },
		"States":  func(ctx context.Context) error { _, err := s.States(ctx, "test"); return err },
		"Record":  func(ctx context.Context) error { _, err := s.Record(ctx, "test", "run"); return err },
		"Outage":  func(ctx context.Context) error { _, err := s.Outage(ctx, "test", "database"); return err },
		"NextDue": func(ctx context.Context) error { _, err := s.NextDue(ctx, "test"); return err },
		"Preload": func(ctx context.Context) error { return s.Preload(ctx, "test") },
		"Commit":  func(ctx context.Context) error { return s.Commit(ctx, sentinel.Commit{}) },
		"Redrive": func(ctx context.Context) error { _, err := s.Redrive(ctx, "dlv", noon); return err },
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, read := range reads {
		require.ErrorIs(t, read(gone), context.Canceled, name)
	}
	require.NoError(t, s.Close())
	for name, read := range reads {
		require.Error(t, read(t.Context()), name)
	}
}

// asNobody makes a child a user without rights, for root may write everything.
func asNobody(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
}

// lent is a folder that nobody can use, with a copy of the test binary.
func lent(t *testing.T) (dir string, run func(role, path string) string) {
	t.Helper()
	if os.Getuid() != 0 {
		return t.TempDir(), func(role, path string) string { return start(t, role, path).line() }
	}
	base, err := os.MkdirTemp("/tmp", "sentinel-local-*")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	require.NoError(t, os.Chmod(base, 0o777)) //nolint:gosec // the test's own folder
	binary, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	program := filepath.Join(base, "program")
	require.NoError(t, os.WriteFile(program, binary, 0o755)) //nolint:gosec // it is to be run
	state, covered := filepath.Join(base, "state"), filepath.Join(base, "covered")
	for _, folder := range []string{state, covered} {
		require.NoError(t, os.Mkdir(folder, 0o777))
		require.NoError(t, os.Chmod(folder, 0o777)) //nolint:gosec // the test's own folder
	}
	return state, func(role, path string) string {
		return start(t, role, path, asNobody, func(c *exec.Cmd) {
			c.Path, c.Env = program, append(c.Env, "GOCOVERDIR="+covered) // under -cover it writes there
		}).line()
	}
}

func TestAReadOnlyFileOrFolderIsSaidAndCanBeRead(t *testing.T) {
	dir, run := lent(t)
	path := filepath.Join(dir, "state.db")
	body, err := os.ReadFile(written(t, 3))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, body, 0o644)) //nolint:gosec // nobody is to read it

	require.NoError(t, os.Chmod(path, 0o444)) //nolint:gosec // nobody is to read it
	require.Contains(t, run("open", path), "read-only")
	require.Equal(t, "1 states", run("read", path))

	require.NoError(t, os.Chmod(path, 0o666)) //nolint:gosec // anybody may write the file, but not its folder
	require.NoError(t, os.Chmod(dir, 0o555))  //nolint:gosec // the test's own folder
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	for _, beside := range []string{"-wal", "-shm"} { // of the reader before
		require.NoError(t, os.RemoveAll(path+beside))
	}
	require.Regexp(t, "writable|read-only", run("open", path))
	require.Equal(t, "1 states", run("read", path))

	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, body, after)
	require.Regexp(t, "may not write|writable", run("open", filepath.Join(dir, "new.db")))
	require.NoFileExists(t, filepath.Join(dir, "new.db"))
}

// execute runs statements on a file as another program would.
func execute(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	for _, s := range statements {
		_, err := db.Exec(s)
		require.NoError(t, err)
	}
	require.NoError(t, db.Close())
}

// contents are the files of a folder by path.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, file := range files {
		path := filepath.Join(dir, file.Name())
		if file.IsDir() {
			out[path] = "folder"
			continue
		}
		body, err := os.ReadFile(path)
		require.NoError(t, err)
		out[path] = string(body)
	}
	return out
}

func TestACopyByVacuumOfABusyStateIsWhole(t *testing.T) {
	dir := t.TempDir()
	s := open(t, local.Options{Path: filepath.Join(dir, "state.db")})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan int)
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			if err := commitRun(s, "a", n); err != nil {
				break
			}
		}
		done <- n
	}()
	require.Eventually(t, func() bool { states, _ := s.States(t.Context(), "test"); return states["a"].Version > 10 }, 60*time.Second, time.Millisecond)
	db, err := sql.Open("sqlite", filepath.Join(dir, "state.db"))
	require.NoError(t, err)
	_, err = db.Exec("VACUUM INTO ?", filepath.Join(dir, "copy.db"))
	require.NoError(t, err)
	require.NoError(t, db.Close())
	stop()
	written := <-done
	states, err := open(t, local.Options{Path: filepath.Join(dir, "copy.db")}).States(t.Context(), "test")
	require.NoError(t, err)
	require.Greater(t, int(states["a"].Version), 10)
	require.LessOrEqual(t, int(states["a"].Version), written)
}
