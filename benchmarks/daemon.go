package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/local"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// togglingQuery sums one region by a scan; one alert in ten says ALERT in every other minute,
// half of them in the odd ones, so that each tick sends messages.
func togglingQuery(i int) string {
	say := "'OK'"
	if i%10 == 0 {
		say = fmt.Sprintf("CASE WHEN strftime('%%M', 'now') %% 2 = %d THEN 'ALERT' ELSE 'OK' END", i/10%2)
	}
	return fmt.Sprintf("SELECT %s AS status, SUM(total) AS actual_value, 0 AS threshold FROM orders WHERE region = %d", say, i)
}

// An arrivals receiver notes when each message came.
type arrivals struct {
	*httptest.Server
	mu    sync.Mutex
	at    map[string]time.Time
	first time.Time
	last  time.Time
	all   int
}

func newArrivals() *arrivals {
	a := &arrivals{at: map[string]time.Time{}}
	a.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		now := time.Now()
		_, _ = io.Copy(io.Discard, r.Body)
		a.mu.Lock()
		defer a.mu.Unlock()
		if len(a.at) == 0 {
			a.first = now
		}
		a.at[r.Header.Get("Idempotency-Key")], a.last = now, now
		a.all++
	}))
	return a
}

// requests is how many came, whatever their keys.
func (a *arrivals) requests() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.all
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.at)
}

// A process is a daemon that runs, and the lines that it logged.
type process struct {
	*exec.Cmd
	mu    sync.Mutex
	lines []logged
	ready chan struct{} // closed once it has started
	ended chan struct{}
}

type logged struct {
	Timestamp time.Time
	Message   string
	Scheduled time.Time `json:"scheduled_time"`
}

func (b *suite) daemon(config string) (*process, error) {
	p := &process{Cmd: exec.Command(b.binary, "daemon", config, "--no-env-file", "--listen", "none"), ready: make(chan struct{}), ended: make(chan struct{})}
	p.Dir = b.dir
	out, err := p.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("start the daemon: %w", err)
	}
	if err := p.Start(); err != nil {
		return nil, fmt.Errorf("start the daemon: %w", err)
	}
	go func() {
		defer close(p.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var l logged
			if json.Unmarshal(lines.Bytes(), &l) != nil {
				continue
			}
			p.mu.Lock()
			p.lines = append(p.lines, l)
			p.mu.Unlock()
			if l.Message == "started" {
				close(p.ready)
			}
		}
	}()
	return p, nil
}

// started waits until the daemon says that it has started.
func (p *process) started() error {
	select {
	case <-p.ready:
		return nil
	case <-p.ended:
		return fmt.Errorf("the daemon ended before it had started: %w", p.Wait())
	case <-time.After(3 * time.Minute):
		return errors.Join(errors.New("the daemon does not start"), p.Process.Kill())
	}
}

// stop ends it as a person does, and tells the most memory that it had. The kernel's count
// for an ended child would begin with the memory of this process.
func (p *process) stop() (peak int64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read the peak memory: %w", err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	if _, err := fmt.Sscanf(rest, "%d kB", &peak); err != nil {
		return 0, fmt.Errorf("read the peak memory: %w", err)
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, fmt.Errorf("stop the daemon: %w", err)
	}
	<-p.ended
	if err := p.Wait(); err != nil {
		return 0, fmt.Errorf("the daemon: %w", err)
	}
	return peak * 1024, nil
}

// ticks are how long each tick took until its last run was committed, if that was of n runs.
func (p *process) ticks(n int) []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, count := map[time.Time]time.Time{}, map[time.Time]int{}
	for _, l := range p.lines {
		if l.Message == "evaluated" {
			last[l.Scheduled] = l.Timestamp
			count[l.Scheduled]++
		}
	}
	var out []time.Duration
	for tick, at := range last {
		if count[tick] == n {
			out = append(out, at.Sub(tick))
		}
	}
	return out
}

// soak lets 1,000 alerts tick each minute for three minutes, and asks how late messages and runs
// are. In each minute, when the daemon has nothing to do, the same file is run twice: a machine
// that others share is not as fast in one minute as in the next.
func (b *suite) soak() error {
	const n, minutes = 1000, 3
	b.now.Rounds = 1
	ear := newArrivals()
	defer ear.Close()
	dir := filepath.Join(b.dir, "soak")
	config, _, err := alertFile(dir, "sqlite:///"+filepath.Join(b.dir, "orders.db"), fmt.Sprintf("    notify: [{channel: webhook, url: %q}]\n", ear.URL), n, 4, togglingQuery)
	if err != nil {
		return err
	}
	if err := everyMinute(config); err != nil {
		return err
	}
	daemon, err := b.daemon(config)
	if err != nil {
		return err
	}
	var once []sample
	begun := time.Now().Truncate(time.Minute)
	for i := range minutes + 1 { // the first run is warm-up, and comes before the first tick
		for range 2 {
			s, err := b.measure(b.dir, b.binary, "run", config, "--no-env-file", "--state", "sqlite:///"+filepath.Join(dir, "other.db"))
			if err != nil {
				return err
			}
			if i > 0 {
				once = append(once, s)
			}
		}
		if i < minutes {
			time.Sleep(time.Until(begun.Add(time.Duration(i+1)*time.Minute + 10*time.Second)))
		}
	}
	peak, err := daemon.stop()
	if err != nil {
		return err
	}
	late, err := ear.latencies(dir)
	if err != nil {
		return err
	}
	return b.reportSoak(n, late, daemon.ticks(n), median(walls(once)), peak)
}

