package cloud

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// keeper keeps the request that it is sent.
type keeper struct{ got *http.Request }

// Do answers at once.
func (k *keeper) Do(r *http.Request) (*http.Response, error) {
	k.got = r
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

func TestARequestDoesNotFailForWhatItsBodySaysOnceItIsClosed(t *testing.T) {
	k := &keeper{}
	body := struct {
		io.ReadCloser
		io.WriterTo
	}{io.NopCloser(bytes.NewReader([]byte("{}"))), bytes.NewReader(nil)}
	sent, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://example.com", nil)
	require.NoError(t, err)
	sent.Body = body
	_, err = readOnce{k}.Do(sent)
	require.NoError(t, err)
	_, writes := k.got.Body.(io.WriterTo)
	require.False(t, writes)
	text, err := io.ReadAll(k.got.Body)
	require.NoError(t, err)
	require.Equal(t, "{}", string(text))
}
