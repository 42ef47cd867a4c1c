package notify_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// posted sends a message to a server in the place of Slack and returns what it got.
func posted(t *testing.T, settings map[string]any, m alert.Message) map[string]any {
	r := listen(t, nil)
	all := map[string]any{"webhook_url": r.URL + "/services/T/B/x"}
	for name, value := range settings {
		all[name] = value
	}
	require.NoError(t, senders(t, map[string]string{"NAME": "Watcher"}).Send(t.Context(), delivery(t, "slack", all, m)))
	got := r.one(t)
	require.Equal(t, []string{"POST", "/services/T/B/x", "application/json"}, []string{got.method, got.path, got.header.Get("Content-Type")})
	body := got.json(t)
	withinSlacksLimits(t, body)
	return body
}

// units is a length in UTF-16, the strictest way in which Slack may count.
func units(text string) int { return len(utf16.Encode([]rune(text))) }

// withinSlacksLimits checks the documented limits of Block Kit.
func withinSlacksLimits(t testing.TB, body map[string]any) {
	attachments := body["attachments"].([]any)
	require.Len(t, attachments, 1)
	attachment := attachments[0].(map[string]any)
	require.Contains(t, []string{"#d32f2f", "#2e7d32", "#f9a825", "#1565c0"}, attachment["color"])
	text := func(object any, kind string, limit int) {
		o := object.(map[string]any)
		require.Equal(t, kind, o["type"])
		require.NotEmpty(t, strings.TrimSpace(o["text"].(string)))
		require.LessOrEqual(t, units(o["text"].(string)), limit)
		if kind == "mrkdwn" {
			require.Equal(t, true, o["verbatim"], "or else Slack looks for mentions in data")
			require.NotContains(t, strings.ReplaceAll(strings.ReplaceAll(o["text"].(string), "<https://", ""), "<http://", ""), "<", "data makes no markup")
		}
	}
	fallback := attachment["fallback"].(string)
	require.NotEmpty(t, fallback)
	require.LessOrEqual(t, units(fallback), 3000)
	require.NotContains(t, fallback, "<")
	blocks := attachment["blocks"].([]any)
	require.LessOrEqual(t, len(blocks), 50)
	size := 0
	for _, x := range blocks {
		raw, err := json.Marshal(x)
		require.NoError(t, err)
		size += len(raw)
		switch b := x.(map[string]any); b["type"] {
		case "header":
			text(b["text"], "plain_text", 150)
		case "context":
			elements := b["elements"].([]any)
			require.LessOrEqual(t, len(elements), 10)
			for _, e := range elements {
				text(e, "plain_text", 2000)
			}
		case "section":
			if b["text"] != nil {
				text(b["text"], "mrkdwn", 3000)
				continue
			}
			fields := b["fields"].([]any)
			require.NotEmpty(t, fields)
			require.LessOrEqual(t, len(fields), 10)
			for _, f := range fields {
				text(f, "mrkdwn", 2000)
			}
		default:
			require.Fail(t, "unknown block", "%v", b["type"])
		}
	}
}

// texts are all texts of a message, one a line.
func texts(body map[string]any) string {
	var out []string
	var walk func(any)
	walk = func(v any) {
		switch x := v.(type) {
		case []any:
			for _, item := range x {
				walk(item)
			}
		case map[string]any:
			if s, ok := x["text"].(string); ok {
				out = append(out, s)
			}
			for _, name := range []string{"attachments", "blocks", "text", "fields", "elements"} {
				walk(x[name])
			}
		}
	}
	walk(body)
	return strings.Join(out, "\n")
}

func TestASlackMessageShowsWhatMatters(t *testing.T) {
	body := posted(t, map[string]any{"username": "${NAME}", "icon_emoji": ":fire:", "slack_channel": "#ops", "thread_ts": "1772442000.000100"}, message(alert.EventAlert))
	require.Equal(t, []any{"Watcher", ":fire:", "#ops", "1772442000.000100", "none"}, []any{body["username"], body["icon_emoji"], body["channel"], body["thread_ts"], body["parse"]})
	require.Equal(t, `ALERT: Daily revenue
Revenue fell below 10,000
ALERT 3 of 3 runs
*Status*
ALERT
*Severity*
critical
*Actual value*
5480.50
*Threshold*
10000
*region*
EU
*orders*
40
*note*
NULL
*team*
sales
<https://wiki.example.com/revenue?a=1&amp;b=2|Runbook>
2026-03-09 08:00:00 UTC · run run_1`, texts(body))
	attachment := body["attachments"].([]any)[0].(map[string]any)
	require.Equal(t, "#d32f2f", attachment["color"])
	require.Equal(t, "ALERT: Daily revenue · 5480.50 against 10000 · ALERT 3 of 3 runs", attachment["fallback"])
}

