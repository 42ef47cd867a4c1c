package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// playDemo runs the demo with a folder of its own for temporary files, and an environment
// that would send real messages if the demo heeded it. It returns what was printed.
func playDemo(t *testing.T, args ...string) (out, temp string) {
	temp = t.TempDir()
	t.Setenv("TMPDIR", temp)
	env := map[string]string{"SMTP_HOST": "smtp.invalid", "DEMO_URL": "http://demo.invalid", "STATE_DB_URL": "sqlite:////nowhere/state.db", "TMPDIR": temp}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), append([]string{"demo"}, args...), strings.NewReader(""), &stdout, &stderr, func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	})
	require.Equal(t, 0, code, stderr.String())
	require.Empty(t, stderr.String())
	return stdout.String(), temp
}

// scenes cuts the story at its ticks; scenes[0] is what stands before the first.
func scenes(out string) []string {
	return regexp.MustCompile(`(?m)^\d\d:\d\d  `).Split(out, -1)
}

func TestTheDemoTellsItsStory(t *testing.T) {
	out, temp := playDemo(t)
	all := scenes(out)
	require.Len(t, all, len(demoStory())+1)
	for n, want := range [][]string{
		{"SELECT CASE WHEN SUM(total) < 10000"},
		{"OK     Revenue today    11060 / 10000", "ok_steady"},
		{"ALERT  Revenue today    4260 / 10000", "alert_opened", "→ email to", "ALERT: Revenue today", "→ Slack", "ERROR  Low stock", "error_query error_pending"},
		{"ada silences", "silenced", "error_opened", "email to data-team@shop.example", "ERROR  Nightly import", "error_no_data error_pending"},
		{"alert_escalated", "silenced", "Failed payments", "EU=14 US=13", "2 of 3 firing: 2 new", "error_opened"},
		{"silence_ended", "escalation", "→ webhook, POST /oncall", `"event":"escalation"`, "error_recovered", "WORKS AGAIN: Low stock"},
		{"recovered", `"event":"recovery"`, "RECOVERED: Revenue today", "error_recovered"},
	} {
		for _, text := range want {
			require.Contains(t, all[n], text, "scene %d", n)
		}
	}
	require.Contains(t, out, "$ sqlsentinel explain alerts.yaml run_")
	require.Contains(t, out, "What to try next")
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left, "the demo leaves no files")
}

func TestTheDemoIsSilencedWhereItSaysSo(t *testing.T) {
	out, _ := playDemo(t)
	for _, n := range []int{3, 4} {
		require.NotContains(t, scenes(out)[n], "STILL ALERT: Revenue today")
		require.NotContains(t, scenes(out)[n], "ESCALATED: Revenue today")
	}
	require.Contains(t, scenes(out)[5], "STILL ALERT: Revenue today")
}

func TestTheDemoKeepsAFolderThatOtherCommandsRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shop")
	out, temp := playDemo(t, "--keep", dir)
	require.Contains(t, out, "sqlsentinel status "+filepath.Join(dir, "alerts.yaml"))
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left)
	for _, name := range []string{"alerts.yaml", ".env", "shop.db", "sqlsentinel.db"} {
		require.FileExists(t, filepath.Join(dir, name))
	}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"status", filepath.Join(dir, "alerts.yaml")}, strings.NewReader(""), &stdout, &stderr, func(string) (string, bool) { return "", false })
	require.Equal(t, 0, code, stderr.String())
	for _, name := range []string{"Revenue today", "Failed payments", "Low stock", "Nightly import"} {
		require.Regexp(t, name+` +OK`, stdout.String())
	}
}

func TestTheDemoLeavesNothingBehindWhenItsReaderGoes(t *testing.T) {
	temp := t.TempDir()
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), "sqlsentinel", "demo") // this program, as TestMain lays it into the PATH
	c.Env = append(os.Environ(), "TMPDIR="+temp)
	var stderr bytes.Buffer
	c.Stdout, c.Stderr = writer, &stderr
	require.NoError(t, reader.Close(), "as head does once it has its lines")
	require.NoError(t, c.Run(), stderr.String())
	require.NoError(t, writer.Close())
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestTheDemoOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, "alerts.yaml")
	require.NoError(t, os.WriteFile(mine, []byte("mine"), 0o600))
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"demo", "--keep", dir}, strings.NewReader(""), &stdout, &stderr, func(string) (string, bool) { return "", false })
	require.Equal(t, exitUsage, code)
	require.Contains(t, stderr.String(), "not empty")
	text, err := os.ReadFile(mine)
	require.NoError(t, err)
	require.Equal(t, "mine", string(text))
}

func TestWrappedTextIsCompleteAndNarrow(t *testing.T) {
	for _, text := range []string{"", "short", strings.Repeat("word ", 40) + "end", strings.Repeat("x", 95), `{"a":1,"b":"` + strings.Repeat("é", 50) + `"}`} {
		lines := wrap(text, 30)
		for _, line := range lines {
			require.LessOrEqual(t, len([]rune(line)), 30)
		}
		require.Equal(t, strings.ReplaceAll(text, " ", ""), strings.ReplaceAll(strings.Join(lines, ""), " ", ""))
	}
}
