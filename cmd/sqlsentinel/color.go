package main

import (
	"io"

	"charm.land/lipgloss/v2"
)

// colored tells whether a writer takes colour: a terminal, unless NO_COLOR is set.
func (a *app) colored(w io.Writer) bool {
	_, terminal := a.terminal(w)
	return terminal && a.variable("NO_COLOR") == "" && a.variable("TERM") != "dumb"
}

// statusColor is the colour of a status, of a run, an alert or a delivery.
func statusColor(status string) lipgloss.Style {
	plain := lipgloss.NewStyle()
	switch status {
	case "OK", "sent", "ok":
		return plain.Foreground(lipgloss.Green)
	case "ALERT", "ERROR", "dead", "failed", "critical":
		return plain.Foreground(lipgloss.Red).Bold(true)
	case "PENDING", "RECOVERING", "NO_DATA", "OVERDUE", "pending", "sending", "warning":
		return plain.Foreground(lipgloss.Yellow)
	case "NEVER_RUN", "DISABLED", "SKIPPED", "CLOSED", "RELEASED", "superseded":
		return plain.Faint(true)
	}
	return plain
}

// paint colours a status on stdout, if that takes colour.
func (a *app) paint(status string) string {
	if !a.colored(a.out) {
		return printable(status)
	}
	return statusColor(status).Render(printable(status))
}
