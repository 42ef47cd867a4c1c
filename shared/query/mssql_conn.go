package query

import (
	"context"
	"database/sql/driver"
	"errors"
	"net"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"
)

// mssqlConnector opens sessions over wires.
type mssqlConnector struct{ config msdsn.Config }

// Driver implements driver.Connector.
func (*mssqlConnector) Driver() driver.Driver { return &mssql.Driver{} }

// mssqlSession is a connection and its wire.
type mssqlSession struct {
	*mssql.Conn
	wire *wire
}

// Connect implements driver.Connector.
func (c *mssqlConnector) Connect(ctx context.Context) (driver.Conn, error) {
	connector := mssql.NewConnectorConfig(c.config)
	dialer := &mssqlDialer{ctx: ctx, host: c.config.Host}
	connector.Dialer = dialer
	opened, err := connector.Connect(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	conn, ok := opened.(*mssql.Conn)
	switch {
	case !ok || dialer.current == nil:
		return nil, errors.Join(errors.New("the SQL Server driver's connections lack what is needed"), opened.Close())
	case !dialer.release():
		return nil, errors.Join(context.Cause(ctx), opened.Close())
	}
	return &mssqlSession{conn, dialer.current}, nil
}

// mssqlDialer makes the wire of a session, which ends with the context while the session is
// opened. Names are resolved here, for the driver does not look at the context for that.
type mssqlDialer struct {
	ctx     context.Context //nolint:containedctx // of the opening, which outlives that of a dial
	host    string
	current *wire
	release func() bool
}

// HostName implements mssql.HostDialer.
func (d *mssqlDialer) HostName() string { return d.host }

// DialContext implements mssql.Dialer.
func (d *mssqlDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if d.release != nil {
		_ = d.release() // of the server that routed to another
	}
	w := &wire{Conn: conn}
	d.current, d.release = w, w.guard(d.ctx, 1<<20, 0)
	return w, nil
}
