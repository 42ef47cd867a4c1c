package samples_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/notify"
)

func TestEveryWayOfAuthenticationArrivesAsItSays(t *testing.T) {
	var mu sync.Mutex
	got := map[string]*http.Request{}
	bodies := map[string]string{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body)
		key, _ := body["key"].(string)
		mu.Lock()
		defer mu.Unlock()
		name := strings.Split(r.URL.Path, "/")[1]
		got[name], bodies[name] = r, key
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")

	text, err := os.ReadFile("webhook-auth.yaml")
	require.NoError(t, err)
	names := []string{"bearer", "key-header", "key-query", "basic", "payload", "signed"}
	pairs := []string{"https://", "http://"}
	for _, name := range names {
		pairs = append(pairs, name+".example.com", host+"/"+name)
	}
	path := filepath.Join(t.TempDir(), "webhook-auth.yaml")
	require.NoError(t, os.WriteFile(path, []byte(strings.NewReplacer(pairs...).Replace(string(text))), 0o600))
	example := environment(t)
	file := load(t, path, func(name string) (string, bool) {
		if name == "WEBHOOK_URL" {
			return server.URL + "/environment", true
		}
		return example(name)
	})
	senders, err := notify.New(notify.Options{Secrets: file.Secrets})
	require.NoError(t, err)
	for _, target := range file.Alerts[0].Notify {
		err := senders.Send(t.Context(), alert.Delivery{ID: "dlv_1", Target: target, Message: alert.Message{EventID: "dlv_1", Event: alert.EventAlert, AlertName: "Revenue", Status: alert.StatusAlert}})
		require.NoError(t, err, target.ID)
	}

	require.Len(t, got, len(names)+1)
	require.Equal(t, "Bearer change-me", got["bearer"].Header.Get("Authorization"))
	require.Equal(t, "change-me", got["key-header"].Header.Get("X-API-Key"))
	require.Equal(t, "change-me", got["key-query"].URL.Query().Get("api_key"))
	user, password, ok := got["basic"].BasicAuth()
	require.Equal(t, []any{"sentinel", "change-me", true}, []any{user, password, ok})
	require.Equal(t, "change-me", bodies["payload"])
	require.NotEmpty(t, got["signed"].Header.Get("Webhook-Signature"))
	require.Equal(t, "Bearer change-me", got["environment"].Header.Get("Authorization"))
}
