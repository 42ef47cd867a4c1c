package local

import (
	"context"
	"fmt"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// Enqueue implements sentinel.Queue: the committed deliveries are the queue, so that it
// only wakes a worker of this process. Those of other processes look by themselves.
func (s *Store) Enqueue(_ context.Context, _ []alert.Delivery) error {
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// Writable returns nil if a change can be made: it writes what is there once more, to the
// disk, for a disk that is full takes a transaction that writes nothing.
func (s *Store) Writable(ctx context.Context) error {
	return s.change(ctx, "try a change", func(t *txn) error { return t.script(fmt.Sprintf("PRAGMA user_version = %d", schemaVersion)) })
}

// Wake receives after Enqueue: there may be deliveries due. Several calls may be one
// signal, and each signal is for one receiver.
func (s *Store) Wake() <-chan struct{} { return s.wake }
