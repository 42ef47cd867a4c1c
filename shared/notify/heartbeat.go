package notify

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// heartbeatTimeout is how long the outside service may take to answer.
const heartbeatTimeout = 10 * time.Second

// Beat asks for the URL of a heartbeat, as written, so that the outside service behind it
// knows that the watching goes on. It goes through the egress guard like any message. Its
// error holds no secret.
func (s *Senders) Beat(ctx context.Context, url string) error {
	address, err := live(s.secrets)(url)
	if err != nil {
		return err
	}
	hideLink(s.secrets, url, address, true)
	ctx, cancel := context.WithTimeout(ctx, heartbeatTimeout)
	defer cancel()
	req, err := request(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	answer, err := s.web.do(req, true)
	if err == nil {
		err = judge(answer, s.secrets.Clean, time.Now())
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer within " + alert.Duration(heartbeatTimeout).String())
	}
	if err != nil {
		return errors.New(s.secrets.Clean(err.Error()))
	}
	return nil
}
