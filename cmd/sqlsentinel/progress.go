package main

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// A progress is a bar on stderr, if that is a terminal, for runs of many alerts or long ones.
type progress struct {
	a             *app
	total         int
	done, ringing atomic.Int64
	failing       atomic.Int64
	quit          chan struct{}
	ended         sync.WaitGroup
}

// When the bar appears, and how often it moves.
const (
	progressAlerts = 20
	progressAfter  = 2 * time.Second
	progressStep   = 100 * time.Millisecond
)

// startProgress shows a bar where there is a terminal. It must be stopped.
func (a *app) startProgress(total int) *progress {
	p := &progress{a: a, total: total, quit: make(chan struct{})}
	width, terminal := a.terminal(a.errs)
	if !terminal || total == 0 {
		return p
	}
	wait := progressAfter
	if total > progressAlerts {
		wait = progressStep
	}
	p.ended.Go(func() { p.draw(width, wait) })
	return p
}

// count notes that an alert is done.
func (p *progress) count(status alert.Status) {
	p.done.Add(1)
	switch status {
	case alert.StatusAlert:
		p.ringing.Add(1)
	case alert.StatusError:
		p.failing.Add(1)
	}
}

// stop takes the bar away.
func (p *progress) stop() {
	close(p.quit)
	p.ended.Wait()
}

func (p *progress) draw(width int, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for drawn := false; ; drawn = true {
		select {
		case <-timer.C:
			_, _ = fmt.Fprintf(p.a.errs, "\r\x1b[K%s", p.line(width))
			timer.Reset(progressStep)
		case <-p.quit:
			if drawn {
				_, _ = fmt.Fprint(p.a.errs, "\r\x1b[K")
			}
			return
		}
	}
}

// line is "[####----] 120/1000  3 ALERT  1 ERROR", one column narrower than the terminal.
func (p *progress) line(width int) string {
	done := int(p.done.Load())
	text := fmt.Sprintf(" %d/%d", done, p.total)
	if n := p.ringing.Load(); n > 0 {
		text += fmt.Sprintf("  %d ALERT", n)
	}
	if n := p.failing.Load(); n > 0 {
		text += fmt.Sprintf("  %d ERROR", n)
	}
	bar := min(width-len(text)-3, 40)
	if bar < 5 {
		return shorten(text[1:], width-1)
	}
	full := bar * done / p.total
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", bar-full) + "]" + text
}
