// Package cloud is the runtime on AWS: the interfaces of shared/sentinel on DynamoDB
// (store.go, outbox.go), SQS (queue.go) and Parameter Store (secrets.go), and what the
// functions do with them. Its files have the names of those of shared/local that do the
// same on one machine.
//
// What only the sync function needs, S3 and EventBridge Scheduler, stands in control; what
// only people need stands in stacks. So the functions that run each minute link, and
// initialize, no more clients than they use.
package cloud

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// FunctionConfig is the AWS configuration of a Lambda function: region and credentials
// from its environment, one HTTP client. It reads no file and asks no service, so that a
// cold start does not wait for it; programs of people use the SDK's own search.
func FunctionConfig() aws.Config {
	return Configured(aws.Config{
		Region:      os.Getenv("AWS_REGION"),
		Credentials: credentials.NewStaticCredentialsProvider(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("AWS_SESSION_TOKEN")),
	})
}

// Configured gives a configuration what every client of the product has: one HTTP client,
// patience with throttling, and endpoints by AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_SERVICE.
func Configured(c aws.Config) aws.Config {
	c.HTTPClient = newHTTPClient()
	c.Retryer = func() aws.Retryer { return patient() }
	c.RetryMode = aws.RetryModeStandard
	if c.BaseEndpoint == nil {
		if url := os.Getenv("AWS_ENDPOINT_URL"); url != "" {
			c.BaseEndpoint = aws.String(url)
		}
	}
	return c
}

// Endpoint is the address of one service, if the environment names one for it.
func Endpoint(c aws.Config, service string) *string {
	if url := os.Getenv("AWS_ENDPOINT_URL_" + strings.ToUpper(service)); url != "" {
		return aws.String(url)
	}
	return c.BaseEndpoint
}

// attempts is how often a call is made, with growing pauses of up to maxPause. Past them
// the caller fails, and what invoked it tries again.
const (
	attempts = 8
	maxPause = 4 * time.Second
)

// patient retries what throttling, a lost connection and a conflict of two transactions
// refuse. A call that the caller's deadline ends is not made again.
func patient() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = attempts
		o.Backoff = retry.NewExponentialJitterBackoff(maxPause)
		o.RateLimiter = ratelimit.None
		o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			if conflicted(err) {
				return aws.TrueTernary
			}
			return aws.UnknownTernary
		})}, o.Retryables...)
	})
}

// pauseFor waits; false if ctx ended first.
func pauseFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Clip cuts a text to at most n bytes.
func Clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "")
}
