package query_test

import (
	"maps"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// mostMemory is what a result of ten million rows may take of the heap.
const mostMemory = 32 << 20

// TestTenMillionRowsTakeBoundedMemory asks one database after the other, so that the heap
// is that of one query: the largest that is seen, garbage included.
func TestTenMillionRowsTakeBoundedMemory(t *testing.T) {
	open := everyWorld()
	open["redshift"] = openRedshift
	open["clickhouse"] = func(t *testing.T) *world {
		address, _ := clickhouse(t)
		return &world{url: address, millions: "SELECT 'OK' AS status, number AS k FROM numbers(10000000)"}
	}
	for _, name := range slices.Sorted(maps.Keys(open)) {
		t.Run(name, func(t *testing.T) {
			w := open[name](t)
			if w.admin != nil {
				w.exec(t, "CREATE TABLE IF NOT EXISTS orders (id INTEGER)")
			}
			r := w.runner(t, 1)
			ask(t, r, "SELECT 'OK' AS status") // opens the session
			peak := heapOf(func() {
				require.Contains(t, fails(t, ask(t, r, w.millions, "k"), alert.ErrorRowCap), "1000")
			})
			t.Logf("%s: 10,000,000 rows took %.1f MB of the heap at most", name, float64(peak)/1e6)
			require.Less(t, peak, uint64(mostMemory))
		})
	}
}

// heapOf is by how much the heap grows, at most, while act runs.
func heapOf(act func()) uint64 {
	var now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&now)
	before, peak := now.HeapAlloc, now.HeapAlloc
	done := make(chan struct{})
	go func() {
		defer close(done)
		act()
	}()
	for {
		select {
		case <-done:
			runtime.ReadMemStats(&now)
			return max(peak, now.HeapAlloc) - before
		default:
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapAlloc)
			runtime.Gosched()
		}
	}
}