func TestColourAndTitleTellWhatHappened(t *testing.T) {
	closed := message(alert.EventRecovery)
	closed.Status = alert.StatusClosed
	unknown := message("something_new")
	one := message(alert.EventReminder)
	one.Instance = alert.Fields{{Name: "region", Value: alert.TextValue("EU")}}
	for _, c := range []struct {
		m            alert.Message
		color, title string
	}{
		{message(alert.EventAlert), "#d32f2f", "ALERT: Daily revenue"}, {message(alert.EventEscalation), "#d32f2f", "ESCALATED: Daily revenue"},
		{message(alert.EventRecovery), "#2e7d32", "RECOVERED: Daily revenue"}, {message(alert.EventError), "#f9a825", "ERROR: Daily revenue"},
		{message(alert.EventErrorRecovery), "#2e7d32", "WORKS AGAIN: Daily revenue"}, {message(alert.EventTest), "#1565c0", "TEST: Daily revenue"},
		{closed, "#f9a825", "CLOSED: Daily revenue"}, {one, "#d32f2f", "STILL ALERT: Daily revenue (region=EU)"}, {unknown, "#d32f2f", "SOMETHING_NEW: Daily revenue"},
	} {
		body := posted(t, nil, c.m)
		require.Equal(t, c.color, body["attachments"].([]any)[0].(map[string]any)["color"], c.title)
		require.Equal(t, c.title, strings.SplitN(texts(body), "\n", 2)[0])
		require.Equal(t, c.m.Event == alert.EventTest, strings.Contains(texts(body), "This is a test message; nothing is wrong."))
		require.Equal(t, c.m.Status == alert.StatusClosed, strings.Contains(texts(body), "The condition was not seen to clear."))
	}
	closed.Reason = "closed because the alert was disabled; the condition was not seen to clear"
	require.Equal(t, 1, strings.Count(texts(posted(t, nil, closed)), "not seen to clear"), "said once")
}

func TestDataPingsNobodyAndStaysWithinSlacksLimits(t *testing.T) {
	m := message(alert.EventAlert)
	nasty := "<!channel> <@U123> & *bold* @here #general <https://evil.example.com|click> "
	m.AlertName, m.Description, m.Reason = nasty+strings.Repeat("é", 10000), strings.Repeat("<", 10000), "   "
	m.RunbookURL = "https://wiki/a|b>c<d e"
	m.Context = nil
	for i := range 60 {
		m.Context = append(m.Context, alert.Field{Name: strings.Repeat(fmt.Sprint(i, "&\n"), 1000), Value: alert.TextValue(nasty + strings.Repeat("😀&", 5000))})
	}
	for i := range 30 {
		key := alert.Fields{{Name: "region", Value: alert.TextValue(strings.Repeat("<&>", 500))}}
		m.Instances = append(m.Instances, alert.InstanceNews{Instance: key, Change: "new", ActualValue: alert.IntValue(int64(i)), Threshold: alert.IntValue(5)})
	}
	body := posted(t, nil, m)
	all := texts(body)
	for _, want := range []string{
		"ALERT: <!channel>", // in plain text, which Slack does not interpret
		"&lt;!channel&gt;", "<https://wiki/a%7Cb%3Ec%3Cd%20e|Runbook>", "\nand 35 more columns or labels\n", "\nand 10 more\n", "…",
	} {
		require.True(t, strings.Contains(all, want), want)
	}

	m.RunbookURL = "https://wiki/" + strings.Repeat("x", 5000)
	require.Contains(t, texts(posted(t, nil, m)), "Runbook: https://wiki/xxx")
}

func TestInstancesAreListedUnderTheTotals(t *testing.T) {
	m := message(alert.EventReminder)
	m.Reason, m.ActualValue, m.Threshold, m.Context, m.Labels = "2 of 40 firing: 1 new, 1 recovered", alert.Value{}, alert.Value{}, nil, nil
	region := func(name string) alert.Fields { return alert.Fields{{Name: "region", Value: alert.TextValue(name)}} }
	m.Instances = []alert.InstanceNews{
		{Instance: region("EU"), Change: "new", ActualValue: alert.IntValue(7), Threshold: alert.IntValue(5)}, {Instance: region("US"), Change: "open", ActualValue: alert.IntValue(9)}, {Instance: region("APAC"), Change: "recovered"},
	}
	require.Contains(t, texts(posted(t, nil, m)), "2 of 40 firing: 1 new, 1 recovered\n*Status*\nALERT\n*Severity*\ncritical\n• new: region=EU, 7 against 5\n• open: region=US, 9\n• recovered: region=APAC\n")
}

