package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// hostile is data that moves the cursor, sets the title of a terminal, reverses the direction of
// writing, begins new lines and ends quotes.
const hostile = "a\x1b[2J\x1b]0;owned\x07\r\nsqlsentinel: forged \u202ereversed\u009b31m\u2028\"} 1\n{x=\"y"

// sample is a line of the text format of Prometheus.
var sample = regexp.MustCompile(`^(#.*|[a-z_]+(\{([a-z_]+="([^"\\]|\\["\\n])*",?)*\})? [-+0-9.eEInfNa]+)$`)

func TestDataMovesNoCursorAndForgesNoLine(t *testing.T) {
	r := newReceiver()
	defer r.server.Close()
	r.status = 400
	quoted := func(text string) string { raw, _ := json.Marshal(text); return string(raw) }
	c := newCLI(t, "alerts:\n"+
		"  - name: "+quoted(hostile)+"\n    schedule: '@daily'\n    labels: {team: "+quoted(hostile)+"}\n    description: "+quoted(hostile)+"\n"+
		"    key: [region]\n    query: "+quoted("SELECT 'ALERT' AS status, v AS region, v AS actual_value, v AS \"x\" FROM u")+
		"\n    notify: [{channel: webhook, attempts: 1, url: "+quoted(r.server.URL+"/")+"}]\n"+
		"  - {name: Fails, schedule: '@daily', query: "+quoted("SELECT \""+hostile+"\" FROM nowhere")+"}\n")
	require.NoError(t, execSQLite(c.dir+"/shop.db", "CREATE TABLE u (v TEXT); INSERT INTO u VALUES ('"+hostile+"')"))
	for _, env := range []map[string]string{{}, {"LOG_LEVEL": "debug", "LOG_FORMAT": "text"}, {"LOG_LEVEL": "debug", "LOG_FORMAT": "json"}} {
		for _, width := range []int{0, 100} {
			c.width, c.env = width, env
			if width > 0 {
				c.env["NO_COLOR"] = "1" // so that every escape is one of the data's
			}
			for _, command := range []string{
				"run", "run --dry-run", "status", "status --json", "history", "history --json", "explain --alert Fails", "deliveries list", "deliveries list --json", "metrics",
				"test-notify", "test-notify --dry-run", "validate", "silence --alert * --duration 1h", "unsilence --alert *",
			} {
				_, out, errs := c.call(t.Context(), command)
				text := out + errs
				for _, unwanted := range []string{"\x1b", "\x07", "\r", "\u202e", "\u009b", "\u2028"} {
					require.NotContains(t, text, unwanted, command)
				}
				require.NotContains(t, text, "\nsqlsentinel: forged", command)
				if command == "metrics" {
					for line := range strings.Lines(out) {
						require.Regexp(t, sample, strings.TrimSuffix(line, "\n"))
					}
				}
			}
		}
	}
	for _, body := range r.bodies {
		require.True(t, json.Valid([]byte(body)))
	}
	require.NotEmpty(t, r.bodies)
}
