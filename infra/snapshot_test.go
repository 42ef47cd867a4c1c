package main

import (
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the snapshots of the templates")

var assets = regexp.MustCompile(`[0-9a-f]{64}\.zip`)

// The snapshots show a reviewer what a change of this folder changes on AWS.
func TestTheTemplatesAreThoseOfTheSnapshots(t *testing.T) {
	for file, context := range map[string]map[string]any{"testdata/default.json": nil, "testdata/everything.json": everything} {
		text, err := json.MarshalIndent(templateOf(t, context), "", " ")
		require.NoError(t, err)
		now := append(assets.ReplaceAll(text, []byte("ASSET.zip")), '\n')
		if *update {
			require.NoError(t, os.WriteFile(file, now, 0o600))
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		require.JSONEq(t, string(want), string(now), "what the stack is has changed; if you meant it: go test ./infra -run Snapshots -update")
	}
}
