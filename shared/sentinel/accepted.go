package sentinel

import (
	"errors"
	"sync"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// Accepted are the deliveries that receivers took and the store could not record, because
// its disk was full, say. This process does not send them again: when it claims one once
// more, it records it. The zero value is ready; it is safe for concurrent use.
type Accepted struct {
	mu   sync.Mutex
	refs map[Ref]bool
}

// mostAccepted bounds what is kept in mind.
const mostAccepted = 10_000

// note keeps a delivery that was sent, unless that is recorded (or another sender has it).
func (a *Accepted) note(d alert.Delivery, recorded error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if recorded == nil || errors.Is(recorded, ErrUnclaimable) {
		delete(a.refs, Ref{d.ID, d.Try})
		return
	}
	if a.refs == nil || len(a.refs) >= mostAccepted {
		a.refs = map[Ref]bool{}
	}
	a.refs[Ref{d.ID, d.Try}] = true
}

func (a *Accepted) has(d alert.Delivery) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refs[Ref{d.ID, d.Try}]
}
