package query

import (
	"errors"
	"net"
	"net/http"
	"regexp"
	"strings"

	"cloud.google.com/go/auth"
	bigquery "google.golang.org/api/bigquery/v2"
	"google.golang.org/api/googleapi"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// jobError is why a job failed, where the request for it did not.
type jobError struct{ *bigquery.ErrorProto }

func (e *jobError) Error() string { return e.Message }

// bigQueryReason is the service's own word for an error, and what it says of it.
func bigQueryReason(err error) (reason, message string) {
	var job *jobError
	var failed *googleapi.Error
	switch {
	case errors.As(err, &job):
		return job.Reason, job.Message
	case !errors.As(err, &failed):
		return "", ""
	}
	message = failed.Message
	if len(failed.Errors) > 0 {
		reason = failed.Errors[0].Reason
		if message == "" {
			message = failed.Errors[0].Message
		}
	}
	if message == "" {
		message = http.StatusText(failed.Code)
	}
	return reason, message
}

// noSession tells whether the service cannot be used at all, whatever the query.
func noSession(err error) bool {
	var token *auth.Error
	var network net.Error
	var failed *googleapi.Error
	reason, message := bigQueryReason(err)
	switch {
	case errors.As(err, &token), errors.As(err, &network) && reason == "":
		return true
	case errors.As(err, &failed) && (failed.Code == http.StatusUnauthorized || failed.Code >= 500):
		return true
	}
	switch reason {
	case "authError", "backendError", "internalError", "accountDisabled", "billingNotEnabled", "accessNotConfigured", "projectNotFound":
		return true
	case "accessDenied":
		return strings.Contains(message, "bigquery.jobs.create")
	case "notFound":
		return strings.HasPrefix(message, "Not found: Project")
	}
	return reason == "invalid" && strings.Contains(message, "ProjectId")
}

// explain implements source.
func (b *bigQuery) explain(err error, query string) alert.Failure {
	var token *auth.Error
	if errors.As(err, &token) {
		return alert.Failure{Code: alert.ErrorUnreachable, Unreachable: true, Message: tokenMessage(token)}
	}
	reason, message := bigQueryReason(err)
	if message == "" {
		return alert.Failure{Code: alert.ErrorQuery, Message: "the query failed: " + err.Error()}
	}
	message = strings.TrimSpace(message)
	out := alert.Failure{Code: alert.ErrorQuery, Message: "BigQuery refuses the query: " + placed(message, query)}
	switch reason {
	case "bytesBilledLimitExceeded":
		out.Code, out.Message = alert.ErrorBytesBilled, "the query would be billed for more than max_bytes_billed; it was not run: "+message
	case "accessDenied":
		out.Message += ". The account of the alerts needs bigquery.jobUser on the project and bigquery.dataViewer on what the query reads"
	case "notFound":
		out.Message += ". Is the name right, and does the dataset lie in the location that the URL gives with location=?"
	case "quotaExceeded", "rateLimitExceeded", "jobRateLimitExceeded":
		out.Message = "a quota of BigQuery is used up: " + message
	case "responseTooLarge", "resourcesExceeded":
		out.Message = "the query is too much for BigQuery: " + message
	case "stopped", "timeout":
		out.Code, out.Message = alert.ErrorTimeout, "the query was cancelled on the server: "+message
	}
	if noSession(err) {
		out.Message = message
	}
	return out
}

// tokenMessage says why no token came, without what was sent for it.
func tokenMessage(failed *auth.Error) string {
	cause := "no answer"
	if failed.Response != nil {
		cause = failed.Response.Status
	}
	body := string(failed.Body)
	switch {
	case strings.Contains(body, "invalid_grant"):
		return "Google does not accept the credentials (invalid_grant): the key was deleted or has expired, or the clock of this machine is wrong"
	case strings.Contains(body, "invalid_client"), strings.Contains(body, "deleted_client"):
		return "Google does not accept the credentials: their client is unknown or was deleted"
	}
	return "Google gave no token for the credentials: " + cause
}

var bigQueryPlace = regexp.MustCompile(` at \[(\d+):(\d+)\]`) //nolint:gochecknoglobals // compiled once

// placed words the place of an error as the messages of other databases do.
func placed(message, query string) string {
	if query == "" {
		return message
	}
	return bigQueryPlace.ReplaceAllString(message, " (line $1, column $2 of the query)")
}
