package notify

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// answer is what a receiver said to a request.
type answer struct {
	status int
	body   string
	header http.Header
}

// excerpt is how much of an answer an error shows, in characters.
const excerpt = 300

// The bounds of a wait that a receiver asks for, and the wait after a 429 that names none.
const (
	maxWait     = time.Hour
	defaultWait = time.Minute
)

// judge turns an answer into the outcome of the attempt. The answer is cleaned of secrets
// before it is cut, so that no half of one stays.
func judge(a answer, clean func(string) string, now time.Time) error {
	if a.status/100 == 2 {
		return nil
	}
	out := &alert.SendError{Message: strings.TrimSpace(fmt.Sprintf("HTTP %d %s", a.status, http.StatusText(a.status)))}
	if text := cut(line(clean(a.body)), excerpt); text != "" {
		out.Message += ": " + text
	}
	switch {
	case a.status/100 == 3:
		out.Permanent = true
		out.Message = fmt.Sprintf("HTTP %d: the receiver redirects%s; redirects are not followed, write the address it means", a.status, redirect(a.header, clean))
	case a.status == http.StatusTooManyRequests:
		if out.RetryAfter = retryAfter(a.header, now); out.RetryAfter == 0 {
			out.RetryAfter = defaultWait
		}
	case a.status == http.StatusServiceUnavailable:
		out.RetryAfter = retryAfter(a.header, now)
	case a.status == http.StatusRequestTimeout, a.status == http.StatusTooEarly, a.status >= 500:
	default:
		out.Permanent = true
	}
	return out
}

// redirect names the place that an answer points to, without what may be secret in it.
func redirect(header http.Header, clean func(string) string) string {
	to, err := url.Parse(header.Get("Location"))
	if err != nil || to.Host == "" {
		return ""
	}
	return " to " + cut(line(clean(to.Scheme+"://"+to.Host)), excerpt)
}

// retryAfter reads Retry-After as seconds or as a date; zero if it is neither or past.
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(header.Get("Retry-After"))
	if text != "" && strings.Trim(text, "0123456789") == "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds > int(maxWait/time.Second) {
			return maxWait // more digits than a number has are a long wait too
		}
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), maxWait)
	}
	return 0
}

// line makes one line of printable text.
func line(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }), " ")
}

// width is the length of a text as receivers count it that count in UTF-16.
func width(text string) int {
	n := 0
	for _, r := range text {
		n += max(utf16.RuneLen(r), 1)
	}
	return n
}

// cut shortens text to n characters, counted as width does, visibly.
func cut(text string, n int) string {
	if width(text) <= n {
		return text
	}
	used := 0
	for i, r := range text {
		if used += max(utf16.RuneLen(r), 1); used > n-1 {
			return text[:i] + "…"
		}
	}
	return text
}
