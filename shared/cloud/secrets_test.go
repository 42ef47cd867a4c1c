package cloud

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"
)

func TestFunctionsThatStartTogetherReadTheirSecretsAgainAtDifferentTimes(t *testing.T) {
	kept := map[string]bool{}
	for range 20 {
		s := NewSecrets(SecretsOptions{AWS: aws.Config{}, Stack: "s", User: "query"})
		require.LessOrEqual(t, s.kept, secretsKept)
		require.Greater(t, s.kept, secretsKept-secretsSpread)
		kept[s.kept.String()] = true
	}
	require.Greater(t, len(kept), 10)
}
