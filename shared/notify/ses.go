package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// amazonSES sends mail by Amazon SES. Its client is made at the first use.
type amazonSES struct {
	configure func() (aws.Config, error)
	secrets   *alert.Secrets

	mu   sync.Mutex
	made *sesv2.Client
}

// maxSESRecipients is how many recipients Amazon SES takes in one message.
const maxSESRecipients = 50

// noAWS is what is wrong where nothing is told about AWS.
const noAWS = "this program has no AWS configuration; send by SMTP, or from a program that has one"

// check finds what keeps Amazon SES from sending to so many recipients. It does not ask AWS.
func (s *amazonSES) check(recipients int) []alert.SettingProblem {
	var found []alert.SettingProblem
	if s.configure == nil {
		found = append(found, problem("provider", "is ses, but %s", noAWS))
	}
	if recipients > maxSESRecipients {
		found = append(found, problem("recipients", "has %d addresses; Amazon SES takes %d in one message", recipients, maxSESRecipients))
	}
	return found
}

// client makes the client, once. It never repeats a call: one call is one attempt, and
// when the next one follows is not decided here.
func (s *amazonSES) client() (*sesv2.Client, error) {
	if s.configure == nil {
		return nil, permanent("%s", noAWS)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made != nil {
		return s.made, nil
	}
	config, err := s.configure()
	if err != nil {
		return nil, fmt.Errorf("read the AWS configuration: %w", err)
	}
	s.made = sesv2.NewFromConfig(config, func(o *sesv2.Options) {
		o.Retryer, o.RetryMaxAttempts = aws.NopRetryer{}, 0
		if o.Credentials != nil {
			o.Credentials = hidden{o.Credentials, s.secrets}
		}
	})
	return s.made, nil
}

// hidden are credentials that stand in no error: a wrong signature makes AWS echo them.
type hidden struct {
	aws.CredentialsProvider
	secrets *alert.Secrets
}

// Retrieve hides what it gives out.
func (h hidden) Retrieve(ctx context.Context) (aws.Credentials, error) {
	out, err := h.CredentialsProvider.Retrieve(ctx)
	hide(h.secrets, out.SecretAccessKey)
	hide(h.secrets, out.SessionToken)
	return out, err
}

// send hands the whole message over, as SMTP would.
func (s *amazonSES) send(ctx context.Context, l *letter) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	var raw bytes.Buffer
	if _, err := l.msg.WriteTo(&raw); err != nil {
		return fmt.Errorf("write the message: %w", err)
	}
	from, err := l.msg.GetSender(true) // with the name, as the header says it
	if err != nil {
		return permanent("the sender cannot be used: %s", err)
	}
	to := make([]string, len(l.to))
	for i, address := range l.to {
		to[i] = strings.TrimSuffix(strings.TrimPrefix(address, "<"), ">")
	}
	_, err = client.SendEmail(ctx, &sesv2.SendEmailInput{
		FromEmailAddress: aws.String(from),
		Destination:      &types.Destination{ToAddresses: to},
		Content:          &types.EmailContent{Raw: &types.RawMessage{Data: raw.Bytes()}},
	})
	if err == nil || status(err)/100 == 2 {
		return nil // the message was taken, whatever became of the answer
	}
	return s.judge(err)
}

// connect asks whether the account may send. An account in the sandbox may.
func (s *amazonSES) connect(ctx context.Context) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	account, err := client.GetAccount(ctx, &sesv2.GetAccountInput{})
	if err != nil {
		return s.judge(err)
	}
	if account.SendingEnabled {
		return nil
	}
	why := or(cut(line(aws.ToString(account.EnforcementStatus)), 40), "unknown")
	return permanent("Amazon SES: sending is paused in this region (status %s); see the SES console", why)
}

// judge tells a wait, a refusal for good and a failure that may pass apart. What SES says
// is cleaned of secrets before it is cut, so that no half of one stays.
func (s *amazonSES) judge(err error) error {
	var said smithy.APIError
	if !errors.As(err, &said) {
		return fmt.Errorf("call Amazon SES: %w", err)
	}
	code, text := said.ErrorCode(), said.ErrorMessage()
	out := &alert.SendError{Message: fmt.Sprintf("Amazon SES: HTTP %d %s", status(err), cut(line(s.secrets.Clean(code)), 60))}
	if shown := cut(line(s.secrets.Clean(text)), excerpt); shown != "" {
		out.Message += ": " + shown
	}
	if out.RetryAfter = sesWait(code, strings.ToLower(text)); out.RetryAfter > 0 {
		return out
	}
	if advice := sesAdvice(code, strings.ToLower(text)); advice != "" {
		out.Permanent = true
		out.Message += "; " + advice
	}
	return out
}

// status is the HTTP status of an answer that became an error; 0 if there was no answer.
func status(err error) int {
	var got *smithyhttp.ResponseError
	if errors.As(err, &got) {
		return got.HTTPStatusCode()
	}
	return 0
}

// sesWait is how long to wait before SES takes messages again, zero if it asks for no wait.
// The daily quota is counted over the last 24 hours, so that a part of it comes back soon.
func sesWait(code, text string) time.Duration {
	rate := strings.Contains(text, "sending rate exceeded")
	switch {
	case strings.Contains(text, "daily") && strings.Contains(text, "quota"), code == "LimitExceededException" && !rate:
		return maxWait
	case rate, code == "TooManyRequestsException", strings.HasPrefix(code, "Throttl"), strings.HasPrefix(code, "RequestThrottl"):
		return time.Second + rand.N(4*time.Second) // spread, so that waiting senders do not come back at once
	}
	return 0
}

// sesAdvice says what to do about a refusal for good; it is empty for a failure that may pass.
func sesAdvice(code, text string) string {
	switch code {
	case "MessageRejected":
		if strings.Contains(text, "not verified") {
			return "verify the identity in this region; in the sandbox recipients need it too, so ask for production access"
		}
		return "Amazon SES does not take this message; its reason says why"
	case "MailFromDomainNotVerifiedException":
		return "publish the MX record of the MAIL FROM domain, or let the identity use the default one"
	case "AccountSuspendedException":
		return "the account may not send any more; ask AWS Support"
	case "SendingPausedException":
		return "sending is paused; see the SES console"
	case "BadRequestException", "ValidationException", "ValidationError", "InvalidParameterValue":
		return "check the sender and the recipients"
	case "AccessDenied", "AccessDeniedException":
		return "allow ses:SendEmail and ses:SendRawEmail for the identity, and ses:GetAccount to check the connection"
	}
	return ""
}
