package notify_test

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

const templates = "../../samples/webhook-templates"

// template reads a sample's template.
func template(t *testing.T, name string) json.RawMessage {
	data, err := os.ReadFile(filepath.Join(templates, name))
	require.NoError(t, err)
	return data
}

// nasty is a message that holds everything that JSON and markup must escape.
func nasty(event alert.Event) alert.Message {
	m := message(event)
	m.AlertName, m.Reason = "Revenue \"EU\"\n@everyone <at>", "a \\ b {status} ${PAGERDUTY_ROUTING_KEY}"
	return m
}

// played sends trigger, reminder and resolution, and once a message with hardly a value.
func played(t *testing.T, settings map[string]any) []received {
	r := listen(t, nil)
	raw, err := json.Marshal(settings)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal([]byte(strings.ReplaceAll(string(raw), "https://tool", r.URL)), &settings))
	s := senders(t, map[string]string{"PAGERDUTY_ROUTING_KEY": strings.Repeat("k", 32)})
	require.Empty(t, problems(t, "webhook", settings, map[string]string{"PAGERDUTY_ROUTING_KEY": strings.Repeat("k", 32)}))
	empty := message(alert.EventError)
	empty.Description, empty.Reason, empty.RunbookURL, empty.Labels, empty.Context, empty.ActualValue, empty.Threshold = "", "timeout", "", nil, nil, alert.Value{}, alert.Value{}
	for _, m := range []alert.Message{nasty(alert.EventAlert), nasty(alert.EventReminder), nasty(alert.EventRecovery), empty} {
		require.NoError(t, s.Send(t.Context(), delivery(t, "webhook", settings, m)))
	}
	all := r.all()
	require.Len(t, all, 4)
	for _, x := range all {
		require.Equal(t, "application/json", x.header.Get("Content-Type"))
	}
	return all
}

// text is a string of at most n characters that is not empty.
func text(t *testing.T, object map[string]any, name string, n int) string {
	value, ok := object[name].(string)
	require.True(t, ok, "%s is %T", name, object[name])
	require.NotEmpty(t, value, name)
	require.LessOrEqual(t, len([]rune(value)), n, name)
	return value
}

func TestEveryTemplateIsValidAndTested(t *testing.T) {
	found, err := filepath.Glob(filepath.Join(templates, "*.json"))
	require.NoError(t, err)
	var names []string
	for _, path := range found {
		names = append(names, filepath.Base(path))
	}
	require.ElementsMatch(t, []string{"generic.json", "pagerduty.json", "opsgenie.json", "teams.json", "discord.json"}, names)
}

// Events API v2: routing_key 32 characters; event_action trigger, acknowledge or resolve;
// dedup_key up to 255; payload.summary up to 1024, source, severity of four, timestamp.
func TestThePagerDutyTemplateTriggersAndResolvesOneIncident(t *testing.T) {
	for i, got := range played(t, map[string]any{"url": "https://tool/v2/enqueue", "payload": template(t, "pagerduty.json")}) {
		body := got.json(t)
		require.Equal(t, strings.Repeat("k", 32), body["routing_key"])
		require.Equal(t, []string{"trigger", "trigger", "resolve", "trigger"}[i], body["event_action"])
		require.Equal(t, "ep_1", text(t, body, "dedup_key", 255))
		payload := body["payload"].(map[string]any)
		text(t, payload, "summary", 1024)
		text(t, payload, "source", 1024)
		require.Contains(t, []string{"critical", "error", "warning", "info"}, payload["severity"])
		_, err := time.Parse(time.RFC3339, text(t, payload, "timestamp", 64))
		require.NoError(t, err)
		details := payload["custom_details"].(map[string]any)
		require.IsType(t, map[string]any{}, details["context"])
		if i < 3 {
			require.InDelta(t, 5480.5, details["actual_value"], 0, "a number stays one")
			require.NotContains(t, payload["summary"], "kkkk", "data names no secret")
		}
	}
}

