package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/local"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/databases"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/faults"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/mailserver"
)

// A world is a daemon with its state on a small disk, two alerts on PostgreSQL and one on
// MariaDB, a mail server and a receiver of HTTP; every connection goes over a wire that can
// be spoiled.
type world struct {
	t     *testing.T
	disk  *faults.Disk
	cli   *cli
	clock fastClock
	wires map[string]*faults.Wire // postgres, mariadb, http, smtp
	data  map[string]*sql.DB      // to the servers, not over wires
	low   bool
	flips int // how often the data changed, and the alerts with it

	mu    sync.Mutex
	heard []heard
	armed func() // what happens when the next message was accepted, before the answer
	mails *mailserver.Server

	process sync.Mutex // guards what follows
	daemon  *watched
	ended   chan error
	refused int // starts that failed, for the disk was full
}

// A heard is a message that a receiver accepted.
type heard struct{ target, alert, event, episode, key string }

// impatience is the timeout of queries and messages: a second of the wall.
const impatience = time.Second

const worldFile = `
name: world
databases:
  pg: {url: %q}
  maria: {url: %q}
owners: [{channel: webhook, url: "http://%[3]s/owner", timeout: 1s, attempts: 20}]
defaults:
  schedule: "* * * * *"
  timeout: 1s
  notify:
    - {channel: webhook, url: "http://%[3]s/team", timeout: 1s, attempts: 20}
    - {channel: email, recipients: [team@example.com], from: sentinel@example.com, smtp_host: %q, smtp_port: %s, smtp_tls: none, timeout: 1s, attempts: 20}
alerts:
  - {name: shop 1, database: pg, query: "SELECT CASE WHEN n < 5 THEN 'ALERT' ELSE 'OK' END AS status, n AS actual_value FROM stock"}
  - {name: shop 2, database: pg, query: "SELECT CASE WHEN n < 5 THEN 'ALERT' ELSE 'OK' END AS status FROM stock"}
  - {name: stock, database: maria, query: "SELECT CASE WHEN n < 5 THEN 'ALERT' ELSE 'OK' END AS status, n AS actual_value FROM stock"}
`

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, disk: faults.NewDisk(t, 64<<20), clock: fastClock{time.Now()}, wires: map[string]*faults.Wire{}, data: map[string]*sql.DB{}}
	server := httptest.NewServer(http.HandlerFunc(w.receive))
	t.Cleanup(server.Close)
	var err error
	w.mails, err = mailserver.Start(mailserver.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.mails.Close() })
	urls := map[string]string{}
	for kind, start := range map[string]func(testing.TB) string{"postgres": databases.Postgres, "mariadb": databases.MariaDB} {
		address, err := url.Parse(start(t))
		require.NoError(t, err)
		w.data[kind] = openDirectly(t, kind, address)
		w.change(kind, "CREATE TABLE stock (n INTEGER)")
		w.change(kind, "INSERT INTO stock VALUES (9)")
		address.Host = w.wire(kind, address.Host)
		urls[kind] = strings.ReplaceAll(address.String(), "$", "$$")
	}
	web, smtp := w.wire("http", strings.TrimPrefix(server.URL, "http://")), w.wire("smtp", w.mails.Addr())
	host, port, _ := strings.Cut(smtp, ":")
	w.cli = &cli{dir: w.disk.Dir(), env: map[string]string{}, now: w.clock.Now}
	require.NoError(t, os.WriteFile(w.cli.config(), fmt.Appendf(nil, worldFile, urls["postgres"], urls["mariadb"], web, host, port), 0o600))
	w.start()
	w.listens()
	return w
}

func (w *world) wire(name, to string) string {
	wire, err := faults.NewWire(to)
	require.NoError(w.t, err)
	w.t.Cleanup(wire.Close)
	w.wires[name] = wire
	return wire.Addr()
}

