package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	// settled is how long the files must stay as they are before they are read: an editor
	// writes in steps.
	settled = time.Second
	// agreement is how long after a reading that lacks alerts another must say the same.
	agreement = 10 * time.Second
	// patience is after how long a file is read that does not come to rest.
	patience = 10 * time.Second
)

// watch follows the alert file and the files that it names. It looks at them again and
// again, which sees every way of changing a file, on every file system: written in place,
// renamed over, or a symbolic link that leads elsewhere now.
func (d *Daemon) watch(ctx context.Context) {
	seen := d.fingerprint()
	read := seen                        // as it was when the file was last read
	var first, changed, again time.Time // of the changes since then; when it is read again all the same
	agreed := false
	for pause := settled; ; {
		asked := d.pause(ctx, pause)
		if ctx.Err() != nil {
			return
		}
		began := time.Now()
		now, current := d.Clock.Now(), d.fingerprint()
		pause = max(settled, 200*time.Since(began)) // many files are looked at less often
		if current != seen {
			if seen == read {
				first = now
			}
			seen, changed = current, now
		}
		switch {
		case asked, seen != read && (now.Sub(changed) >= settled || now.Sub(first) >= patience):
			read = seen
			again, agreed = d.reload(ctx, false)
			// What changed meanwhile is read next; so are files that are named for the first time.
			seen, first, changed = d.fingerprint(), now, now
		case !again.IsZero() && !now.Before(again) && seen == read: // else the change is read first
			again, agreed = d.reload(ctx, agreed)
		}
	}
}

// pause waits; true if somebody asked for the file to be read.
func (d *Daemon) pause(ctx context.Context, long time.Duration) bool {
	timed, cancel := context.WithCancel(ctx)
	defer cancel()
	come := make(chan struct{})
	go func() {
		d.Clock.Wait(timed, d.Clock.Now().Add(long))
		close(come)
	}()
	select {
	case <-come:
		return false
	case <-ctx.Done():
		return false
	case <-d.Reload:
		return true
	case <-d.astray:
		return true
	}
}

// fingerprint tells whether a file is another now, without reading it.
func (d *Daemon) fingerprint() string {
	d.mu.Lock()
	files := append([]string{d.Path}, d.setup.Files...)
	d.mu.Unlock()
	var out strings.Builder
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			fmt.Fprintf(&out, "%s: %v\n", name, err)
			continue
		}
		fmt.Fprintf(&out, "%s: %d %d %s\n", name, info.Size(), info.ModTime().UnixNano(), identity(info))
	}
	return out.String()
}

// errOther is a file of another name.
var errOther = errors.New("that is another state; start the daemon again if that is meant")

// reload reads the file and puts it in force. It returns when to read it again, and whether
// what is missing then is agreed: if alerts are missing from it, or if the state could not be
// written. An invalid file changes nothing.
func (d *Daemon) reload(ctx context.Context, agreed bool) (again time.Time, then bool) {
	setup, err := d.Load()
	if err == nil {
		again, err = d.adopt(ctx, setup, agreed)
		if err == nil {
			d.metrics.reloads.WithLabelValues("ok").Inc()
			return again, true
		}
		if !errors.Is(err, errOther) {
			again = d.Clock.Now().Add(agreement)
		}
	}
	if ctx.Err() != nil {
		return time.Time{}, false
	}
	d.metrics.reloads.WithLabelValues("failed").Inc()
	d.mu.Lock()
	d.problem = err.Error()
	d.mu.Unlock()
	d.Log.Error("the alert file cannot be used; the last good one stays in force", "error", err)
	return again, agreed
}

func (d *Daemon) adopt(ctx context.Context, setup *Setup, agreed bool) (time.Time, error) {
	var again time.Time
	now := d.current()
	if setup.Scope != now.Scope {
		err := fmt.Errorf("its name was %q and is %q now: %w", now.Scope, setup.Scope, errOther)
		return again, joinClose(err, setup)
	}
	definitions, err := d.Store.Definitions(ctx, setup.Scope)
	if err != nil {
		return again, joinClose(err, setup)
	}
	gone := missing(definitions, setup.Alerts)
	var names []string
	for _, a := range gone {
		names = append(names, a.Name)
		agreed = agreed && slices.Contains(d.gone, a.Name)
	}
	d.gone = names
	if !agreed {
		if len(gone) > 0 {
			again = d.Clock.Now().Add(agreement)
			d.Log.Info("alerts are missing from the file; they are removed if it says so again", "count", len(gone), "in", agreement.String())
		}
	}
	if err := d.apply(ctx, setup, agreed || again.IsZero()); err != nil {
		return again, joinClose(err, setup)
	}
	return again, nil
}

func (d *Daemon) current() *Setup {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.setup
}

func joinClose(err error, setup *Setup) error {
	if closing := setup.Close(); closing != nil {
		return fmt.Errorf("%w; %w", err, closing)
	}
	return err
}
