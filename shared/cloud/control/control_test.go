package control_test

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/emulators"
)

func TestMain(m *testing.M) { os.Exit(emulators.Main(m)) }

// at is the configuration of an emulator.
func at(url string) aws.Config {
	return cloud.Configured(aws.Config{Region: "us-east-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
}

var tables atomic.Int64

// store is a store with a table of its own.
func store(t *testing.T) *cloud.Store {
	t.Helper()
	s, err := cloud.NewStore(cloud.StoreOptions{AWS: at(emulators.DynamoDB(t)), Table: fmt.Sprintf("table-%d", tables.Add(1))})
	require.NoError(t, err)
	require.NoError(t, s.CreateTable(t.Context()))
	return s
}
