package stacks

import (
	"context"
	"sync"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
)

// DatabaseToken signs passwords for databases of RDS and Aurora as the identity that the
// SDK's own search gives. It looks for that when a database wants it first.
func DatabaseToken() func(ctx context.Context, endpoint, region, user string) (string, error) {
	var mu sync.Mutex
	var sign func(ctx context.Context, endpoint, region, user string) (string, error)
	return func(ctx context.Context, endpoint, region, user string) (string, error) {
		mu.Lock()
		if sign == nil {
			c, err := PersonConfig()
			if err != nil {
				mu.Unlock()
				return "", err
			}
			sign = cloud.DatabaseToken(c)
		}
		signer := sign
		mu.Unlock()
		return signer(ctx, endpoint, region, user)
	}
}
