package local_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/local"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest"
)

func TestStoriesOnSQLite(t *testing.T) {
	sentineltest.TestStories(t, func(t *testing.T) sentineltest.Runtime {
		store, err := local.Open(t.Context(), local.Options{Path: filepath.Join(t.TempDir(), "state.db")})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, store.Close()) })
		return store
	})
}
