package main

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// choose gives the alerts that --alert names, in the order of the file; all if it names none.
func choose(alerts []alert.Alert, patterns []string) ([]alert.Alert, error) {
	if len(patterns) == 0 {
		return alerts, nil
	}
	chosen := make([]bool, len(alerts))
	for _, pattern := range patterns {
		if err := mark(alerts, pattern, chosen); err != nil {
			return nil, err
		}
	}
	var out []alert.Alert
	for i, yes := range chosen {
		if yes {
			out = append(out, alerts[i])
		}
	}
	return out, nil
}

// mark chooses the alert of that very name, else those that the glob matches.
func mark(alerts []alert.Alert, pattern string, chosen []bool) error {
	for i, x := range alerts {
		if x.Name == pattern {
			chosen[i] = true
			return nil
		}
	}
	found := false
	for i, x := range alerts {
		match, err := path.Match(flat(pattern), flat(x.Name))
		if err != nil {
			return usagef("%q is not a pattern: a bracket is not closed, or a backslash ends it", pattern)
		}
		if match {
			chosen[i], found = true, true
		}
	}
	if !found {
		return unknown("alert", pattern, names(alerts))
	}
	return nil
}

// flat takes a name's slashes out of the way, for they separate nothing here.
func flat(name string) string { return strings.ReplaceAll(name, "/", "\x00") }

func names(alerts []alert.Alert) []string {
	out := make([]string, len(alerts))
	for i, x := range alerts {
		out[i] = x.Name
	}
	return out
}

// unknown is the error for a name that does not exist, with what was probably meant.
func unknown(what, name string, known []string) error {
	near := nearest(name, known)
	switch {
	case near != "":
		return usagef("there is no %s %q; did you mean %q?", what, name, near)
	case len(known) == 0:
		return usagef("there is no %s %q", what, name)
	case len(known) <= 10:
		return usagef("there is no %s %q; there are: %s", what, name, strings.Join(known, ", "))
	}
	return usagef("there is no %s %q", what, name)
}

// nearest is the known name most like a wrong one; empty if none is.
func nearest(name string, known []string) string {
	lower := strings.ToLower(name)
	distance := func(other string) int {
		other = strings.ToLower(other)
		if len(lower) >= 3 && strings.Contains(other, lower) {
			return 1
		}
		return levenshtein.ComputeDistance(lower, other)
	}
	if len(known) == 0 || len(name) > 200 {
		return ""
	}
	best := slices.MinFunc(known, func(x, y string) int { return cmp.Compare(distance(x), distance(y)) })
	if distance(best) > max(2, len(name)/3) {
		return ""
	}
	return best
}
