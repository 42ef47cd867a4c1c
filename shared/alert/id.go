package alert

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"strings"
	"time"
)

// All ids are derived, never random: whoever decides the same thing again names it the same.

// ID identifies an alert: the scope of its file and its name.
type ID struct{ Scope, Name string }

// ID returns the identity of the alert.
func (a Alert) ID() ID { return ID{a.Scope, a.Name} }

// RunID identifies a run by alert and scheduled time, in milliseconds.
func RunID(id ID, scheduled time.Time) string {
	return "run_" + digest(id.Scope, id.Name, scheduled.UTC().Format("2006-01-02T15:04:05.000Z"))
}

// InstanceID names an instance by its key values, unambiguously; without a key it is "".
func InstanceID(key Fields) string {
	if len(key) == 0 {
		return ""
	}
	values := make([]Value, len(key))
	for i, f := range key {
		values[i] = f.Value
	}
	text, err := json.Marshal(values)
	if err != nil {
		panic("alert: a value that does not marshal: " + err.Error()) // Value.MarshalJSON cannot fail
	}
	return string(text)
}

func episodeID(id ID, instance, run string) string {
	return "ep_" + digest(id.Scope, id.Name, instance, run)
}

func deliveryID(run, target, subject string) string { return "dlv_" + digest(run, target, subject) }

// digest is 100 bits of SHA-256 over the parts, each ended by a byte that no part holds.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0xff})
	}
	return strings.ToLower(base32.StdEncoding.EncodeToString(h.Sum(nil))[:20])
}

// Digest is the short form of a text that must be compared but not shown.
func Digest(text string) string { return digest(text)[:12] }
