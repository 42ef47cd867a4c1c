package query

import (
	"strings"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// authorizer is authorize as SQLite calls it.
func authorizer() uintptr {
	f := authorize
	return *(*uintptr)(unsafe.Pointer(&f)) //nolint:gosec // a function value is a pointer to what the library calls
}

// authorize is asked for everything that a statement is going to do while it is compiled:
// some PRAGMA act as early as that. Changes of rows need no answer here: the file is open
// read-only, and virtual tables prepare some in order to be read.
func authorize(_ *libc.TLS, _ uintptr, action int32, first, second, _, _ uintptr) int32 {
	switch action {
	case sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_FUNCTION,
		sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE:
		return sqlite3.SQLITE_OK
	case sqlite3.SQLITE_PRAGMA:
		if harmlessPragma(libc.GoString(first), second != 0) {
			return sqlite3.SQLITE_OK
		}
	}
	return sqlite3.SQLITE_DENY
}

// harmlessPragma tells what only reads: behind pragma_table_info('t') and its like, and
// within full-text search.
func harmlessPragma(name string, argument bool) bool {
	switch strings.ToLower(name) {
	case "table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list",
		"foreign_key_check", "integrity_check", "quick_check":
		return true
	case "data_version", "page_size", "page_count", "freelist_count", "user_version", "schema_version", "application_id",
		"encoding", "database_list", "compile_options", "function_list", "collation_list":
		return !argument
	}
	return false
}
