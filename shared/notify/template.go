package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// A template is a JSON value whose strings hold {field}. References of the environment
// are expanded in the template before fields are filled in, and neither is looked at
// twice: data cannot smuggle in a reference or a field.

// fields are what a template can name: the standard payload and event_action.
func fields(m alert.Message) (map[string]json.RawMessage, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write the payload: %w", err)
	}
	out := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("read the payload: %w", err)
	}
	out["event_action"], err = json.Marshal(m.Event.Action())
	return out, err
}

// fieldNames lists the fields of every message.
func fieldNames() []string {
	all, err := fields(alert.Message{Labels: map[string]string{}, Context: alert.Fields{}, Instance: alert.Fields{}})
	if err != nil {
		return nil
	}
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// piece is a part of a template's string: literal text, or the name of a field.
type piece struct {
	text  string
	field bool
}

// split cuts a string at its fields. {{ and }} are braces.
func split(text string) ([]piece, error) {
	var out []piece
	var literal strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case (c == '{' || c == '}') && i+1 < len(text) && text[i+1] == c:
			literal.WriteByte(c)
			i++
		case c == '{':
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				return nil, fmt.Errorf("a { is not closed; write {{ for a brace")
			}
			if literal.Len() > 0 {
				out = append(out, piece{literal.String(), false})
				literal.Reset()
			}
			out = append(out, piece{text[i+1 : i+end], true})
			i += end
		case c == '}':
			return nil, fmt.Errorf("a } stands alone; write }} for a brace")
		default:
			literal.WriteByte(c)
		}
	}
	if literal.Len() > 0 {
		out = append(out, piece{literal.String(), false})
	}
	return out, nil
}

// checkText tells what is wrong with a string of a template: braces, or a field that no
// message has.
func checkText(text string) error {
	pieces, err := split(text)
	if err != nil {
		return err
	}
	known := fieldNames()
	for _, p := range pieces {
		if !p.field {
			continue
		}
		name, _, dotted := strings.Cut(p.text, ".")
		if !slices.Contains(known, name) || dotted && name != "context" && name != "labels" && name != "instance" {
			return fmt.Errorf("there is no field {%s}%s; write {{ for a brace", p.text, nearest(p.text, known))
		}
	}
	return nil
}

func nearest(word string, known []string) string {
	best, distance := "", 4
	for _, k := range known {
		if d := levenshtein.ComputeDistance(word, k); d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return " (there are " + strings.Join(known, ", ") + ")"
	}
	return fmt.Sprintf("; did you mean {%s}?", best)
}

// filler fills fields into strings.
type filler struct {
	fields  map[string]json.RawMessage
	secrets *alert.Secrets
}

func newFiller(m alert.Message, secrets *alert.Secrets) (*filler, error) {
	all, err := fields(m)
	return &filler{all, secrets}, err
}

// field finds a field, or a part of one: {context.region}. What is not there is null.
func (f *filler) field(name string) json.RawMessage {
	if value, ok := f.fields[name]; ok {
		return value
	}
	head, rest, _ := strings.Cut(name, ".")
	var inner alert.Fields
	if json.Unmarshal(f.fields[head], &inner) == nil {
		if value, ok := inner.Get(rest); ok {
			if text, err := json.Marshal(value); err == nil {
				return text
			}
		}
	}
	return json.RawMessage("null")
}

// shown is a field as text: a string without quotes, nothing for null, else JSON.
func (f *filler) shown(name string) string {
	raw := f.field(name)
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	if string(raw) == "null" {
		return ""
	}
	return string(raw)
}

// pieces expands the references of a template's string, then cuts it at its fields. A
// resolved value is literal text, whatever braces it holds.
func (f *filler) pieces(text string) ([]piece, error) {
	parts, err := split(text)
	if err != nil {
		return nil, &alert.SendError{Permanent: true, Message: err.Error()}
	}
	for i, p := range parts {
		if p.field {
			continue
		}
		if parts[i].text, err = resolve(f.secrets, p.text); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// text fills a string, each field passed through encode.
func (f *filler) text(template string, encode func(string) string) (string, error) {
	parts, err := f.pieces(protect(template))
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, p := range parts {
		if p.field {
			out.WriteString(encode(f.shown(p.text)))
		} else {
			out.WriteString(p.text)
		}
	}
	return out.String(), nil
}

// protect doubles the braces of ${NAME}, so that they are not taken for a field's.
func protect(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '$' && i+1 < len(text) && text[i+1] == '$' {
			out.WriteString("$$")
			i++
			continue
		}
		if text[i] == '$' && i+1 < len(text) && text[i+1] == '{' {
			if end := strings.IndexByte(text[i:], '}'); end > 0 {
				out.WriteString("${{" + text[i+2:i+end] + "}}")
				i += end
				continue
			}
		}
		out.WriteByte(text[i])
	}
	return out.String()
}

// link fills a URL; what fields hold is percent-encoded.
func (f *filler) link(template string) (string, error) { return f.text(template, url.QueryEscape) }

// value fills a JSON value.
func (f *filler) value(v any) (any, error) {
	switch x := v.(type) {
	case string:
		parts, err := f.pieces(protect(x))
		if err != nil {
			return nil, err
		}
		if len(parts) == 1 && parts[0].field {
			return f.field(parts[0].text), nil
		}
		return f.text(x, func(s string) string { return s })
	case []any:
		out := make([]any, len(x))
		for i := range x {
			filled, err := f.value(x[i])
			if err != nil {
				return nil, err
			}
			out[i] = filled
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(x))
		for key := range x {
			filled, err := f.value(x[key])
			if err != nil {
				return nil, err
			}
			out[key] = filled
		}
		return out, nil
	}
	return v, nil
}

// payload fills a template; no template is the standard payload.
func (f *filler) payload(template json.RawMessage, m alert.Message) ([]byte, error) {
	if len(template) == 0 {
		return writeJSON(m)
	}
	value, err := readJSON(template)
	if err != nil {
		return nil, &alert.SendError{Permanent: true, Message: "the payload is not JSON: " + err.Error()}
	}
	filled, err := f.value(value)
	if err != nil {
		return nil, err
	}
	return writeJSON(filled)
}

func writeJSON(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("write the payload: %w", err)
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

// readJSON reads a value and keeps the digits of its numbers.
func readJSON(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if decoder.More() {
		return nil, fmt.Errorf("something follows the value")
	}
	return value, nil
}

// checkPayload tells what is wrong with a template.
func checkPayload(path string, template json.RawMessage) []alert.SettingProblem {
	if len(template) == 0 {
		return nil
	}
	value, err := readJSON(template)
	if err != nil {
		return []alert.SettingProblem{problem(path, "is not JSON: %s", err)}
	}
	return checkValue(path, value)
}

func checkValue(path string, v any) []alert.SettingProblem {
	var out []alert.SettingProblem
	switch x := v.(type) {
	case string:
		if err := checkText(protect(x)); err != nil {
			out = append(out, problem(path, "%s", err))
		}
	case []any:
		for i := range x {
			out = append(out, checkValue(fmt.Sprintf("%s[%d]", path, i), x[i])...)
		}
	case map[string]any:
		keys := make([]string, 0, len(x))
		for key := range x {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			out = append(out, checkValue(path+"."+key, x[key])...)
		}
	}
	return out
}
