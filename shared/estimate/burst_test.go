package estimate_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/estimate"
)

// burst is a minute of n runs of 2 s under the quotas of an account that asked for none.
func burst(n ...int) estimate.Burst {
	return estimate.Burst{
		PerMinute: n, Rate: 1000, Concurrency: 1000, Environments: 1000, RunSeconds: 2, StaleSeconds: 0.05,
		LateAfter: 60, MissedAfter: 300, DropAfter: 900,
	}
}

func TestAFewRunsAllBeginInTheirFirstSecond(t *testing.T) {
	require.Equal(t, estimate.Outcome{Runs: 50, OnTime: 50, Places: 50}, burst(50).Simulate())
}

func TestAThousandPlacesServe500RunsOf2SecondsEachSecond(t *testing.T) {
	out := burst(10_000).Simulate()
	require.Equal(t, 10_000, out.OnTime)
	require.Equal(t, 1000, out.Places)
	require.InDelta(t, 19, out.LastSeconds, 0.5, "1,000 in each 2 s, the first in the first second")
}

func TestABurstOf100000RunsOf2SecondsAt1000Places(t *testing.T) {
	out := burst(100_000).Simulate()
	require.Equal(t, 100_000, out.OnTime+out.Late+out.Missed)
	require.InDelta(t, 30_500, out.OnTime, 600, "500 a second, and the first 1,000 at once")
	require.Zero(t, out.Missed, "all begin within 200 s")
	require.InDelta(t, 198, out.LastSeconds, 1)
}

func TestWithEnoughPlacesSchedulerIsTheLimit(t *testing.T) {
	b := burst(100_000)
	b.Concurrency, b.Environments = 100_000, 100_000
	out := b.Simulate()
	require.InDelta(t, 100, out.LastSeconds, 0.5, "1,000 a second")
	require.InDelta(t, 2000, out.Places, 50, "each of 2 s")
	b.Rate = 100_000
	out = b.Simulate()
	require.Equal(t, 100_000, out.OnTime)
	require.Less(t, out.LastSeconds, 1.0)
	require.Equal(t, 100_000, out.Places)
}

func TestNewEnvironmentsComeAtLambdasPace(t *testing.T) {
	b := burst(4000)
	b.Concurrency, b.RunSeconds, b.Rate = 100_000, 600, 100_000
	b.MissedAfter = 900
	out := b.Simulate()
	require.InDelta(t, 30, out.LastSeconds, 0.5, "1,000 at once, then 100 a second")
}

func TestAnOverloadEachMinuteIsMissedAndNotEvenLate(t *testing.T) {
	minutes := make([]int, 60)
	for i := range minutes {
		minutes[i] = 100_000
	}
	b := burst(minutes...)
	b.Rate, b.Even = 100_000, true
	out := b.Simulate()
	require.Equal(t, 6_000_000, out.Runs)
	require.Equal(t, out.Runs, out.OnTime+out.Late+out.Missed)
	require.Greater(t, out.Missed, out.Runs/2, "30,000 a minute are served at best")
	b.Concurrency = 4000
	out = b.Simulate()
	require.Zero(t, out.Missed, "4,000 places are enough if the runs come evenly: 3,334 are needed")
	require.Less(t, out.Late, 1000, "while the first environments start")
}

func TestWhatIsTooOldIsDropped(t *testing.T) {
	b := burst(10_000)
	b.Concurrency, b.MissedAfter = 1, 1e9
	out := b.Simulate()
	require.InDelta(t, 450, out.OnTime+out.Late, 2, "900 s of one place")
	require.Equal(t, 10_000, out.OnTime+out.Late+out.Missed)
}

func TestASlowSchedulerHandsOverAsManyAsItMay(t *testing.T) {
	b := burst(600)
	b.Rate = 30
	require.InDelta(t, 20, b.Simulate().LastSeconds, 0.5)
}
