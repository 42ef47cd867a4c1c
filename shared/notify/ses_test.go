package notify_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/notify"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/emulators"
)

func TestMain(m *testing.M) { os.Exit(emulators.Main(m)) }

const (
	awsSecret = "canary/secret+key5f3a9c0b1d2e4f6071829304a" //nolint:gosec // of no account
	awsToken  = "canary-session-token-5f3a9c"
)

// awsAt is an AWS configuration that leads to an endpoint and would retry patiently.
func awsAt(url string) aws.Config {
	return aws.Config{
		Region: "eu-west-1", BaseEndpoint: aws.String(url), RetryMaxAttempts: 4,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", awsSecret, awsToken),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = 4, time.Millisecond })
		},
	}
}

// bySES makes senders that send by SES; only the sender's address is set.
func bySES(t *testing.T, configure func() (aws.Config, error), more ...string) *notify.Senders {
	env := map[string]string{"EMAIL_PROVIDER": "SES", "SMTP_FROM_ADDRESS": "Größe Sentinel <alerts@example.com>"}
	for i := 0; i+1 < len(more); i += 2 {
		env[more[i]] = more[i+1]
	}
	s, err := notify.New(notify.Options{Secrets: alert.NewSecrets(lookup(env)), Now: clock, AWS: configure})
	require.NoError(t, err)
	return s
}

func sesAt(t *testing.T, url string) *notify.Senders {
	return bySES(t, func() (aws.Config, error) { return awsAt(url), nil })
}

// sesMail is a delivery to two people.
func sesMail(t *testing.T) alert.Delivery {
	return delivery(t, "email", map[string]any{"recipients": []string{"Team <team@example.com>", "lead@example.com"}}, message(alert.EventAlert))
}

// refuse answers as SES refuses.
func refuse(status int, code, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amzn-ErrorType", code)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": text})
	}
}

func accept(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, `{"MessageId":"0102018f-example"}`)
}

// sesRequest is a request as the API's reference describes it.
type sesRequest struct {
	FromEmailAddress string
	Destination      map[string][]string
	Content          struct{ Raw struct{ Data []byte } }
}

