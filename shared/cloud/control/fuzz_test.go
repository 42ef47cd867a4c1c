package control_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud/control"
	"github.com/sqlsentinel/sqlsentinel/shared/config"
	"github.com/sqlsentinel/sqlsentinel/shared/notify"
)

// expression is what EventBridge Scheduler takes.
var expression = regexp.MustCompile(`^cron\([0-9,*-]+ [0-9,*-]+ (\?|[0-9,*-]+) [0-9,*-]+ (\?|[A-Z,]+) \*\)$`)

func channelsOf(t testing.TB) []config.Channel {
	senders, err := notify.New(notify.Options{})
	require.NoError(t, err)
	var channels []config.Channel
	for _, c := range senders.Channels() {
		channels = append(channels, c)
	}
	return channels
}

func TestAConfigurationInABucketReadsNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "payload.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"a": 1}`), 0o600))
	const head = "database: {url: 'postgresql://h/d'}\nalerts:\n  - {name: A, schedule: '@daily', "
	for _, text := range []string{
		head + "query_file: /proc/self/environ, notify: []}\n", head + "query_file: fuzz_test.go, notify: []}\n",
		head + "query: x, notify: [{channel: webhook, url: 'https://h', payload: " + path + "}]}\n",
		head + "query: x, notify: [{channel: webhook, url: 'https://h', per_event: {alert: {payload: " + path + "}}}]}\n",
	} {
		_, err := control.Parse([]byte(text), "stack", control.DefaultLimits, channelsOf(t), nil)
		require.ErrorContains(t, err, "names another file", text)
	}
}

// Whatever object lies in the bucket is a file whose schedules EventBridge takes, or its
// problems. What event announced it is not read at all.
func FuzzObject(f *testing.F) {
	for _, name := range []string{"alerts", "postgres", "multi-channel", "webhook-auth"} {
		data, err := os.ReadFile("../../../samples/" + name + ".yaml")
		require.NoError(f, err)
		f.Add(data)
	}
	f.Add([]byte("database: {url: 'postgresql://u:${P}@h/d'}\nalerts: [{name: A, query: x, schedule: '0 0 1,15 * MON', notify: []}]"))
	f.Add([]byte("databases: {a: {url: 'postgresql://[::1]/d'}, b: {url: '${X}'}}\nalerts:\n"))
	channels := channelsOf(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := control.Parse(data, "stack", control.DefaultLimits, channels, func(string, string) bool { return true })
		if err != nil {
			var problems config.Problems
			require.True(t, errors.As(err, &problems), "%v", err)
			require.NotEmpty(t, problems)
			return
		}
		for _, a := range file.Alerts {
			require.Equal(t, "stack", a.Scope)
			times, err := control.TranslateCron(a.Schedule, a.Timezone)
			require.NoError(t, err)
			for _, e := range times.Expressions {
				require.Regexp(t, expression, e)
			}
		}
		require.Empty(t, file.Reads, "no other file is read")
	})
}
