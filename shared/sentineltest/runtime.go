package sentineltest

import (
	"context"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// Runtime is what a runtime must bring to pass the contract and the stories.
type Runtime interface {
	sentinel.Store
	sentinel.Outbox
	sentinel.Queue
}

// NoQueue is a queue that tells nobody: for a runtime whose workers ask the outbox.
type NoQueue struct{}

// Enqueue implements sentinel.Queue.
func (NoQueue) Enqueue(context.Context, []alert.Delivery) error { return nil }
