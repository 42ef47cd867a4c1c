// Package config turns an alert file into alerts: strict, with every problem of the file
// reported at once by line and column, references left for where they are used, and a
// JSON Schema from the same description that the parser goes by.
package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// Channel is what config must know of a channel. Package notify provides them.
type Channel interface {
	Name() string
	// Settings returns a pointer to a zero struct whose json tags name the settings.
	Settings() any
	// Check finds what is wrong with settings as written; every reference resolves.
	Check(settings json.RawMessage, env alert.Lookup) []alert.SettingProblem
	// Address returns the address as written, and a label fit to be shown.
	Address(settings json.RawMessage) (identity, label string)
}

// Options are what Load needs beside the file.
type Options struct {
	Channels []Channel
	// CheckDatabase tells whether a database's URL can be used; nil checks nothing.
	CheckDatabase func(alert.Database, alert.Lookup) error
	// CheckQuery tells whether the parameters of an alert's query can be bound on its
	// database; nil checks nothing.
	CheckQuery func(alert.Alert, alert.Database, alert.Lookup) error
	Env        alert.Lookup // nil: empty
	// EnvFile replaces .env beside the alert file; NoEnvFile reads none.
	EnvFile   string
	NoEnvFile bool
	// Exists tells whether a name that resolves nowhere here does so for its user: a
	// channel, "query" for databases, "sync" for the heartbeat. Its value is not checked
	// then. Nil: every name must resolve here.
	Exists func(user, name string) bool
	// Scope replaces the file's name as the scope of its state.
	Scope string
	// Alone refuses to read any file that this one names: where it comes from a bucket, the
	// files of the machine are none of its writer's business.
	Alone bool
}

// Heartbeat is the URL that an outside service expects to be asked for.
type Heartbeat struct {
	URL   string // as written
	Every alert.Duration
}

// File is a valid alert file with all defaults applied.
type File struct {
	Path, Dir, Scope string
	Databases        map[string]alert.Database
	Alerts           []alert.Alert
	Owners           []alert.Target
	Heartbeat        *Heartbeat
	Retention        alert.Duration
	Secrets          *alert.Secrets
	Warnings         []Problem
	// Reads are the files that it names and that were read.
	Reads []string
}

// maxSize bounds an alert file, in bytes.
const maxSize = 32 << 20

// Load reads a file, and returns what Parse does.
func Load(path string, o Options) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the alert file: %w", err)
	}
	if info.Size() > maxSize {
		return nil, Problems{{File: path, Line: 1, Column: 1, Severity: "error", Message: fmt.Sprintf("the file has %d bytes; %d are allowed", info.Size(), maxSize)}}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the alert file: %w", err)
	}
	return Parse(path, data, o)
}

// scopeOf is the name of a file without folder and extension.
func scopeOf(path string) string {
	base := filepath.Base(path)
	return strings.TrimSuffix(base, filepath.Ext(base))
}
