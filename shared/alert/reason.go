package alert

import "fmt"

// reasons collects why a run did or did not notify: one reason a code, however many
// instances share it.
type reasons struct{ entries []reasonEntry }

type reasonEntry struct {
	code  Code
	label string // the first instance
	text  string
	more  int
	by    map[string]string
}

// add notes a reason of the whole run.
func (r *reasons) add(code Code, text string) { r.addFor(code, "", text) }

// addFor notes a reason of one instance; the empty label is the alert without a key.
func (r *reasons) addFor(code Code, label, text string) {
	for i := range r.entries {
		if r.entries[i].code == code {
			r.entries[i].more++
			r.entries[i].by[label] = text
			return
		}
	}
	r.entries = append(r.entries, reasonEntry{code: code, label: label, text: text, by: map[string]string{label: text}})
}

// list gives the reasons in the order of their first mention.
func (r *reasons) list() []Reason {
	out := make([]Reason, 0, len(r.entries))
	for _, e := range r.entries {
		text := e.text
		if e.label != "" {
			text = e.label + ": " + text
		}
		if e.more > 0 {
			text += fmt.Sprintf(" (and %d more alike)", e.more)
		}
		out = append(out, Reason{e.code, text})
	}
	return out
}

// eventCodes are the reasons that explain an event, the most telling first.
var eventCodes = map[Event][]Code{
	EventAlert:      {AlertOpened, AlertAnnounced, SilenceEnded},
	EventEscalation: {AlertEscalated, SilenceEnded},
	EventReminder:   {AlertReminded, SilenceEnded},
	EventRecovery:   {Recovered},
}

// textFor is the reason that a message gives.
func (r *reasons) textFor(event Event, label, closed string) string {
	if closed != "" {
		return closed
	}
	for _, code := range eventCodes[event] {
		for _, e := range r.entries {
			if text, ok := e.by[label]; ok && e.code == code {
				return text
			}
		}
	}
	return ""
}

func notes(texts []string) []Reason {
	var out []Reason
	for _, text := range texts {
		out = append(out, Reason{ResultCut, text})
	}
	return out
}
