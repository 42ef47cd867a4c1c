package query_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/databases"
)

// withIAM is a URL without its password, and the password.
func withIAM(t *testing.T, address string, options ...string) (string, string) {
	t.Helper()
	parsed := u(t, address)
	password, _ := parsed.User.Password()
	parsed.User = url.User(parsed.User.Username())
	v := parsed.Query()
	v.Set("auth", "iam")
	v.Set("region", "eu-west-1")
	for i := 0; i < len(options); i += 2 {
		v.Set(options[i], options[i+1])
	}
	parsed.RawQuery = v.Encode()
	return strings.ReplaceAll(parsed.String(), "$", "$$"), password
}

func TestASessionLogsInWithASignedPasswordOfItsOwn(t *testing.T) {
	for name, start := range map[string]func(testing.TB) string{"postgres": databases.Postgres, "mariadb": databases.MariaDB} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := map[string][]string{"postgres": {"sslmode", "verify-full", "sslrootcert", databases.PostgresCA(t)}, "mariadb": {"tls", "skip-verify"}}[name]
			original := start(t)
			address, password := withIAM(t, original, options...)
			var mu sync.Mutex
			var asked []string
			broken := errors.New("the role may not do that")
			r, err := query.New(query.Options{
				Databases: map[string]alert.Database{"": {URL: address, MaxConnections: 1}},
				Credentials: func(_ context.Context, endpoint, region, user string) (string, error) {
					mu.Lock()
					defer mu.Unlock()
					asked = append(asked, endpoint+" "+region+" "+user)
					return password, nil
				},
			})
			require.NoError(t, err)
			defer func() { require.NoError(t, r.Close()) }()
			works(t, r, steady)
			works(t, r, steady)
			mu.Lock()
			require.Equal(t, []string{u(t, original).Host + " eu-west-1 " + u(t, original).User.Username()}, asked)
			mu.Unlock()
			other, err := query.New(query.Options{Databases: map[string]alert.Database{"": {URL: address}}, Credentials: func(context.Context, string, string, string) (string, error) { return "", broken }})
			require.NoError(t, err)
			defer func() { require.NoError(t, other.Close()) }()
			require.Contains(t, fails(t, ask(t, other, steady), alert.ErrorUnreachable), broken.Error())
			wrong, err := query.New(query.Options{Databases: map[string]alert.Database{"": {URL: address}}, Credentials: func(context.Context, string, string, string) (string, error) { return "c4n4ry", nil }})
			require.NoError(t, err)
			defer func() { require.NoError(t, wrong.Close()) }()
			require.NotContains(t, fails(t, ask(t, wrong, steady), alert.ErrorUnreachable), "c4n4ry")
		})
	}
}

func TestAURLWithIAMSaysWhatItLacks(t *testing.T) {
	for address, advice := range map[string]string{
		"postgresql://u@shop.abc.eu-west-1.rds.amazonaws.com/shop?auth=iam":                 "",
		"postgresql://u@shop.abc.eu-west-1.rds.amazonaws.com/shop?auth=iam&sslmode=disable": "sslmode",
		"postgresql://u@shop.abc.eu-west-1.rds.amazonaws.com/shop?auth=iam&sslmode=prefer":  "sslmode",
		"postgresql://u@db.internal/shop?auth=iam":                                          "region",
		"postgresql://u@db.internal/shop?auth=iam&region=eu-west-1":                         "",
		"postgresql://db.internal/shop?auth=iam&region=eu-west-1":                           "user",
		"postgresql://u:p@db.internal/shop?auth=iam&region=eu-west-1":                       "remove one",
		"postgresql://u@db.internal/shop?auth=ldap":                                         "iam",
		"mysql://u@shop.abc.eu-west-1.rds.amazonaws.com/shop?auth=iam&tls=true":             "",
		"mysql://u@shop.abc.eu-west-1.rds.amazonaws.com/shop?auth=iam":                      "tls",
		"mysql://u@shop.abc.eu-west-1.rds.amazonaws.com/shop?auth=iam&tls=preferred":        "tls",
		"mysql://u@h/shop?sslrootcert=/no/such/file":                                        "no such file",
		"redshift://u@h/shop?auth=iam":                                                      "Redshift",
		"sqlite:///x.db?auth=iam":                                                           "auth",
	} {
		err := query.CheckDatabase(alert.Database{URL: address, Dir: t.TempDir()}, environment)
		if advice == "" {
			require.NoError(t, err, address)
			continue
		}
		require.ErrorContains(t, err, advice, address)
	}
}
