// Package samples holds alert files to start from, and the sample shop that they and the
// demo watch. Every file here is loaded by a test, and run where its database is SQLite.
package samples

import _ "embed"

// Shop is SQL that fills an empty SQLite database with the sample shop.
//
//go:embed shop.sql
var Shop string

// ShopPostgres is Shop for an empty PostgreSQL database.
//
//go:embed shop-postgres.sql
var ShopPostgres string