func (b *suite) reportSoak(n int, late, ticks []time.Duration, run time.Duration, peak int64) error {
	if len(late) == 0 || len(ticks) == 0 {
		return fmt.Errorf("the daemon sent %d messages in %d ticks", len(late), len(ticks))
	}
	sync, err := fsync(b.dir)
	if err != nil {
		return err
	}
	p99, limit := late[len(late)*99/100], 20*time.Millisecond+2*sync
	atMost(b, fmt.Sprintf("daemon, %d alerts: query's end to webhook, p99 of %d", n, len(late)),
		fmt.Sprintf("%v (median %v, fsync %v)", p99.Round(100*time.Microsecond), median(late).Round(100*time.Microsecond), sync.Round(10*time.Microsecond)), p99, limit, limit.Round(100*time.Microsecond).String())
	tick := median(ticks)
	ratio := float64(tick) / float64(run)
	atMost(b, fmt.Sprintf("daemon, %d alerts: tick to last commit", n), fmt.Sprintf("%.2f × run of %v (%v)", ratio, run.Round(time.Millisecond), tick.Round(time.Millisecond)), ratio, 1.25, "1.25 ×")
	rss := 60e6 + float64(b.linked)
	atMost(b, fmt.Sprintf("peak RSS of daemon, %d alerts", n), megabytes(peak), float64(peak), rss, megabytes(int64(rss)))
	return nil
}

// everyMinute gives every alert of a file the schedule of each minute.
func everyMinute(config string) error {
	data, err := os.ReadFile(config)
	if err != nil {
		return fmt.Errorf("read the alert file: %w", err)
	}
	return os.WriteFile(config, bytes.ReplaceAll(data, []byte("*/5 * * * *"), []byte("* * * * *")), 0o600)
}

// latencies are how long after its decision each message came, the shortest first.
func (a *arrivals) latencies(dir string) ([]time.Duration, error) {
	store, err := local.Open(context.Background(), local.Options{Path: filepath.Join(dir, "sqlsentinel.db"), ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	defer func() { _ = store.Close() }()
	all, err := store.Deliveries(context.Background(), sentinel.DeliveryFilter{Scope: "bench", Limit: 1_000_000})
	if err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []time.Duration
	for _, d := range all {
		if at, ok := a.at[d.ID]; ok {
			out = append(out, at.Sub(d.CreatedAt))
		}
	}
	slices.Sort(out)
	return out, nil
}

// fsync is the median time in which a few bytes reach the disk.
func fsync(dir string) (time.Duration, error) {
	f, err := os.CreateTemp(dir, "fsync")
	if err != nil {
		return 0, fmt.Errorf("measure fsync: %w", err)
	}
	defer func() { _ = f.Close() }()
	var all []time.Duration
	for range 200 {
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return 0, fmt.Errorf("measure fsync: %w", err)
		}
		began := time.Now()
		if err := f.Sync(); err != nil {
			return 0, fmt.Errorf("measure fsync: %w", err)
		}
		all = append(all, time.Since(began))
	}
	return median(all), nil
}

// idle is what a daemon costs that has nothing to do.
func (b *suite) idle() error {
	n, long := 1000/b.scale, 60*time.Second/time.Duration(b.scale)
	b.now.Rounds = 1
	config, _, err := alertFile(filepath.Join(b.dir, "idle"), "sqlite:///"+filepath.Join(b.dir, "orders.db"), b.notify(), n, 4, okQuery)
	if err != nil {
		return err
	}
	if config, err = rarely(config); err != nil {
		return err
	}
	daemon, err := b.daemon(config)
	if err != nil {
		return err
	}
	if err := daemon.started(); err != nil {
		return err
	}
	time.Sleep(3 * time.Second) // it has collected its garbage
	before, err := cpuOf(daemon.Process.Pid)
	if err != nil {
		return err
	}
	time.Sleep(long)
	after, err := cpuOf(daemon.Process.Pid)
	if err != nil {
		return err
	}
	if _, err := daemon.stop(); err != nil {
		return err
	}
	share := float64(after-before) / float64(long)
	atMost(b, fmt.Sprintf("daemon, %d alerts: CPU while idle", n), fmt.Sprintf("%.2f %%", 100*share), share, 0.005, "0.5 %")
	return nil
}

// cpuOf is what a process used so far, by the kernel's count of hundredths of a second.
func cpuOf(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read the CPU time: %w", err)
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	var ticks int64
	for _, field := range strings.Fields(rest)[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read the CPU time: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}
