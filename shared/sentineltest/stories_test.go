package sentineltest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

func TestStoriesInMemory(t *testing.T) {
	seen := TestStories(t, func(*testing.T) Runtime { return NewMemory() })
	for _, code := range alert.Codes {
		require.True(t, seen[code], "no story shows the reason code %s", code)
	}
}
