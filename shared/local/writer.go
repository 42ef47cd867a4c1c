package local

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// ErrClosed means that the store was closed.
var ErrClosed = errors.New("the state is closed")

// ErrReadOnly means that the store was opened for reading only.
var ErrReadOnly = errors.New("the state is opened for reading only")

// maxBatch is how many changes share a transaction at most: one more is a few dozen
// microseconds of waiting for all others, a transaction is one fsync.
const maxBatch = 512

// A writer is the one that changes the file. Whatever changes wait when it is free go
// into one transaction, so that they share one fsync; a change that comes alone waits for
// nobody. Urgent ones, which a message waits for, go before the others.
type writer struct {
	db      *sql.DB
	conn    *sql.Conn
	stmts   *statements
	timeout time.Duration // how long a lock is waited for
	linger  time.Duration // how long a change waits for company
	path    string        // the file, by its name
	file    os.FileInfo   // the file that is open; nil: not looked at
	changes chan *change
	urgent  chan *change
	written int // changes since the log was last moved into the file
	closing chan struct{}
	stopped chan struct{}
}

// A change is one mutation that waits for its transaction. do may be called twice; it
// makes its checks before its first write, so that a refusal leaves nothing behind.
type change struct {
	do    func(*txn) error
	stage atomic.Int32
	err   error
	done  chan struct{}
}

// The stages of a change: it can be abandoned until it is taken.
const (
	queued int32 = iota
	taken
	abandoned
)

// txn is the open write transaction.
type txn struct {
	conn  *sql.Conn
	stmts *statements
}

func newWriter(db *sql.DB, timeout, linger time.Duration) *writer {
	return &writer{
		db: db, timeout: timeout, linger: linger,
		changes: make(chan *change, maxBatch), urgent: make(chan *change, maxBatch), closing: make(chan struct{}), stopped: make(chan struct{}),
	}
}

// apply runs a change of one of the two queues and returns when it is durable. A change whose ctx ends before it
// began is dropped; after that the caller gets the true result.
func (w *writer) apply(ctx context.Context, queue chan<- *change, do func(*txn) error) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	c := &change{do: do, done: make(chan struct{})}
	select {
	case <-w.closing:
		return ErrClosed
	default:
	}
	select {
	case queue <- c:
	case <-w.closing:
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-c.done:
		return c.err
	case <-w.stopped:
		return w.late(c)
	case <-ctx.Done():
		if c.stage.CompareAndSwap(queued, abandoned) {
			return context.Cause(ctx)
		}
		<-c.done
		return c.err
	}
}

// late is the result of a change that was handed over while the writer stopped.
func (w *writer) late(c *change) error {
	select {
	case <-c.done:
		return c.err
	default:
		return ErrClosed
	}
}

// close ends the writer after what waits is written.
func (w *writer) close() error {
	close(w.closing)
	<-w.stopped
	return w.release()
}

func (w *writer) release() error {
	var all []error
	if w.conn != nil {
		all = append(all, w.stmts.close(), w.conn.Close())
	}
	return errors.Join(append(all, w.db.Close())...)
}

// write runs a batch in one transaction. If one change breaks it, each runs alone, so
// that none fails for another.
func (w *writer) write(batch []*change) {
	err := w.transact(batch)
	if err != nil && len(batch) > 1 && errors.Is(err, errBroken) {
		for _, c := range batch {
			w.write([]*change{c})
		}
		return
	}
	for _, c := range batch {
		if err != nil {
			c.err = err
		}
		close(c.done)
	}
}

// errBroken marks the failure of one change, as opposed to one of the transaction.
var errBroken = errors.New("write the state")

// transact runs the changes that were not abandoned. An error means that nothing was
// written.
func (w *writer) transact(batch []*change) error {
	t := &txn{conn: w.conn, stmts: w.stmts}
	if err := w.present(); err != nil {
		return err
	}
	if err := w.begin(t, batch); err != nil {
		return err
	}
	for _, c := range batch {
		if c.stage.Load() != taken && !c.stage.CompareAndSwap(queued, taken) {
			continue
		}
		if c.err = c.do(t); c.err != nil && !refusal(c.err) {
			err := explain(c.err)
			return errors.Join(fmt.Errorf("%w: %w", errBroken, err), t.rollback())
		}
	}
	// Before write-ahead logging is on, a commit waits for readers.
	err := w.patiently(func() bool { return true }, func() error {
		_, err := t.exec("COMMIT")
		return err
	})
	if err != nil {
		return errors.Join(fmt.Errorf("commit the state: %w", explain(err)), t.rollback())
	}
	return nil
}

