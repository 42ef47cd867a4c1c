package report_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/benchmarks/report"
)

// complete has every section, and in it what the page needs.
func complete() report.Results {
	r := report.Results{Sections: map[string]report.Section{}}
	for _, name := range report.Names() {
		r.Sections[name] = report.Section{Measured: "2026-01-02 03:04 UTC", Seconds: 60}
	}
	return r
}

func TestAPageIsMadeOnlyOfAllSections(t *testing.T) {
	r := complete()
	_, err := report.Page(r)
	require.NoError(t, err)
	delete(r.Sections, "soak")
	_, err = report.Page(r)
	require.ErrorContains(t, err, "section soak is not measured: make bench ONLY=soak")
}

func TestWhatIsMissedAndWhatOthersWinStandsUnderLosses(t *testing.T) {
	r := complete()
	page, err := report.Page(r)
	require.NoError(t, err)
	require.Contains(t, page, "Nowhere in what is measured here.")

	s := r.Sections["run"]
	s.Bars = []report.Bar{{What: "a thing", Measured: "3 s", Limit: "≤ 2 s"}, {What: "kept to", Measured: "1 s", Limit: "≤ 2 s", Met: true}}
	r.Sections["run"] = s
	s = r.Sections["others"]
	s.Add("run", report.Ours, "s", 1000, 0.2)
	s.Add("run", "slow", "s", 1000, 0.30001)
	s.Add("run", "fast", "s", 1000, 0.1)
	s.Add("file", "small", "MB", 1000, 0.1)
	r.Sections["others"] = s
	page, err = report.Page(r)
	require.NoError(t, err)
	_, losses, _ := strings.Cut(page, "## Where SQL Sentinel loses")
	losses, _, _ = strings.Cut(losses, "\n## ")
	require.Contains(t, losses, "- a thing: 3 s, and the bar is ≤ 2 s.\n- all alerts once, each a lookup, 1,000 alerts: fast takes 0.1 s, SQL Sentinel 0.2 s.\n")
	require.NotContains(t, losses, "kept to")
	require.NotContains(t, losses, "slow")
	require.Contains(t, page, "| alerts | SQL Sentinel | slow | fast |\n| --: | --: | --: | --: |\n| 1,000 | 0.2 s | 0.3 s | 0.1 s |")
	require.Contains(t, page, "| a thing | 3 s | ≤ 2 s | **missed** |")
}

func TestASectionTakesThePlaceOfAnOlderOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "results.json")
	var s report.Section
	s.Add("run", "a", "s", 10, 0.012345)
	s.Add("run", "a", "s", 100, 123456)
	require.NoError(t, report.Merge(path, "scale", s))
	require.NoError(t, report.Merge(path, "run", report.Section{Measured: "before"}))
	require.NoError(t, report.Merge(path, "run", report.Section{Measured: "after"}))
	r, err := report.Load(path)
	require.NoError(t, err)
	require.Equal(t, "after", r.Sections["run"].Measured)
	require.Equal(t, []report.Point{{Alerts: 10, Value: 0.0123}, {Alerts: 100, Value: 123000}}, r.Sections["scale"].Curves[0].Points)
}
