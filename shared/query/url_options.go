package query

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
)

// urlOptions reads the part of a URL after the question mark. Only known names are
// allowed, each once; an error names them and repeats no value.
func urlOptions(u *url.URL, known []string) (map[string]string, error) {
	given, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("the part of the URL after ? cannot be read; percent-encode special characters, such as %26 for &")
	}
	out := make(map[string]string, len(given))
	for name, values := range given {
		if !slices.Contains(known, name) {
			return nil, unknownParameter(name, known...)
		}
		if len(values) > 1 {
			return nil, fmt.Errorf("the URL has %s twice; keep one", name)
		}
		out[name] = values[0]
	}
	return out, nil
}
