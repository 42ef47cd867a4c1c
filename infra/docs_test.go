package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryChoiceIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/aws.md")
	require.NoError(t, err)
	_, section, ok := strings.Cut(string(page), "## Choices\n")
	require.True(t, ok)
	section, _, _ = strings.Cut(section, "\n### ")
	var documented []string
	for line := range strings.Lines(section) {
		if strings.HasPrefix(line, "| `") {
			for _, key := range quoted.FindAllStringSubmatch(strings.Split(line, "|")[1], -1) {
				documented = append(documented, key[1])
			}
		}
	}
	require.ElementsMatch(t, sorted(keys), documented)
}

var quoted = regexp.MustCompile("`(\\w+)`")
