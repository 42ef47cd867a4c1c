package docs_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/notify"
)

// verified stands in webhook.md, letter by letter.
func verified(r *http.Request, secret string) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	checker, err := standardwebhooks.NewWebhook(secret) // whsec_…
	if err != nil {
		return nil, err
	}
	return body, checker.Verify(body, r.Header) // wrong signature, or older than five minutes
}

func TestTheExampleOfTheWebhookPageVerifiesARealMessage(t *testing.T) {
	source, err := os.ReadFile("verify_test.go")
	require.NoError(t, err)
	examples := blocks(t, "webhook.md", "go")
	require.Len(t, examples, 1)
	require.Contains(t, string(source), examples[0].text)

	const secret = "whsec_Y2hhbmdlLW1lLWNoYW5nZS1tZS1jaGFuZ2UtbWU="
	got := make(chan error, 2)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := verified(r, secret)
		got <- err
	}))
	defer receiver.Close()
	send := func(signedWith string) error {
		senders, err := notify.New(notify.Options{})
		require.NoError(t, err)
		settings := strings.NewReplacer("URL", receiver.URL, "SECRET", signedWith).Replace(`{"url": "URL", "signing_secret": "SECRET"}`)
		require.NoError(t, senders.Send(t.Context(), alert.Delivery{
			ID: "dlv_1", Target: alert.Target{ID: "t", Channel: "webhook", Label: "t", Settings: []byte(settings)},
			Message: alert.Message{EventID: "dlv_1", EpisodeID: "ep_1", Event: alert.EventAlert, AlertName: "Revenue", Status: alert.StatusAlert, Timestamp: time.Now(), RunID: "run_1"},
		}))
		return <-got
	}
	require.NoError(t, send(secret))
	require.Error(t, send("whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldC0wMA=="))
}
