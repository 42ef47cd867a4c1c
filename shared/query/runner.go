// Package query runs one SQL behind four guards and reads its result by the contract: one
// statement in a read-only session, a deadline that cancels on the server, a cap on rows
// and on bytes. One file a dialect.
package query

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// Options are what New needs. Databases is required; zero caps mean the defaults.
type Options struct {
	// Databases by name, of the alerts that carry no Connection of their own.
	Databases map[string]alert.Database
	Secrets   *alert.Secrets
	// Credentials sign passwords for databases whose URL says auth=iam; nil: there are none.
	Credentials Credentials
	// MaxRows (1,000), MaxBytes of a result (1 MiB) and MaxContextBytes of a row (64 KiB).
	MaxRows, MaxBytes, MaxContextBytes int
}

// Runner runs queries. It is safe for concurrent use.
type Runner struct {
	Options
	mu    sync.Mutex
	pools map[string]*pool // by resolved URL
	named map[string]*pool // by name
}

// New checks the options. It opens nothing: a database is reached when a query needs it.
func New(o Options) (*Runner, error) {
	if o.Databases == nil {
		return nil, errors.New("create the query runner: databases are required")
	}
	if o.Secrets == nil {
		o.Secrets = alert.NewSecrets(nil)
	}
	if o.MaxRows == 0 {
		o.MaxRows = alert.MaxInstances
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 20
	}
	if o.MaxContextBytes == 0 {
		o.MaxContextBytes = 64 << 10
	}
	return &Runner{Options: o, pools: map[string]*pool{}, named: map[string]*pool{}}, nil
}

// pool is one database.
type pool struct {
	source
	// here: a file, whose queries compute in this process.
	here bool
	// slots are the connections: waiting for one is not part of a query's deadline.
	slots chan struct{}
}

// source is an opened database, whatever its kind. It is safe for concurrent use.
type source interface {
	// read runs one statement read-only and reads its table within the caps. It ends what it
	// began, on the server too, when ctx ends. A table may come beside an error: what was
	// read until then. A *connectError says that there was no session, a *guardError that
	// the statement breaks a guard.
	read(ctx context.Context, s statement, most caps) (*alert.Table, error)
	// explain tells what an error means to an analyst, of the text that was sent.
	explain(err error, query string) alert.Failure
	// grammar is how the database reads SQL and writes a placeholder.
	grammar() grammar
	// forget closes the sessions that are not in use: where one is dead, most are.
	forget()
	close() error
}

// opener opens a database, without connecting, from its settings and its resolved URL. No
// more sessions than limit are asked for at a time.
type opener func(d alert.Database, url string, limit int) (source, error)

// statement is what is sent to a database.
type statement struct {
	text string
	// args are bound by the driver to the placeholders that grammar wrote into the text.
	args []argument
	// wider are the placeholders that move what is behind them on their line.
	wider []widening
	// alert and run are who asks, for a database that takes labels.
	alert, run string
}

// caps bound a result: its rows, and the bytes of its values.
type caps struct{ rows, bytes int }

// pool opens or finds the pool of an alert's database. Two names with one URL share it.
func (r *Runner) pool(a alert.Alert) (*pool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.Connection != nil {
		return r.connect(*a.Connection) // its URL may resolve to another than before
	}
	if p, ok := r.named[a.Database]; ok {
		return p, nil
	}
	d, ok := r.Databases[a.Database]
	if !ok {
		return nil, fmt.Errorf("there is no database %q", a.Database)
	}
	p, err := r.connect(d)
	if err == nil {
		r.named[a.Database] = p
	}
	return p, err
}

