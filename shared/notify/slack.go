package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// slackChannel posts to an incoming webhook of Slack.
type slackChannel struct {
	secrets *alert.Secrets
	web     *web
}

// SlackSettings are the settings of a Slack target.
type SlackSettings struct {
	WebhookURL string `json:"webhook_url,omitempty" alias:"webhook" doc:"The incoming webhook; default: SLACK_WEBHOOK_URL"`
	Channel    string `json:"slack_channel,omitempty" doc:"Another channel than the webhook's, where Slack allows it"`
	Username   string `json:"username,omitempty" doc:"The name that the message is posted under"`
	IconEmoji  string `json:"icon_emoji,omitempty" doc:"Such as :rotating_light:"`
	ThreadTS   string `json:"thread_ts,omitempty" doc:"The message whose thread to answer in"`
}

// The limits of Slack's Block Kit, in characters and in elements
// (docs.slack.dev, reference of blocks and of incoming webhooks).
const (
	slackHeader  = 150
	slackText    = 3000
	slackField   = 2000
	slackFields  = 10
	slackContext = 10
)

func (s *slackChannel) Name() string  { return "slack" }
func (s *slackChannel) Settings() any { return &SlackSettings{} }

func (s *slackChannel) Address(raw json.RawMessage) (identity, label string) {
	x, _ := decode[SlackSettings](raw)
	identity = or(x.WebhookURL, "${SLACK_WEBHOOK_URL}") + " " + x.Channel
	label = "slack"
	if x.Channel != "" {
		label += " " + x.Channel
	} else if strings.HasPrefix(x.WebhookURL, "${") {
		label += " " + x.WebhookURL
	} else if x.WebhookURL != "" {
		label += " " + alert.RedactURL(x.WebhookURL, true)
	}
	return identity, label
}

func (s *slackChannel) Check(raw json.RawMessage, env alert.Lookup) []alert.SettingProblem {
	x, err := decode[SlackSettings](raw)
	if err != nil {
		return []alert.SettingProblem{problem("", "%s", err)}
	}
	var out []alert.SettingProblem
	switch {
	case x.WebhookURL != "":
		out = append(out, checkURL("webhook_url", x.WebhookURL, env)...)
		if len(alert.References(x.WebhookURL)) == 0 && strings.Contains(x.WebhookURL, "hooks.slack.com") {
			warning := problem("webhook_url", "the URL is a password and stands in the file; write ${NAME} and put it in the environment or in .env")
			warning.Warning = true
			out = append(out, warning)
		}
	case fromEnv(env, "SLACK_WEBHOOK_URL") == "":
		out = append(out, problem("webhook_url", "is missing; write it here or set SLACK_WEBHOOK_URL"))
	default:
		out = append(out, checkURL("webhook_url", "${SLACK_WEBHOOK_URL}", env)...)
	}
	if x.IconEmoji != "" && (!strings.HasPrefix(x.IconEmoji, ":") || !strings.HasSuffix(x.IconEmoji, ":")) && len(alert.References(x.IconEmoji)) == 0 {
		out = append(out, problem("icon_emoji", "must stand between colons, such as :rotating_light:"))
	}
	return out
}