// openDirectly connects to a database as its superuser.
func openDirectly(t *testing.T, kind string, address *url.URL) *sql.DB {
	t.Helper()
	driver, dsn := "postgres", address.String()
	if kind == "mariadb" {
		password, _ := address.User.Password()
		driver, dsn = "mysql", fmt.Sprintf("%s:%s@tcp(%s)%s", address.User.Username(), password, address.Host, address.Path)
	}
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func (w *world) change(kind, text string) {
	w.t.Helper()
	_, err := w.data[kind].ExecContext(context.WithoutCancel(w.t.Context()), text)
	require.NoError(w.t, err)
}

// start starts a daemon.
func (w *world) start() {
	w.process.Lock()
	defer w.process.Unlock()
	d := &watched{cli: w.cli, t: w.t, log: &locked{}}
	d.process = startDaemon(w.t, w.clock, d.log, w.cli.config(), "--listen", "127.0.0.1:0")
	ended := make(chan error, 1)
	go func() { ended <- d.process.Wait() }()
	w.t.Cleanup(func() { _ = d.process.Process.Kill() })
	w.daemon, w.ended = d, ended
}

// listens waits until the daemon listens. One that could not start is started again, as
// what supervises it does.
func (w *world) listens() {
	w.t.Helper()
	w.daemon.eventually("it listens", func() bool {
		select {
		case <-w.ended:
			require.Contains(w.t, w.daemon.log.String(), "full", "only a full disk keeps it from starting")
			w.refused++
			w.start()
		default:
		}
		_, rest, found := strings.Cut(w.daemon.log.String(), `"address":"`)
		w.daemon.address, _, _ = strings.Cut(rest, `"`)
		return found
	})
}

// kill ends the daemon as the kernel does when memory is short.
func (w *world) kill() {
	w.process.Lock()
	defer w.process.Unlock()
	_ = w.daemon.process.Process.Kill()
	w.ended <- <-w.ended // it has ended, and says so again
}

// signal reaches the daemon, if it lives.
func (w *world) signal(what syscall.Signal) {
	w.process.Lock()
	defer w.process.Unlock()
	if err := w.daemon.process.Process.Signal(what); err != nil && !errors.Is(err, os.ErrProcessDone) {
		w.t.Error(err)
	}
}

// stop ends the daemon as a person does.
func (w *world) stop() {
	w.t.Helper()
	w.signal(syscall.SIGTERM)
	require.NoError(w.t, <-w.ended, "%s", w.daemon.log)
}

// flip changes the data, so that every alert opens, or recovers.
func (w *world) flip() {
	w.low = !w.low
	w.flips++
	n := map[bool]int{true: 1, false: 9}[w.low]
	for kind := range w.data {
		w.change(kind, fmt.Sprintf("UPDATE stock SET n = %d", n))
	}
}

// receive takes a message over HTTP. One whose body was cut off is not accepted.
func (w *world) receive(answer http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var m struct {
		Key     string `json:"event_id"`
		Episode string `json:"episode_id"`
		Event   string `json:"event"`
		Alert   string `json:"alert_name"`
	}
	if err != nil || json.Unmarshal(body, &m) != nil {
		answer.WriteHeader(http.StatusBadRequest) // nobody is there to read it
		return
	}
	if key := r.Header.Get("Idempotency-Key"); key != m.Key {
		w.t.Errorf("a message says that its key is %s, and its header %s", m.Key, key)
	}
	w.mu.Lock()
	w.heard = append(w.heard, heard{r.URL.Path, m.Alert, m.Event, m.Episode, m.Key})
	w.mu.Unlock()
	w.fire()
}

// arm has something happen once, when the next message was accepted.
func (w *world) arm(do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed = do
}

// fire lets it happen, unless it has.
func (w *world) fire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.armed != nil {
		w.armed()
		w.armed = nil
	}
}

// told is everything that was accepted, mails too.
func (w *world) told() []heard {
	w.t.Helper()
	w.mu.Lock()
	out := slices.Clone(w.heard)
	w.mu.Unlock()
	for _, m := range w.mails.Messages() {
		parsed, err := mail.ReadMessage(strings.NewReader(string(m.Data)))
		require.NoError(w.t, err, "a mail that was accepted is whole")
		id, _, _ := strings.Cut(strings.Trim(parsed.Header.Get("Message-ID"), "<>"), "@")
		episode, _, _ := strings.Cut(strings.Trim(parsed.Header.Get("References"), "<>"), "@")
		out = append(out, heard{"mail", parsed.Header.Get("List-Id"), parsed.Header.Get("X-SQL-Sentinel-Event"), episode, id})
	}
	return out
}

// store opens the state for reading.
func (w *world) store() *local.Store {
	w.t.Helper()
	store, err := local.Open(w.t.Context(), local.Options{Path: filepath.Join(w.disk.Dir(), stateName), ReadOnly: true})
	require.NoError(w.t, err)
	return store
}

