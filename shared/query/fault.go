package query

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// unharmed runs the query within its deadline. A driver that panics, over an answer that it
// did not expect, costs this run alone: its result says so.
func (r *Runner) unharmed(ctx context.Context, p *pool, a alert.Alert, run alert.Run) (result alert.Result) {
	defer func() {
		if fault := recover(); fault != nil {
			result = alert.Fail(alert.ErrorQuery, "%s", r.faulty(p, fault))
		}
	}()
	return r.within(ctx, p, a, run)
}

// ping asks a database for an answer, whatever it is.
func (r *Runner) ping(ctx context.Context, p *pool) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = errors.New(r.Secrets.Clean(r.faulty(p, fault)))
		}
	}()
	if _, err := p.read(ctx, statement{text: "SELECT 1"}, caps{r.MaxRows, r.MaxBytes}); err != nil {
		failure := p.failure(err, "")
		return errors.New(r.Secrets.Clean(failure.Message))
	}
	return nil
}

// faulty words a panic, and forgets the pool that it happened in: its sessions, and their
// locks, are in any state.
func (r *Runner) faulty(p *pool, fault any) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	is := func(_ string, other *pool) bool { return other == p }
	maps.DeleteFunc(r.pools, is)
	maps.DeleteFunc(r.named, is)
	go func() {
		defer func() { _ = recover() }() // the driver may be as surprised again
		_ = p.close()
	}()
	return fmt.Sprintf("the driver of the database failed: %v; this is a fault of the driver, not of the query, and the next run uses a new connection", fault)
}
