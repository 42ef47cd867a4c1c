package local

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	sqlite3 "modernc.org/sqlite/lib"
)

// Options are what a Store needs.
type Options struct {
	// Path is the state file. Required.
	Path string
	// ReadOnly opens an existing file and neither creates, migrates nor changes it.
	ReadOnly bool
	// BusyTimeout is how long a lock of another process is waited for; zero means 10 s.
	BusyTimeout time.Duration
	// Linger is how long a change waits for others if it follows one closely, so that many
	// runs that end one by one share a transaction and its fsync. Zero: not at all.
	Linger time.Duration
	// Now is the clock that the age of what Preload read goes by; nil means time.Now.
	Now func() time.Time
}

// defaultBusyTimeout is how long a lock is waited for.
const defaultBusyTimeout = 10 * time.Second

// readers is how many reads run at a time.
const readers = 4

// Open opens the state file. It creates it, for its owner only, if it is missing, and
// migrates an older one; a newer one, another program's database and what is no SQLite
// database are refused and left untouched.
//
// With ReadOnly a missing file is an error that is fs.ErrNotExist; see Empty.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Path == "" {
		return nil, errors.New("open the state: a path is required")
	}
	if o.BusyTimeout == 0 {
		o.BusyTimeout = defaultBusyTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, fmt.Errorf("open the state %s: %w", o.Path, err)
	}
	s := &Store{path: o.Path, now: o.Now, known: &memory{}, wake: make(chan struct{}, 1)}
	if o.ReadOnly {
		err = s.openForReading(ctx, path, o)
	} else {
		err = s.open(ctx, path, o)
	}
	if err != nil {
		return nil, fmt.Errorf("open the state %s: %w", o.Path, errors.Join(explain(err), s.Close()))
	}
	return s, nil
}

// Empty is the state of those who never ran anything: it has nothing and takes nothing
// (every change is ErrReadOnly). Commands that only read use it where there is no file.
func Empty(ctx context.Context) (*Store, error) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, fmt.Errorf("make an empty state: %w", err)
	}
	db.SetMaxOpenConns(1) // another connection would be another database
	s := &Store{path: "an empty state", now: time.Now, known: &memory{}, wake: make(chan struct{}, 1)}
	s.readFrom(db)
	if _, err := db.ExecContext(ctx, strings.Join(migrations[:], "")); err != nil {
		return nil, fmt.Errorf("make an empty state: %w", errors.Join(err, s.Close()))
	}
	return s, nil
}

// Close ends the store after the changes that wait are written. Closing again does nothing.
func (s *Store) Close() error {
	s.closing.Do(func() { s.closed = s.close() })
	return s.closed
}

func (s *Store) close() error {
	var all []error
	if s.db != nil {
		all = append(all, s.reads.close(), s.db.Close())
	}
	if s.write != nil { // last, so that it can tidy up the files beside the state
		all = append(all, s.write.close())
	}
	if err := errors.Join(all...); err != nil {
		return fmt.Errorf("close the state %s: %w", s.path, err)
	}
	return nil
}

func (s *Store) readFrom(db *sql.DB) {
	s.db, s.reads = db, &statements{prepare: db.PrepareContext}
}

// open opens the file for everything.
func (s *Store) open(ctx context.Context, path string, o Options) error {
	if err := create(path); err != nil {
		return err
	}
	if err := inspect(ctx, path); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", dsn(path, url.Values{
		"mode": {"rw"}, "_pragma": {"busy_timeout(0)", "synchronous(FULL)", "cache_size(-8192)", fmt.Sprintf("wal_autocheckpoint(%d)", longestLog)},
	}))
	if err != nil {
		return err
	}
	w := newWriter(db, o.BusyTimeout, o.Linger)
	if err := w.prepare(ctx); err != nil {
		return errors.Join(err, w.release())
	}
	w.path = path
	if w.file, err = os.Stat(path); err != nil {
		return errors.Join(err, w.release())
	}
	go w.run()
	s.write = w
	db, err = openReaders(path, o, url.Values{"mode": {"ro"}})
	if err != nil {
		return err
	}
	s.readFrom(db)
	return nil
}

