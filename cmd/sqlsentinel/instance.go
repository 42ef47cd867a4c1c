package main

import (
	"slices"
	"strings"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// parseInstance reads COLUMN=VALUE for every column of an alert's key, each given by a
// flag of its own or several between commas. It returns the values as written, by the key's order.
func parseInstance(x alert.Alert, flags []string) ([]string, error) {
	if len(x.Key) == 0 {
		return nil, usagef("%q has no `key`, and so no instances; leave --instance out", x.Name)
	}
	values := make([]*string, len(x.Key))
	for _, flag := range flags {
		for _, pair := range splitPairs(flag, x.Key) {
			name, value, found := strings.Cut(pair, "=")
			if !found {
				return nil, usagef("--instance %q is not COLUMN=VALUE", pair)
			}
			i := slices.IndexFunc(x.Key, func(k string) bool { return strings.EqualFold(k, strings.TrimSpace(name)) })
			if i < 0 {
				return nil, usagef("%q is not in the key of %q, which is %s", name, x.Name, strings.Join(x.Key, ", "))
			}
			if values[i] != nil {
				return nil, usagef("--instance gives %s twice", x.Key[i])
			}
			values[i] = &value
		}
	}
	out := make([]string, len(values))
	for i, v := range values {
		if v == nil {
			return nil, usagef("--instance must name every column of the key of %q; %s is missing", x.Name, x.Key[i])
		}
		out[i] = *v
	}
	return out, nil
}

// splitPairs splits at commas that a column of the key and = follow; others belong to a value.
func splitPairs(text string, key []string) []string {
	var out []string
	for _, part := range strings.Split(text, ",") {
		name, _, found := strings.Cut(part, "=")
		begins := found && slices.ContainsFunc(key, func(k string) bool { return strings.EqualFold(k, strings.TrimSpace(name)) })
		if len(out) > 0 && !begins {
			out[len(out)-1] += "," + part
			continue
		}
		out = append(out, part)
	}
	return out
}

// sameInstance tells whether a key has values that read like the texts.
func sameInstance(key alert.Fields, texts []string) bool {
	if len(key) != len(texts) {
		return false
	}
	for i, f := range key {
		if f.Value.String() != texts[i] {
			return false
		}
	}
	return true
}

// instanceSilences are a silence for the instance that reads like the texts. If state does
// not know it, its values' types are not known either: then there is one for every reading.
func instanceSilences(silence alert.Silence, x alert.Alert, texts []string, state alert.State) []alert.Silence {
	var keys []alert.Fields
	for _, i := range state.Instances {
		if sameInstance(i.Key, texts) {
			keys = append(keys, i.Key)
		}
	}
	if len(keys) == 0 {
		keys = readings(x.Key, texts)
	}
	slices.SortFunc(keys, func(a, b alert.Fields) int { return strings.Compare(alert.InstanceID(a), alert.InstanceID(b)) })
	out := make([]alert.Silence, len(keys))
	for i, key := range keys {
		id := alert.InstanceID(key)
		out[i] = silence
		out[i].Instance, out[i].Label = &id, key
	}
	return out
}

// maxReadings bounds the readings of one instance.
const maxReadings = 16

// readings are the keys that read like the texts: 7 may be a number or a text.
func readings(columns, texts []string) []alert.Fields {
	out := []alert.Fields{{}}
	for i, column := range columns {
		var next []alert.Fields
		for _, v := range valuesOf(texts[i]) {
			for _, key := range out {
				next = append(next, append(slices.Clone(key), alert.Field{Name: column, Value: v}))
			}
		}
		out = next[:min(len(next), maxReadings)]
	}
	return out
}

// valuesOf are the values that read like a text.
func valuesOf(text string) []alert.Value {
	switch text {
	case "NULL":
		return []alert.Value{alert.NullValue()}
	case "true", "false":
		return []alert.Value{alert.TextValue(text), alert.BoolValue(text == "true")}
	}
	if n := alert.NumberValue(text); n.Kind() == alert.Number {
		return []alert.Value{alert.TextValue(text), n}
	}
	return []alert.Value{alert.TextValue(text)}
}