func TestSESGetsTheMessageThatSMTPWouldSend(t *testing.T) {
	r := listen(t, accept)
	require.NoError(t, sesAt(t, r.URL).Send(t.Context(), sesMail(t)))
	got := r.one(t)
	require.Equal(t, []string{http.MethodPost, "/v2/email/outbound-emails", ""}, []string{got.method, got.path, got.query})
	require.Contains(t, got.header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
	var asked sesRequest
	require.NoError(t, json.Unmarshal(got.body, &asked))
	require.Equal(t, "=?utf-8?q?Gr=C3=B6=C3=9Fe_Sentinel?= <alerts@example.com>", asked.FromEmailAddress)
	require.Equal(t, map[string][]string{"ToAddresses": {"team@example.com", "lead@example.com"}}, asked.Destination)

	bySMTP, want := mailed(t, map[string]any{"from": "Größe Sentinel <alerts@example.com>"}, message(alert.EventAlert))
	require.Len(t, bySMTP.To, 2)
	mail := read(t, asked.Content.Raw.Data)
	require.Equal(t, want.text, mail.text)
	require.Equal(t, want.html, mail.html)
	require.Equal(t, want.subject, mail.subject)
	require.Equal(t, "<dlv_alert@example.com>", mail.header.Get("Message-ID"))
	require.Equal(t, "<ep_1@example.com>", mail.header.Get("References"))
	delete(want.header, "Content-Type") // its boundary is random
	delete(mail.header, "Content-Type")
	require.Equal(t, want.header, mail.header)
}

func TestAnAnswerOfSESDecidesWhatFollows(t *testing.T) {
	const never = time.Duration(0)
	for _, x := range []struct {
		status     int
		code, text string
		min, max   time.Duration
		permanent  bool
		advice     string
	}{
		{429, "TooManyRequestsException", "Too many requests have been made", time.Second, 5 * time.Second, false, ""},
		{429, "TooManyRequestsException", "Maximum sending rate exceeded.", time.Second, 5 * time.Second, false, ""},
		{400, "Throttling", "Rate exceeded", time.Second, 5 * time.Second, false, ""},
		{503, "ThrottlingException", "slow down", time.Second, 5 * time.Second, false, ""},
		{400, "LimitExceededException", "Maximum sending rate exceeded", time.Second, 5 * time.Second, false, ""},
		{400, "LimitExceededException", "There are too many instances", time.Hour, time.Hour, false, ""},
		{429, "TooManyRequestsException", "Daily message quota exceeded.", time.Hour, time.Hour, false, ""},
		{400, "ThrottlingException", "Daily sending quota exceeded", time.Hour, time.Hour, false, ""},
		{400, "MessageRejected", "Email address is not verified. The following identities failed the check in region EU-WEST-1: alerts@example.com", never, never, true, "verify the identity in this region; in the sandbox recipients need it too, so ask for production access"},
		{400, "MessageRejected", "Illegal content", never, never, true, "its reason says why"},
		{400, "MailFromDomainNotVerifiedException", "no MX", never, never, true, "publish the MX record"},
		{400, "AccountSuspendedException", "suspended", never, never, true, "ask AWS Support"},
		{400, "SendingPausedException", "Email sending is disabled", never, never, true, "sending is paused; see the SES console"},
		{400, "BadRequestException", "Missing final '@domain'", never, never, true, "check the sender and the recipients"},
		{400, "ValidationException", "1 validation error detected", never, never, true, "check the sender and the recipients"},
		{403, "AccessDeniedException", "User: arn is not authorized to perform `ses:SendRawEmail'", never, never, true, "allow ses:SendEmail and ses:SendRawEmail"},
		{500, "InternalServiceErrorException", "try again", never, never, false, ""},
		{503, "ServiceUnavailable", "busy", never, never, false, ""},
		{403, "ExpiredTokenException", "The security token included in the request is expired", never, never, false, ""},
		{409, "ConflictException", "being changed", never, never, false, ""},
	} {
		r := listen(t, refuse(x.status, x.code, x.text))
		err := failed(t, sesAt(t, r.URL).Send(t.Context(), sesMail(t)))
		r.one(t) // one Send is one attempt
		require.Equal(t, x.permanent, err.Permanent, x)
		require.GreaterOrEqual(t, err.RetryAfter, x.min, x)
		require.LessOrEqual(t, err.RetryAfter, x.max, x)
		want := fmt.Sprintf("Amazon SES: HTTP %d %s: %s", x.status, x.code, x.text)
		if x.advice == "" {
			require.Equal(t, want, err.Message)
		}
		require.Contains(t, err.Message, want)
		require.Contains(t, err.Message, x.advice)
		require.NotContains(t, err.Message, "\n")
	}
}

func TestWhatIsNoAnswerOfSESIsTriedAgain(t *testing.T) {
	page := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html>bad gateway</html>")
	})
	err := failed(t, sesAt(t, page.URL).Send(t.Context(), sesMail(t)))
	page.one(t)
	require.False(t, err.Permanent)
	require.Contains(t, err.Message, "502")

	broken := listen(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	broken.Config.ErrorLog = quiet()
	err = failed(t, sesAt(t, broken.URL).Send(t.Context(), sesMail(t)))
	broken.one(t)
	require.False(t, err.Permanent)
	require.Contains(t, err.Message, "Amazon SES: ")

	stop := make(chan struct{})
	slow := listen(t, func(http.ResponseWriter, *http.Request) { <-stop })
	t.Cleanup(func() { close(stop) })
	d := sesMail(t)
	d.Target.Timeout = alert.Duration(2 * time.Second)
	err = failed(t, sesAt(t, slow.URL).Send(t.Context(), d))
	require.Equal(t, alert.SendError{Message: "no answer within 2s"}, *err)
	slow.one(t)

	gone := listen(t, nil)
	gone.Close()
	err = failed(t, sesAt(t, gone.URL).Send(t.Context(), sesMail(t)))
	require.False(t, err.Permanent)
	require.Contains(t, err.Message, "connection refused")
}

