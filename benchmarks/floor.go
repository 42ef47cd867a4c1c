package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"

	_ "github.com/lib/pq"
	_ "modernc.org/sqlite"
)

// runFloor is the least that evaluating the alerts one after the other can cost: each
// query prepared in a read-only transaction on one connection, its row read.
func runFloor(url, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the queries: %w", err)
	}
	driver, dsn := "postgres", url
	if path, ok := strings.CutPrefix(url, "sqlite://"); ok {
		driver, dsn = "sqlite", "file:"+strings.TrimPrefix(path, "/")+"?mode=ro"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	for _, query := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if err := floorQuery(db, query, driver == "postgres"); err != nil {
			return err
		}
	}
	return nil
}

func floorQuery(db *sql.DB, query string, readOnly bool) error {
	ctx := context.Background()
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: readOnly})
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	statement, err := tx.PrepareContext(ctx, query)
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	defer func() { _ = statement.Close() }()
	rows, err := statement.QueryContext(ctx)
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		return fmt.Errorf("columns: %w", err)
	}
	cells, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range cells {
		into[i] = &cells[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("scan: %w", err)
		}
	}
	return rows.Err()
}
