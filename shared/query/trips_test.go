package query_test

import (
	"io"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/databases"
)

// countTrips is a proxy that counts how often a client waits for the server: how often it
// sends something after it was sent something.
func countTrips(t *testing.T, server string, trips *atomic.Int64) (address string) {
	return talker(t, func(conn net.Conn) {
		upstream, err := net.Dial("tcp", server)
		if err != nil {
			return
		}
		defer func() { _ = upstream.Close() }()
		var answered atomic.Bool
		answered.Store(true)
		go func() {
			defer func() { _ = upstream.Close() }()
			buffer := make([]byte, 64<<10)
			for {
				n, err := conn.Read(buffer)
				if err != nil {
					return
				}
				if answered.Swap(false) {
					trips.Add(1)
				}
				if _, err := upstream.Write(buffer[:n]); err != nil {
					return
				}
			}
		}()
		_, _ = io.Copy(writes(func(p []byte) (int, error) {
			answered.Store(true)
			return conn.Write(p)
		}), upstream)
	})
}

type writes func([]byte) (int, error)

func (w writes) Write(p []byte) (int, error) { return w(p) }

func TestTheGuardsCostFourRoundTripsARunAtMost(t *testing.T) {
	for name, c := range map[string]struct {
		start func(testing.TB) string
		most  float64 // with the query itself
	}{"postgres": {databases.Postgres, 4}, "mariadb": {databases.MariaDB, 5}} {
		t.Run(name, func(t *testing.T) {
			address := c.start(t)
			var trips atomic.Int64
			proxy := countTrips(t, u(t, address).Host, &trips)
			through := with(t, address, func(u *url.URL) {
				u.Host = proxy
				if name == "postgres" {
					v := u.Query()
					v.Set("sslmode", "disable")
					u.RawQuery = v.Encode()
				}
			})
			r, err := query.New(query.Options{Databases: map[string]alert.Database{"": {URL: strings.ReplaceAll(through, "$", "$$"), MaxConnections: 1}}})
			require.NoError(t, err)
			defer func() { require.NoError(t, r.Close()) }()
			works(t, r, steady) // opens the session
			const runs = 20
			before := trips.Load()
			for range runs {
				works(t, r, steady)
			}
			perRun := float64(trips.Load()-before) / runs
			t.Logf("%.2f round trips a run", perRun)
			// One trip is the query itself; the rest is what the guards add to it.
			require.LessOrEqual(t, perRun, c.most)
			require.Positive(t, perRun)
		})
	}
}
