package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// slackChannel posts to an incoming webhook of Slack.
type slackChannel struct {
	secrets *alert.Secrets
	web     *web
	now     func() time.Time
}

// SlackSettings are the settings of a Slack target.
type SlackSettings struct {
	WebhookURL string `json:"webhook_url,omitempty" alias:"webhook" doc:"The incoming webhook; default: SLACK_WEBHOOK_URL"`
	Channel    string `json:"slack_channel,omitempty" doc:"Another channel than the webhook's, where Slack allows it"`
	Username   string `json:"username,omitempty" doc:"The name that the message is posted under"`
	IconEmoji  string `json:"icon_emoji,omitempty" doc:"Such as :rotating_light:"`
	ThreadTS   string `json:"thread_ts,omitempty" doc:"The message whose thread to answer in"`
}

const slackDefault = "${SLACK_WEBHOOK_URL}"

// Name returns "slack".
func (s *slackChannel) Name() string { return "slack" }

// Settings returns a zero SlackSettings.
func (s *slackChannel) Settings() any { return &SlackSettings{} }

// Address is the webhook's URL and the channel. The label shows no path, for it is secret.
func (s *slackChannel) Address(raw json.RawMessage) (identity, label string) {
	x, _ := decode[SlackSettings](raw) // settings that cannot be read have no address
	identity = or(x.WebhookURL, slackDefault) + " " + x.Channel
	switch {
	case x.Channel != "":
		return identity, "slack " + x.Channel
	case x.WebhookURL == "":
		return identity, "slack"
	case strings.HasPrefix(x.WebhookURL, "${"):
		return identity, "slack " + withoutDefaults(x.WebhookURL)
	}
	return identity, "slack " + alert.RedactURL(x.WebhookURL, true)
}

// Check finds a missing or wrong URL, a secret in the file, and a malformed emoji or thread.
func (s *slackChannel) Check(raw json.RawMessage, env alert.Lookup) []alert.SettingProblem {
	x, err := decode[SlackSettings](raw)
	if err != nil {
		return []alert.SettingProblem{problem("", "%s", err)}
	}
	var out []alert.SettingProblem
	switch {
	case x.WebhookURL != "":
		out = append(out, s.web.checkURL("webhook_url", x.WebhookURL, env)...)
		if len(alert.References(x.WebhookURL)) == 0 && strings.Contains(x.WebhookURL, "hooks.slack.com") {
			out = append(out, warning("webhook_url", "the URL is a password and stands in the file; write ${NAME} and put it in the environment or in .env"))
		}
	case fromEnv(env, "SLACK_WEBHOOK_URL") == "":
		out = append(out, problem("webhook_url", "is missing; write it here or set SLACK_WEBHOOK_URL"))
	default:
		out = append(out, s.web.checkURL("webhook_url", slackDefault, env)...)
	}
	for _, setting := range [][2]string{{"slack_channel", x.Channel}, {"username", x.Username}, {"icon_emoji", x.IconEmoji}, {"thread_ts", x.ThreadTS}} {
		out = append(out, checkReferences(setting[0], setting[1], env)...)
	}
	emoji := len(x.IconEmoji) > 2 && strings.HasPrefix(x.IconEmoji, ":") && strings.HasSuffix(x.IconEmoji, ":")
	if x.IconEmoji != "" && !emoji && len(alert.References(x.IconEmoji)) == 0 {
		out = append(out, problem("icon_emoji", "must stand between colons, such as :rotating_light:"))
	}
	if strings.Trim(x.ThreadTS, "0123456789.") != "" && len(alert.References(x.ThreadTS)) == 0 {
		out = append(out, problem("thread_ts", "must be the time stamp of a message, such as 1772442000.000100"))
	}
	return out
}

// message builds what is posted. The title stands in the coloured attachment; its fallback
// is what notifications show.
func (s *slackChannel) message(d alert.Delivery, resolve resolver) (*slack.WebhookMessage, error) {
	x, err := decode[SlackSettings](d.Target.Settings)
	if err != nil {
		return nil, err
	}
	for _, setting := range []*string{&x.Channel, &x.Username, &x.IconEmoji, &x.ThreadTS} {
		if *setting, err = resolve(*setting); err != nil {
			return nil, err
		}
	}
	quiet := false
	return &slack.WebhookMessage{
		Channel: x.Channel, Username: x.Username, IconEmoji: x.IconEmoji, ThreadTimestamp: x.ThreadTS,
		Parse: "none", UnfurlLinks: &quiet, UnfurlMedia: &quiet,
		Attachments: []slack.Attachment{{
			Color: color(d.Message), Fallback: markdown(summary(d.Message), slackText), Blocks: slack.Blocks{BlockSet: slackBlocks(d.Message)},
		}},
	}, nil
}

// Send posts the message once.
func (s *slackChannel) Send(ctx context.Context, d alert.Delivery) error {
	address, err := s.address(d.Target)
	if err != nil {
		return err
	}
	m, err := s.message(d, live(s.secrets))
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
	said, err := s.web.do(req, true)
	if err != nil {
		return err
	}
	return advise(judge(said, s.secrets.Clean, s.now()), said.body)
}

// address resolves the webhook's URL; its path is the secret.
func (s *slackChannel) address(t alert.Target) (string, error) {
	x, err := decode[SlackSettings](t.Settings)
	if err != nil {
		return "", err
	}
	written := or(x.WebhookURL, slackDefault)
	address, err := live(s.secrets)(written)
	if err != nil {
		return "", err
	}
	hideLink(s.secrets, written, address, true)
	return address, nil
}

// advise adds what to do about Slack's own words for what went wrong.
func advise(err error, said string) error {
	failed, ok := err.(*alert.SendError) //nolint:errorlint // judge returns it bare
	if !ok {
		return err
	}
	for _, x := range [][2]string{
		{"invalid_payload", "Slack cannot read the message"}, {"invalid_blocks", "Slack refuses a block of the message"},
		{"no_service", "the webhook was removed or disabled; make a new one in Slack"}, {"no_active_hooks", "the webhook is disabled"},
		{"channel_is_archived", "the channel is archived; unarchive it or choose another"}, {"channel_not_found", "there is no such channel"},
		{"user_not_found", "there is no such user"}, {"action_prohibited", "an administrator restricts the webhook"},
		{"posting_to_general_channel_denied", "an administrator restricts posting to #general"},
		{"invalid_token", "the URL is wrong or expired"}, {"no_team", "the workspace is gone"}, {"no_text", "Slack found no text"},
	} {
		if strings.Contains(said, x[0]) {
			failed.Message += " (" + x[1] + ")"
		}
	}
	return failed
}

// Render shows the JSON that would be posted.
func (s *slackChannel) Render(_ context.Context, d alert.Delivery) (Rendered, error) {
	if _, err := s.address(d.Target); err != nil {
		return Rendered{}, err
	}
	m, err := s.message(d, masked(s.secrets))
	if err != nil {
		return Rendered{}, err
	}
	text, err := writeJSON(m)
	if err != nil {
		return Rendered{}, err
	}
	return Rendered{Summary: "POST " + s.secrets.Clean(d.Target.Label), Body: s.secrets.Clean(indent(text))}, nil
}

// Connect connects to the webhook's host; it sends no request.
func (s *slackChannel) Connect(ctx context.Context, t alert.Target) error {
	address, err := s.address(t)
	if err != nil {
		return err
	}
	if err := s.web.connect(ctx, address, true, t.WithDefaults().Timeout.Std()); err != nil {
		return fmt.Errorf("reach the Slack webhook: %w", err)
	}
	return nil
}
