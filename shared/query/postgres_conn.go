package query

import (
	"context"
	"database/sql/driver"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
)

// grace is how long a server may take to acknowledge that a query is cancelled before its
// connection is cut.
const grace = 3 * time.Second

// errTooLarge ends the reading of an answer that is far beyond the cap.
var errTooLarge = errors.New("the answer is too large")

// A wire is a network connection that ends a read in time, which the driver does not: a
// server, or the network before it, may fall silent at any moment. It also bounds what one
// query may send, for the driver reads a row of any size into memory.
type wire struct {
	net.Conn
	left atomic.Int64
}

// Read implements net.Conn.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if w.left.Add(-int64(n)) < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// guard bounds one use of the wire: by bytes, and by the end of ctx and a little more. The
// function that it returns lifts the bound, and tells whether that was in time: else the
// wire is cut at any moment.
func (w *wire) guard(ctx context.Context, bytes int64, more time.Duration) (release func() bool) {
	w.left.Store(bytes)
	stop := context.AfterFunc(ctx, func() { _ = w.SetDeadline(time.Now().Add(more)) })
	return stop
}

// postgresConnector opens connections over wires.
type postgresConnector struct {
	config pq.Config
	token  func(context.Context) (string, error) // gives the password; nil: it is in config
}

// Driver implements driver.Connector.
func (c *postgresConnector) Driver() driver.Driver { return &pq.Driver{} }

// postgresSession is a connection and its wire.
type postgresSession struct {
	resettableConn
	wire *wire
}

// Connect implements driver.Connector.
func (c *postgresConnector) Connect(ctx context.Context) (driver.Conn, error) {
	config := c.config
	if c.token != nil {
		var err error
		if config.Password, err = c.token(ctx); err != nil {
			return nil, err
		}
	}
	connector, err := pq.NewConnectorConfig(config)
	if err != nil {
		return nil, err
	}
	dialer := &postgresDialer{ctx: ctx}
	connector.Dialer(dialer)
	opened, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := as[resettableConn](opened)
	switch {
	case err != nil:
		return nil, err
	case dialer.current == nil:
		return nil, errors.Join(errors.New("the PostgreSQL driver did not dial as it was told"), opened.Close())
	case !dialer.settle():
		return nil, errors.Join(context.Cause(ctx), opened.Close())
	}
	return &postgresSession{conn, dialer.current}, nil
}

// postgresDialer makes the wires of one session: while it is opened one that ends with the
// context, and later those that carry a request to cancel.
type postgresDialer struct {
	ctx     context.Context //nolint:containedctx // of the opening, which the driver does not hand on
	current *wire
	release func() bool
	settled atomic.Bool
}

// settle lifts the bound when the session is open, and tells whether that was in time.
func (d *postgresDialer) settle() bool {
	d.settled.Store(true)
	return d.release()
}

// Dial implements pq.Dialer.
func (d *postgresDialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(d.ctx, network, address)
}

// DialTimeout implements pq.Dialer.
func (d *postgresDialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.ctx, timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// DialContext implements pq.DialerContext.
func (d *postgresDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: conn}
	if d.settled.Load() {
		w.left.Store(1 << 20)
		return w, w.SetDeadline(time.Now().Add(grace))
	}
	if d.release != nil {
		_ = d.release() // of a host that was tried before
	}
	d.current, d.release = w, w.guard(d.ctx, 1<<20, 0)
	return w, nil
}
