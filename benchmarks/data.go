package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// orderRows is the size of the table that every alert scans.
const orderRows = 10_000

// fill makes the orders table: as many regions as alerts, rows spread evenly.
func fill(db *sql.DB, regions int, placeholder func(int) string) error {
	ctx := context.Background()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, "CREATE TABLE orders (id INTEGER PRIMARY KEY, region INTEGER, total NUMERIC(12,2))"); err != nil {
		return fmt.Errorf("create the table: %w", err)
	}
	insert, err := tx.PrepareContext(ctx, fmt.Sprintf("INSERT INTO orders VALUES (%s, %s, %s)", placeholder(1), placeholder(2), placeholder(3)))
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	defer func() { _ = insert.Close() }()
	for i := range orderRows {
		if _, err := insert.ExecContext(ctx, i, i%regions, fmt.Sprintf("%d.%02d", i%100, i%100)); err != nil {
			return fmt.Errorf("insert: %w", err)
		}
	}
	return tx.Commit()
}

// scanQuery sums one region by a scan; one alert in twenty says ALERT.
func scanQuery(i int) string {
	limit := -1
	if i%20 == 0 {
		limit = 1_000_000
	}
	return fmt.Sprintf("SELECT CASE WHEN SUM(total) < %d THEN 'ALERT' ELSE 'OK' END AS status, SUM(total) AS actual_value, %d AS threshold FROM orders WHERE region = %d", limit, limit, i)
}

// alertFile writes an alert file and, beside it, its queries one a line.
func alertFile(dir, database, notify string, n, connections int, query func(int) string) (config, queries string, err error) {
	var yaml, list strings.Builder
	fmt.Fprintf(&yaml, "name: bench\ndatabases:\n  main: {url: %q, max_connections: %d}\ndefaults: {database: main}\nalerts:\n", database, connections)
	for i := range n {
		fmt.Fprintf(&yaml, "  - name: \"alert %d\"\n    description: \"Region %d\"\n    query: |\n      %s\n    schedule: \"*/5 * * * *\"\n%s", i, i, query(i), notify)
		fmt.Fprintln(&list, query(i))
	}
	config, queries = filepath.Join(dir, "alerts.yaml"), filepath.Join(dir, "queries.sql")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", "", fmt.Errorf("make a folder: %w", err)
	}
	if err := os.WriteFile(config, []byte(yaml.String()), 0o600); err != nil {
		return "", "", fmt.Errorf("write the alert file: %w", err)
	}
	if err := os.WriteFile(queries, []byte(list.String()), 0o600); err != nil {
		return "", "", fmt.Errorf("write the queries: %w", err)
	}
	return config, queries, nil
}