func TestAMessageThatSESTookIsSentWhateverItsAnswerHolds(t *testing.T) {
	for _, body := range []string{"", "{}", "{", "<html>", `{"MessageId":7}`} {
		r := listen(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
		require.NoError(t, sesAt(t, r.URL).Send(t.Context(), sesMail(t)), body)
		r.one(t)
	}
}

func TestTheAWSConfigurationIsReadOnceAndOnlyWhenSESIsUsed(t *testing.T) {
	r := listen(t, accept)
	var reads atomic.Int64
	s := bySES(t, func() (aws.Config, error) {
		if reads.Add(1) == 1 {
			return aws.Config{}, errors.New("no such profile")
		}
		return awsAt(r.URL), nil
	})
	c := channel(t, s, "email")
	require.Empty(t, c.Check(sesMail(t).Target.Settings, lookup(map[string]string{"EMAIL_PROVIDER": "ses", "SMTP_FROM": "a@example.com"})))
	shown, err := c.Render(t.Context(), sesMail(t))
	require.NoError(t, err)
	require.Equal(t, "by Amazon SES", shown.Summary)
	require.Contains(t, shown.Headers, "To: \"Team\" <team@example.com>, <lead@example.com>")
	require.Zero(t, reads.Load())

	failure := failed(t, s.Send(t.Context(), sesMail(t)))
	require.Equal(t, alert.SendError{Message: "read the AWS configuration: no such profile"}, *failure, "it may be there the next time")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { _ = s.Send(t.Context(), sesMail(t)) })
	}
	all.Wait()
	require.Len(t, r.all(), 8)
	require.EqualValues(t, 2, reads.Load())
}

func TestWithoutAnAWSConfigurationSESIsRefused(t *testing.T) {
	s := bySES(t, nil)
	err := failed(t, s.Send(t.Context(), sesMail(t)))
	require.True(t, err.Permanent)
	require.Contains(t, err.Message, "this program has no AWS configuration; ")
	require.ErrorContains(t, channel(t, s, "email").Connect(t.Context(), sesMail(t).Target), "this program has no AWS configuration; ")
	found := problems(t, "email", map[string]any{"recipients": []string{"a@b.c"}, "provider": "ses", "from": "a@example.com"}, nil)
	require.Len(t, found, 1)
	require.Contains(t, found["provider"], "is ses, but this program has no AWS configuration; ")
}

func TestCheckWantsASenderForSESAndNoMailServer(t *testing.T) {
	c := channel(t, sesAt(t, "http://127.0.0.1:1"), "email")
	check := func(settings map[string]any, env map[string]string) map[string]string {
		raw, err := json.Marshal(settings)
		require.NoError(t, err)
		out := map[string]string{}
		for _, p := range c.Check(raw, lookup(env)) {
			out[p.Path] = p.Message
		}
		return out
	}
	one := []string{"a@b.c"}
	require.Empty(t, check(map[string]any{"recipients": one, "provider": "ses", "from": "a@example.com"}, nil))
	require.Empty(t, check(map[string]any{"recipients": one, "from": "a@example.com"}, map[string]string{"EMAIL_PROVIDER": "ses", "SMTP_PORT": "x", "SMTP_USERNAME": "u", "SMTP_USE_TLS": "perhaps"}), "the mail server's settings are not read")
	require.Equal(t, map[string]string{"from": "is missing; write it here or set SMTP_FROM_ADDRESS"}, check(map[string]any{"recipients": one, "provider": "ses"}, map[string]string{"SMTP_USERNAME": "u@example.com"}), "the user of a mail server is no sender here")
	require.Equal(t, map[string]string{"from": "is no e-mail address"}, check(map[string]any{"recipients": one, "provider": "ses", "from": "me"}, nil))
	require.Equal(t, map[string]string{"smtp_host": "is missing; write it here or set SMTP_HOST"}, check(map[string]any{"recipients": one, "provider": "smtp", "from": "a@example.com"}, map[string]string{"EMAIL_PROVIDER": "ses"}), "the target's own provider wins")
	var many []string
	for i := range 51 {
		many = append(many, fmt.Sprintf("a%d@example.com", i))
	}
	require.Equal(t, map[string]string{"recipients": "has 51 addresses; Amazon SES takes 50 in one message"}, check(map[string]any{"recipients": many, "provider": "ses", "from": "a@example.com"}, nil))
}

