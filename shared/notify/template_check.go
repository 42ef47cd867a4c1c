package notify

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// fieldNames lists what a template can name: the standard payload and event_action.
func fieldNames() []string {
	names := []string{"event_action"}
	kind := reflect.TypeFor[alert.Message]()
	for i := range kind.NumField() {
		name, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// dotted are the fields whose parts a template can name: {context.region}.
func dotted(name string) bool { return name == "context" || name == "labels" || name == "instance" }

// checkText tells what is wrong with a string of a template: braces, or a field that no
// message has.
func checkText(text string) error {
	pieces, err := split(text)
	if err != nil {
		return err
	}
	known := fieldNames()
	for _, p := range pieces {
		if p.kind != field {
			continue
		}
		name, part, hasPart := strings.Cut(p.text, ".")
		if !slices.Contains(known, name) || hasPart && (!dotted(name) || part == "") {
			return fmt.Errorf("there is no field {%s}%s; write {{ for a brace", cut(line(p.text), 60), nearest(p.text, known))
		}
	}
	return nil
}

// nearest says which of the known words was probably meant.
func nearest(word string, known []string) string {
	head, part, hasPart := strings.Cut(word, ".")
	best, distance := "", 1+max(2, len(head)/3)
	for _, k := range known {
		if d := levenshtein.ComputeDistance(strings.ToLower(cut(head, 60)), k); d < distance {
			best, distance = k, d
		}
	}
	switch {
	case best == "":
		return " (there are " + strings.Join(known, ", ") + ")"
	case hasPart && dotted(best) && part != "":
		return fmt.Sprintf("; did you mean {%s.%s}?", best, cut(line(part), 60))
	}
	return fmt.Sprintf("; did you mean {%s}?", best)
}

// checkPayload tells what is wrong with a template.
func checkPayload(path string, template json.RawMessage, env alert.Lookup) []alert.SettingProblem {
	if len(template) == 0 {
		return nil
	}
	value, err := readJSON(template)
	if err != nil {
		return []alert.SettingProblem{problem(path, "is not JSON: %s", err)}
	}
	if value == nil {
		return []alert.SettingProblem{problem(path, "is empty; leave it out for the standard payload")}
	}
	return checkValue(path, value, env)
}

func checkValue(path string, v any, env alert.Lookup) []alert.SettingProblem {
	var out []alert.SettingProblem
	switch x := v.(type) {
	case string:
		return checkTemplate(path, x, env)
	case []any:
		for i := range x {
			out = append(out, checkValue(fmt.Sprintf("%s[%d]", path, i), x[i], env)...)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(x)) {
			out = append(out, checkValue(path+"."+key, x[key], env)...)
		}
	}
	return out
}

// checkTemplate checks one string: its fields, then its references.
func checkTemplate(path, text string, env alert.Lookup) []alert.SettingProblem {
	if err := checkText(text); err != nil {
		return []alert.SettingProblem{problem(path, "%s", err)}
	}
	return checkReferences(path, text, env)
}

func checkReferences(path, text string, env alert.Lookup) []alert.SettingProblem {
	if _, err := alert.Expand(text, env); err != nil {
		return []alert.SettingProblem{problem(path, "%s", err)}
	}
	return nil
}
