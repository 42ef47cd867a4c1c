package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The same source gives the same program, whichever folder it lies in.
func TestTheProgramIsBuiltReproducibly(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the program twice")
	}
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if .Main}}{{$.Dir}}{{end}}{{end}}", "./cmd/sqlsentinel")
	list.Dir = root
	folders, err := list.Output()
	require.NoError(t, err)
	var sums []string
	for range 2 {
		dir := t.TempDir()
		for _, name := range []string{"go.mod", "go.sum"} {
			data, err := os.ReadFile(filepath.Join(root, name))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
		}
		for _, folder := range strings.Fields(string(folders)) {
			into := filepath.Join(dir, strings.TrimPrefix(folder, root))
			require.NoError(t, os.MkdirAll(into, 0o700))
			copyFolder(t, folder, into)
		}
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=v1.2.3", "-o", "program", "./cmd/sqlsentinel")
		build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
		out, err := build.CombinedOutput()
		require.NoError(t, err, string(out))
		program, err := os.ReadFile(filepath.Join(dir, "program"))
		require.NoError(t, err)
		sums = append(sums, fmt.Sprintf("%x", sha256.Sum256(program)))
		require.NotContains(t, string(program), dir, "no path of the machine is in it")
	}
	require.Equal(t, sums[0], sums[1])
}

// copyFolder copies what the build of a package may need: its files, and what it embeds.
func copyFolder(t *testing.T, from, into string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	require.NoError(t, err)
	for _, e := range entries {
		a, b := filepath.Join(from, e.Name()), filepath.Join(into, e.Name())
		switch {
		case e.IsDir() && (e.Name() == "testdata" || strings.HasPrefix(e.Name(), ".") || e.Name() == "node_modules"):
		case e.IsDir():
			require.NoError(t, os.MkdirAll(b, 0o700))
			copyFolder(t, a, b)
		case e.Type().IsRegular() && !strings.HasSuffix(e.Name(), "_test.go"):
			data, err := os.ReadFile(a)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(b, data, 0o600))
		}
	}
}
