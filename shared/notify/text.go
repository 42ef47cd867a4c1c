package notify

import (
	"fmt"
	"sort"
	"strings"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// Colours of a message: bad, good, and what is wrong with the watching itself.
const (
	red   = "#d32f2f"
	green = "#2e7d32"
	amber = "#f9a825"
	blue  = "#1565c0"
)

func color(m alert.Message) string {
	switch {
	case m.Event == alert.EventTest:
		return blue
	case m.Event == alert.EventError:
		return amber
	case m.Event == alert.EventRecovery && m.Status == alert.StatusClosed:
		return amber
	case m.Event == alert.EventRecovery || m.Event == alert.EventErrorRecovery:
		return green
	}
	return red
}

// title is a message in one line.
func title(m alert.Message) string {
	word := map[alert.Event]string{
		alert.EventAlert: "ALERT", alert.EventEscalation: "ESCALATED", alert.EventReminder: "STILL ALERT",
		alert.EventRecovery: "RECOVERED", alert.EventError: "ERROR", alert.EventErrorRecovery: "WORKS AGAIN", alert.EventTest: "TEST",
	}[m.Event]
	if m.Status == alert.StatusClosed {
		word = "CLOSED"
	}
	text := word + ": " + m.AlertName
	if len(m.Instance) > 0 {
		text += " (" + m.Instance.String() + ")"
	}
	return text
}

// pairs are the facts of a message, in the order in which a person wants them.
func pairs(m alert.Message) [][2]string {
	out := [][2]string{{"Status", string(m.Status)}, {"Severity", string(m.Severity)}}
	if !m.ActualValue.IsNull() {
		out = append(out, [2]string{"Actual value", m.ActualValue.String()})
	}
	if !m.Threshold.IsNull() {
		out = append(out, [2]string{"Threshold", m.Threshold.String()})
	}
	for _, f := range m.Context {
		out = append(out, [2]string{f.Name, f.Value.String()})
	}
	names := make([]string, 0, len(m.Labels))
	for name := range m.Labels {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		out = append(out, [2]string{name, m.Labels[name]})
	}
	return out
}

// instanceLine is one instance of a grouped message.
func instanceLine(i alert.InstanceNews) string {
	text := fmt.Sprintf("%s: %s", i.Change, i.Instance)
	if !i.ActualValue.IsNull() {
		text += ", " + i.ActualValue.String()
		if !i.Threshold.IsNull() {
			text += " against " + i.Threshold.String()
		}
	}
	return text
}

// footer tells when and by which run.
func footer(m alert.Message) string {
	return fmt.Sprintf("%s · run %s", m.Timestamp.UTC().Format("2006-01-02 15:04:05 MST"), m.RunID)
}

// plainText is the whole message as text.
func plainText(m alert.Message) string {
	var out strings.Builder
	fmt.Fprintln(&out, title(m))
	if m.Event == alert.EventTest {
		fmt.Fprintln(&out, "This is a test message; nothing is wrong.")
	}
	for _, text := range []string{m.Description, m.Reason} {
		if text != "" {
			fmt.Fprintf(&out, "\n%s\n", text)
		}
	}
	fmt.Fprintln(&out)
	for _, p := range pairs(m) {
		fmt.Fprintf(&out, "%s: %s\n", p[0], p[1])
	}
	if len(m.Instances) > 0 {
		fmt.Fprintln(&out)
		for _, i := range m.Instances {
			fmt.Fprintf(&out, "- %s\n", instanceLine(i))
		}
	}
	if m.RunbookURL != "" {
		fmt.Fprintf(&out, "\nRunbook: %s\n", m.RunbookURL)
	}
	fmt.Fprintf(&out, "\n%s\n", footer(m))
	return out.String()
}
