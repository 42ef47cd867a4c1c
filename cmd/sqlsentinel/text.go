package main

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// printable returns text in one line that moves no cursor and changes no terminal:
// control characters, those that change the direction of writing, and bytes that are no
// UTF-8 are escaped.
func printable(text string) string { return escape(text, unprintable) }

// printableLines is printable for a text of several lines.
func printableLines(text string) string {
	return escape(text, func(r rune) bool { return r != '\n' && unprintable(r) })
}

func unprintable(r rune) bool {
	switch {
	case r < ' ', 0x7f <= r && r <= 0x9f, r == '\u2028', r == '\u2029':
		return true
	}
	return r > 0x7f && unicode.Is(unicode.Bidi_Control, r)
}

func escape(text string, unwanted func(rune) bool) string {
	if utf8.ValidString(text) && strings.IndexFunc(text, unwanted) < 0 {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02x`, text[i])
		case !unwanted(r):
			out.WriteRune(r)
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\t':
			out.WriteString(`\t`)
		case r == '\r':
			out.WriteString(`\r`)
		case r < 0x80:
			fmt.Fprintf(&out, `\x%02x`, r)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
		i += size
	}
	return out.String()
}

// shorten cuts text to n runes, visibly.
func shorten(text string, n int) string {
	if len(text) <= n || utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:n-1]) + "…"
}

// plural is "1 alert" or "3 alerts".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// cell and prose bound what is printed of a value, in a table and elsewhere: JSON has all
// of it.
const cell, prose = 60, 1000

// shown is a value as a table shows it: an absent one is blank.
func shown(v alert.Value) string {
	if v.IsNull() {
		return ""
	}
	return shorten(v.String(), cell)
}
