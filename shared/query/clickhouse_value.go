package query

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// clickhouseValue maps a value by its type as ClickHouse writes it, such as
// Array(Nullable(Decimal(10, 2))), for the driver's own types lose digits and parts.
func clickhouseValue(kind string, cell any) alert.Value {
	name, arguments := clickhouseType(kind)
	switch name {
	case "LowCardinality", "Nullable":
		return clickhouseValue(arguments[0], cell)
	case "SimpleAggregateFunction":
		return clickhouseValue(arguments[len(arguments)-1], cell)
	}
	v := reflect.ValueOf(cell)
	for v.IsValid() && v.Kind() == reflect.Pointer {
		if _, ok := v.Interface().(json.Marshaler); ok && name == "JSON" {
			break
		}
		v = v.Elem()
	}
	if !v.IsValid() || v.Kind() == reflect.Interface && v.IsNil() {
		return alert.NullValue()
	}
	cell = v.Interface()
	switch name {
	case "Decimal", "Decimal32", "Decimal64", "Decimal128", "Decimal256":
		return alert.NumberValue(withScale(fmt.Sprint(cell), arguments))
	case "Array":
		return clickhouseList(v, func(int) string { return arguments[0] })
	case "Nested":
		return clickhouseList(v, func(int) string { return "Tuple(" + strings.Join(arguments, ", ") + ")" })
	case "Map":
		return clickhouseMap(v, arguments)
	case "Tuple":
		return clickhouseTuple(v, arguments)
	}
	return clickhouseSingle(name, cell)
}

// clickhouseType takes a type apart into its name and arguments.
func clickhouseType(kind string) (name string, arguments []string) {
	name, rest, ok := strings.Cut(kind, "(")
	if !ok {
		return kind, nil
	}
	rest = strings.TrimSuffix(rest, ")")
	depth, from, quote := 0, 0, byte(0)
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case quote != 0:
			switch c {
			case '\\':
				i++
			case quote:
				quote = 0
			}
		case c == '\'' || c == '`' || c == '"':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			arguments = append(arguments, strings.TrimSpace(rest[from:i]))
			from = i + 1
		}
	}
	return name, append(arguments, strings.TrimSpace(rest[min(from, len(rest)):]))
}

// withScale gives a decimal the zeros of its type, which the driver drops.
func withScale(text string, arguments []string) string {
	scale, err := strconv.Atoi(arguments[max(len(arguments)-1, 0)])
	if err != nil || scale <= 0 || scale > 76 {
		return text
	}
	whole, fraction, _ := strings.Cut(text, ".")
	if len(fraction) >= scale {
		return text
	}
	return whole + "." + fraction + strings.Repeat("0", scale-len(fraction))
}

func clickhouseList(v reflect.Value, kind func(int) string) alert.Value {
	if v.Kind() != reflect.Slice && v.Kind() != reflect.Array {
		return alert.TextValue(fmt.Sprint(v.Interface()))
	}
	var out bytes.Buffer
	out.WriteByte('[')
	for i := range v.Len() {
		if i > 0 {
			out.WriteByte(',')
		}
		writeJSON(&out, clickhouseValue(kind(i), v.Index(i).Interface()))
	}
	out.WriteByte(']')
	return alert.JSONValue(out.Bytes())
}

func writeJSON(out *bytes.Buffer, v alert.Value) {
	encoded, err := v.MarshalJSON()
	if err != nil {
		encoded = []byte("null") // a value that has no JSON does not exist
	}
	out.Write(encoded)
}

// clickhouseMap writes a map in the order of its keys: the driver does not keep the server's.
func clickhouseMap(v reflect.Value, arguments []string) alert.Value {
	if v.Kind() != reflect.Map || len(arguments) != 2 {
		return alert.TextValue(fmt.Sprint(v.Interface()))
	}
	fields := alert.Fields{}
	for it := v.MapRange(); it.Next(); {
		fields = append(fields, alert.Field{Name: clickhouseValue(arguments[0], it.Key().Interface()).String(), Value: clickhouseValue(arguments[1], it.Value().Interface())})
	}
	slices.SortFunc(fields, func(a, b alert.Field) int { return strings.Compare(a.Name, b.Name) })
	return clickhouseObject(fields)
}

// clickhouseTuple writes a tuple as an array, and one with names as an object.
func clickhouseTuple(v reflect.Value, arguments []string) alert.Value {
	if v.Kind() != reflect.Map {
		return clickhouseList(v, func(i int) string {
			if i < len(arguments) {
				return arguments[i]
			}
			return ""
		})
	}
	fields := alert.Fields{}
	for _, argument := range arguments {
		name, kind, _ := strings.Cut(argument, " ")
		name = strings.Trim(name, "`")
		if field := v.MapIndex(reflect.ValueOf(name)); field.IsValid() {
			fields = append(fields, alert.Field{Name: name, Value: clickhouseValue(kind, field.Interface())})
		}
	}
	return clickhouseObject(fields)
}

func clickhouseObject(fields alert.Fields) alert.Value {
	encoded, err := fields.MarshalJSON()
	if err != nil {
		return alert.TextValue(fields.String())
	}
	return alert.JSONValue(encoded)
}

// clickhouseSingle maps a value that holds no others.
func clickhouseSingle(name string, cell any) alert.Value {
	switch v := cell.(type) {
	case bool:
		return alert.BoolValue(v)
	case int8, int16, int32, int64, int, uint8, uint16, uint32, uint64, uint:
		return alert.NumberValue(fmt.Sprint(v))
	case big.Int:
		return alert.NumberValue(v.String())
	case float32:
		return floatValue(float64(v), 32)
	case float64:
		return floatValue(v, 64)
	case time.Duration: // Time and Time64
		return alert.TextValue(clockText(v))
	case time.Time:
		if strings.HasPrefix(name, "Date") && !strings.HasPrefix(name, "DateTime") {
			return alert.TextValue(v.Format(time.DateOnly))
		}
		return alert.TimeValue(v)
	case string:
		return alert.TextValue(v)
	case net.IP:
		return alert.TextValue(v.String())
	case []byte:
		return alert.BytesValue(v)
	case json.Marshaler:
		if encoded, err := v.MarshalJSON(); err == nil {
			return alert.JSONValue(encoded)
		}
	case fmt.Stringer:
		return alert.TextValue(v.String())
	}
	if encoded, err := json.Marshal(cell); err == nil {
		return alert.JSONValue(encoded)
	}
	return alert.TextValue(fmt.Sprint(cell))
}

// clockText writes a time of day, which may be negative and beyond a day.
func clockText(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	text := fmt.Sprintf("%s%02d:%02d:%02d", sign, int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
	if fraction := d % time.Second; fraction != 0 {
		text += strings.TrimRight(fmt.Sprintf(".%09d", fraction), "0")
	}
	return text
}
