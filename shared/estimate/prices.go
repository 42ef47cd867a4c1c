package estimate

import (
	"bytes"
	_ "embed" // the prices
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
)

// Prices are what AWS takes and what it allows, in one region, on one date.
type Prices struct {
	// Date is when they were known, as 2026-11-27; Source says by whom.
	Date   string `json:"date"`
	Region string `json:"region"`
	Source string `json:"source"`
	// Prices are in dollars, by what is priced.
	Prices map[string]float64 `json:"prices"`
	// Quotas are those of the account, by name.
	Quotas map[string]float64 `json:"quotas"`
}

//go:embed prices.json
var listed []byte

// ListPrices are those that come with the program.
func ListPrices() (Prices, error) {
	var p Prices
	if err := json.Unmarshal(listed, &p); err != nil {
		return p, fmt.Errorf("read the prices of the program: %w", err)
	}
	return p, nil
}

// ReadPrices reads prices of the user's own over those of the program: what a file does not
// name stays. The file says its date and region.
func ReadPrices(data []byte) (Prices, error) {
	out, err := ListPrices()
	if err != nil {
		return out, err
	}
	var own Prices
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&own); err != nil {
		return out, fmt.Errorf("it is no JSON object of date, region, source, prices and quotas: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return out, errors.New("it holds more than one JSON object")
	}
	var wrong []string
	if own.Date == "" {
		wrong = append(wrong, `"date" is missing; say when the prices were looked up`)
	}
	if own.Region == "" {
		wrong = append(wrong, `"region" is missing; say where the prices hold`)
	}
	wrong = append(wrong, replace(out.Prices, own.Prices, "prices", 0)...)
	wrong = append(wrong, replace(out.Quotas, own.Quotas, "quotas", math.SmallestNonzeroFloat64)...)
	if len(wrong) > 0 {
		return out, errors.New(strings.Join(wrong, "; "))
	}
	out.Date, out.Region, out.Source = own.Date, own.Region, own.Source
	return out, nil
}

// replace puts a user's numbers in place of ours. It says which are wrong.
func replace(ours, own map[string]float64, what string, least float64) []string {
	var wrong []string
	for _, name := range slices.Sorted(maps.Keys(own)) {
		_, known := ours[name]
		switch {
		case !known:
			wrong = append(wrong, fmt.Sprintf("%s: there is no %q; there are %s", what, name, strings.Join(slices.Sorted(maps.Keys(ours)), ", ")))
		case own[name] < least && least > 0:
			wrong = append(wrong, fmt.Sprintf("%s: %s is %v; it must be above 0", what, name, own[name]))
		case own[name] < 0:
			wrong = append(wrong, fmt.Sprintf("%s: %s is %v; it must not be below 0", what, name, own[name]))
		default:
			ours[name] = own[name]
		}
	}
	return wrong
}
