package docs_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest"
)

var codeRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|")

func TestEveryReasonCodeHasOneRowAndAStory(t *testing.T) {
	page, err := os.ReadFile("state-machine.md")
	require.NoError(t, err)
	var rows []string
	for _, row := range codeRow.FindAllSubmatch(page, -1) {
		rows = append(rows, string(row[1]))
	}
	var codes []string
	for _, code := range alert.Codes {
		codes = append(codes, string(code))
	}
	var told []string
	for code := range sentineltest.TestStories(t, func(*testing.T) sentineltest.Runtime { return sentineltest.NewMemory() }) {
		told = append(told, string(code))
	}
	slices.Sort(told)
	require.Equal(t, codes, rows, "the table has each code once, in the order of alert.Codes")
	slices.Sort(codes)
	require.Equal(t, codes, told, "the stories show exactly these codes")
}
