package main

import (
	"fmt"
	"strings"
	"testing"

	"charm.land/lipgloss/v2"
	"github.com/stretchr/testify/require"
)

const ringing = `
alerts:
  - {name: "A rather long name of an alert that needs a lot of room", query: "SELECT 'ALERT' AS status, 'a value that is long as well, longer than most' AS actual_value", schedule: "@daily"}
  - {name: Fine, query: "SELECT 'OK' AS status", schedule: "@daily"}
`

func TestATableFitsTheTerminalAndLosesNothing(t *testing.T) {
	c := newCLI(t, ringing)
	for _, width := range []int{40, 60, 80, 200} {
		c.width = width
		code, out, _ := c.call(t.Context(), "run")
		require.Zero(t, code)
		for line := range strings.Lines(out) {
			require.LessOrEqual(t, lipgloss.Width(strings.TrimRight(line, "\n")), width, out)
		}
		require.Contains(t, out, "Fine")
	}
	_, wide, _ := c.call(t.Context(), "status")
	require.Contains(t, wide, "A rather long name of an alert that needs a lot of room")
}

func TestColourIsForTerminalsOnly(t *testing.T) {
	c := newCLI(t, ringing)
	_, out, errs := c.call(t.Context(), "run")
	require.NotContains(t, out+errs, "\x1b")

	c.width = 100
	_, out, _ = c.call(t.Context(), "run")
	require.Contains(t, out, "\x1b[")
	_, out, _ = c.call(t.Context(), "explain", "Fine")
	require.Contains(t, out, "\x1b[")

	c.env["NO_COLOR"] = "1"
	for _, command := range []string{"run", "status", "history", "run --dry-run", "validate"} {
		_, out, _ = c.call(t.Context(), command)
		require.NotContains(t, out, "\x1b", command)
	}
	c.env = map[string]string{"TERM": "dumb"}
	_, out, _ = c.call(t.Context(), "status")
	require.NotContains(t, out, "\x1b")
}

func TestJSONIsTheSameOnATerminal(t *testing.T) {
	c := newCLI(t, ringing)
	_, plain, _ := c.call(t.Context(), "validate", "--json")
	c.width = 40
	_, out, _ := c.call(t.Context(), "validate", "--json")
	require.Equal(t, plain, out)
}

// many is a file of n alerts.
func many(n int) string {
	var out strings.Builder
	out.WriteString("alerts:\n")
	for i := range n {
		fmt.Fprintf(&out, "  - {name: \"alert %d\", query: \"SELECT 'OK' AS status\", schedule: \"@daily\"}\n", i)
	}
	return out.String()
}

func TestALongTableIsPrintedLineByLineOnATerminalToo(t *testing.T) {
	c := newCLI(t, many(fitted+1))
	c.width = 80
	code, out, _ := c.call(t.Context(), "run")
	require.Zero(t, code)
	require.Contains(t, out, fmt.Sprintf("alert %d ", fitted))
}

func TestTheBarIsAsNarrowAsTheTerminal(t *testing.T) {
	p := &progress{total: 1000}
	p.done.Store(250)
	p.ringing.Store(3)
	p.failing.Store(1)
	require.Equal(t, "["+strings.Repeat("#", 10)+strings.Repeat("-", 30)+"] 250/1000  3 ALERT  1 ERROR", p.line(100))
	for _, width := range []int{20, 30, 50} {
		require.Less(t, len([]rune(p.line(width))), width)
	}
}

func TestTextIsMadePrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain ü 日本 👩‍🔬":  "plain ü 日本 👩‍🔬",
		"a\x1b[31mb\x00":  `a\x1b[31mb\x00`,
		"a\nb\tc\r":       `a\nb\tc\r`,
		"\u009b31m":       `\u009b31m`,
		"\u202eabc\u2066": `\u202eabc\u2066`,
		"\xff\xfe":        `\xff\xfe`,
		"a\x7fb":          `a\x7fb`,
	} {
		require.Equal(t, want, printable(in))
	}
	require.Equal(t, "a\nb\\x1b", printableLines("a\nb\x1b"))
	require.Equal(t, "{\"a\": \"\\u009b\\u202e\"}\n", string(escapeJSON([]byte("{\"a\": \"\u009b\u202e\"}\n"))))
}
