package alert_test

import (
	"encoding/base64"
	"errors"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

func environment(pairs ...string) alert.Lookup {
	values := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) { v, ok := values[name]; return v, ok }
}

func TestReferencesAreExpanded(t *testing.T) {
	env := environment("NAME", "value", "EMPTY", "", "AWS_SECRET_ACCESS_KEY", "no", "LAMBDA_X", "no", "_HIDDEN", "no", "DOLLAR", "$NAME ${NAME}")
	for text, want := range map[string]string{
		"plain":                "plain",
		"a ${NAME} b":          "a value b",
		"${NAME}${NAME}":       "valuevalue",
		"${NONE:-fallback}":    "fallback",
		"${EMPTY:-fallback}":   "fallback",
		"${EMPTY}":             "",
		"${NAME:-fallback}":    "value",
		"${NONE:-}":            "",
		"$$5 and $${NAME}":     "$5 and ${NAME}",
		"$NAME costs $":        "$NAME costs $",
		"${DOLLAR}":            "$NAME ${NAME}",
		"${NONE:-http://x:-y}": "http://x:-y",
	} {
		got, err := alert.Expand(text, env)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, reserved := range []string{"${AWS_SECRET_ACCESS_KEY}", "${LAMBDA_X}", "${_HIDDEN}", "${AWS_REGION:-x}"} {
		_, err := alert.Expand(reserved, env)
		var unresolved *alert.UnresolvedError
		require.True(t, errors.As(err, &unresolved), reserved)
		require.True(t, unresolved.Reserved)
		require.NotContains(t, err.Error(), `"no"`)
	}
	for _, bad := range []string{"${NONE}", "${NAME", "${}", "${1A}", "${A-B}", "${a b}"} {
		_, err := alert.Expand(bad, env)
		require.Error(t, err, bad)
	}
	require.Equal(t, []string{"A", "B", "A"}, alert.References("${A} $$ ${B:-x}${A} $C"))
	require.Empty(t, alert.References("none"))
}

func TestWhatWasResolvedIsCleanedOutOfTexts(t *testing.T) {
	const canary = "c@nary/secret 7"
	s := alert.NewSecrets(environment("TOKEN", canary, "SHORT", "abc", "PASSWORD", "hunter22"))
	got, err := s.Expand("Bearer ${TOKEN} ${SHORT}")
	require.NoError(t, err)
	require.Equal(t, "Bearer "+canary+" abc", got)
	_, err = s.Expand("postgresql://reader:${PASSWORD}@db:5432/shop?sslmode=disable&apikey=sesame77")
	require.NoError(t, err)
	for _, text := range []string{
		canary, url.QueryEscape(canary), url.PathEscape(canary), base64.StdEncoding.EncodeToString([]byte(canary)),
		"hunter22", base64.StdEncoding.EncodeToString([]byte("reader:hunter22")), "sesame77",
	} {
		require.Equal(t, "says ***.", s.Clean("says "+text+"."), text)
	}
	require.Equal(t, "abc disable", s.Clean("abc disable"), "words that are too common to be secrets stay")
	require.Equal(t, "x", (*alert.Secrets)(nil).Clean("x"))
	_, found := alert.NewSecrets(nil).Lookup("TOKEN")
	require.False(t, found)
}

func TestURLsAreShownWithoutTheirSecrets(t *testing.T) {
	for text, want := range map[string]string{
		"postgresql://reader:pw@db:5432/shop?sslmode=disable": "postgresql://***@db:5432/shop?***",
		"https://example.com":                  "https://example.com",
		"https://a:p/w@example.com/x#frag":     "https://***@example.com/x?***",
		"https://example.com?key=1":            "https://example.com?***",
		"no url pw":                            "***",
		"https://example.com/path/to":          "https://example.com/path/to",
		"postgresql://user:p@ss@db.internal/x": "postgresql://***@db.internal/x",
	} {
		require.Equal(t, want, alert.RedactURL(text, false), text)
	}
	require.Equal(t, "https://hooks.slack.com/***", alert.RedactURL("https://hooks.slack.com/services/T/B/x", true))
	require.Equal(t, "https://hooks.slack.com/***", alert.RedactURL("https://hooks.slack.com/services?x", true))
}
