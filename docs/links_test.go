package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var link = regexp.MustCompile(`\]\(([^)]+)\)`)

func TestEveryLinkToAFileLeadsToOne(t *testing.T) {
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, found := range link.FindAllStringSubmatch(string(text), -1) {
			target, _, _ := strings.Cut(found[1], "#")
			if target == "" || strings.Contains(target, "://") {
				continue
			}
			require.FileExistsf(t, resolve(t, page, target), "%s links to %s", page, target)
		}
	}
}

// resolve finds a link's file; a folder counts by any file in it.
func resolve(t *testing.T, page, target string) string {
	path := filepath.Join(filepath.Dir(page), target)
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return path
	}
	entries, err := os.ReadDir(path)
	require.NoError(t, err)
	require.NotEmpty(t, entries, "%s links to the empty folder %s", page, target)
	for _, entry := range entries {
		if !entry.IsDir() {
			return filepath.Join(path, entry.Name())
		}
	}
	return path
}
