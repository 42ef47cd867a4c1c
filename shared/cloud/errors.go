package cloud

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// conflicted tells an error that a repetition may mend: another transaction had one of the
// items in hand, or its partition was asked too much. A failed condition is an answer.
func conflicted(err error) bool {
	var canceled *types.TransactionCanceledException
	if errors.As(err, &canceled) {
		again := false
		for _, reason := range canceled.CancellationReasons {
			switch aws.ToString(reason.Code) {
			case "ConditionalCheckFailed":
				return false
			case "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded":
				again = true
			}
		}
		return again
	}
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "TransactionConflictException"
}

// advice is what to do about an error of AWS, by its code.
var advice = map[string]string{
	"ResourceNotFoundException": "it does not exist in this account and region; see --stack, AWS_REGION and AWS_PROFILE",
	"NoSuchBucket":              "the bucket does not exist; see --stack and AWS_REGION",
	"NoSuchKey":                 "nothing is stored there",
	"NotFound":                  "nothing is stored there",
	"AWS.SimpleQueueService.NonExistentQueue": "the queue does not exist in this account and region",
	"QueueDoesNotExist":                       "the queue does not exist in this account and region",
	"ParameterNotFound":                       "the parameter does not exist; `sqlsentinel secrets set NAME --stack STACK` writes it",
	"ExpiredTokenException":                   "the credentials have expired; log in again",
	"ExpiredToken":                            "the credentials have expired; log in again",
	"UnrecognizedClientException":             "the credentials are not valid in this region",
	"InvalidClientTokenId":                    "the credentials are not valid in this region",
	"InvalidSignatureException":               "the secret key is wrong, or this machine's clock is",
	"SignatureDoesNotMatch":                   "the secret key is wrong, or this machine's clock is",
	"AccessDeniedException":                   "this role may not do it; docs/aws.md lists what is needed",
	"AccessDenied":                            "this role may not do it; docs/aws.md lists what is needed",
}

// Readable makes one clear line of an error of AWS: what was tried, what AWS says, what to
// do. Nil stays nil.
func Readable(what string, err error) error {
	if err == nil {
		return nil
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		if todo, ok := advice[api.ErrorCode()]; ok {
			return fmt.Errorf("%s: %s: %s: %w", what, api.ErrorCode(), todo, brief{err, api.ErrorMessage()})
		}
		return fmt.Errorf("%s: %s: %w", what, api.ErrorCode(), brief{err, api.ErrorMessage()})
	}
	switch text := err.Error(); {
	case strings.Contains(text, "failed to refresh cached credentials"), strings.Contains(text, "get identity"), strings.Contains(text, "static credentials are empty"):
		return fmt.Errorf("%s: no AWS credentials; log in (`aws sso login`), or set AWS_PROFILE: %w", what, brief{err, "none of the usual places has any"})
	case strings.Contains(text, "Missing Region"), strings.Contains(text, "invalid region"):
		return fmt.Errorf("%s: no AWS region; set AWS_REGION or AWS_PROFILE: %w", what, brief{err, "the region is missing"})
	}
	return fmt.Errorf("%s: %w", what, err)
}

// brief is an error of the SDK without the chain of operation names and request ids that
// its text repeats.
type brief struct {
	error
	text string
}

// Error is the message of the service alone.
func (b brief) Error() string { return b.text }

// Unwrap gives the SDK's error.
func (b brief) Unwrap() error { return b.error }

// distinct is a list without repetitions, sorted.
func distinct(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
