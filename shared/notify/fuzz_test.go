package notify

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// fuzzed is a message whose every text came from the fuzzer.
func fuzzed(name, value string, number int64) alert.Message {
	cell := alert.TextValue(value)
	return alert.Message{
		EventID: "dlv_1", EpisodeID: "ep_1", Event: alert.EventAlert, AlertName: name, Description: value, Reason: name, Status: alert.StatusAlert,
		Labels: map[string]string{name: value}, RunbookURL: value, ActualValue: alert.NumberValue(value), Threshold: alert.IntValue(number),
		Context: alert.Fields{{Name: name, Value: cell}, {Name: "json", Value: alert.JSONValue([]byte(value))}}, Instance: alert.Fields{{Name: name, Value: cell}},
		Instances: []alert.InstanceNews{{Instance: alert.Fields{{Name: name, Value: cell}}, Change: "new", ActualValue: cell, Threshold: cell}},
	}
}

// Any template and any data give valid JSON or an error, and data is never looked at again.
func FuzzTemplate(f *testing.F) {
	f.Add(`{"a":"{alert_name} is {status}","b":["{context}","{context.x}",1.50,null],"{c}":"${KEY}"}`, "x", "${KEY} {status} \"\n", int64(3))
	f.Add(`"{{}} $$ ${KEY:-none} {event_action}"`, "\xff", "<!channel>", int64(-1))
	f.Add(`{"a":"{"}`, "", "", int64(0))
	f.Add(`"{actual_value}"`, "n", "1e400", int64(1))
	const secret = "resolved{status}${KEY}"
	secrets := alert.NewSecrets(func(name string) (string, bool) { return secret, name == "KEY" })
	f.Fuzz(func(t *testing.T, template, name, value string, number int64) {
		fill, err := newFiller(fuzzed(name, value, number), live(secrets))
		require.NoError(t, err)
		out, err := fill.payload(json.RawMessage(template), alert.Message{})
		if err == nil && len(template) > 0 {
			require.True(t, json.Valid(out), "%s gives %s", template, out)
			require.True(t, utf8.Valid(out))
			if !strings.Contains(template, "KEY") && !strings.Contains(template, `\u`) {
				require.NotContains(t, string(out), "resolved{status}", "a reference came in with data")
			}
		}
		if link, err := fill.link("https://example.com/{alert_name}/{context." + "json}?q={description}&r={labels}"); err == nil {
			u, err := url.Parse(link)
			require.NoError(t, err, link)
			require.Equal(t, "example.com", u.Host)
			require.Len(t, u.Query(), 2)
		}
		problems := checkPayload("payload", json.RawMessage(template), secrets.Lookup)
		if len(problems) == 0 {
			require.NoError(t, err, "what Check lets through can be sent")
		}
	})
}

// Any message is valid JSON within the limits of Block Kit.
func FuzzSlack(f *testing.F) {
	f.Add("Daily revenue", "<!channel> & co", int64(5), 1)
	f.Add(strings.Repeat("é<", 100), strings.Repeat("😀&", 700), int64(-1), 40)
	f.Add(" \t", "\xff\x00", int64(0), 11)
	f.Fuzz(func(t *testing.T, name, value string, number int64, many int) {
		m := fuzzed(name, value, number)
		for range many % 100 {
			m.Context = append(m.Context, m.Context[0])
			m.Instances = append(m.Instances, m.Instances[0])
		}
		raw, err := json.Marshal(m)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(raw, &m), "as it comes out of the store")
		channel := slackChannel{secrets: alert.NewSecrets(nil)}
		message, err := channel.message(alert.Delivery{Message: m}, live(channel.secrets))
		require.NoError(t, err)
		text, err := writeJSON(message)
		require.NoError(t, err)
		checkSlack(t, text)
	})
}

// checkSlack holds a message to the limits of Block Kit.
func checkSlack(t *testing.T, text []byte) {
	var body struct {
		Attachments []struct {
			Fallback string
			Blocks   []struct {
				Type     string
				Text     *slackTestText
				Fields   []slackTestText
				Elements []slackTestText
			}
		}
	}
	require.NoError(t, json.Unmarshal(text, &body))
	require.LessOrEqual(t, width(body.Attachments[0].Fallback), slackText)
	require.LessOrEqual(t, len(body.Attachments[0].Blocks), 50)
	for _, b := range body.Attachments[0].Blocks {
		limit := map[string]int{"header": slackHeader, "section": slackText, "context": slackField}[b.Type]
		require.NotZero(t, limit, b.Type)
		if b.Text != nil {
			b.Text.check(t, limit)
		}
		require.LessOrEqual(t, len(b.Fields), slackFields)
		for _, x := range append(b.Fields, b.Elements...) {
			x.check(t, slackField)
		}
	}
}

type slackTestText struct {
	Type, Text string
	Verbatim   bool
}

func (x slackTestText) check(t *testing.T, limit int) {
	require.NotEmpty(t, strings.TrimSpace(x.Text))
	require.LessOrEqual(t, width(x.Text), limit)
	if x.Type == "mrkdwn" {
		require.True(t, x.Verbatim)
		if !strings.HasSuffix(x.Text, "|Runbook>") {
			require.NotContains(t, x.Text, "<")
			require.NotContains(t, x.Text, ">")
		} else {
			require.Equal(t, 1, strings.Count(x.Text, "<"))
		}
	}
}
