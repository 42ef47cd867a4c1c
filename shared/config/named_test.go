package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/config"
)

func TestAFileThatIsNamedIsAFileOfBoundedSize(t *testing.T) {
	named := func(name string) string {
		return head + "alerts: [{name: A, query_file: \"" + name + "\", schedule: \"@daily\", notify: [{channel: webhook, url: \"https://example.com\", payload: \"" + name + ".json\"}]}]\n"
	}
	path := write(t, "alerts.yaml", "", "large.json", strings.Repeat("x", 1<<20+1), "large", strings.Repeat("x", 1<<20+1))
	dir := filepath.Dir(path)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub.json"), 0o700))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe.json"), 0o600))
	for name, why := range map[string]string{"large": "1048576 are allowed", "sub": "a folder", "pipe": "a device or a pipe", "/dev/zero": "a device or a pipe", "none": "no such file"} {
		_, err := config.Parse(path, []byte(named(name)), options(t))
		require.ErrorContains(t, err, why, name)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "q.sql"), []byte("SELECT 1"), 0o600))
	file, err := config.Parse(filepath.Join(dir, "sub", "alerts.yaml"), []byte(head+"alerts: [{name: A, query_file: ../q.sql, schedule: \"@daily\", notify: []}]\n"), options(t))
	require.NoError(t, err, "any path is allowed")
	require.Equal(t, "SELECT 1", file.Alerts[0].Query)
}