// openForReading opens an existing file with the schema this program knows.
func (s *Store) openForReading(ctx context.Context, path string, o Options) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() == 0 {
		return fmt.Errorf("the file is empty: %w", fs.ErrNotExist)
	}
	if err := inspect(ctx, path); err != nil {
		return err
	}
	if err := s.readExisting(ctx, path, o, url.Values{"mode": {"ro"}}); err != nil {
		return err
	}
	version, err := pragma(ctx, s.db, "user_version")
	if err != nil {
		return err
	}
	switch id, err := pragma(ctx, s.db, "application_id"); {
	case err != nil:
		return err
	case id != applicationID:
		return errForeign
	case version > schemaVersion:
		return newerError(version)
	case version < schemaVersion:
		return fmt.Errorf("its schema has version %d and this program reads version %d: run `sqlsentinel run` once, which migrates it", version, schemaVersion)
	}
	return nil
}

// readExisting connects to a file for reading. Even that needs files beside it; where the
// folder is read-only and nobody has the file open, it is read as it stands.
func (s *Store) readExisting(ctx context.Context, path string, o Options, params url.Values) error {
	db, err := openReaders(path, o, params)
	if err != nil {
		return err
	}
	s.readFrom(db)
	_, err = pragma(ctx, db, "user_version")
	if code := sqliteCode(err); (code == sqlite3.SQLITE_CANTOPEN || code == sqlite3.SQLITE_READONLY) &&
		!params.Has("immutable") && !exists(path+"-wal") {
		return errors.Join(db.Close(), s.readExisting(ctx, path, o, url.Values{"mode": {"ro"}, "immutable": {"1"}}))
	}
	return err
}

// openReaders opens the pool for reading; it connects when it is used.
func openReaders(path string, o Options, params url.Values) (*sql.DB, error) {
	params["_pragma"] = []string{fmt.Sprintf("busy_timeout(%d)", o.BusyTimeout.Milliseconds()), "cache_size(-1024)", "query_only(1)"}
	db, err := sql.Open("sqlite", dsn(path, params))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(readers)
	db.SetMaxIdleConns(readers)
	return db, nil
}

func dsn(path string, params url.Values) string {
	return (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: params.Encode()}).String()
}

// smallestDatabase is the size of SQLite's smallest page.
const smallestDatabase = 512

// inspect refuses what is not a state file. It looks at the file as it stands, without
// locks and logs, so that another program's database is not touched: the application id
// is written before write-ahead logging begins, and never changes.
func inspect(ctx context.Context, path string) (err error) {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a file")
	}
	if info.Size() == 0 {
		return nil
	}
	if info.Size() < smallestDatabase {
		return errors.New("it is not a SQLite database; name another file with --state")
	}
	db, err := sql.Open("sqlite", dsn(path, url.Values{"mode": {"ro"}, "immutable": {"1"}}))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	id, err := pragma(ctx, db, "application_id")
	if sqliteCode(err) == sqlite3.SQLITE_CORRUPT {
		// Without locks a file looks damaged while another process moves its log into it.
		// Whoever opens it properly will see.
		return nil
	}
	if sqliteCode(err) == sqlite3.SQLITE_CANTOPEN {
		f, why := os.Open(path)
		if errors.Is(why, fs.ErrPermission) {
			return &explained{"this user may not read it", why}
		}
		if why == nil {
			_ = f.Close() // nothing else has it open here yet
		}
	}
	if err != nil {
		return err
	}
	if id != applicationID {
		return errForeign
	}
	return nil
}

func pragma(ctx context.Context, db *sql.DB, name string) (int, error) {
	var text string
	if err := db.QueryRowContext(ctx, "PRAGMA "+name).Scan(&text); err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// create makes an empty file that only its owner can read, if there is none. It appears
// under its name only when this process has it closed: closing a descriptor of a database
// would release the locks that SQLite holds on it.
func create(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if err := f.Close(); err != nil {
		return err
	}
	if err = os.Link(f.Name(), path); err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	// A file system without links: the name may appear a moment before it is closed.
	if f, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	return f.Close()
}