func TestSlacksOwnWordsBecomeAdvice(t *testing.T) {
	for said, want := range map[string]string{
		"invalid_payload": "cannot read the message", "no_service": "make a new one", "channel_is_archived": "unarchive it", "channel_not_found": "no such channel", "action_prohibited": "administrator",
	} {
		r := listen(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, said, http.StatusNotFound) })
		err := failed(t, senders(t, nil).Send(t.Context(), delivery(t, "slack", map[string]any{"webhook_url": r.URL}, message(alert.EventAlert))))
		require.Contains(t, err.Message, "HTTP 404 Not Found: "+said+" (")
		require.Contains(t, err.Message, want)
		require.True(t, err.Permanent)
	}
}

func TestSlacksURLComesFromTheEnvironmentUnlessTheTargetHasOne(t *testing.T) {
	own, env := listen(t, nil), listen(t, nil)
	s := senders(t, map[string]string{"SLACK_WEBHOOK_URL": env.URL + "/services/env", "OWN": own.URL + "/services/own"})
	require.NoError(t, s.Send(t.Context(), delivery(t, "slack", nil, message(alert.EventAlert))))
	require.NoError(t, s.Send(t.Context(), delivery(t, "slack", map[string]any{"webhook_url": "${OWN}"}, message(alert.EventAlert))))
	require.Equal(t, "/services/env", env.one(t).path)
	require.Equal(t, "/services/own", own.one(t).path)
	target := delivery(t, "slack", nil, alert.Message{}).Target
	require.NoError(t, channel(t, s, "slack").Connect(t.Context(), target))
	require.Len(t, env.all(), 1, "connecting sends nothing")

	none := senders(t, nil)
	err := failed(t, none.Send(t.Context(), delivery(t, "slack", nil, message(alert.EventAlert))))
	require.True(t, err.Permanent)
	require.Contains(t, err.Message, "${SLACK_WEBHOOK_URL} is not set")
	_, renderErr := channel(t, none, "slack").Render(t.Context(), delivery(t, "slack", nil, message(alert.EventAlert)))
	require.ErrorContains(t, renderErr, "${SLACK_WEBHOOK_URL} is not set")
	require.ErrorContains(t, channel(t, none, "slack").Connect(t.Context(), target), "${SLACK_WEBHOOK_URL} is not set")
	unset := delivery(t, "slack", map[string]any{"webhook_url": own.URL, "username": "${NOPE}"}, message(alert.EventAlert))
	require.Contains(t, failed(t, none.Send(t.Context(), unset)).Message, "${NOPE}")
	unset.Target.Settings = json.RawMessage(`3`)
	require.Contains(t, failed(t, none.Send(t.Context(), unset)).Message, "cannot be read")
}

func TestCheckFindsWhatIsWrongWithASlackTarget(t *testing.T) {
	require.Equal(t, map[string]string{"webhook_url": "is missing; write it here or set SLACK_WEBHOOK_URL"}, problems(t, "slack", nil, nil))
	require.Empty(t, problems(t, "slack", nil, map[string]string{"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T/B/x"}))
	require.Contains(t, problems(t, "slack", nil, map[string]string{"SLACK_WEBHOOK_URL": "hooks.slack.com"})["webhook_url"], "is not a URL")
	require.Contains(t, problems(t, "slack", map[string]any{"webhook_url": "https://hooks.slack.com/services/T/B/x"}, nil)["webhook_url"], "warning: the URL is a password")
	got := problems(t, "slack", map[string]any{"webhook_url": "nonsense", "icon_emoji": "fire", "thread_ts": "yesterday", "username": "${NOPE}"}, nil)
	require.Contains(t, got["webhook_url"], "is not a URL")
	require.Contains(t, got["icon_emoji"], "between colons")
	require.Contains(t, got["thread_ts"], "time stamp")
	require.Contains(t, got["username"], "${NOPE} is not set")
	require.Len(t, channel(t, senders(t, nil), "slack").Check(json.RawMessage(`"x"`), lookup(nil)), 1)
}

func TestADryRunShowsTheSlackMessage(t *testing.T) {
	s := senders(t, map[string]string{"HOOK": "https://hooks.slack.com/services/T/B/secretsecret", "NAME": "Watcher"})
	shown, err := channel(t, s, "slack").Render(t.Context(), delivery(t, "slack", map[string]any{"webhook_url": "${HOOK}", "username": "${NAME}"}, message(alert.EventAlert)))
	require.NoError(t, err)
	require.Equal(t, "POST slack", shown.Summary)
	require.Contains(t, shown.Body, "ALERT: Daily revenue")
	require.Contains(t, shown.Body, `"username": "***"`)
	require.NotContains(t, shown.Body, "secretsecret")
	require.True(t, json.Valid([]byte(shown.Body)))
}
