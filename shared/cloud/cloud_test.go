package cloud_test

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/emulators"
)

func TestMain(m *testing.M) { os.Exit(emulators.Main(m)) }

// at is the configuration of an emulator.
func at(url string) aws.Config {
	return cloud.Configured(aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(url), Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
}

var tables atomic.Int64

// store is a store with a table of its own.
func store(t testing.TB) *cloud.Store {
	t.Helper()
	s, err := cloud.NewStore(cloud.StoreOptions{AWS: at(emulators.DynamoDB(t)), Table: fmt.Sprintf("table-%d", tables.Add(1))})
	require.NoError(t, err)
	require.NoError(t, s.CreateTable(t.Context()))
	return s
}

// A runtime is a store with a queue that nobody listens to: a story asks the outbox.
type runtime struct {
	*cloud.Store
	sentineltest.NoQueue
}

func TestTheStoreKeepsTheContract(t *testing.T) {
	shared := store(t)
	sentineltest.TestStore(t, func(*testing.T) sentineltest.Runtime { return runtime{Store: shared} })
}

func TestStoriesOnDynamoDB(t *testing.T) {
	seen := sentineltest.TestStories(t, func(t *testing.T) sentineltest.Runtime { return runtime{Store: store(t)} })
	require.True(t, seen[alert.OKSteady])
}
