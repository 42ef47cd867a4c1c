package cloud_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/emulators"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/simulation"
)

// TestSimulationOnDynamoDB gives each simulation a table, and each process a store.
func TestSimulationOnDynamoDB(t *testing.T) {
	url := emulators.DynamoDB(t)
	simulation.Test(t, 4, func(t testing.TB) (simulation.Open, func()) {
		table := fmt.Sprintf("table-%d", tables.Add(1))
		store := func() *cloud.Store {
			s, err := cloud.NewStore(cloud.StoreOptions{AWS: at(url), Table: table})
			require.NoError(t, err)
			return s
		}
		require.NoError(t, store().CreateTable(t.Context()))
		return func() (sentineltest.Runtime, error) { return runtime{Store: store()}, nil }, func() {}
	})
}
