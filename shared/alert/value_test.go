package alert_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

func TestAValueKeepsEveryDigitInJSON(t *testing.T) {
	for text, want := range map[string]string{
		"9500.00":               `9500.00`,
		"0.1":                   `0.1`,
		"-12":                   `-12`,
		"9007199254740992":      `9007199254740992`,
		"9007199254740993":      `"9007199254740993"`,
		"123456789012345678.25": `"123456789012345678.25"`,
		"1e400":                 `"1e400"`,
		"1e-400":                `"1e-400"`,
		"0.000":                 `0.000`,
		".5":                    `".5"`,
		"+1":                    `"+1"`,
		"007":                   `"007"`,
		"NaN":                   `"NaN"`,
		"0.30000000000000001":   `"0.30000000000000001"`,
		"18446744073709551615":  `"18446744073709551615"`,
		"0.1000000000000000055511151231257827021181583404541015625": `"0.1000000000000000055511151231257827021181583404541015625"`,
	} {
		value := alert.NumberValue(text)
		got, err := json.Marshal(value)
		require.NoError(t, err)
		require.Equal(t, want, string(got), text)
		require.Equal(t, text, value.String())
		var back alert.Value
		require.NoError(t, json.Unmarshal(got, &back))
		require.Equal(t, text, back.String(), "read back")
	}
}

func TestEveryKindOfValueSurvivesJSON(t *testing.T) {
	zone := time.FixedZone("", 2*3600)
	for _, c := range []struct {
		value alert.Value
		json  string
		text  string
	}{
		{alert.NullValue(), `null`, "NULL"},
		{alert.Value{}, `null`, "NULL"},
		{alert.BoolValue(true), `true`, "true"},
		{alert.BoolValue(false), `false`, "false"},
		{alert.IntValue(-3), `-3`, "-3"},
		{alert.FloatValue(0.1), `0.1`, "0.1"},
		{alert.TextValue(`a "b" c`), `"a \"b\" c"`, `a "b" c`},
		{alert.TextValue("\xff\x00"), `"\\xff00"`, `\xff00`},
		{alert.BytesValue([]byte{0, 171}), `"\\x00ab"`, `\x00ab`},
		{alert.TimeValue(time.Date(2026, 3, 2, 9, 0, 0, 123000, zone)), `"2026-03-02T09:00:00.000123+02:00"`, "2026-03-02T09:00:00.000123+02:00"},
		{alert.JSONValue([]byte(` [1, {"a": 12345678901234567890}] `)), `[1,{"a":12345678901234567890}]`, `[1,{"a":12345678901234567890}]`},
		{alert.JSONValue([]byte(`{oops`)), `"{oops"`, `{oops`},
	} {
		got, err := json.Marshal(c.value)
		require.NoError(t, err)
		require.Equal(t, c.json, string(got))
		require.Equal(t, c.text, c.value.String())
		var back alert.Value
		require.NoError(t, json.Unmarshal(got, &back))
		again, err := json.Marshal(back)
		require.NoError(t, err)
		require.Equal(t, c.json, string(again))
	}
}

func TestFieldsKeepTheOrderOfTheirColumns(t *testing.T) {
	fields := alert.Fields{{"zulu", alert.IntValue(1)}, {"alpha", alert.NullValue()}, {"<mike>", alert.JSONValue([]byte(`{"b":1,"a":[2]}`))}}
	text, err := json.Marshal(fields)
	require.NoError(t, err)
	var back alert.Fields
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, fields, back)
	require.Equal(t, "zulu=1, alpha=NULL, <mike>={\"b\":1,\"a\":[2]}", back.String())
	value, ok := back.Get("ZULU")
	require.True(t, ok)
	require.Equal(t, "1", value.String())
	_, ok = back.Get("none")
	require.False(t, ok)

	require.NoError(t, json.Unmarshal([]byte(`null`), &back))
	require.Nil(t, back)
	require.Error(t, json.Unmarshal([]byte(`[1]`), &back))
	require.Error(t, json.Unmarshal([]byte(`{"a":`), &back))
	empty, err := json.Marshal(alert.Fields(nil))
	require.NoError(t, err)
	require.JSONEq(t, `{}`, string(empty))
}

func TestDurationsAndCountsAreReadAndWrittenAlike(t *testing.T) {
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "15m": 15 * time.Minute, "2d": 48 * time.Hour, "1h30m": 90 * time.Minute, "250ms": 250 * time.Millisecond} {
		got, err := alert.ParseDuration(text)
		require.NoError(t, err)
		require.Equal(t, want, got.Std())
		again, err := alert.ParseDuration(got.String())
		require.NoError(t, err)
		require.Equal(t, got, again)
	}
	for _, bad := range []string{"", "5", "m", "-5m", "1.5h", "99999d", "5 m", "1w", "9223372036854775807d"} {
		_, err := alert.ParseDuration(bad)
		require.Error(t, err, bad)
	}
	for text, want := range map[string]alert.Count{"3 runs": {Runs: 3}, "1 run": {Runs: 1}, "2": {Runs: 2}, "15m": {Span: alert.Duration(15 * time.Minute)}} {
		got, err := alert.ParseCount(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
		encoded, err := json.Marshal(got)
		require.NoError(t, err)
		var back alert.Count
		require.NoError(t, json.Unmarshal(encoded, &back))
		require.Equal(t, got, back)
	}
	for _, bad := range []string{"", "0 runs", "0", "30s", "-1 runs", "2000000 runs", "three runs"} {
		_, err := alert.ParseCount(bad)
		require.Error(t, err, bad)
	}
	var none alert.Count
	require.NoError(t, json.Unmarshal([]byte(`""`), &none))
	require.True(t, none.IsZero())
	require.Equal(t, "0s", alert.Duration(0).String())
	require.Equal(t, "-1m", alert.Duration(-time.Minute).String())
	require.Equal(t, "1µs", alert.Duration(time.Microsecond).String())
}
