//go:build !duckdb || !cgo

package query

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// errNoDuckDB is what a build without DuckDB says.
var errNoDuckDB = errors.New("this build has no DuckDB, which is C++: make build-duckdb, on a machine with a C compiler, builds a program that has it") //nolint:gochecknoglobals // an error is a constant

// duckdbDialect stands where there is no DuckDB: it checks a URL, and opens nothing.
type duckdbDialect struct{}

func (*duckdbDialect) openFile(duckdbFile) (*sql.DB, error) { return nil, errNoDuckDB }

func (*duckdbDialect) query(context.Context, *sql.Conn, statement, caps, func(*sql.Rows) error) error {
	return &connectError{errNoDuckDB}
}

func (*duckdbDialect) value(_ *sql.ColumnType, cell any) alert.Value {
	return alert.TextValue(fmt.Sprint(cell))
}

func (*duckdbDialect) explain(err error, _ string) alert.Failure {
	return unreachable(err.Error())
}
