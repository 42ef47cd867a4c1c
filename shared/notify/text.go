package notify

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// Colours of a message: bad, good, what is wrong with the watching itself, a test.
const (
	red   = "#d32f2f"
	green = "#2e7d32"
	amber = "#f9a825"
	blue  = "#1565c0"
)

// color is red while something is wrong. What was closed unseen is not green.
func color(m alert.Message) string {
	switch {
	case m.Event == alert.EventTest:
		return blue
	case m.Event == alert.EventError, m.Status == alert.StatusClosed:
		return amber
	case m.Event == alert.EventRecovery, m.Event == alert.EventErrorRecovery:
		return green
	}
	return red
}

// word says in capitals what happened.
func word(m alert.Message) string {
	if m.Status == alert.StatusClosed {
		return "CLOSED"
	}
	switch m.Event {
	case alert.EventAlert:
		return "ALERT"
	case alert.EventEscalation:
		return "ESCALATED"
	case alert.EventReminder:
		return "STILL ALERT"
	case alert.EventRecovery:
		return "RECOVERED"
	case alert.EventError:
		return "ERROR"
	case alert.EventErrorRecovery:
		return "WORKS AGAIN"
	case alert.EventTest:
		return "TEST"
	}
	return strings.ToUpper(string(m.Event))
}

// title is a message in one line.
func title(m alert.Message) string {
	text := word(m) + ": " + m.AlertName
	if len(m.Instance) > 0 {
		text += " (" + m.Instance.String() + ")"
	}
	return line(text)
}

// measured is the actual value against the threshold; empty without a value.
func measured(actual, threshold alert.Value) string {
	switch {
	case actual.IsNull():
		return ""
	case threshold.IsNull():
		return actual.String()
	}
	return actual.String() + " against " + threshold.String()
}

// summary is a message in one line with its numbers, for where only one line is shown.
func summary(m alert.Message) string {
	text := title(m)
	for _, more := range []string{measured(m.ActualValue, m.Threshold), m.Reason} {
		if more != "" {
			text += " · " + line(more)
		}
	}
	return text
}

// The words of a marked test, and of an episode that was closed unseen.
const (
	testWords   = "This is a test message; nothing is wrong."
	closedWords = "The condition was not seen to clear."
)

// notices are the sentences below the title: that it is a test, what the alert means, why
// the message comes, and that a closed episode was not seen to end.
func notices(m alert.Message) []string {
	var out []string
	if m.Event == alert.EventTest {
		out = append(out, testWords)
	}
	for _, text := range []string{m.Description, m.Reason} {
		if text = strings.TrimSpace(text); text != "" {
			out = append(out, text)
		}
	}
	if m.Status == alert.StatusClosed && !strings.Contains(m.Reason, "not seen to clear") {
		out = append(out, closedWords)
	}
	return out
}

// A fact is a name and a value to be shown side by side.
type fact struct{ Name, Value string }

// facts are what a person wants to know, in that order: standing, numbers, context columns,
// labels.
func facts(m alert.Message) []fact {
	out := []fact{{"Status", string(m.Status)}}
	if m.Severity != "" {
		out = append(out, fact{"Severity", string(m.Severity)})
	}
	if !m.ActualValue.IsNull() {
		out = append(out, fact{"Actual value", m.ActualValue.String()})
	}
	if !m.Threshold.IsNull() {
		out = append(out, fact{"Threshold", m.Threshold.String()})
	}
	for _, f := range m.Context {
		out = append(out, fact{f.Name, f.Value.String()})
	}
	for _, name := range slices.Sorted(maps.Keys(m.Labels)) {
		out = append(out, fact{name, m.Labels[name]})
	}
	return out
}

// instanceLine is one instance of a grouped message.
func instanceLine(i alert.InstanceNews) string {
	text := i.Change + ": " + i.Instance.String()
	if values := measured(i.ActualValue, i.Threshold); values != "" {
		text += ", " + values
	}
	return line(text)
}

// footer tells when and by which run.
func footer(m alert.Message) string {
	text := m.Timestamp.UTC().Format("2006-01-02 15:04:05 MST")
	if m.RunID != "" {
		text += " · run " + m.RunID
	}
	return text
}

// maxShown bounds one value in a message for people, in characters.
const maxShown = 2000

// plainText is the whole message as text.
func plainText(m alert.Message) string {
	var out strings.Builder
	fmt.Fprintln(&out, title(m))
	for _, text := range notices(m) {
		fmt.Fprintf(&out, "\n%s\n", cut(text, 2*maxShown))
	}
	fmt.Fprintln(&out)
	for _, f := range facts(m) {
		// A value of several lines is indented, so that it cannot pass for other facts.
		fmt.Fprintf(&out, "%s: %s\n", cut(line(f.Name), maxShown), strings.ReplaceAll(cut(f.Value, maxShown), "\n", "\n    "))
	}
	if len(m.Instances) > 0 {
		fmt.Fprintln(&out)
	}
	for _, i := range m.Instances {
		fmt.Fprintf(&out, "- %s\n", cut(instanceLine(i), maxShown))
	}
	if m.RunbookURL != "" {
		fmt.Fprintf(&out, "\nRunbook: %s\n", line(m.RunbookURL))
	}
	fmt.Fprintf(&out, "\n%s\n", footer(m))
	return out.String()
}
