package simulation

import (
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goruntime "runtime"

	"github.com/stretchr/testify/require"
)

// Ground makes an empty place for one simulation, and something that removes it.
type Ground func(testing.TB) (open Open, remove func())

// Test plays seeds 1 to n; SENTINEL_SEEDS plays another number of them, SENTINEL_SEED one
// alone with its story. The story of a seed that breaks a promise is told, too.
func Test(t *testing.T, n int, ground Ground) {
	if text := os.Getenv("SENTINEL_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, "SENTINEL_SEED")
		report, err := on(t, ground, Options{Seed: seed, Tell: func(line string) { t.Log(line) }})
		require.NoError(t, err)
		require.Empty(t, report.Violations)
		return
	}
	if text := os.Getenv("SENTINEL_SEEDS"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		require.NoError(t, err, "SENTINEL_SEEDS")
	}
	began := time.Now()
	sum := sweep(t, n, ground)
	t.Logf("%d seeds in %s: %+v", n, time.Since(began).Round(time.Millisecond), sum)
}

// sweep plays seeds on all cores and stops at the first that breaks a promise.
func sweep(t *testing.T, n int, ground Ground) Tally {
	var next atomic.Uint64
	var mu sync.Mutex
	var sum Tally
	var group sync.WaitGroup
	for range goruntime.GOMAXPROCS(0) {
		group.Go(func() {
			for seed := next.Add(1); seed <= uint64(n) && !t.Failed(); seed = next.Add(1) {
				report, err := on(t, ground, Options{Seed: seed})
				if err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
				if len(report.Violations) > 0 {
					retell(t, seed, ground)
				}
				mu.Lock()
				sum.add(report.Tally)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return sum
}

// on plays one seed in a place of its own.
func on(t testing.TB, ground Ground, o Options) (Report, error) {
	open, remove := ground(t)
	defer remove()
	o.Open = open
	return Run(o)
}

// last is how many lines of a story are told of a failure.
const last = 120

// retell plays a seed again with its story.
func retell(t *testing.T, seed uint64, ground Ground) {
	var story []string
	report, err := on(t, ground, Options{Seed: seed, Tell: func(line string) { story = append(story, line) }})
	story = story[max(0, len(story)-last):]
	for _, line := range story {
		t.Log(line)
	}
	t.Errorf("seed %d breaks a promise (error: %v):\n%v\nThe whole story: SENTINEL_SEED=%d go test -count=1 -v -run '^%s$' in this folder", seed, err, report.Violations, seed, t.Name())
}