// escapeSlack keeps data from being markup: no link, no ping.
func escapeSlack(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// markdown is text for Slack, of at most n characters after escaping.
func markdown(text string, n int) string {
	escaped := escapeSlack(text)
	for limit := n; utf8.RuneCountInString(escaped) > n; limit -= max(1, (utf8.RuneCountInString(escaped)-n)/5) {
		escaped = escapeSlack(cut(text, limit))
	}
	return escaped
}

// message builds Slack's JSON.
func (s *slackChannel) message(d alert.Delivery) (*slack.WebhookMessage, error) {
	x, err := decode[SlackSettings](d.Target.Settings)
	if err != nil {
		return nil, err
	}
	for _, setting := range []*string{&x.Channel, &x.Username, &x.IconEmoji, &x.ThreadTS} {
		if *setting, err = resolve(s.secrets, *setting); err != nil {
			return nil, err
		}
	}
	m := d.Message
	blocks := slack.Blocks{BlockSet: slackBlocks(m)}
	return &slack.WebhookMessage{
		Channel: x.Channel, Username: x.Username, IconEmoji: x.IconEmoji, ThreadTimestamp: x.ThreadTS,
		Text:        markdown(title(m), slackText),
		Attachments: []slack.Attachment{{Color: color(m), Fallback: markdown(title(m), slackText), Blocks: blocks}},
	}, nil
}

// slackBlocks are header, texts, facts, instances and footer, within Slack's limits.
func slackBlocks(m alert.Message) []slack.Block {
	blocks := []slack.Block{slack.NewHeaderBlock(slack.NewTextBlockObject(slack.PlainTextType, cut(title(m), slackHeader), false, false))}
	section := func(text string) {
		if text != "" {
			blocks = append(blocks, slack.NewSectionBlock(slack.NewTextBlockObject(slack.MarkdownType, text, false, false), nil, nil))
		}
	}
	if m.Event == alert.EventTest {
		section("This is a test message; nothing is wrong.")
	}
	section(markdown(m.Description, slackText))
	section(markdown(m.Reason, slackText))
	blocks = append(blocks, slackFacts(pairs(m))...)
	if len(m.Instances) > 0 {
		lines := make([]string, len(m.Instances))
		for i, x := range m.Instances {
			lines[i] = "• " + cut(instanceLine(x), 140)
		}
		section(markdown(strings.Join(lines, "\n"), slackText))
	}
	if m.RunbookURL != "" {
		section(markdown("Runbook: "+m.RunbookURL, slackText))
	}
	return append(blocks, slack.NewContextBlock("", slack.NewTextBlockObject(slack.PlainTextType, cut(footer(m), slackField), false, false)))
}

// maxFactBlocks keeps the message under Slack's 50 blocks; what is left out is counted.
const maxFactBlocks = 4

// slackFacts puts names and values into sections of ten fields.
func slackFacts(facts [][2]string) []slack.Block {
	var blocks []slack.Block
	for len(facts) > 0 && len(blocks) < maxFactBlocks {
		n := min(len(facts), slackFields)
		fields := make([]*slack.TextBlockObject, n)
		for i, f := range facts[:n] {
			text := "*" + markdown(cut(f[0], 200), 600) + "*\n" + markdown(f[1], slackField-700)
			fields[i] = slack.NewTextBlockObject(slack.MarkdownType, text, false, false)
		}
		blocks = append(blocks, slack.NewSectionBlock(nil, fields, nil))
		facts = facts[n:]
	}
	if len(facts) > 0 {
		more := fmt.Sprintf("and %d more columns", len(facts))
		blocks = append(blocks, slack.NewContextBlock("", slack.NewTextBlockObject(slack.PlainTextType, more, false, false)))
	}
	return blocks
}

func (s *slackChannel) Send(ctx context.Context, d alert.Delivery) error {
	x, err := decode[SlackSettings](d.Target.Settings)
	if err != nil {
		return err
	}
	address, err := s.address(x)
	if err != nil {
		return err
	}
	m, err := s.message(d)
	if err != nil {
		return err
	}
	body, err := writeJSON(m)
	if err != nil {
		return err
	}
	req, err := request(ctx, http.MethodPost, address, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	status, answer, header, err := s.web.do(req, true)
	if err != nil {
		return err
	}
	return advise(judge(status, answer, header, time.Now()), answer)
}

// address resolves the webhook's URL; its path is the secret.
func (s *slackChannel) address(x SlackSettings) (string, error) {
	address, err := resolve(s.secrets, or(x.WebhookURL, "${SLACK_WEBHOOK_URL}"))
	if err != nil {
		return "", err
	}
	s.secrets.Hide(address)
	if u, err := url.Parse(address); err == nil && len(u.Path) > 1 {
		s.secrets.Hide(u.Path)
		s.secrets.Hide(u.RequestURI())
	}
	return address, nil
}

// advise says what to do about Slack's words for what went wrong.
func advise(err error, answer string) error {
	failed, ok := err.(*alert.SendError) //nolint:errorlint // judge returns it bare
	if !ok {
		return err
	}
	for word, advice := range map[string]string{
		"invalid_payload": "Slack refuses the message", "no_service": "the webhook was removed; make a new one in Slack",
		"channel_is_archived": "the channel is archived", "channel_not_found": "there is no such channel",
		"no_active_hooks": "the webhook is disabled", "action_prohibited": "an administrator restricts the webhook",
		"invalid_token": "the URL is wrong or expired",
	} {
		if strings.Contains(answer, word) {
			failed.Message += " (" + advice + ")"
		}
	}
	return failed
}

func (s *slackChannel) Render(_ context.Context, d alert.Delivery) (Rendered, error) {
	m, err := s.message(d)
	if err != nil {
		return Rendered{}, err
	}
	body, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return Rendered{}, fmt.Errorf("write the message: %w", err)
	}
	return Rendered{Summary: "POST " + d.Target.Label, Body: s.secrets.Clean(string(body))}, nil
}

func (s *slackChannel) Connect(ctx context.Context, t alert.Target) error {
	x, err := decode[SlackSettings](t.Settings)
	if err != nil {
		return err
	}
	address, err := s.address(x)
	if err != nil {
		return err
	}
	return s.web.connect(ctx, address, true)
}
