package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/config"
)

// Whatever stands in .env, the alert file is read or an error says which file is wrong, and
// holds nothing of what stands in it.
func FuzzEnvFile(f *testing.F) {
	for _, text := range []string{"A=c4n4ry-value\n", "export A='c4n4ry-value'\nB=\"${A}\\n\"", "A=c4n4ry-value B\n=x", "A: c4n4ry-value", "\xff\x00=c4n4ry-value", "A=\"c4n4ry-value", "A=$A${A}$(c4n4ry-value)", "SMTP_PORT=c4n4ry-value\n"} {
		f.Add([]byte(text))
	}
	path := write(f, "alerts.yaml", one("notify: [{channel: email, recipients: [\"${A:-a@example.com}\"]}]"))
	require.NoError(f, os.WriteFile(path, []byte(head+"alerts: [{name: A, query: x, schedule: \"@daily\", notify: [{channel: email, recipients: [\"${A:-a@example.com}\"]}]}]\n"), 0o600))
	o := options(f)
	o.NoEnvFile = false
	f.Fuzz(func(t *testing.T, data []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), ".env"), data, 0o600))
		_, err := config.Load(path, o)
		if err != nil {
			require.NotContains(t, err.Error(), "c4n4ry-value")
		}
	})
}