// Alert API: message up to 130, alias up to 512, description up to 15000, entity up to 512,
// source up to 100, 20 tags of up to 50, details of strings; close by alias at another URL.
func TestTheOpsgenieTemplateCreatesAndCloses(t *testing.T) {
	closing := map[string]any{"url": "https://tool/v2/alerts/{episode_id}/close?identifierType=alias", "payload": map[string]any{"source": "SQL Sentinel", "note": "{reason}"}}
	for i, got := range played(t, map[string]any{"url": "https://tool/v2/alerts", "payload": template(t, "opsgenie.json"), "per_event": map[string]any{"recovery": closing}}) {
		body := got.json(t)
		if i == 2 {
			require.Equal(t, "/v2/alerts/ep_1/close?identifierType=alias", got.path+"?"+got.query)
			text(t, body, "note", 25000)
			text(t, body, "source", 100)
			continue
		}
		require.Equal(t, "/v2/alerts", got.path)
		text(t, body, "message", 130)
		require.Equal(t, "ep_1", text(t, body, "alias", 512))
		text(t, body, "description", 15000)
		text(t, body, "entity", 512)
		text(t, body, "source", 100)
		for _, tag := range body["tags"].([]any) {
			require.LessOrEqual(t, len(tag.(string)), 50)
		}
		for name, value := range body["details"].(map[string]any) {
			require.IsType(t, "", value, name)
		}
	}
}

// A workflow's webhook takes a message with one Adaptive Card, whose texts are strings.
func TestTheTeamsTemplateIsAnAdaptiveCard(t *testing.T) {
	for _, got := range played(t, map[string]any{"url": "https://tool/workflow", "payload": template(t, "teams.json")}) {
		body := got.json(t)
		require.Equal(t, "message", body["type"])
		attachment := body["attachments"].([]any)[0].(map[string]any)
		require.Equal(t, "application/vnd.microsoft.card.adaptive", attachment["contentType"])
		card := attachment["content"].(map[string]any)
		require.Equal(t, []any{"AdaptiveCard", "1.4", "http://adaptivecards.io/schemas/adaptive-card.json"}, []any{card["type"], card["version"], card["$schema"]})
		for _, element := range card["body"].([]any) {
			switch e := element.(map[string]any); e["type"] {
			case "TextBlock":
				require.IsType(t, "", e["text"])
			case "FactSet":
				for _, f := range e["facts"].([]any) {
					text(t, f.(map[string]any), "title", 100)
					text(t, f.(map[string]any), "value", 5000)
				}
			default:
				require.Fail(t, "unknown element", "%v", e["type"])
			}
		}
		require.Less(t, len(got.body), 28<<10, "Teams takes 28 KB")
	}
}

// Execute webhook: embeds with title up to 256, description up to 4096, 25 fields with name
// up to 256 and value up to 1024, neither empty; allowed_mentions that allow none.
func TestTheDiscordTemplateIsAnEmbedThatPingsNobody(t *testing.T) {
	for _, got := range played(t, map[string]any{"url": "https://tool/api/webhooks/1/x", "payload": template(t, "discord.json")}) {
		body := got.json(t)
		require.Equal(t, map[string]any{"parse": []any{}}, body["allowed_mentions"])
		text(t, body, "username", 80)
		embeds := body["embeds"].([]any)
		require.LessOrEqual(t, len(embeds), 10)
		embed := embeds[0].(map[string]any)
		text(t, embed, "title", 256)
		text(t, embed, "description", 4096)
		_, err := time.Parse(time.RFC3339, text(t, embed, "timestamp", 64))
		require.NoError(t, err)
		for _, f := range embed["fields"].([]any) {
			text(t, f.(map[string]any), "name", 256)
			text(t, f.(map[string]any), "value", 1024)
		}
		text(t, embed["footer"].(map[string]any), "text", 2048)
	}
}

func TestTheGenericTemplateKeepsTypes(t *testing.T) {
	all := played(t, map[string]any{"url": "https://tool/?action={event_action}&name={alert_name}", "payload": template(t, "generic.json")})
	query, err := url.ParseQuery(all[0].query)
	require.NoError(t, err)
	require.Equal(t, nasty(alert.EventAlert).AlertName, query.Get("name"))
	body := all[0].json(t)
	require.InDelta(t, 5480.5, body["value"], 0)
	require.IsType(t, map[string]any{}, body["details"])
	require.IsType(t, []any{}, body["instances"])
	require.Equal(t, "resolve", all[2].json(t)["action"])
	require.Nil(t, all[3].json(t)["value"])
}
