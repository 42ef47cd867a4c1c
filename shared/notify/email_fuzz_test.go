package notify

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// Any message is a mail that an independent reader understands, with the headers that were
// set and no other.
func FuzzEmail(f *testing.F) {
	f.Add("Daily revenue", "below 10,000", "{alert_name} is {status}", int64(5))
	f.Add("a\r\nBcc: all@example.com\r\n\r\n<script>", "\r\n.\r\n--boundary\r\nContent-Type: text/html\r\n\r\n", "x\r\nBcc: {description}", int64(-1))
	f.Add(strings.Repeat("é=?utf-8?q?", 60), "\xff\x00\u2028\u202e", "", int64(0))
	f.Add(" ", strings.Repeat("x", 3000), "=?utf-8?b?{alert_name}?=", int64(1))
	f.Fuzz(func(t *testing.T, name, value, subject string, number int64) {
		m := fuzzed(name, value, number)
		m.RunID, m.EpisodeID = "run_1", "ep_1" // derived, never written by anybody
		m.Labels["team"] = value
		raw, err := json.Marshal(m)
		require.NoError(t, err)
		m = alert.Message{}
		require.NoError(t, json.Unmarshal(raw, &m), "as it comes out of the store")
		settings, err := json.Marshal(EmailSettings{Recipients: []string{"Team <team@example.com>"}, From: "a@example.com", Host: "mail.example.com", Subject: subject})
		require.NoError(t, err)
		e := &email{secrets: alert.NewSecrets(nil), now: time.Now, ses: &amazonSES{}}
		l, err := e.prepare(alert.Delivery{Scope: name, Alert: name, Message: m, Target: alert.Target{Settings: settings}})
		if err != nil {
			require.NotEmpty(t, e.subjectProblems(subject), "only a subject that Check refuses: %s", err)
			return
		}
		var written bytes.Buffer
		_, err = l.msg.WriteTo(&written)
		require.NoError(t, err)
		checkMail(t, written.Bytes())
	})
}

// subjectProblems are what Check says of a subject.
func (e *email) subjectProblems(subject string) []alert.SettingProblem {
	return checkTemplate("subject", subject, e.secrets.Lookup)
}

// checkMail reads a mail by the standard library, which did not write it.
func checkMail(t *testing.T, raw []byte) {
	for _, line := range bytes.Split(bytes.TrimSuffix(raw, []byte("\r\n")), []byte("\r\n")) {
		require.NotContains(t, string(line), "\n", "a line break alone")
		require.NotContains(t, string(line), "\r")
		require.LessOrEqual(t, len(line), 998, "RFC 5322 allows no longer line")
		require.True(t, bytes.IndexFunc(line, func(r rune) bool { return r >= 0x80 }) < 0, "8-bit bytes")
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	require.NoError(t, err)
	allowed := []string{
		"Auto-Submitted", "Content-Type", "Date", "From", "In-Reply-To", "List-Id", "Message-Id", "Mime-Version", "References", "Subject", "To",
		"X-Auto-Response-Suppress", "X-Sql-Sentinel-Event", "X-Sql-Sentinel-Run",
	}
	for name, values := range m.Header {
		require.Contains(t, allowed, name)
		require.Len(t, values, 1, name)
	}
	to, err := m.Header.AddressList("To")
	require.NoError(t, err)
	require.Equal(t, []*mail.Address{{Name: "Team", Address: "team@example.com"}}, to)
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	require.NoError(t, err)
	require.True(t, utf8.ValidString(subject))
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/alternative", kind)
	parts, kinds := multipart.NewReader(m.Body, params["boundary"]), []string{}
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		kind, params, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		require.NoError(t, err)
		require.Equal(t, "UTF-8", strings.ToUpper(params["charset"]))
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		require.NoError(t, err)
		require.True(t, utf8.Valid(body), "%s: %q", kind, body)
		if kind == "text/html" {
			require.Equal(t, 1, strings.Count(strings.ToLower(string(body)), "<html"))
			require.NotContains(t, strings.ToLower(string(body)), "<script")
		}
		kinds = append(kinds, kind)
	}
	require.Equal(t, []string{"text/plain", "text/html"}, kinds)
}

// Whatever a receiver answers, its error is one short line of printable text.
func FuzzAnswer(f *testing.F) {
	f.Add(500, "\x1b[31mboom\x00\r\n\u2028", "120", "http://u:p@h/x")
	f.Add(302, strings.Repeat("é", 400), "Wed, 21 Oct 2099 07:28:00 GMT", "//\x7f")
	f.Add(429, "{}", "-1", "")
	f.Fuzz(func(t *testing.T, status int, body, wait, location string) {
		err := judge(answer{status: status, body: body, header: map[string][]string{"Retry-After": {wait}, "Location": {location}}}, func(s string) string { return s }, time.Now())
		if status/100 == 2 {
			require.NoError(t, err)
			return
		}
		var failed *alert.SendError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, line(failed.Message), failed.Message, "one printable line")
		require.True(t, utf8.ValidString(failed.Message))
		require.LessOrEqual(t, width(failed.Message), 2*excerpt)
		require.True(t, failed.RetryAfter >= 0 && failed.RetryAfter <= maxWait)
	})
}