// quiet tells whether every alert stands as its data says, no database is out, and nothing
// waits.
func (w *world) quiet() bool {
	store := w.store()
	defer func() { require.NoError(w.t, store.Close()) }()
	states, err := store.States(w.t.Context(), "world")
	require.NoError(w.t, err)
	want, open := alert.StatusOK, 0
	if w.low {
		want, open = alert.StatusAlert, 1
	}
	for _, s := range states {
		if s.Last == nil || s.Last.Status != want || s.Open() != open || s.ErrorEpisode != nil {
			return false
		}
	}
	for _, name := range []string{"pg", "maria"} {
		out, err := store.Outage(w.t.Context(), "world", alert.DatabaseSubject(name))
		require.NoError(w.t, err)
		if out.Episode != nil {
			return false
		}
	}
	next, err := store.NextDue(w.t.Context(), "world") // after the states: their messages are stored with them
	require.NoError(w.t, err)
	return len(states) == 3 && next.IsZero()
}

// settle waits until the world is quiet and well again by itself. What was given up, for
// its senders died over it, is seen, and sent again by hand.
func (w *world) settle() (redriven int) {
	w.t.Helper()
	w.listens()
	w.daemon.eventually("all is quiet", w.quiet)
	_, out, _ := w.cli.call(w.t.Context(), "deliveries list", "--status", "dead", "--json")
	var dead struct{ Deliveries []struct{ ID, Error string } }
	require.NoError(w.t, json.Unmarshal([]byte(out), &dead), out)
	if len(dead.Deliveries) > 0 {
		code, _, errs := w.cli.call(w.t.Context(), "deliveries redrive", "--all-dead")
		require.Zero(w.t, code, errs)
		w.daemon.eventually("what was dead is sent", w.quiet)
	}
	for _, path := range []string{"/health", "/ready"} {
		w.daemon.eventually(path+" is well again", func() bool { code, _ := w.daemon.get(path); return code == http.StatusOK })
	}
	return len(dead.Deliveries)
}

// account holds what the receivers accepted against what happened to the data: each target
// was told of each change once, in order; and of each outage its beginning and its end. It
// returns how many messages came twice, with one key, by target.
func (w *world) account() map[string]int {
	w.t.Helper()
	copies, sequence, outages := map[string]int{}, map[string][]string{}, map[string][]string{}
	twice := map[string]int{}
	for _, m := range w.told() {
		if copies[m.target+" "+m.key]++; copies[m.target+" "+m.key] > 1 {
			twice[m.target]++
			continue
		}
		if strings.HasPrefix(m.event, "error") {
			outages[m.target+" "+m.episode] = append(outages[m.target+" "+m.episode], m.event)
			continue
		}
		sequence[m.target+" "+m.alert] = append(sequence[m.target+" "+m.alert], m.event)
	}
	require.Len(w.t, sequence, 6, "three alerts told two targets each: %v", sequence)
	for who, events := range sequence {
		require.Len(w.t, events, w.flips, "%s: one message for each change of the data: %v", who, events)
		for i, event := range events {
			require.Equal(w.t, []string{"alert", "recovery"}[i%2], event, "%s: %v", who, events)
		}
	}
	for who, events := range outages {
		require.Equal(w.t, []string{"error", "error_recovery"}, events, who)
	}
	w.stored(copies)
	return twice
}

// stored holds what was accepted against the outbox.
func (w *world) stored(copies map[string]int) {
	w.t.Helper()
	store := w.store()
	defer func() { require.NoError(w.t, store.Close()) }()
	all, err := store.Deliveries(w.t.Context(), sentinel.DeliveryFilter{Scope: "world", Limit: 100_000})
	require.NoError(w.t, err)
	known := map[string]bool{}
	for _, d := range all {
		require.Equal(w.t, alert.Sent, d.Status, "%s: %s", d.ID, d.LastError)
		known[d.ID] = true
	}
	told := map[string]bool{}
	for who := range copies {
		_, id, _ := strings.Cut(who, " ")
		told[id] = true
	}
	require.ElementsMatch(w.t, slices.Collect(maps.Keys(known)), slices.Collect(maps.Keys(told)), "what is recorded as sent was accepted, and nothing else")
	whole(w.t, filepath.Join(w.disk.Dir(), stateName))
}
