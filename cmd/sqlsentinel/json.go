package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// printJSON writes the one object of a command. What could change a terminal is escaped.
func (a *app) printJSON(v any) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write the result as JSON: %w", err)
	}
	if _, err := a.out.Write(escapeJSON(out.Bytes())); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// escapeJSON escapes in JSON what encoding/json lets through and a terminal would act on.
// Such characters stand in strings only.
func escapeJSON(text []byte) []byte {
	unwanted := func(r rune) bool { return r != '\n' && unprintable(r) }
	if bytes.IndexFunc(text, unwanted) < 0 {
		return text
	}
	var out bytes.Buffer
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if unwanted(r) {
			fmt.Fprintf(&out, `\u%04x`, r)
		} else {
			out.Write(text[:size])
		}
		text = text[size:]
	}
	return out.Bytes()
}
