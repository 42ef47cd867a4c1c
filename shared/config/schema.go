package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// object is a JSON object under construction.
type object = map[string]any

// Schema writes the JSON Schema (draft 2020-12) of the alert file. The keys of a channel
// come from the struct that the parser reads its settings by.
func Schema(o Options) ([]byte, error) {
	root := object{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"title":   "SQL Sentinel alert file",
		"type":    "object", "required": []string{"alerts"}, "additionalProperties": false,
		"patternProperties": object{"^x-": true},
		"properties":        rootSchema(),
		"$defs":             defsSchema(o),
	}
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the schema: %w", err)
	}
	return append(text, '\n'), nil
}

func text(doc string) object    { return object{"type": "string", "description": doc} }
func ref(name string) object    { return object{"$ref": "#/$defs/" + name} }
func listOf(item object) object { return object{"type": "array", "minItems": 1, "items": item} }

func strict(properties object, required ...string) object {
	out := object{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

func rootSchema() object {
	return object{
		"name":      text("The scope of the file's state; default: the file's base name without extension"),
		"database":  ref("database"),
		"databases": object{"type": "object", "additionalProperties": ref("database")},
		"channels":  object{"type": "object", "additionalProperties": ref("target"), "description": "Targets by name"},
		"defaults":  ref("defaults"),
		"owners":    ref("targets"),
		"heartbeat": strict(object{"url": text("Where an outside service waits for a sign of life"), "every": ref("duration")}, "url"),
		"retention": ref("duration"),
		"alerts":    listOf(ref("alert")),
	}
}

func defsSchema(o Options) object {
	fields := alertSchema()
	defaults := object{}
	for name, schema := range fields {
		defaults[name] = schema
	}
	targets := []any{}
	for _, c := range o.Channels {
		targets = append(targets, channelSchema(c))
	}
	return object{
		"duration": object{"type": "string", "pattern": `^(\d+(ms|s|m|h|d))+$`, "description": "A number and a unit: 90s, 15m, 4h, 7d"},
		"count":    object{"type": []string{"string", "integer"}, "description": "A number of runs or a duration: 3 runs, 15m"},
		"database": strict(object{
			"url": text("How to reach the database; write ${NAME} for the password"), "timeout": ref("duration"),
			"max_connections":  object{"type": "integer", "minimum": 1, "maximum": 1000},
			"max_bytes_billed": object{"type": []string{"string", "integer"}, "description": "The most that BigQuery may bill a query for: 500MB, 10GB, 10GiB"},
			"price_per_tib":    object{"type": "number", "minimum": 0, "description": "What BigQuery takes for a TiB, in US dollars; default 6.25"},
		}, "url"),
		"alert":    strict(fields, "name", "schedule"),
		"defaults": strict(defaults),
		"target":   object{"anyOf": targets},
		"targets":  object{"type": "array", "items": object{"anyOf": []any{text("The name of an entry of channels"), ref("target")}}},
	}
}

func alertSchema() object {
	step := strict(object{"after": ref("count"), "notify": ref("targets")}, "after", "notify")
	return object{
		"name":          text("Unique in the file"),
		"description":   text("What it means that this alerts"),
		"severity":      object{"enum": []string{"critical", "warning", "info"}},
		"runbook_url":   text("Where to read what to do"),
		"labels":        object{"type": "object", "additionalProperties": object{"type": []string{"string", "number"}}},
		"query":         text("SQL that returns status (ALERT or OK), and perhaps actual_value, threshold and context"),
		"query_file":    text("A file with the query, relative to this one"),
		"params":        object{"type": "boolean", "description": "Bind :scheduled_time and :previous_time in the query"},
		"database":      text("An entry of databases"),
		"schedule":      text("Unix cron, five fields, or @daily and its kin"),
		"timezone":      text("IANA name; default UTC"),
		"enabled":       object{"type": "boolean"},
		"for":           ref("count"),
		"recover_after": ref("count"),
		"remind_every":  ref("duration"),
		"on_no_data":    object{"enum": []string{"error", "ok", "alert", "keep"}},
		"on_error":      strict(object{"after": ref("count"), "notify": object{"anyOf": []any{object{"const": "owners"}, ref("targets")}}}),
		"key":           listOf(object{"type": "string"}),
		"escalate":      listOf(step),
		"timeout":       ref("duration"),
		"notify":        ref("targets"),
	}
}

// channelSchema allows a channel's settings flat and under config.
func channelSchema(c Channel) object {
	settings := structSchema(reflect.TypeOf(c.Settings()).Elem())
	events := object{"enum": alert.Events}
	common := object{
		"events": listOf(events), "per_instance": object{"type": "boolean"}, "attempts": object{"type": "integer", "minimum": 1, "maximum": 20},
		"backoff": ref("duration"), "timeout": ref("duration"), "give_up_after": ref("duration"),
	}
	nested, flat := object{}, object{"channel": object{"const": c.Name()}}
	for _, part := range []object{common, settings} {
		for name, schema := range part {
			nested[name], flat[name] = schema, schema
		}
	}
	flat["config"] = strict(nested)
	return strict(flat, "channel")
}

// structSchema lists the settings of a struct, its aliases too.
func structSchema(kind reflect.Type) object {
	out := object{}
	for i := range kind.NumField() {
		f := kind.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		schema := typeSchema(f.Type)
		if f.Tag.Get("file") != "" {
			schema = object{}
		}
		if doc := f.Tag.Get("doc"); doc != "" {
			schema["description"] = doc
		}
		for _, each := range append(strings.Split(f.Tag.Get("alias"), ","), name) {
			if each != "" {
				out[each] = schema
			}
		}
	}
	return out
}

func typeSchema(kind reflect.Type) object {
	if kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	switch kind.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		if kind == reflect.TypeFor[alert.Duration]() {
			return ref("duration")
		}
		return object{"type": "integer"}
	case reflect.Slice:
		return listOf(typeSchema(kind.Elem()))
	case reflect.Map:
		return object{"type": "object", "additionalProperties": typeSchema(kind.Elem())}
	case reflect.Struct:
		return strict(structSchema(kind))
	}
	return object{"type": []string{"string", "number"}}
}
