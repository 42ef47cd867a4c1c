package simulation_test

import (
	"testing"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/simulation"
)

func TestSimulationInMemory(t *testing.T) {
	simulation.Test(t, 300, func(testing.TB) (simulation.Open, func()) {
		memory := sentineltest.NewMemory()
		return func() (sentineltest.Runtime, error) { return memory, nil }, func() {}
	})
}