func TestConnectAsksSESWhetherTheAccountMaySendAndSendsNothing(t *testing.T) {
	for body, want := range map[string]string{
		`{"SendingEnabled":true,"ProductionAccessEnabled":true,"EnforcementStatus":"HEALTHY"}`: "",
		`{"SendingEnabled":true,"ProductionAccessEnabled":false}`:                              "", // the sandbox
		`{"SendingEnabled":false,"EnforcementStatus":"SHUTDOWN"}`:                              "Amazon SES: sending is paused in this region (status SHUTDOWN); see the SES console",
		`{"SendingEnabled":false}`: "Amazon SES: sending is paused in this region (status unknown); see the SES console",
	} {
		r := listen(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
		err := channel(t, sesAt(t, r.URL), "email").Connect(t.Context(), sesMail(t).Target)
		got := r.one(t)
		require.Equal(t, []string{http.MethodGet, "/v2/email/account"}, []string{got.method, got.path})
		if want == "" {
			require.NoError(t, err, body)
			continue
		}
		require.EqualError(t, err, want)
	}
	r := listen(t, refuse(403, "AccessDeniedException", "not authorized to perform ses:GetAccount"))
	require.ErrorContains(t, channel(t, sesAt(t, r.URL), "email").Connect(t.Context(), sesMail(t).Target), "ses:GetAccount to check the connection")
}

func TestNoSecretOfAWSIsInAnErrorOfSES(t *testing.T) {
	for _, secret := range []string{awsSecret, awsToken} {
		for _, padding := range []int{0, 270, 290, 299} { // so that a cut falls into the secret
			said := strings.Repeat("x", padding) + strings.Join(echoes(secret), " ")
			for _, code := range []string{"BadRequestException", "SignatureDoesNotMatch"} {
				r := listen(t, refuse(400, code, said))
				s := sesAt(t, r.URL)
				leaks(t, failed(t, s.Send(t.Context(), sesMail(t))).Message, secret, code)
				err := channel(t, s, "email").Connect(t.Context(), sesMail(t).Target)
				require.Error(t, err)
				leaks(t, err.Error(), secret, code)
			}
		}
	}
}

func TestAnEmulatorOfSESTakesTheMessage(t *testing.T) {
	url := emulators.AWS(t)
	config := awsAt(url)
	s := bySES(t, func() (aws.Config, error) { return config, nil }, "SMTP_FROM_ADDRESS", "Sentinel <alerts@ses.example.com>")
	require.NoError(t, channel(t, s, "email").Connect(t.Context(), sesMail(t).Target))
	err := failed(t, s.Send(t.Context(), sesMail(t)))
	require.True(t, err.Permanent)
	require.Contains(t, err.Message, "MessageRejected: Email address is not verified.")
	require.Contains(t, err.Message, "verify the identity in this region")

	client := sesv2.NewFromConfig(config)
	for _, identity := range []string{"alerts@ses.example.com", "team@example.com", "lead@example.com"} {
		_, err := client.CreateEmailIdentity(t.Context(), &sesv2.CreateEmailIdentityInput{EmailIdentity: aws.String(identity)})
		require.NoError(t, err)
	}
	require.NoError(t, s.Send(t.Context(), sesMail(t)))
	resp, getErr := http.Get(url + "/_ministack/ses/messages")
	require.NoError(t, getErr)
	defer resp.Body.Close()
	var kept struct {
		Messages map[string][]struct {
			Source, Subject, BodyText, BodyHTML string
			To                                  []string
		}
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&kept))
	require.Len(t, kept.Messages, 1)
	for _, got := range kept.Messages {
		require.Len(t, got, 1, "the refused one is not there")
		require.Equal(t, "\"Sentinel\" <alerts@ses.example.com>", got[0].Source)
		require.Equal(t, []string{"team@example.com", "lead@example.com"}, got[0].To)
		require.Equal(t, "ALERT: Daily revenue", got[0].Subject)
		require.Contains(t, got[0].BodyText, "Actual value: 5480.50")
		require.Contains(t, got[0].BodyHTML, "5480.50 against 10000")
	}
}
