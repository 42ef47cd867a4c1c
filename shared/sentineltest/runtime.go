package sentineltest

import "github.com/sqlsentinel/sqlsentinel/shared/sentinel"

// Runtime is what a runtime must bring to pass the contract and the stories.
type Runtime interface {
	sentinel.Store
	sentinel.Outbox
	sentinel.Queue
}
