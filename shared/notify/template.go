package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// A template is a JSON value whose strings hold {field} and ${NAME}, or one such string.
// It is cut into pieces once, as written; neither what a field nor what a reference
// stands for is looked at again. So data cannot smuggle in either.

type pieceKind uint8

const (
	literal pieceKind = iota
	field
	reference
)

// piece is a part of a template's string: text, a field's name, or a reference as written.
type piece struct {
	kind pieceKind
	text string
}

// split cuts a string into pieces. {{ and }} are braces, $$ is a dollar.
func split(text string) ([]piece, error) {
	var out []piece
	var plain strings.Builder
	flush := func(next piece) {
		if plain.Len() > 0 {
			out = append(out, piece{literal, plain.String()})
			plain.Reset()
		}
		if next.text != "" || next.kind != literal {
			out = append(out, next)
		}
	}
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		end := strings.IndexByte(rest, '}')
		switch {
		case strings.HasPrefix(rest, "$$"), strings.HasPrefix(rest, "}}"):
			plain.WriteByte(text[i])
			i++
		case strings.HasPrefix(rest, "${"):
			if end < 0 {
				return nil, fmt.Errorf("a reference is not closed; write ${NAME}, or $$ for a dollar")
			}
			flush(piece{reference, rest[:end+1]})
			i += end
		case strings.HasPrefix(rest, "{{"):
			plain.WriteByte('{')
			i++
		case text[i] == '{':
			if end < 0 {
				return nil, fmt.Errorf("a { is not closed; write {{ for a brace")
			}
			flush(piece{field, rest[1:end]})
			i += end
		case text[i] == '}':
			return nil, fmt.Errorf("a } stands alone; write }} for a brace")
		default:
			plain.WriteByte(text[i])
		}
	}
	flush(piece{})
	return out, nil
}

// filler fills a message's fields into templates.
type filler struct {
	fields  map[string]json.RawMessage
	resolve resolver
}

func newFiller(m alert.Message, resolve resolver) (*filler, error) {
	text, err := writeJSON(complete(m))
	if err != nil {
		return nil, err
	}
	f := &filler{resolve: resolve}
	if err := json.Unmarshal(text, &f.fields); err != nil {
		return nil, fmt.Errorf("read the payload: %w", err)
	}
	f.fields["event_action"], err = writeJSON(m.Event.Action())
	return f, err
}

// complete gives a message empty objects and lists where it has none.
func complete(m alert.Message) alert.Message {
	if m.Labels == nil {
		m.Labels = map[string]string{}
	}
	if m.Instances == nil {
		m.Instances = []alert.InstanceNews{}
	}
	return m
}

// value is a field as JSON, or a part of one: {context.region}. What is not there is null.
func (f *filler) value(name string) json.RawMessage {
	if value, ok := f.fields[name]; ok {
		return value
	}
	head, part, _ := strings.Cut(name, ".")
	var inner alert.Fields
	if !dotted(head) || json.Unmarshal(f.fields[head], &inner) != nil {
		return json.RawMessage("null")
	}
	value, _ := inner.Get(part)
	text, err := value.MarshalJSON()
	if err != nil {
		return json.RawMessage("null")
	}
	return text
}

// shown is a field as text: a string without quotes, nothing for null, else JSON.
func (f *filler) shown(name string) string {
	raw := f.value(name)
	var text *string
	if json.Unmarshal(raw, &text) != nil {
		return string(raw)
	}
	if text == nil {
		return ""
	}
	return *text
}

// text fills a string, each field passed through encode.
func (f *filler) text(template string, encode func(string) string) (string, error) {
	pieces, err := split(template)
	if err != nil {
		return "", permanent("%s", err)
	}
	var out strings.Builder
	for _, p := range pieces {
		switch p.kind {
		case field:
			out.WriteString(encode(f.shown(p.text)))
		case reference:
			value, err := f.resolve(p.text)
			if err != nil {
				return "", err
			}
			out.WriteString(value)
		default:
			out.WriteString(p.text)
		}
	}
	return out.String(), nil
}

func same(text string) string { return text }

// link fills a URL; what fields hold is percent-encoded, in a path and in a query alike.
func (f *filler) link(template string) (string, error) {
	return f.text(template, func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") })
}

// fill fills every string of a JSON value; the names in objects stay as they are. A string
// that is exactly one field becomes the field's own JSON.
func (f *filler) fill(v any) (any, error) {
	var err error
	switch x := v.(type) {
	case string:
		if pieces, err := split(x); err == nil && len(pieces) == 1 && pieces[0].kind == field {
			return f.value(pieces[0].text), nil
		}
		return f.text(x, same)
	case []any:
		for i := range x {
			if x[i], err = f.fill(x[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for key := range x {
			if x[key], err = f.fill(x[key]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// payload fills a template; no template is the standard payload.
func (f *filler) payload(template json.RawMessage, m alert.Message) ([]byte, error) {
	if len(template) == 0 {
		return writeJSON(complete(m))
	}
	value, err := readJSON(template)
	if err != nil {
		return nil, permanent("the payload is not JSON: %s", err)
	}
	filled, err := f.fill(value)
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
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

// indent spreads JSON over lines, for people.
func indent(text []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, text, "", "  ") != nil {
		return string(text)
	}
	return out.String()
}

// readJSON reads one value and keeps the digits of its numbers.
func readJSON(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF { //nolint:errorlint // documented to be io.EOF itself
		return nil, fmt.Errorf("something follows the value")
	}
	return value, nil
}
