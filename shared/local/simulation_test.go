package local_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/local"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/simulation"
)

// TestSimulationOnSQLite gives each process a store of its own on one file. The file lies
// in memory where that is possible: what a lost disk loses is the crash tests' matter.
func TestSimulationOnSQLite(t *testing.T) {
	parent := t.TempDir()
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		dir, err := os.MkdirTemp("/dev/shm", "sqlsentinel-simulation-*")
		if err == nil {
			parent = dir
			t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
		}
	}
	simulation.Test(t, 10, func(t testing.TB) (simulation.Open, func()) {
		dir, err := os.MkdirTemp(parent, "*")
		require.NoError(t, err)
		open := func() (sentineltest.Runtime, error) {
			return local.Open(t.Context(), local.Options{Path: filepath.Join(dir, "state.db")})
		}
		return open, func() { require.NoError(t, os.RemoveAll(dir)) }
	})
}
