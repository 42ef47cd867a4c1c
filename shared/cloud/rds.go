package cloud

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/rds/auth"
)

// DatabaseToken signs a password with which the identity of a configuration opens a session
// with a database of RDS or Aurora, within 15 minutes. It asks no service.
func DatabaseToken(c aws.Config) func(ctx context.Context, endpoint, region, user string) (string, error) {
	return func(ctx context.Context, endpoint, region, user string) (string, error) {
		token, err := auth.BuildAuthToken(ctx, endpoint, region, user, c.Credentials)
		if err != nil {
			return "", Readable("sign a password for the database", err)
		}
		return token, nil
	}
}
