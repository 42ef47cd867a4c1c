package query_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/databases"
)

const steady = "SELECT 'OK' AS status"

// BenchmarkQuery compares Runner.Query with a loop over the driver that takes no
// precautions but the transaction: on SQLite a prepared query, on PostgreSQL each query
// prepared in a read-only transaction.
func BenchmarkQuery(b *testing.B) {
	b.Run("sqlite/raw", func(b *testing.B) {
		db, err := sql.Open("sqlite", "file:"+b.TempDir()+"/shop.db")
		require.NoError(b, err)
		defer func() { require.NoError(b, db.Close()) }()
		db.SetMaxOpenConns(1)
		for b.Loop() {
			require.NoError(b, scanPrepared(b, db))
		}
	})
	b.Run("sqlite/runner", func(b *testing.B) {
		dir := b.TempDir()
		db, err := sql.Open("sqlite", "file:"+dir+"/shop.db")
		require.NoError(b, err)
		_, err = db.Exec("CREATE TABLE orders (n)")
		require.NoError(b, err)
		require.NoError(b, db.Close())
		loop(b, alert.Database{URL: "sqlite:///shop.db", Dir: dir, MaxConnections: 1})
	})
	b.Run("postgres/raw", func(b *testing.B) {
		db, err := sql.Open("postgres", databases.Postgres(b))
		require.NoError(b, err)
		defer func() { require.NoError(b, db.Close()) }()
		db.SetMaxOpenConns(1)
		for b.Loop() {
			tx, err := db.BeginTx(b.Context(), &sql.TxOptions{ReadOnly: true})
			require.NoError(b, err)
			require.NoError(b, scanPrepared(b, tx))
			require.NoError(b, tx.Rollback())
		}
	})
	b.Run("postgres/runner", func(b *testing.B) {
		loop(b, alert.Database{URL: databases.Postgres(b), MaxConnections: 1})
	})
	b.Run("mariadb/runner", func(b *testing.B) {
		loop(b, alert.Database{URL: databases.MariaDB(b), MaxConnections: 1})
	})
}

func scanPrepared(b *testing.B, db interface {
	Prepare(string) (*sql.Stmt, error)
}) error {
	stmt, err := db.Prepare(steady)
	require.NoError(b, err)
	defer func() { require.NoError(b, stmt.Close()) }()
	var status string
	return stmt.QueryRow().Scan(&status)
}

func loop(b *testing.B, d alert.Database) {
	r, err := query.New(query.Options{Databases: map[string]alert.Database{"": d}})
	require.NoError(b, err)
	defer func() { require.NoError(b, r.Close()) }()
	a := alert.Alert{Query: steady, Timeout: alert.Duration(time.Minute)}
	for b.Loop() {
		require.Nil(b, r.Query(b.Context(), a, alert.Run{}).Failure)
	}
}
