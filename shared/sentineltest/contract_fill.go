package sentineltest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// A filler gives every exported field of a value a content of its own, so that a field
// that a store forgets is seen, also one that is added later.
type filler struct {
	testing.TB
	n   int
	now time.Time
}

// awkward are cells whose every digit and sign must survive.
func awkward() []alert.Value {
	return []alert.Value{
		alert.NumberValue("123456789012345678901234567890.123456789000"), alert.NumberValue("0.10"), alert.NumberValue("-1e-300"),
		alert.IntValue(9223372036854775807), alert.TextValue("NaN é \u2028 \x00 </script> & \"quoted\" \U0001F4A3"), alert.TextValue(""),
		alert.BoolValue(false), alert.NullValue(), alert.BytesValue([]byte{0, 255}), alert.JSONValue([]byte(`{"b":[1.50,null],"a":"x"}`)),
		alert.TimeValue(time.Date(2026, 3, 29, 2, 30, 0, 123456789, time.FixedZone("", 3600))),
	}
}

func fill[T any](t testing.TB, now time.Time) T {
	t.Helper()
	var out T
	f := &filler{TB: t, now: now}
	f.value(reflect.ValueOf(&out).Elem())
	return out
}

func (f *filler) value(v reflect.Value) {
	f.n++
	if f.special(v) {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d 'é\" ${NAME} <", f.n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(f.n))
	case reflect.Float64:
		v.SetFloat(float64(f.n) + 0.25)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.value(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		f.value(v.Index(0))
		f.value(v.Index(1))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 2 {
			key, item := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			f.value(key)
			f.value(item)
			v.SetMapIndex(key, item)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f.value(v.Field(i))
		}
	default:
		f.Fatalf("fill a %s: the filler of the contract does not know it", v.Type())
	}
}

// special fills what is not filled by its kind.
func (f *filler) special(v reflect.Value) bool {
	var content any
	switch v.Interface().(type) {
	case time.Time:
		content = f.now.Add(time.Duration(f.n) * time.Second)
	case alert.Duration:
		content = alert.Duration(time.Duration(f.n) * time.Second)
	case alert.Count:
		content = alert.Count{Runs: f.n}
	case json.RawMessage:
		content = json.RawMessage(fmt.Sprintf(`{"url":"${SECRET_%d}","n":1.50}`, f.n))
	case alert.Value:
		content = awkward()[f.n%len(awkward())]
	case alert.Fields:
		fields := alert.Fields{}
		for i, value := range awkward() {
			fields = append(fields, alert.Field{Name: fmt.Sprintf("column %d", i), Value: value})
		}
		content = fields
	default:
		return false
	}
	v.Set(reflect.ValueOf(content))
	return true
}
