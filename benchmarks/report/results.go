// Package report keeps what was measured in one JSON file, and makes the page, its tables and
// its charts of that file alone: no number of the page is written by hand.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
)

// Results are the sections that were measured, by name.
type Results struct {
	Sections map[string]Section `json:"sections"`
}

// Section is one group of measurements, made in one go on one machine.
type Section struct {
	Measured string            `json:"measured"`
	Seconds  float64           `json:"seconds"`
	Machine  Machine           `json:"machine"`
	Rounds   int               `json:"rounds"`
	Versions map[string]string `json:"versions,omitempty"`
	Bars     []Bar             `json:"bars,omitempty"`
	Curves   []Curve           `json:"curves,omitempty"`
}

// Machine is where something was measured, and with what.
type Machine struct {
	Version   string `json:"version"`
	Go        string `json:"go"`
	System    string `json:"system"`
	Processor string `json:"processor"`
	Memory    string `json:"memory"`
	Fsync     string `json:"fsync"`
}

// Bar is a limit, and whether what was measured keeps to it.
type Bar struct {
	What     string `json:"what"`
	Measured string `json:"measured"`
	Limit    string `json:"limit"`
	Met      bool   `json:"met"`
}

// Curve is one measure over a number of alerts; the curves of one table share a unit.
type Curve struct {
	Table  string  `json:"table"`
	Name   string  `json:"name"`
	Unit   string  `json:"unit"`
	Points []Point `json:"points"`
}

// Point is a value at a number of alerts.
type Point struct {
	Alerts int     `json:"alerts"`
	Value  float64 `json:"value"`
}

// Add notes a value with three digits, in the curve of that table and name.
func (s *Section) Add(table, name, unit string, alerts int, value float64) {
	point := Point{Alerts: alerts, Value: digits(value)}
	for i := range s.Curves {
		if c := &s.Curves[i]; c.Table == table && c.Name == name {
			c.Points = append(c.Points, point)
			return
		}
	}
	s.Curves = append(s.Curves, Curve{Table: table, Name: name, Unit: unit, Points: []Point{point}})
}

// digits rounds to three significant digits, so that the file changes only where it means something.
func digits(value float64) float64 {
	if value == 0 {
		return 0
	}
	scale := math.Pow(10, 2-math.Floor(math.Log10(math.Abs(value))))
	return math.Round(value*scale) / scale
}

// number shows a value as people write it: 0.0124, 3.5, 1,240.
func number(value float64) string {
	if value < 1000 {
		return strconv.FormatFloat(digits(value), 'f', -1, 64)
	}
	return grouped(int(math.Round(value)))
}

// grouped writes a number with a comma before each three digits.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Load reads a file of results; a file that is not there has none.
func Load(path string) (Results, error) {
	r := Results{Sections: map[string]Section{}}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("read the results: %w", err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("read the results in %s: %w", path, err)
	}
	return r, nil
}

// Merge puts one section into the file, in the place of an older one of its name.
func Merge(path, name string, s Section) error {
	r, err := Load(path)
	if err != nil {
		return err
	}
	r.Sections[name] = s
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	return nil
}
