package samples_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"
)

// promtool runs Prometheus's checker. Where it is not installed the test is skipped, and
// fails on the gate.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("promtool is not installed; Debian's package prometheus has it")
		}
		t.Skip("SKIPPED: promtool is not installed; Debian's package prometheus has it")
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

const rulesPath = "observability/prometheus-rules.yaml"

type ruleFile struct {
	Groups []ruleGroup
}

type ruleGroup struct {
	Name  string
	Rules []rule
}

type rule struct {
	Alert  string `yaml:"alert,omitempty"`
	Record string `yaml:"record,omitempty"`
	Expr   string
}

func TestPrometheusTakesTheRulesAndTheyRing(t *testing.T) {
	promtool(t, "check", "rules", rulesPath)
	promtool(t, "test", "rules", "observability/prometheus-rules.test.yaml")
}

func rules(t *testing.T) []rule {
	data, err := os.ReadFile(rulesPath)
	require.NoError(t, err)
	var file ruleFile
	require.NoError(t, yaml.Unmarshal(data, &file))
	require.Len(t, file.Groups, 1)
	return file.Groups[0].Rules
}

// dashboardQueries are the queries of the dashboard, with its variables filled in.
func dashboardQueries(t *testing.T) []string {
	data, err := os.ReadFile("observability/grafana-dashboard.json")
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(data, &dashboard))
	require.NotEmpty(t, dashboard.Panels)
	var out []string
	for _, p := range dashboard.Panels {
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			out = append(out, strings.ReplaceAll(target.Expr, "$instance", ".*"))
		}
	}
	return out
}

func TestPrometheusTakesTheQueriesOfTheDashboard(t *testing.T) {
	var file ruleFile
	group := ruleGroup{Name: "dashboard"}
	for _, query := range dashboardQueries(t) {
		group.Rules = append(group.Rules, rule{Record: "x", Expr: query})
	}
	file.Groups = append(file.Groups, group)
	data, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": group.Name, "rules": recorded(group.Rules)}}})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "dashboard.yaml")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	promtool(t, "check", "rules", "--lint=none", path)
}

func recorded(rules []rule) []map[string]string {
	var out []map[string]string
	for _, r := range rules {
		out = append(out, map[string]string{"record": r.Record, "expr": r.Expr})
	}
	return out
}

// TestRulesAndDashboardUseMetricsThatThereAre holds them to the page that lists the metrics,
// which a test of the daemon holds to what it shows.
func TestRulesAndDashboardUseMetricsThatThereAre(t *testing.T) {
	page, err := os.ReadFile("../docs/single-machine.md")
	require.NoError(t, err)
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(sqlsentinel_\\w+)").FindAllStringSubmatch(string(page), -1) {
		listed[m[1]] = true
	}
	queries := dashboardQueries(t)
	for _, r := range rules(t) {
		queries = append(queries, r.Expr)
	}
	used := map[string]bool{}
	for _, query := range queries {
		for _, name := range regexp.MustCompile(`sqlsentinel_\w+`).FindAllString(query, -1) {
			name = strings.TrimSuffix(name, "_bucket")
			require.True(t, listed[name], "%s in %s", name, query)
			used[name] = true
		}
	}
	require.Greater(t, len(used), 12)
}

func TestEveryRuleIsExplained(t *testing.T) {
	page, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	var explained, there []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(SQLSentinel\\w+)`").FindAllStringSubmatch(string(page), -1) {
		explained = append(explained, m[1])
	}
	for _, r := range rules(t) {
		there = append(there, r.Alert)
	}
	require.Equal(t, there, explained)
}
