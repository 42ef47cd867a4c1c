package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every test that the page names exists, and every fuzz target is named.
func TestTheClaimsAboutSecurityNameTheirTests(t *testing.T) {
	page, err := os.ReadFile("security.md")
	require.NoError(t, err)
	exist := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	require.NoError(t, filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || strings.HasPrefix(entry.Name(), ".") && entry.Name() != ".."):
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range declared.FindAllSubmatch(text, -1) {
			exist[string(m[1])] = true
		}
		return nil
	}))
	named := map[string]bool{}
	for _, name := range regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(string(page), -1) {
		require.True(t, exist[name[1]], "there is no %s", name[1])
		named[name[1]] = true
	}
	require.Greater(t, len(named), 30)
	for name := range exist {
		if strings.HasPrefix(name, "Fuzz") {
			require.True(t, named[name], "the page does not name %s", name)
		}
	}
}

// An exception of a linter stands with its reason on the same line.
func TestEveryExceptionOfALinterHasAReason(t *testing.T) {
	const mark = "//" + "nolint"
	reason := regexp.MustCompile(mark + `:[a-z]+(,[a-z]+)* // \S+`)
	found := 0
	require.NoError(t, filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "node_modules" || strings.HasPrefix(entry.Name(), ".") && entry.Name() != "..") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, mark) {
				found++
				require.Regexp(t, reason, line, path)
			}
		}
		return nil
	}))
	require.NotZero(t, found)
}
