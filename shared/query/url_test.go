package query_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
)

func environment(name string) (string, bool) {
	values := map[string]string{"PASSWORD": "c4n4ry%2Fx", "BAD": "c4n4ry%zz", "EMPTY": "", "URL": "postgresql://x:c4n4ry@h/db", "HOST": "db.internal"}
	value, found := values[name]
	return value, found
}

func TestURLsAsPeopleKnowThemAreAccepted(t *testing.T) {
	for _, address := range []string{
		"sqlite:///rel.db", "sqlite:////abs/path.db", "sqlite+pysqlite:///rel.db", "sqlite:///with space.db", "SQLITE:///x.db",
		"postgresql://user:${PASSWORD}@h:5432/shop", "postgres://h/shop", "postgresql+psycopg2://u:p@h/shop?sslmode=disable", "postgresql+asyncpg://h", "postgresql:///shop?host=/var/run/postgresql",
		"postgresql://u:p%40ss%2Fw%3Ard@h/shop", "postgresql://u@h/shop?application_name=mine&search_path=x&connect_timeout=3", "postgresql://[::1]:5432/shop",
		"redshift://u:p@c.abc.eu-west-1.redshift.amazonaws.com:5439/dev", "redshift+psycopg2://u@h/dev?sslmode=verify-full", "redshift://h",
		"mysql://u:p@h:3306/shop", "mysql+pymysql://u:${PASSWORD}@h/shop?charset=utf8mb4", "mariadb://h/shop", "mariadb+mariadbconnector://u@h/shop", "mysql+mysqldb://u@h/shop?tls=skip-verify", "mysql://u:p@[::1]:3306/shop",
		"${URL}", "postgresql://u:p@${HOST}/shop", "postgresql://u:${NONE:-x}@h/shop",
	} {
		require.NoError(t, query.CheckDatabase(alert.Database{URL: address}, environment), address)
	}
}

func TestAURLThatCannotBeUsedSaysWhyAndKeepsTheSecret(t *testing.T) {
	for address, advice := range map[string]string{
		"":                                "://",
		"${EMPTY}":                        "://",
		"shop.db":                         "sqlite:///",
		"postgresq://u:${PASSWORD}@h/db":  "postgres",
		"mysq://u:c4n4ry@h/db":            "mysql://",
		"sqllite:///x.db":                 "sqlite://",
		"oracle://u:c4n4ry@h/db":          "postgresql",
		"sqlite://rel.db":                 "three",
		"sqlite://":                       "sqlite:///",
		"sqlite:///":                      "memory",
		"sqlite:///:memory:":              "memory",
		"sqlite:///x.db?chache=c4n4ry":    "chache",
		"postgresql://u:${BAD}@h/db":      "percent",
		"postgresql://u:${UNSET}@h/db":    "UNSET",
		"postgresql://u@h/db?sslmode=off": "sslmode",
		"postgresql://u:c4n4ry@h:x/db":    "URL",
		"mysql://u:${BAD}@h/db":           "percent",
		"mysql://u:c4n4ry@/db":            "host",
		"mysql://u:c4n4ry@h/db?tls=maybe": "tls",
		"mysql://u:p@h/db?timeout=c4n4ry": "timeout",
	} {
		err := query.CheckDatabase(alert.Database{URL: address}, environment)
		require.Error(t, err, address)
		require.Contains(t, strings.ToLower(err.Error()), strings.ToLower(advice), address)
		require.NotContains(t, err.Error(), "c4n4ry", address)
		require.NotContains(t, err.Error(), "%zz", address)
	}
}

func FuzzCheckDatabase(f *testing.F) {
	for _, seed := range []string{
		"sqlite:///rel.db", "sqlite:////abs.db?mode=ro", "postgresql://u:${PASSWORD}@h:5432/db?sslmode=require", "mysql+pymysql://u:${PASSWORD}@h/db?charset=utf8",
		"postgresql://u:p%zz@h/db", "mysql://u:p@h:99999/db?tls=x&timeout=1", "://", "a+b://c", "postgresql://${URL}", "sqlite:///\x00", "postgresql://h1,h2/db?host=a&port=1,2",
		"postgresql://u:${BAD}@h/${PASSWORD}", "mysql://u:p@(h)/d)b?allowAllFiles=true&serverPubKey=x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		secrets := func(name string) (string, bool) {
			if name == "PASSWORD" {
				return "c4n4ry-secret", true
			}
			return environment(name)
		}
		err := query.CheckDatabase(alert.Database{URL: address, Dir: "/folder"}, secrets)
		if err == nil {
			r, err := query.New(query.Options{Databases: map[string]alert.Database{"": {URL: address}}, Secrets: alert.NewSecrets(secrets)})
			require.NoError(t, err)
			require.NoError(t, r.Close())
			return
		}
		require.NotEmpty(t, err.Error())
		require.NotContains(t, err.Error(), "c4n4ry-secret")
		require.True(t, utf8.ValidString(err.Error()) || !utf8.ValidString(address))
	})
}

func TestAURLOfDuckDBThatCannotBeUsedSaysWhy(t *testing.T) {
	for address, advice := range map[string]string{
		"duckdb://rel.duckdb":                     "three or four slashes",
		"duckdb:///":                              "in memory",
		"duckdb:///:memory:":                      "in memory",
		"duckdb:///a%3Fb.duckdb":                  "rename the file",
		"duckdb:///a%2523b.duckdb":                "rename the file",
		"duckdb:///x.duckdb?memmory_limit=c4n4ry": "did you mean memory_limit?",
		"duckdb:///x.duckdb?access_mode=c4n4ry":   "READ_ONLY",
		"duckdb:///x.duckdb?a=%zz":                "cannot be read",
		"duckd:///x.duckdb":                       "did you mean duckdb://?",
	} {
		err := query.CheckDatabase(alert.Database{URL: address}, environment)
		require.ErrorContains(t, err, advice, address)
		require.NotContains(t, err.Error(), "c4n4ry", address)
	}
}
