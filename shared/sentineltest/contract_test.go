package sentineltest_test

import (
	"testing"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	sentineltest.TestStore(t, func(*testing.T) sentineltest.Runtime { return sentineltest.NewMemory() })
}
