package main

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the shop's driver

	"github.com/sqlsentinel/sqlsentinel/samples"
	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/mailserver"
)

//go:embed demo.yaml
var demoAlerts string

// The files of the demo, and the path under which its Slack listens.
const (
	demoConfig    = "alerts.yaml"
	demoShop      = "shop.db"
	demoSlackPath = "/slack/sales"
)

// A demoWorld is all that the story plays in.
type demoWorld struct {
	session  *session
	engine   *engine
	shop     *sql.DB // may write, as the shop's own programs do
	mail     *mailserver.Server
	mailRead int
	receiver *demoReceiver
	clock    *demoClock
	start    time.Time
	print    *demoPrinter
}

// openDemo makes the shop and its receivers, and the engine on an alert file in dir.
// The program's own environment has no say in it: nothing may leave this machine.
func (a *app) openDemo(ctx context.Context, dir string) (w *demoWorld, err error) {
	// The story ends about now, so that what is kept can be looked at.
	start := a.now().UTC().Truncate(demoStep).Add(-demoStep * clockSteps(len(demoStory())-1))
	w = &demoWorld{start: start, clock: &demoClock{at: start}, print: &demoPrinter{out: a.out}}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.mail, err = mailserver.Start(mailserver.Options{}); err != nil {
		return w, err
	}
	if w.receiver, err = startReceiver(ctx); err != nil {
		return w, err
	}
	if err = w.writeFiles(dir); err != nil {
		return w, err
	}
	if w.shop, err = openShop(ctx, filepath.Join(dir, demoShop), a.now()); err != nil {
		return w, err
	}
	return w, w.openEngine(ctx, a, filepath.Join(dir, demoConfig))
}

// clockSteps is n as a factor of a duration.
func clockSteps(n int) time.Duration { return time.Duration(n) }

// writeFiles writes the alert file, and the receivers' addresses as its .env.
func (w *demoWorld) writeFiles(dir string) error {
	env := fmt.Sprintf("DEMO_URL=%s\nSMTP_HOST=%s\nSMTP_PORT=%d\nSMTP_FROM_ADDRESS=sentinel@shop.example\nSMTP_USE_TLS=false\n",
		w.receiver.url, w.mail.Host(), w.mail.Port())
	for name, text := range map[string]string{demoConfig: demoAlerts, ".env": env} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("write the demo's files: %w", err)
		}
	}
	return nil
}

// openShop makes the sample shop, with a week of orders that ends on the day.
func openShop(ctx context.Context, path string, day time.Time) (*sql.DB, error) {
	shop, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: "_pragma=busy_timeout(5000)"}).String())
	if err != nil {
		return nil, fmt.Errorf("make the sample shop: %w", err)
	}
	for _, statement := range []string{
		"CREATE TABLE today (day TEXT NOT NULL)",
		"INSERT INTO today VALUES ('" + day.UTC().Format(time.DateOnly) + "')",
		samples.Shop,
	} {
		if _, err := shop.ExecContext(ctx, statement); err != nil {
			return nil, fmt.Errorf("make the sample shop: %w", errors.Join(err, shop.Close()))
		}
	}
	return shop, nil
}

// openEngine loads the alert file as any command does, with the moved clock.
func (w *demoWorld) openEngine(ctx context.Context, a *app, config string) error {
	inner := newApp(a.in, a.out, a.errs, func(string) (string, bool) { return "", false })
	inner.now, inner.terminal, inner.log = w.clock.now, a.terminal, a.log
	session, err := inner.load(ctx, config)
	if err != nil {
		return err
	}
	store, err := session.openFile(ctx)
	if err != nil {
		return err
	}
	engine, err := session.openEngine(store)
	if err != nil {
		return err
	}
	w.session, w.engine = session, engine
	engine.Pause = w.clock.pause
	if _, err := engine.Sync(ctx, session.file.Scope, session.file.Alerts); err != nil {
		return err
	}
	return nil
}

// change makes what happens before a tick happen.
func (w *demoWorld) change(ctx context.Context, t demoTick) error {
	for _, statement := range t.sql {
		if _, err := w.shop.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("change the sample shop: %w", err)
		}
	}
	if t.silence == nil {
		return nil
	}
	now := w.clock.now()
	return w.engine.Silence(ctx, alert.ID{Scope: w.session.file.Scope, Name: t.silence.alert}, alert.Silence{
		Created: now, Until: now.Add(t.silence.span), Author: t.silence.author, Reason: t.silence.reason,
	})
}

// firstAlert is the first alert as the file has it.
func (w *demoWorld) firstAlert() []string {
	_, rest, _ := strings.Cut(demoAlerts, "alerts:\n")
	first, _, _ := strings.Cut(rest, "\n\n")
	return strings.Split(first, "\n")
}

// close ends everything that was started; what was not is nil.
func (w *demoWorld) close() error {
	var all []error
	if w.engine != nil {
		all = append(all, w.engine.close())
		w.engine = nil
	}
	if w.shop != nil {
		all = append(all, w.shop.Close())
	}
	if w.mail != nil {
		all = append(all, w.mail.Close())
	}
	if w.receiver != nil {
		all = append(all, w.receiver.close())
	}
	return errors.Join(all...)
}

// demoClock is the virtual clock. It is safe for concurrent use.
type demoClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *demoClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *demoClock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// pause moves the clock instead of waiting.
func (c *demoClock) pause(ctx context.Context, d time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	return ctx.Err() == nil
}