// connect opens or finds the pool of a database.
func (r *Runner) connect(d alert.Database) (*pool, error) {
	url, err := r.Secrets.Expand(d.URL)
	if err != nil {
		return nil, err
	}
	r.Secrets.HideURL(url)
	key := address(d, url)
	p, ok := r.pools[key]
	if !ok {
		open, plain, err := parse(url)
		if err != nil {
			return nil, err
		}
		limit, here := r.connections(key, d), computesHere(plain)
		if here {
			limit = min(limit, max(2, runtime.NumCPU()))
		}
		opened, err := openAs(open, d, plain, limit, r.Credentials)
		if err != nil {
			return nil, fmt.Errorf("the database URL cannot be used: %w", err)
		}
		p = &pool{source: opened, here: here, slots: make(chan struct{}, limit)}
		r.pools[key] = p
	}
	return p, nil
}

// address is equal for equal databases.
func address(d alert.Database, url string) string {
	price := ""
	if d.PricePerTiB != nil {
		price = fmt.Sprint(*d.PricePerTiB)
	}
	return fmt.Sprintf("%s\x00%s\x00%d\x00%s", d.Dir, url, d.MaxBytesBilled, price)
}

// connections is the smallest limit of the databases at one address.
func (r *Runner) connections(key string, first alert.Database) int {
	least := cmp.Or(first.MaxConnections, alert.DefaultMaxConnections)
	for _, d := range r.Databases {
		if url, err := r.Secrets.Expand(d.URL); err != nil || address(d, url) != key {
			continue
		}
		limit := d.MaxConnections
		if limit == 0 {
			limit = alert.DefaultMaxConnections
		}
		least = min(least, limit)
	}
	return least
}

// Query runs an alert's query within its deadline. What goes wrong is in the result.
func (r *Runner) Query(ctx context.Context, a alert.Alert, run alert.Run) alert.Result {
	result := r.run(ctx, a, run)
	if result.Failure != nil {
		result.Failure.Message = r.Secrets.Clean(result.Failure.Message)
	}
	return result
}

func (r *Runner) run(ctx context.Context, a alert.Alert, run alert.Run) alert.Result {
	for {
		p, err := r.pool(a)
		if err != nil {
			return alert.Unreachable("%s", err)
		}
		select {
		case p.slots <- struct{}{}:
		case <-ctx.Done():
			return interrupted()
		}
		if r.forgotten(p) { // a driver failed on it while this run waited
			<-p.slots
			continue
		}
		start := time.Now()
		result := r.unharmed(ctx, p, a, run)
		result.Duration = time.Since(start)
		<-p.slots
		return result
	}
}

// forgotten tells whether a pool is in use no more.
func (r *Runner) forgotten(p *pool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, known := range r.pools {
		if known == p {
			return false
		}
	}
	return true
}

func interrupted() alert.Result {
	return alert.Fail(alert.ErrorTimeout, "the run was interrupted; the query was cancelled on the server")
}