// errGone means that what is written would be seen by nobody.
var errGone = errors.New("the file is gone from its place, or another is there, while this program has it open: put it back, or start the program again")

// present tells whether the file is still where others look for it: one that was deleted
// or moved can be written all the same.
func (w *writer) present() error {
	if w.file == nil {
		return nil
	}
	now, err := os.Stat(w.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(now, w.file) {
		return errGone
	}
	if err != nil {
		return fmt.Errorf("look for the file: %w", err)
	}
	return nil
}

// refusal tells whether the change was refused before it wrote anything.
func refusal(err error) bool {
	return errors.Is(err, sentinel.ErrConflict) || errors.Is(err, sentinel.ErrNotFound) || errors.Is(err, sentinel.ErrUnclaimable)
}

// begin takes the write lock.
func (w *writer) begin(t *txn, batch []*change) error {
	err := w.patiently(func() bool { return alive(batch) }, func() error {
		_, err := t.exec("BEGIN IMMEDIATE")
		return err
	})
	if err != nil {
		return fmt.Errorf("lock: %w", explain(err))
	}
	return nil
}

// patiently waits while another process has a lock. It tries again at short random
// intervals rather than by SQLite's own schedule, whose long pauses starve a process
// beside busy ones.
func (w *writer) patiently(wanted func() bool, act func() error) error {
	deadline := time.Now().Add(w.timeout)
	for {
		err := act()
		switch {
		case err == nil || !busy(err):
			return err
		case time.Now().After(deadline):
			return fmt.Errorf("waited %s: %w", w.timeout, err)
		case !wanted():
			return errAllAbandoned
		}
		time.Sleep(time.Millisecond + rand.N(2*time.Millisecond))
	}
}

var errAllAbandoned = errors.New("every caller has gone")

func alive(batch []*change) bool {
	for _, c := range batch {
		if c.stage.Load() != abandoned {
			return true
		}
	}
	return false
}

// prepare connects, migrates the file and turns write-ahead logging on, before the writer
// runs.
func (w *writer) prepare(ctx context.Context) error {
	wanted := func() bool { return ctx.Err() == nil }
	err := w.patiently(wanted, func() (err error) {
		w.conn, err = w.db.Conn(context.WithoutCancel(ctx))
		return err
	})
	if err != nil {
		return err
	}
	w.stmts = &statements{prepare: w.conn.PrepareContext}
	c := &change{do: migrate, done: make(chan struct{})}
	stop := context.AfterFunc(ctx, func() { c.stage.CompareAndSwap(queued, abandoned) })
	defer stop()
	w.write([]*change{c})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if c.err != nil {
		return c.err
	}
	return w.patiently(wanted, w.log)
}

// log turns write-ahead logging on, which stays so.
func (w *writer) log() error {
	var mode string
	if err := w.conn.QueryRowContext(context.Background(), "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("its file system does not support write-ahead logging (journal mode %s); use a local disk", mode)
	}
	return nil
}

// exec runs a statement and returns the number of rows it changed.
func (t *txn) exec(query string, args ...any) (int64, error) {
	stmt, err := t.stmts.get(context.Background(), query)
	if err != nil {
		return 0, err
	}
	result, err := stmt.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// first reads the first row into dest; false if there is none.
func (t *txn) first(query string, args []any, dest ...any) (bool, error) {
	return t.stmts.first(context.Background(), query, args, dest...)
}

// script runs statements that are used once.
func (t *txn) script(text string) error {
	_, err := t.conn.ExecContext(context.Background(), text)
	return err
}

func (t *txn) version() (int, error) {
	var v int
	err := t.conn.QueryRowContext(context.Background(), "PRAGMA user_version").Scan(&v)
	return v, err
}

// rollback ends the transaction if SQLite has not ended it by itself.
func (t *txn) rollback() error {
	if _, err := t.exec("ROLLBACK"); err != nil && sqliteCode(err) != 1 {
		return fmt.Errorf("roll back: %w", err)
	}
	return nil
}
