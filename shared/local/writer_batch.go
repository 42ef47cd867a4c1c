package local

import (
	"context"
	"time"
)

// beside is how many other changes share a transaction with urgent ones at most: they must
// not wait for ever, and a message must not wait for them.
const beside = 16

// longRun and pause keep a busy writer fair: one that always has the next transaction
// ready lets other processes in, which try again every few milliseconds.
const (
	longRun = 500 * time.Millisecond
	pause   = 4 * time.Millisecond
)

// recent is how soon after a transaction a change must come to wait for company, in
// lingers.
const recent = 2

// lull is the part of a linger after which no more changes are expected.
const lull = 8

func (w *writer) run() {
	defer close(w.stopped)
	since, last := time.Now(), time.Time{}
	for {
		batch, hurry := w.more(nil)
		if len(batch) == 0 {
			idle := time.Now()
			batch, hurry = w.wait()
			if time.Since(idle) > pause {
				since = time.Now()
			}
		}
		if len(batch) == 0 {
			return
		}
		if time.Since(since) > longRun {
			time.Sleep(pause)
			since = time.Now()
		}
		if !hurry && w.linger > 0 && time.Since(last) < recent*w.linger {
			batch = w.company(batch)
		}
		w.write(batch)
		w.written += len(batch)
		last = time.Now()
	}
}

// company waits a little for more changes; less if they cease to come, or an urgent one does.
func (w *writer) company(batch []*change) []*change {
	enough, quiet := time.NewTimer(w.linger), time.NewTimer(w.linger/lull)
	defer enough.Stop()
	defer quiet.Stop()
	for len(batch) < maxBatch {
		select {
		case c := <-w.changes:
			batch = append(batch, c)
			quiet.Reset(w.linger / lull)
		case c := <-w.urgent:
			batch, _ = w.more(append(batch, c))
			return batch
		case <-w.closing:
			return batch
		case <-enough.C:
			return batch
		case <-quiet.C:
			return batch
		}
	}
	return batch
}

// wait returns the next changes, or none when the writer is closing and nothing is left. It
// tells whether one of them is urgent. Meanwhile it moves the log into the file.
func (w *writer) wait() (batch []*change, hurry bool) {
	var quiet <-chan time.Time
	if w.written >= worthMoving {
		timer := time.NewTimer(quietFor)
		defer timer.Stop()
		quiet = timer.C
	}
	select {
	case c := <-w.urgent:
		batch, _ = w.more([]*change{c})
		return batch, true
	case c := <-w.changes:
		return w.more([]*change{c})
	case <-w.closing:
		return w.more(nil)
	case <-quiet:
		w.checkpoint()
		return w.wait()
	}
}

// SQLite itself moves its log into the file within the commit after which the log is too
// long, and the changes of that commit wait for two more fsyncs and a thousand pages. So it
// is done when nothing is written for quietFor, if worthMoving changes are in the log;
// longestLog, in pages, is when SQLite does it after all.
const (
	quietFor    = 100 * time.Millisecond
	worthMoving = 64
	longestLog  = 4000
)

// checkpoint moves the log into the file as far as no reader needs it; what is left comes
// along the next time.
func (w *writer) checkpoint() {
	w.written = 0
	_, _ = w.conn.ExecContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)")
}

// more adds what waits already: all that is urgent, and beside it a few of the others. It
// tells whether something urgent came.
func (w *writer) more(batch []*change) (_ []*change, hurry bool) {
	urgent := len(w.urgent)
	for range urgent {
		batch = append(batch, <-w.urgent)
	}
	most := maxBatch
	if urgent > 0 {
		most = len(batch) + beside
	}
	for len(batch) < most {
		select {
		case c := <-w.changes:
			batch = append(batch, c)
		default:
			return batch, urgent > 0
		}
	}
	return batch, urgent > 0
}
