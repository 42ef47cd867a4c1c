package query

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	_ "modernc.org/sqlite" // prepares the library for the platform
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// SQLite is driven here through its own functions. The library's database/sql driver runs
// what follows the first statement, stops at a deadline only until the first row is there,
// and reads a text in a column declared as a date as a time, which loses how it is written.

const (
	pointerSize = unsafe.Sizeof(uintptr(0))
	// lockWait is how long SQLite waits for another program's lock before it is asked
	// again, so that a deadline ends the waiting.
	lockWait = 50 * time.Millisecond
	// largestValue bounds the memory of one value, one in between included.
	largestValue = 64 << 20
	// largestRow bounds the values of a row together: far more than is kept of a result.
	largestRow = 16 << 20
)

// sqliteError is a failure in SQLite's words.
type sqliteError struct {
	code    int32
	message string
	offset  int // the byte of the query that it is about, -1 if none
}

func (e *sqliteError) Error() string { return e.message }

// sqliteConnector opens a file read-only.
type sqliteConnector struct {
	path      string
	immutable bool
}

// Driver implements driver.Connector.
func (c *sqliteConnector) Driver() driver.Driver { return sqliteDriver{} }

type sqliteDriver struct{}

// Open implements driver.Driver.
func (sqliteDriver) Open(string) (driver.Conn, error) {
	return nil, errors.New("SQLite is opened by its connector")
}

// sqliteConn is a connection, with its statement while one runs.
type sqliteConn struct {
	path string
	file os.FileInfo // what was opened, for the path may come to mean another file
	tls  *libc.TLS
	db   uintptr
	out  uintptr // two pointers that SQLite writes: a statement, and where its text ends
}

// Connect implements driver.Connector.
func (c *sqliteConnector) Connect(context.Context) (driver.Conn, error) {
	info, err := os.Stat(c.path)
	if err != nil {
		return nil, err // SQLite would say "unable to open database file"
	}
	if !info.Mode().IsRegular() {
		return nil, &sqliteError{code: sqlite3.SQLITE_CANTOPEN, message: c.path + " is no file", offset: -1}
	}
	name, flags := c.path, int32(sqlite3.SQLITE_OPEN_READONLY|sqlite3.SQLITE_OPEN_FULLMUTEX)
	if c.immutable {
		name = (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(name), RawQuery: "immutable=1"}).String()
		flags |= sqlite3.SQLITE_OPEN_URI
	}
	text, err := libc.CString(name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", c.path, err)
	}
	conn := &sqliteConn{path: c.path, file: info, tls: libc.NewTLS()}
	defer libc.Xfree(conn.tls, text)
	conn.out = libc.Xcalloc(conn.tls, 2, types.Size_t(pointerSize))
	code := sqlite3.Xsqlite3_open_v2(conn.tls, text, conn.out, flags, 0)
	conn.db = libc.AtomicLoadPUintptr(conn.out)
	if code == sqlite3.SQLITE_OK {
		sqlite3.Xsqlite3_busy_timeout(conn.tls, conn.db, int32(lockWait.Milliseconds()))
		sqlite3.Xsqlite3_limit(conn.tls, conn.db, sqlite3.SQLITE_LIMIT_LENGTH, largestValue)
		code = sqlite3.Xsqlite3_set_authorizer(conn.tls, conn.db, authorizer(), 0)
	}
	if code != sqlite3.SQLITE_OK {
		return nil, errors.Join(conn.failed(code), conn.Close())
	}
	return conn, nil
}

// Close implements driver.Conn.
func (c *sqliteConn) Close() error {
	if c.db != 0 {
		sqlite3.Xsqlite3_close_v2(c.tls, c.db)
		c.db = 0
	}
	libc.Xfree(c.tls, c.out)
	c.tls.Close()
	return nil
}

// ResetSession implements driver.SessionResetter: a file that was replaced is opened anew.
func (c *sqliteConn) ResetSession(context.Context) error {
	if info, err := os.Stat(c.path); err != nil || !os.SameFile(info, c.file) {
		return driver.ErrBadConn
	}
	return nil
}

// Prepare implements driver.Conn.
func (c *sqliteConn) Prepare(string) (driver.Stmt, error) {
	return nil, errors.New("SQLite statements are not kept")
}

// Begin implements driver.Conn.
func (c *sqliteConn) Begin() (driver.Tx, error) {
	return nil, errors.New("a SQLite query is a transaction by itself")
}

