// Package functions_test runs the real bootstrap binaries of all functions against
// emulators of AWS that others wrote, a real database, and real receivers.
package functions_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/databases"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/emulators"
)

// binaries is where the bootstraps are, each under the name of its function.
var binaries string

func TestMain(m *testing.M) { os.Exit(databases.Main(afterBuild{m})) }

// fromImage writes, in place of a bootstrap, what runs the function from a container image, on
// the network of the tests.
func fromImage(path, image, name string) error {
	script := fmt.Sprintf(`#!/bin/sh
variables=$(env | cut -d= -f1 | grep -vxE 'PATH|HOME|PWD|OLDPWD|SHLVL|_' | sed 's/^/-e /')
export DOCKER_HOST=%q
exec docker run --rm --network host $variables %s %s
`, os.Getenv("DOCKER_HOST"), image, name)
	return os.WriteFile(path, []byte(script), 0o700)
}

// afterBuild builds the bootstraps, then runs the tests.
type afterBuild struct{ m *testing.M }

// Run returns the exit code.
func (a afterBuild) Run() int {
	dir, err := os.MkdirTemp("", "sqlsentinel-functions-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binaries = dir
	for _, name := range []string{"query", "sync", "email", "slack", "webhook"} {
		if image := os.Getenv("SENTINEL_FUNCTIONS_IMAGE"); image != "" {
			if err := fromImage(filepath.Join(dir, name), image, name); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			continue
		}
		build := exec.Command("go", "build", "-buildvcs=false", "-tags=lambda.norpc,minicore_disabled", "-o", filepath.Join(dir, name), "./"+name)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n%s", name, err, out)
			return 1
		}
	}
	build := exec.Command("go", "build", "-buildvcs=false", "-tags=minicore_disabled", "-o", filepath.Join(dir, "sqlsentinel"), "../cmd/sqlsentinel")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build sqlsentinel: %v\n%s", err, out)
		return 1
	}
	return emulators.Main(a.m)
}