// within runs the query within its deadline.
func (r *Runner) within(ctx context.Context, p *pool, a alert.Alert, run alert.Run) alert.Result {
	timeout := a.Timeout.Std()
	if timeout == 0 {
		timeout = alert.DefaultQueryTimeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if strings.IndexByte(a.Query, 0) >= 0 {
		return alert.Fail(alert.ErrorQuery, "the query holds a NUL character, which no database takes; it was not sent")
	}
	s := statement{text: a.Query}
	if a.Params {
		bound, err := bind(p.grammar(), a.Query, run)
		if err != nil {
			failure := p.failure(err, a.Query)
			return alert.Result{Failure: &failure}
		}
		s = bound
	}
	s.alert, s.run = a.Name, run.ID
	most := caps{r.MaxRows, r.MaxBytes}
	table, err := p.read(limited, s, most)
	if err != nil && stale(err) && limited.Err() == nil {
		p.forget()
		table, err = p.read(limited, s, most) // the server was restarted since the last run
	}
	switch {
	case err == nil:
		result := alert.Read(*table, a.Key)
		cutContext(&result, r.MaxContextBytes)
		return result
	case ctx.Err() != nil:
		return interrupted()
	case limited.Err() != nil:
		if silent := p.silent(ctx, err, timeout); silent.Failure != nil {
			return silent
		}
		return timedOut(err, timeout)
	}
	failure := p.failure(err, s.text)
	if at, _ := limited.Deadline(); failure.Code == alert.ErrorTimeout && time.Until(at) < 100*time.Millisecond {
		return timedOut(err, timeout) // the server's own clock was first
	}
	result := alert.Result{Failure: &failure, Table: table}
	if table != nil {
		result.Usage = table.Usage
	}
	return result
}

// pinged is how long a server that gave a query no answer in time may take to answer
// anything at all.
const pinged = 2 * time.Second

// silent tells a query that is too slow from a server, or a network, that has gone silent
// under an open connection: it asks something else. The failure is nil if that is answered,
// for a file, which may be locked, and for a service, where one more question takes several
// requests and may wait its turn; what it does not answer has its own error.
func (p *pool) silent(ctx context.Context, err error, timeout time.Duration) alert.Result {
	if p.here || p.service() || errors.As(err, new(*connectError)) {
		return alert.Result{}
	}
	limited, cancel := context.WithTimeout(ctx, pinged)
	defer cancel()
	if _, err := p.read(limited, statement{text: "SELECT 1"}, caps{1, 1 << 10}); err == nil || limited.Err() == nil || ctx.Err() != nil {
		return alert.Result{}
	}
	p.forget() // the other connections lead to the same place
	return alert.Unreachable("no answer to the query within the deadline of %s, and none to `SELECT 1` within %s: the server hangs, or the network is silent", alert.Duration(timeout), pinged)
}

// timedOut tells a slow query from a database that does not answer at all.
func timedOut(err error, timeout time.Duration) alert.Result {
	var late *connectError
	if errors.As(err, &late) {
		return alert.Unreachable("no connection within the deadline of %s: %s", alert.Duration(timeout), late.err)
	}
	return alert.Fail(alert.ErrorTimeout, "the query took longer than its timeout of %s and was cancelled on the server; make it faster or raise `timeout`", alert.Duration(timeout))
}

// failure is what an error means.
func (p *pool) failure(err error, query string) alert.Failure {
	var guard *guardError
	if errors.As(err, &guard) {
		return alert.Failure{Code: guard.code, Message: guard.message}
	}
	var lost *connectError
	if errors.As(err, &lost) {
		inner := p.explain(lost.err, query)
		return alert.Failure{Code: alert.ErrorUnreachable, Unreachable: true, Message: "the database cannot be reached: " + strings.TrimPrefix(inner.Message, "the query failed: ")}
	}
	if errors.Is(err, driver.ErrBadConn) || broken(err) {
		return alert.Failure{Code: alert.ErrorUnreachable, Unreachable: true, Message: "the connection to the database was lost: " + err.Error()}
	}
	return p.explain(err, query)
}

// connectError is a failure to get a session.
type connectError struct{ err error }

func (e *connectError) Error() string { return e.err.Error() }
func (e *connectError) Unwrap() error { return e.err }

// guardError is a query that breaks a guard.
type guardError struct {
	code    alert.Code
	message string
}

func (e *guardError) Error() string { return e.message }

func guarded(code alert.Code, format string, args ...any) error {
	return &guardError{code, fmt.Sprintf(format, args...)}
}

// Ping reaches a database, for pre-flight checks.
func (r *Runner) Ping(ctx context.Context, database string) error {
	p, err := r.pool(alert.Alert{Database: database})
	if err != nil {
		return errors.New(r.Secrets.Clean(err.Error()))
	}
	timeout := r.Databases[database].Timeout.Std()
	if timeout == 0 {
		timeout = alert.DefaultQueryTimeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return r.ping(limited, p)
}

// Close closes every pool.
func (r *Runner) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []error
	for _, p := range r.pools {
		all = append(all, p.close())
	}
	r.pools, r.named = map[string]*pool{}, map[string]*pool{}
	return errors.Join(all...)
}

// service tells whether a database is reached by requests over HTTPS.
func (p *pool) service() bool {
	switch s := p.source.(type) {
	case *bigQuery:
		return true
	case *sqlSource:
		_, is := s.dialect.(*snowflakeDialect)
		return is
	}
	return false
}