// QueryContext implements driver.QueryerContext. Nothing is run unless the text is one
// statement that reads only and gives rows.
func (c *sqliteConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	text, err := libc.CString(query)
	if err != nil {
		return nil, fmt.Errorf("send the query: %w", err)
	}
	defer libc.Xfree(c.tls, text)
	release := c.interruptWith(ctx)
	handle, err := c.prepare(ctx, text, len(query))
	if err != nil {
		release()
		return nil, err
	}
	if err := c.bind(handle, args); err != nil {
		release()
		sqlite3.Xsqlite3_finalize(c.tls, handle)
		return nil, err
	}
	rows := &sqliteRows{conn: c, ctx: ctx, handle: handle, release: release}
	// The columns are known for certain only when the first row is: SQLite compiles a
	// statement anew if the schema has changed.
	if rows.first, err = rows.step(); err != nil {
		return nil, errors.Join(err, rows.Close())
	}
	rows.describe()
	return rows, nil
}

// interruptWith stops whatever the connection does when ctx ends, until the function that
// it returns is called. SQLite forgets an interrupt that comes before a statement has
// begun, so it is repeated.
func (c *sqliteConn) interruptWith(ctx context.Context) (release func()) {
	var over atomic.Bool
	gone := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(gone)
		tls := libc.NewTLS()
		defer tls.Close()
		for !over.Load() {
			sqlite3.Xsqlite3_interrupt(tls, c.db)
			time.Sleep(time.Millisecond)
		}
	})
	return func() {
		if over.Store(true); !stop() {
			<-gone
		}
	}
}

// prepare compiles a text that must be one statement, and makes sure that it only reads.
func (c *sqliteConn) prepare(ctx context.Context, text uintptr, length int) (uintptr, error) {
	handle, tail, err := c.compile(ctx, text)
	if err != nil {
		return 0, err
	}
	switch err = c.alone(ctx, tail, text+uintptr(length)); {
	case err != nil:
	case handle == 0:
		err = guarded(alert.ErrorQuery, "the query is empty")
	case sqlite3.Xsqlite3_stmt_readonly(c.tls, handle) == 0:
		err = guarded(alert.ErrorReadOnly, "the query would write, and an alert only reads; it was not run")
	case sqlite3.Xsqlite3_column_count(c.tls, handle) == 0:
		err = guarded(alert.ErrorReadOnly, "the query is no SELECT; only a statement that reads is allowed; it was not run")
	}
	if err != nil {
		sqlite3.Xsqlite3_finalize(c.tls, handle)
		return 0, err
	}
	return handle, nil
}

// bind gives a statement its arguments. SQLite takes what is not bound for NULL, with which
// nothing is ever equal: a query with such a placeholder would find nothing, and look well.
func (c *sqliteConn) bind(handle uintptr, args []driver.NamedValue) error {
	if wanted := int(sqlite3.Xsqlite3_bind_parameter_count(c.tls, handle)); wanted != len(args) {
		return guarded(alert.ErrorQuery, "the query has a placeholder (?, :name, @name or $name) that nothing is bound to; with `params: true` there are :%s and :%s; it was not run", scheduledTime, previousTime)
	}
	for _, a := range args {
		text, err := libc.CString(fmt.Sprint(a.Value))
		if err != nil {
			return fmt.Errorf("bind an argument: %w", err)
		}
		code := sqlite3.Xsqlite3_bind_text(c.tls, handle, int32(a.Ordinal), text, -1, ^uintptr(0)) // SQLite makes its own copy
		libc.Xfree(c.tls, text)
		if code != sqlite3.SQLITE_OK {
			return c.failed(code)
		}
	}
	return nil
}

// alone makes sure that nothing but comments is left of a text.
func (c *sqliteConn) alone(ctx context.Context, tail, end uintptr) error {
	for tail < end {
		more, rest, err := c.compile(ctx, tail)
		sqlite3.Xsqlite3_finalize(c.tls, more)
		if more != 0 || err != nil {
			return guarded(alert.ErrorStatements, "the query has more than one statement; an alert is one SELECT; nothing was run")
		}
		tail = rest
	}
	return nil
}

// compile prepares the first statement of a text and tells where the rest begins. Where
// there is none, as in a comment, the handle is zero.
func (c *sqliteConn) compile(ctx context.Context, text uintptr) (handle, tail uintptr, err error) {
	for {
		code := sqlite3.Xsqlite3_prepare_v2(c.tls, c.db, text, -1, c.out, c.out+pointerSize)
		if code == sqlite3.SQLITE_OK {
			return libc.AtomicLoadPUintptr(c.out), libc.AtomicLoadPUintptr(c.out + pointerSize), nil
		}
		if !locked(code) || ctx.Err() != nil {
			return 0, 0, c.failed(code)
		}
	}
}

// locked tells whether another program holds the file.
func locked(code int32) bool {
	return code&0xff == sqlite3.SQLITE_BUSY || code&0xff == sqlite3.SQLITE_LOCKED
}

