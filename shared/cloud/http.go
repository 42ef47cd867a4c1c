package cloud

import (
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// newHTTPClient is the HTTP client of every AWS client.
func newHTTPClient() aws.HTTPClient {
	return readOnce{awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConnsPerHost = 64
		t.TLSHandshakeTimeout = 5 * time.Second
	}).WithTimeout(20 * time.Second)}
}

// readOnce hides that a request's body can write itself. The SDK closes the body once the
// head of the answer is there. net/http may by then, where processors are scarce, not have
// looked for its end yet; the body's WriteTo answers that with io.EOF, which WriteTo must
// not, and net/http takes it for a failed request: it closes the connection under the
// answer that is being read. What AWS had done was then asked for again.
//
// Source: safeWriteToReadCloser in smithy-go, transport/http/internal/io/safe.go, v1.28.8.
type readOnce struct{ client aws.HTTPClient }

// Do sends a request.
func (r readOnce) Do(request *http.Request) (*http.Response, error) {
	if _, writes := request.Body.(io.WriterTo); writes {
		copied := *request
		copied.Body = struct{ io.ReadCloser }{request.Body}
		request = &copied
	}
	return r.client.Do(request)
}
