package simulation_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/simulation"
)

// TestSeedsThatFoundSomething plays again what once broke a promise.
func TestSeedsThatFoundSomething(t *testing.T) {
	for _, seed := range []uint64{1740, 1969} {
		memory := sentineltest.NewMemory()
		report, err := simulation.Run(simulation.Options{Seed: seed, Open: func() (sentineltest.Runtime, error) { return memory, nil }})
		require.NoError(t, err)
		require.Empty(t, report.Violations, "seed %d", seed)
	}
}

func TestSimulationInMemory(t *testing.T) {
	simulation.Test(t, 30, func(testing.TB) (simulation.Open, func()) {
		memory := sentineltest.NewMemory()
		return func() (sentineltest.Runtime, error) { return memory, nil }, func() {}
	})
}
