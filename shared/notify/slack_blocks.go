package notify

import (
	"fmt"
	"strings"

	"github.com/slack-go/slack"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// Slack's limits of Block Kit, in characters and in elements, and our own where a message
// in a chat should be shorter or where the whole would grow too large.
const (
	slackHeader = 150
	slackText   = 3000
	slackField  = 2000
	slackFields = 10

	ourField  = 400  // a name and a value
	ourFacts  = 3    // sections of ten fields
	ourNotice = 1500 // a description or a reason
	ourLine   = 140  // an instance, 20 at most in one section
)

// escapeSlack keeps data from being markup: no link, no ping.
func escapeSlack(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// markdown is text for Slack, of at most n characters once it is escaped.
func markdown(text string, n int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	escaped := escapeSlack(cut(text, n))
	for limit := n; width(escaped) > n && limit > 1; {
		limit -= max(1, (width(escaped)-n)/5) // an escape adds four characters at most
		escaped = escapeSlack(cut(text, max(limit, 1)))
	}
	return escaped
}

// mrkdwn is a text that Slack shows as it stands: verbatim, or else Slack would make links
// and mentions of what looks like one, even of data.
func mrkdwn(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.MarkdownType, text, false, true)
}

func plainObject(text string, n int) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.PlainTextType, cut(line(text), n), false, false)
}

// slackBlocks are title, sentences, facts, instances, runbook and footer.
func slackBlocks(m alert.Message) []slack.Block {
	blocks := []slack.Block{slack.NewHeaderBlock(plainObject(title(m), slackHeader))}
	section := func(text string) {
		blocks = append(blocks, slack.NewSectionBlock(mrkdwn(text), nil, nil))
	}
	for _, text := range notices(m) {
		section(markdown(text, ourNotice))
	}
	blocks = append(blocks, slackFacts(facts(m))...)
	if len(m.Instances) > 0 {
		section(slackInstances(m.Instances))
	}
	if link := slackLink(m.RunbookURL); link != "" {
		section(link)
	}
	return append(blocks, slack.NewContextBlock("", plainObject(footer(m), slackField)))
}

// slackInstances lists instances, as many as a section holds, and counts the others.
func slackInstances(all []alert.InstanceNews) string {
	var out strings.Builder
	for i, x := range all {
		next := "• " + markdown(cut(instanceLine(x), ourLine), ourLine) + "\n"
		if width(out.String())+width(next) > slackText-50 {
			fmt.Fprintf(&out, "and %d more", len(all)-i)
			break
		}
		out.WriteString(next)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// slackLink is a link to the runbook; nothing in the URL can end it early.
func slackLink(address string) string {
	if address == "" {
		return ""
	}
	address = strings.NewReplacer("|", "%7C", "<", "%3C", ">", "%3E", " ", "%20", "&", "&amp;").Replace(line(address))
	if link := "<" + address + "|Runbook>"; width(link) <= slackText {
		return link
	}
	return cut("Runbook: "+address, slackText)
}

// slackFacts puts names and values into sections of ten fields; what does not fit is counted.
func slackFacts(all []fact) []slack.Block {
	var blocks []slack.Block
	for len(all) > 0 && len(blocks) < ourFacts {
		n := min(len(all), slackFields)
		fields := make([]*slack.TextBlockObject, n)
		for i, f := range all[:n] {
			fields[i] = mrkdwn("*" + markdown(line(f.Name), ourField/4) + "*\n" + markdown(f.Value, ourField*3/4-3))
		}
		blocks = append(blocks, slack.NewSectionBlock(nil, fields, nil))
		all = all[n:]
	}
	if len(all) > 0 {
		blocks = append(blocks, slack.NewContextBlock("", plainObject(fmt.Sprintf("and %d more columns or labels", len(all)), slackField)))
	}
	return blocks
}
