package docs_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/benchmarks/report"
)

func measured(t *testing.T) report.Results {
	results, err := report.Load("performance/results.json")
	require.NoError(t, err)
	return results
}

func TestThePerformancePageHoldsWhatWasMeasuredAndNothingElse(t *testing.T) {
	want, err := report.Page(measured(t))
	require.NoError(t, err)
	page, err := os.ReadFile("performance.md")
	require.NoError(t, err)
	require.Equal(t, want, string(page), "the page differs from its results; go run ./benchmarks -render makes it again")
}

func TestTheChartsOfThePerformancePageShowWhatWasMeasured(t *testing.T) {
	charts, err := json.Marshal(report.Charts(measured(t)))
	require.NoError(t, err)
	dir := t.TempDir()
	draw := exec.CommandContext(t.Context(), "go", "run", "-C", "../benchmarks/plot", ".", dir)
	draw.Stdin = bytes.NewReader(charts)
	out, err := draw.CombinedOutput()
	require.NoError(t, err, string(out))
	drawn, err := filepath.Glob(filepath.Join(dir, "*.svg"))
	require.NoError(t, err)
	committed, err := filepath.Glob("performance/*.svg")
	require.NoError(t, err)
	require.Len(t, committed, len(drawn))
	require.NotEmpty(t, drawn)
	for _, path := range drawn {
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join("performance", filepath.Base(path)))
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "%s differs from its results; go run ./benchmarks -render draws it again", filepath.Base(path))
	}
}
