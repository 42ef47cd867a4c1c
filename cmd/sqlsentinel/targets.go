package main

import "github.com/sqlsentinel/sqlsentinel/shared/alert"

// targets are the distinct targets of alerts, in the order of the file.
func (s *session) targets(alerts []alert.Alert) []alert.Target {
	var out []alert.Target
	seen := map[string]bool{}
	add := func(targets []alert.Target) {
		for _, t := range targets {
			if !seen[t.ID] {
				seen[t.ID] = true
				out = append(out, t)
			}
		}
	}
	for _, x := range alerts {
		add(x.Notify)
		for _, step := range x.Escalate {
			add(step.Notify)
		}
		add(x.OnError.Notify)
		add(x.Owners)
	}
	return out
}
