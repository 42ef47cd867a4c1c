package query

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/agnivade/levenshtein"
)

// duckdbFile is what a URL of DuckDB says.
type duckdbFile struct {
	path   string
	memory string
}

// duckdbMemory bounds what one file may take of the machine's memory.
const duckdbMemory = "1GB"

// open makes a pool from a URL as people know it from SQLAlchemy. What it opens depends on
// the build: DuckDB is C++.
func (d *duckdbDialect) open(text, dir string) (*sql.DB, error) {
	file, err := parseDuckDB(text, dir)
	if err != nil {
		return nil, err
	}
	return d.openFile(file)
}

// grammar implements dialect.
func (*duckdbDialect) grammar() grammar {
	return grammar{escape: true, dollar: true, nested: true, place: func(n int, _ string) string { return fmt.Sprintf("$%d::TIMESTAMP", n) }}
}

func parseDuckDB(text, dir string) (duckdbFile, error) {
	_, rest, _ := strings.Cut(text, "://")
	path, query, _ := strings.Cut(rest, "?")
	path, err := url.PathUnescape(path)
	if err != nil || !strings.HasPrefix(path, "/") {
		return duckdbFile{}, errors.New("write duckdb:///relative.duckdb or duckdb:////absolute.duckdb, with three or four slashes")
	}
	if path = path[1:]; path == "" || strings.HasPrefix(path, ":memory:") {
		return duckdbFile{}, errors.New("a database in memory is empty in every process; name a file, such as duckdb:///shop.duckdb")
	}
	if strings.ContainsAny(path, "?#%\x00") {
		return duckdbFile{}, errors.New("the path holds one of ? # % or NUL, which DuckDB's driver cannot open; rename the file, or name it by a link")
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	if path, err = filepath.Abs(path); err != nil {
		return duckdbFile{}, fmt.Errorf("find the file: %w", err)
	}
	params, err := url.ParseQuery(query)
	if err != nil {
		return duckdbFile{}, errors.New("the parameters after ? cannot be read")
	}
	file := duckdbFile{path: path, memory: cmp.Or(params.Get("memory_limit"), duckdbMemory)}
	for name, values := range params {
		switch {
		case name == "memory_limit":
		case name == "access_mode" && strings.EqualFold(values[0], "read_only"):
		case name == "access_mode":
			return file, errors.New("the parameter access_mode can only be READ_ONLY, as it is without")
		default:
			return file, unknownParameter(name, "memory_limit", "access_mode")
		}
	}
	return file, nil
}

// unknownParameter names the known parameter that a person may have meant.
func unknownParameter(name string, known ...string) error {
	best, least := known[0], len(name)+len(known[0])
	for _, candidate := range known {
		if distance := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(candidate)); distance < least {
			best, least = candidate, distance
		}
	}
	return fmt.Errorf("the parameter %q after ? is not known; did you mean %s?", name, best)
}
