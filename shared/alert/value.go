package alert

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Kind tells how a Value stands in JSON.
type Kind uint8

// The kinds of a value. Dates, times and bytes are Text in a fixed form.
const (
	Null Kind = iota
	Bool
	Number
	Text
	JSON
)

// A Value is one cell of a result, with every digit that the database gave.
// The zero Value is NULL.
type Value struct {
	kind Kind
	text string
}

// NullValue is SQL's NULL.
func NullValue() Value { return Value{} }

// BoolValue is true or false.
func BoolValue(b bool) Value { return Value{Bool, strconv.FormatBool(b)} }

// IntValue is a whole number.
func IntValue(n int64) Value { return Value{Number, strconv.FormatInt(n, 10)} }

// FloatValue is a floating-point number in its shortest form; NaN and infinities are text.
func FloatValue(f float64) Value { return NumberValue(strconv.FormatFloat(f, 'g', -1, 64)) }

var (
	numberPattern = regexp.MustCompile(`^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$`)
	jsonNumber    = regexp.MustCompile(`^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$`)
)

// NumberValue is a number as the database wrote it, to the last digit; a text that is
// no number (NaN, Infinity) becomes a text value.
func NumberValue(text string) Value {
	if !numberPattern.MatchString(text) {
		return TextValue(text)
	}
	return Value{Number, text}
}

// TextValue is a string. Bytes that are not UTF-8 become a bytes value.
func TextValue(s string) Value {
	if !utf8.ValidString(s) {
		return BytesValue([]byte(s))
	}
	return Value{Text, s}
}

// BytesValue is a byte string, written as \x and hexadecimal digits, as PostgreSQL does.
func BytesValue(b []byte) Value { return Value{Text, `\x` + hex.EncodeToString(b)} }

// TimeValue is an instant with its offset, in RFC 3339.
func TimeValue(t time.Time) Value { return Value{Text, t.Format(time.RFC3339Nano)} }

// JSONValue is an array, a document or another structured value. A text that is not
// JSON becomes a text value.
func JSONValue(raw []byte) Value {
	var out bytes.Buffer
	if json.Compact(&out, raw) != nil || !utf8.Valid(raw) {
		return TextValue(string(raw))
	}
	return Value{JSON, out.String()}
}

// Kind returns the value's kind.
func (v Value) Kind() Kind { return v.kind }

// IsNull tells whether the value is NULL.
func (v Value) IsNull() bool { return v.kind == Null }

// String is what a person reads: the database's own digits, NULL for NULL.
func (v Value) String() string {
	if v.kind == Null {
		return "NULL"
	}
	return v.text
}

// MarshalJSON writes the value; a number that a reader with 64-bit floats would change
// is written as a string.
func (v Value) MarshalJSON() ([]byte, error) {
	switch v.kind {
	case Null:
		return []byte("null"), nil
	case Bool, JSON:
		return []byte(v.text), nil
	case Number:
		if jsonNumber.MatchString(v.text) && survivesFloat(v.text) {
			return []byte(v.text), nil
		}
	}
	return marshalPlain(v.text)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (v *Value) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	switch {
	case len(data) == 0:
		return fmt.Errorf("a value is missing")
	case string(data) == "null":
		*v = Value{}
	case string(data) == "true" || string(data) == "false":
		*v = Value{Bool, string(data)}
	case data[0] == '"':
		v.kind = Text
		return json.Unmarshal(data, &v.text)
	case data[0] == '[' || data[0] == '{':
		*v = JSONValue(data)
	default:
		*v = NumberValue(string(data))
	}
	return nil
}

// survivesFloat tells whether a reader that keeps numbers as IEEE 754 doubles can write
// the same number again: 15 significant digits always survive, more may.
func survivesFloat(text string) bool {
	mantissa, _, _ := strings.Cut(strings.ToLower(text), "e")
	digits := strings.TrimLeft(strings.ReplaceAll(strings.TrimLeft(mantissa, "+-"), ".", ""), "0")
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return false
	}
	if len(digits) <= 15 {
		return f != 0 || digits == ""
	}
	exact, ok := new(big.Rat).SetString(text)
	if !ok {
		return false
	}
	shortest, ok := new(big.Rat).SetString(strconv.FormatFloat(f, 'g', -1, 64))
	return ok && shortest.Cmp(exact) == 0
}

// marshalPlain writes a JSON string without escaping <, > and &.
func marshalPlain(s string) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return nil, err
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}

// A Field is a named value.
type Field struct {
	Name  string
	Value Value
}

// Fields are named values in the order of their columns. In JSON they are one object
// that keeps the order.
type Fields []Field

// Get returns the value of the first field of that name, regardless of case.
func (f Fields) Get(name string) (Value, bool) {
	for _, field := range f {
		if strings.EqualFold(field.Name, name) {
			return field.Value, true
		}
	}
	return Value{}, false
}

// String lists the fields as name=value, comma-separated.
func (f Fields) String() string {
	parts := make([]string, len(f))
	for i, field := range f {
		parts[i] = field.Name + "=" + field.Value.String()
	}
	return strings.Join(parts, ", ")
}

// MarshalJSON writes an object in field order; no fields are an empty object.
func (f Fields) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, field := range f {
		if i > 0 {
			out.WriteByte(',')
		}
		name, err := marshalPlain(field.Name)
		if err != nil {
			return nil, err
		}
		value, err := field.Value.MarshalJSON()
		if err != nil {
			return nil, err
		}
		out.Write(name)
		out.WriteByte(':')
		out.Write(value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// UnmarshalJSON reads an object and keeps its order.
func (f *Fields) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	open, err := dec.Token()
	if err != nil {
		return err
	}
	*f = nil
	if open == nil {
		return nil
	}
	if open != json.Delim('{') {
		return fmt.Errorf("fields must be a JSON object")
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		var field Field
		field.Name, _ = name.(string)
		if err := dec.Decode(&field.Value); err != nil {
			return err
		}
		*f = append(*f, field)
	}
	_, err = dec.Token()
	return err
}
