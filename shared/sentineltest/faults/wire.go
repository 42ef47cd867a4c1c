// Package faults breaks what a program stands on, so that tests see what it does then:
// connections that are cut, delayed or truncated, a disk that is full, files that turn
// read-only, and the clock of a process that jumps.
package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// A Toxic is one way in which a connection misbehaves; Toxiproxy names and plays it.
type Toxic struct {
	Type string `json:"type"`
	// Stream is the direction: "upstream" is what the program says, "downstream" what the
	// server answers.
	Stream     string           `json:"stream"`
	Attributes map[string]int64 `json:"attributes"`
}

// String names the toxic for a log.
func (x Toxic) String() string { return fmt.Sprintf("%s %s %v", x.Stream, x.Type, x.Attributes) }

// The directions of a Toxic.
const (
	Up   = "upstream"
	Down = "downstream"
)

// Truncate closes a connection after so many bytes.
func Truncate(stream string, bytes int64) Toxic {
	return Toxic{"limit_data", stream, map[string]int64{"bytes": bytes}}
}

// Delay holds every packet back for so long.
func Delay(stream string, by time.Duration) Toxic {
	return Toxic{"latency", stream, map[string]int64{"latency": by.Milliseconds()}}
}

// Trickle lets through one byte at a time, with a pause after each.
func Trickle(stream string, pause time.Duration) Toxic {
	return Toxic{"slicer", stream, map[string]int64{"average_size": 1, "delay": pause.Microseconds()}}
}

// Throttle lets through so many kilobytes a second.
func Throttle(stream string, rate int64) Toxic {
	return Toxic{"bandwidth", stream, map[string]int64{"rate": rate}}
}

// Reset ends a connection with a TCP reset, so long after its first byte.
func Reset(stream string, after time.Duration) Toxic {
	return Toxic{"reset_peer", stream, map[string]int64{"timeout": after.Milliseconds()}}
}

// Silence swallows every byte and never closes.
func Silence(stream string) Toxic {
	return Toxic{"timeout", stream, map[string]int64{"timeout": 0}}
}

// Draw chooses a toxic: any kind, either direction; cuts at any byte, the early ones more
// often; delays below and above a timeout.
func Draw(r *rand.Rand, timeout time.Duration) Toxic {
	stream := []string{Up, Down}[r.IntN(2)]
	switch r.IntN(7) {
	case 0, 1:
		return Truncate(stream, int64(math.Exp(r.Float64()*math.Log(longest))))
	case 2:
		return Delay(stream, timeout/20+below(r, timeout/5))
	case 3:
		return Delay(stream, timeout+below(r, timeout/2))
	case 4:
		return Trickle(stream, timeout/100+below(r, timeout))
	case 5:
		return Reset(stream, below(r, timeout/4))
	}
	return Silence(stream)
}

// longest is how many bytes a conversation has at most, about.
const longest = 10_000

func below(r *rand.Rand, limit time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(limit)))
}

// A Wire is a way to a server, by an address of its own, that can be spoiled. It is
// Toxiproxy in this process.
type Wire struct {
	server *toxiproxy.ApiServer
	to     string
	addr   string

	mu    sync.Mutex
	proxy *toxiproxy.Proxy
}

// NewWire listens on a free port of the loopback interface and leads to a server.
func NewWire(to string) (*Wire, error) {
	w := &Wire{server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop()), to: to, addr: "127.0.0.1:0"}
	if err := w.begin(); err != nil {
		return nil, err
	}
	w.addr = w.proxy.Listen
	return w, nil
}

func (w *Wire) begin() error {
	w.proxy = toxiproxy.NewProxy(w.server, w.to, w.addr, w.to)
	if err := w.proxy.Start(); err != nil {
		return fmt.Errorf("begin a wire to %s: %w", w.to, err)
	}
	return nil
}

// Addr is where the wire begins, host:port.
func (w *Wire) Addr() string { return w.addr }

// Spoil adds toxics to the connections that are open, and to those to come.
func (w *Wire) Spoil(all ...Toxic) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range all {
		body, err := json.Marshal(x)
		if err != nil {
			return fmt.Errorf("spoil the wire to %s: %w", w.to, err)
		}
		proxy := w.proxy
		err = w.within(func() error {
			_, err := proxy.Toxics.AddToxicJson(bytes.NewReader(body))
			return err
		})
		if err != nil {
			return fmt.Errorf("spoil the wire to %s by %s: %w", w.to, x, err)
		}
	}
	return nil
}

// Mend removes all toxics. Connections that a toxic has not closed go on.
func (w *Wire) Mend() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	proxy := w.proxy
	return w.within(func() error {
		proxy.Toxics.ResetToxics(context.Background())
		return nil
	})
}

// stuck is how long a change of toxics may take. Toxiproxy waits for ever if a connection
// ended while a packet was on its way.
const stuck = 3 * time.Second

// within changes the proxy; where that gets stuck, another one takes its place.
func (w *Wire) within(change func() error) error {
	done := make(chan error, 1)
	go func() { done <- change() }()
	select {
	case err := <-done:
		return err
	case <-time.After(stuck):
		w.proxy.Stop()
		return w.begin()
	}
}

// Cut closes every connection and refuses new ones, until Restore.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.proxy.Stop()
}

// Restore takes connections again, without toxics.
func (w *Wire) Restore() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.proxy.Stop()
	return w.begin()
}

// Close ends the wire.
func (w *Wire) Close() { w.Cut() }
