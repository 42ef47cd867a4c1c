package notify_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/notify"
)

func TestAHeartbeatIsAskedForThroughTheGuard(t *testing.T) {
	asked := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.URL.Path
		if r.URL.Path == "/ill-s3cr3t-path" {
			http.Error(w, "no such check at "+r.URL.Path, http.StatusNotFound)
		}
	}))
	defer server.Close()
	secrets := alert.NewSecrets(func(name string) (string, bool) {
		return map[string]string{"HC": server.URL + "/well", "ILL": server.URL + "/ill-s3cr3t-path"}[name], name == "HC" || name == "ILL"
	})
	s, err := notify.New(notify.Options{Secrets: secrets})
	require.NoError(t, err)
	require.NoError(t, s.Beat(t.Context(), "${HC}"))
	require.Equal(t, "GET /well", <-asked)

	err = s.Beat(t.Context(), "${ILL}")
	require.ErrorContains(t, err, "404")
	require.NotContains(t, err.Error(), server.URL)
	require.ErrorContains(t, s.Beat(t.Context(), "http://169.254.169.254/latest"), "refused")
	require.ErrorContains(t, s.Beat(t.Context(), "${NONE}"), "NONE")
	server.Close()
	require.Error(t, s.Beat(t.Context(), server.URL))
}
