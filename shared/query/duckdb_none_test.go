//go:build !duckdb || !cgo

package query_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
)

func duckdbWorld() map[string]func(*testing.T) *world { return nil }
func duckdbHostile(string) []string                   { return nil }
func duckdbCells() []cell                             { return nil }

func TestABuildWithoutDuckDBSaysWhichBuildHasIt(t *testing.T) {
	d := alert.Database{URL: "duckdb:///shop.duckdb", Dir: t.TempDir()}
	require.ErrorContains(t, query.CheckDatabase(d, environment), "make build-duckdb")
	result, err := reach(t, d.URL, d.Dir, 0)
	require.Contains(t, fails(t, result, alert.ErrorUnreachable), "make build-duckdb")
	require.ErrorContains(t, err, "make build-duckdb")
}
