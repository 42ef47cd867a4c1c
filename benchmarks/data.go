package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sqlsentinel/sqlsentinel/benchmarks/report"
)

const orderRows = report.OrderRows

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

// lookupQuery reads one order by its key, and never says ALERT.
func lookupQuery(i int) string {
	return fmt.Sprintf("SELECT CASE WHEN total < -1 THEN 'ALERT' ELSE 'OK' END AS status, total AS actual_value, -1 AS threshold FROM orders WHERE id = %d", i%orderRows)
}

// alertFile writes an alert file and, beside it, its queries one a line.
func alertFile(dir, database, notify string, n, connections int, query func(int) string) (config, queries string, err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", "", fmt.Errorf("make a folder: %w", err)
	}
	config, queries = filepath.Join(dir, "alerts.yaml"), filepath.Join(dir, "queries.sql")
	head := fmt.Sprintf("name: bench\ndatabases:\n  main: {url: %q, max_connections: %d}\ndefaults: {database: main}\nalerts:\n", database, connections)
	err = writeLines(config, head, n, func(i int) string {
		return fmt.Sprintf("  - name: \"alert %d\"\n    description: \"Region %d\"\n    query: |\n      %s\n    schedule: \"*/5 * * * *\"\n%s", i, i, query(i), notify)
	})
	if err != nil {
		return "", "", err
	}
	return config, queries, writeLines(queries, "", n, func(i int) string { return query(i) + "\n" })
}

// writeLines writes a file piece by piece.
func writeLines(path, head string, n int, line func(int) string) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := bufio.NewWriter(f)
	_, _ = out.WriteString(head) // Flush tells an error
	for i := range n {
		_, _ = out.WriteString(line(i))
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// rarely gives every alert of a file a schedule that is not due, and writes it as another.
func rarely(config string) (string, error) {
	data, err := os.ReadFile(config)
	if err != nil {
		return "", fmt.Errorf("read the alert file: %w", err)
	}
	to := strings.TrimSuffix(config, ".yaml") + "-rarely.yaml"
	if err := os.WriteFile(to, bytes.ReplaceAll(data, []byte("*/5 * * * *"), []byte("0 0 29 2 *")), 0o600); err != nil {
		return "", fmt.Errorf("write the alert file: %w", err)
	}
	return to, nil
}
