package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A block is fenced code of a page.
type block struct {
	page string // its path from this folder
	line int    // of its first line
	lang string
	text string
}

func (b block) where() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

// mark is the comment in the first line, which says what a block is; "" if there is none.
func (b block) mark() string {
	first, _, _ := strings.Cut(b.text, "\n")
	if mark, ok := strings.CutPrefix(first, "# "); ok {
		return mark
	}
	return ""
}

// pages lists every page of the documentation.
func pages(t *testing.T) []string {
	found, err := filepath.Glob("*.md")
	require.NoError(t, err)
	require.NotEmpty(t, found)
	return append(found, "../README.md")
}

// blocks reads the fenced code of a page in one of the languages.
func blocks(t *testing.T, page string, langs ...string) []block {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	var out []block
	var open *block
	for n, line := range strings.Split(string(text), "\n") {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && open == nil:
			open = &block{page: page, line: n + 2, lang: fence}
		case isFence:
			for _, lang := range langs {
				if open.lang == lang {
					out = append(out, *open)
				}
			}
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	require.Nil(t, open, "%s: a block is not closed", page)
	return out
}

func TestEveryBlockSaysItsLanguage(t *testing.T) {
	known := map[string]bool{"yaml": true, "json": true, "sql": true, "sh": true, "console": true, "text": true, "mermaid": true, "go": true, "python": true}
	for _, page := range pages(t) {
		pictures := 0
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		inside := false
		for n, line := range strings.Split(string(text), "\n") {
			lang, isFence := strings.CutPrefix(line, "```")
			if !isFence {
				continue
			}
			if !inside {
				require.True(t, known[lang], "%s:%d: the block has the language %q", page, n+1, lang)
			}
			if lang == "mermaid" {
				pictures++
			}
			inside = !inside
		}
		require.LessOrEqual(t, pictures, 1, "%s has more than one picture", page)
	}
}
