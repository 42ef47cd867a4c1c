package cloud_test

import (
	"net/url"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
)

func TestADatabaseTokenIsSignedForOneUserOfOneDatabase(t *testing.T) {
	c := aws.Config{Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "the-secret-key", "the-session")}
	token, err := cloud.DatabaseToken(c)(t.Context(), "shop.abc.eu-west-1.rds.amazonaws.com:5432", "eu-west-1", "sentinel")
	require.NoError(t, err)
	u, err := url.Parse("https://" + token)
	require.NoError(t, err)
	require.Equal(t, "shop.abc.eu-west-1.rds.amazonaws.com:5432", u.Host)
	require.Equal(t, "connect", u.Query().Get("Action"))
	require.Equal(t, "sentinel", u.Query().Get("DBUser"))
	require.Equal(t, "900", u.Query().Get("X-Amz-Expires"))
	require.Contains(t, u.Query().Get("X-Amz-Credential"), "/eu-west-1/rds-db/aws4_request")
	require.NotEmpty(t, u.Query().Get("X-Amz-Signature"))
	require.NotContains(t, token, "the-secret-key")
}
