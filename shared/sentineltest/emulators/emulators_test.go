package emulators_test

import (
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/emulators"
)

func TestMain(m *testing.M) { os.Exit(emulators.Main(m)) }

func TestEachEmulatorAnswers(t *testing.T) {
	for name, endpoint := range map[string]func(testing.TB) string{"DynamoDB": emulators.DynamoDB, "SQS": emulators.SQS, "AWS": emulators.AWS} {
		t.Run(name, func(t *testing.T) {
			url := endpoint(t)
			require.Equal(t, url, endpoint(t), "it is started once")
			answer, err := http.Get(url)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
		})
	}
}