// failed is the error of a result code, in SQLite's words.
func (c *sqliteConn) failed(code int32) error {
	if c.db == 0 {
		return &sqliteError{code, "out of memory", -1}
	}
	message := libc.GoString(sqlite3.Xsqlite3_errmsg(c.tls, c.db))
	if exact := sqlite3.Xsqlite3_extended_errcode(c.tls, c.db); exact&0xff == code {
		code = exact
	}
	return &sqliteError{code, message, int(sqlite3.Xsqlite3_error_offset(c.tls, c.db))}
}

// sqliteRows are the rows of the statement that runs.
type sqliteRows struct {
	conn    *sqliteConn
	ctx     context.Context //nolint:containedctx // of the query that the rows belong to
	handle  uintptr
	release func()
	names   []string
	kinds   []string
	first   bool // the first row is there, and was not given out
	begun   bool
}

func (r *sqliteRows) describe() {
	n := sqlite3.Xsqlite3_column_count(r.conn.tls, r.handle)
	r.names, r.kinds = make([]string, n), make([]string, n)
	for i := range n {
		r.names[i] = libc.GoString(sqlite3.Xsqlite3_column_name(r.conn.tls, r.handle, i))
		r.kinds[i] = strings.ToUpper(libc.GoString(sqlite3.Xsqlite3_column_decltype(r.conn.tls, r.handle, i)))
	}
}

// Columns implements driver.Rows.
func (r *sqliteRows) Columns() []string { return r.names }

// ColumnTypeDatabaseTypeName implements driver.RowsColumnTypeDatabaseTypeName: the type
// as declared, empty for what is no column of a table.
func (r *sqliteRows) ColumnTypeDatabaseTypeName(i int) string { return r.kinds[i] }

// Close implements driver.Rows.
func (r *sqliteRows) Close() error {
	if r.handle != 0 {
		r.release()
		sqlite3.Xsqlite3_finalize(r.conn.tls, r.handle)
		r.handle = 0
	}
	return nil
}

// step goes to the next row and tells whether there is one.
func (r *sqliteRows) step() (bool, error) {
	for {
		if r.ctx.Err() != nil {
			return false, context.Cause(r.ctx)
		}
		switch code := sqlite3.Xsqlite3_step(r.conn.tls, r.handle); {
		case code == sqlite3.SQLITE_ROW:
			r.begun = true
			return true, nil
		case code == sqlite3.SQLITE_DONE:
			return false, nil
		case locked(code) && !r.begun:
			sqlite3.Xsqlite3_reset(r.conn.tls, r.handle)
		default:
			return false, r.conn.failed(code)
		}
	}
}

// Next implements driver.Rows.
func (r *sqliteRows) Next(cells []driver.Value) error {
	there := r.first
	if r.first = false; !there {
		var err error
		if there, err = r.begun, nil; there {
			there, err = r.step()
		}
		if err != nil {
			return err
		}
	}
	if !there {
		return io.EOF
	}
	size := 0
	for i := range cells {
		if size += r.size(int32(i)); size > largestRow {
			return guarded(alert.ErrorSizeCap, "a row of the result is larger than %d MiB; select fewer columns", largestRow>>20)
		}
	}
	for i := range cells {
		cells[i] = r.cell(int32(i))
	}
	return nil
}

// size is how many bytes a text or a blob has.
func (r *sqliteRows) size(i int32) int {
	switch sqlite3.Xsqlite3_column_type(r.conn.tls, r.handle, i) {
	case sqlite3.SQLITE_TEXT, sqlite3.SQLITE_BLOB:
		return int(sqlite3.Xsqlite3_column_bytes(r.conn.tls, r.handle, i))
	}
	return 0
}

// cell is a value by the type of what is stored.
func (r *sqliteRows) cell(i int32) driver.Value {
	switch sqlite3.Xsqlite3_column_type(r.conn.tls, r.handle, i) {
	case sqlite3.SQLITE_INTEGER:
		return sqlite3.Xsqlite3_column_int64(r.conn.tls, r.handle, i)
	case sqlite3.SQLITE_FLOAT:
		return sqlite3.Xsqlite3_column_double(r.conn.tls, r.handle, i)
	case sqlite3.SQLITE_TEXT:
		return string(r.bytes(i, sqlite3.Xsqlite3_column_text(r.conn.tls, r.handle, i)))
	case sqlite3.SQLITE_BLOB:
		return append([]byte{}, r.bytes(i, sqlite3.Xsqlite3_column_blob(r.conn.tls, r.handle, i))...)
	}
	return nil
}

// bytes are SQLite's own until the next step.
func (r *sqliteRows) bytes(i int32, from uintptr) []byte {
	n := sqlite3.Xsqlite3_column_bytes(r.conn.tls, r.handle, i)
	if from == 0 || n == 0 {
		return nil
	}
	return libc.GoBytes(from, int(n))
}
