package query

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// redshiftDialect reads Amazon Redshift, which speaks the protocol of PostgreSQL 8. A cursor
// there is kept whole on the leader node and bounds what may be fetched, so that the query
// is sent as it is: it must begin as a SELECT does, the server prepares it as one statement,
// and runs it in a read-only transaction that is always rolled back.
type redshiftDialect struct{ postgresDialect }

func (d *redshiftDialect) open(text, dir string) (*sql.DB, error) {
	u, err := url.Parse(text)
	if err == nil && u.Port() == "" && u.Hostname() != "" {
		u.Host += ":5439"
		text = u.String()
	}
	return d.postgresDialect.open(text, dir)
}

func (d *redshiftDialect) query(ctx context.Context, conn *sql.Conn, s statement, most caps, read func(*sql.Rows) error) error {
	switch first := firstWord(d.grammar(), s.text); {
	case first == "":
		return guarded(alert.ErrorQuery, "the query is empty")
	case !strings.EqualFold(first, "SELECT") && !strings.EqualFold(first, "WITH"):
		return guarded(alert.ErrorReadOnly, "the query begins with %s and is no SELECT, and an alert only reads; it was not run", first)
	}
	return located(onWire(ctx, conn, most, func() error { return d.selected(ctx, conn, s, read) }), s, 0)
}

// firstWord is the first word of a query, behind comments and brackets, or its first character.
func firstWord(g grammar, text string) string {
	text = text[begins(g, text):]
	if first := word(text); first != "" {
		return first
	}
	return text[:min(len(text), 1)]
}

// begins is the byte at which a text begins, behind spaces, brackets and comments.
func begins(g grammar, text string) int {
	for i := 0; i < len(text); {
		switch n := g.skip(text, i); {
		case strings.IndexByte(" \t\r\n\f(;", text[i]) >= 0:
			i++
		case n > 0 && (text[i] == '-' || text[i] == '/'):
			i += n
		default:
			return i
		}
	}
	return len(text)
}

// selected runs the query. What is left of a result beyond the caps is cancelled on the
// server.
func (d *redshiftDialect) selected(ctx context.Context, conn *sql.Conn, s statement, read func(*sql.Rows) error) error {
	deadline := int64(0)
	if at, ok := ctx.Deadline(); ok {
		deadline = max(time.Until(at).Milliseconds(), 1)
	}
	begin := fmt.Sprintf("BEGIN READ ONLY; SELECT set_config('statement_timeout', '%d', true)", deadline)
	if _, err := conn.ExecContext(ctx, begin); err != nil {
		return err
	}
	working, cancel := context.WithCancel(ctx)
	defer cancel()
	stmt, err := conn.PrepareContext(working, s.text)
	if err != nil {
		return err
	}
	rows, err := stmt.QueryContext(working, s.values(func(a argument) any { return a.at })...) //nolint:rowserrcheck // read returns it
	if err != nil {
		return errors.Join(err, stmt.Close())
	}
	if err := read(rows); err != nil {
		cancel()
		_ = rows.Close()
		return err
	}
	if err := errors.Join(rows.Close(), stmt.Close()); err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		return err
	}
	if sticky(s.text) {
		return errSticky
	}
	return nil
}
