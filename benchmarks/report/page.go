package report

import (
	_ "embed"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"text/template"
)

//go:embed page.md.tmpl
var pageTemplate string

// Ours is the name under which SQL Sentinel stands beside other programs.
const Ours = "SQL Sentinel"

// OrderRows is the size of the table that the alerts read.
const OrderRows = 10_000

// Names are the sections, in the order of the page.
func Names() []string {
	return []string{"run", "scale", "others", "deliveries", "soak", "idle", "functions"}
}

// Page is the whole page, in Markdown.
func Page(r Results) (string, error) {
	functions := template.FuncMap{
		"when":    func(name string) (string, error) { return when(r, name) },
		"bars":    func(name string) string { return barTable(r.Sections[name].Bars) },
		"table":   func(section, table, first string) string { return curveTable(r.Sections[section].Curves, table, first) },
		"rows":    func() string { return grouped(OrderRows) },
		"minutes": func() string { return minutes(r) },
		"lost":    func() string { return lost(r) },
		"used":    func(program string) string { return r.Sections["others"].Versions[program] },
	}
	page, err := template.New("page.md.tmpl").Funcs(functions).Parse(pageTemplate)
	if err != nil {
		return "", fmt.Errorf("read the template of the page: %w", err)
	}
	var out strings.Builder
	if err := page.Execute(&out, r); err != nil {
		return "", fmt.Errorf("make the page: %w", err)
	}
	return out.String(), nil
}

// when says when and where a section was measured.
func when(r Results, name string) (string, error) {
	s, ok := r.Sections[name]
	if !ok {
		return "", fmt.Errorf("section %s is not measured: make bench ONLY=%s", name, name)
	}
	m, rounds := s.Machine, fmt.Sprintf("medians of %d rounds", s.Rounds)
	if s.Rounds == 1 {
		rounds = "once"
	}
	text := fmt.Sprintf("Measured %s in %s s, %s, on %s, %s of memory, %s, fsync of 4 KiB %s; SQL Sentinel %s, %s",
		s.Measured, number(s.Seconds), rounds, m.Processor, m.Memory, m.System, m.Fsync, m.Version, m.Go)
	for _, program := range slices.Sorted(maps.Keys(s.Versions)) {
		text += ", " + program + " " + s.Versions[program]
	}
	return "*" + text + ".*", nil
}

// minutes is how long all sections took together.
func minutes(r Results) string {
	var seconds float64
	for _, s := range r.Sections {
		seconds += s.Seconds
	}
	return number(math.Round(seconds / 60))
}

func barTable(bars []Bar) string {
	rows := []string{"| what | measured | bar | |", "| --- | --- | --- | --- |"}
	for _, b := range bars {
		verdict := "met"
		if !b.Met {
			verdict = "**missed**"
		}
		rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s |", b.What, b.Measured, b.Limit, verdict))
	}
	return strings.Join(rows, "\n")
}

// curveTable has a row for each number of alerts and a column for each curve.
func curveTable(curves []Curve, table, first string) string {
	head, rule := "| "+first+" |", "| --: |"
	var counts []int
	var chosen []Curve
	for _, c := range curves {
		if c.Table != table {
			continue
		}
		chosen = append(chosen, c)
		head, rule = head+" "+c.Name+" |", rule+" --: |"
		for _, p := range c.Points {
			if !slices.Contains(counts, p.Alerts) {
				counts = append(counts, p.Alerts)
			}
		}
	}
	slices.Sort(counts)
	rows := []string{head, rule}
	for _, n := range counts {
		row := "| " + grouped(n) + " |"
		if n == 0 {
			row = "| none |"
		}
		for _, c := range chosen {
			cell := "–"
			if value, ok := c.at(n); ok {
				cell = number(value) + " " + c.Unit
			}
			row += " " + cell + " |"
		}
		rows = append(rows, row)
	}
	return strings.Join(rows, "\n")
}

func (c Curve) at(alerts int) (float64, bool) {
	for _, p := range c.Points {
		if p.Alerts == alerts {
			return p.Value, true
		}
	}
	return 0, false
}

// lost lists every bar that is missed, and every comparison that another program wins.
func lost(r Results) string {
	var out []string
	for _, name := range Names() {
		for _, b := range r.Sections[name].Bars {
			if !b.Met {
				out = append(out, fmt.Sprintf("- %s: %s, and the bar is %s.", b.What, b.Measured, b.Limit))
			}
		}
	}
	curves := r.Sections["others"].Curves
	for _, ours := range curves {
		if ours.Name != Ours {
			continue
		}
		for _, p := range ours.Points {
			for _, theirs := range curves {
				value, ok := theirs.at(p.Alerts)
				if theirs.Table == ours.Table && ok && value < p.Value {
					out = append(out, fmt.Sprintf("- %s, %s alerts: %s takes %s %s, SQL Sentinel %s %s.",
						titles()[ours.Table], grouped(p.Alerts), theirs.Name, number(value), ours.Unit, number(p.Value), ours.Unit))
				}
			}
		}
	}
	if len(out) == 0 {
		return "Nowhere in what is measured here."
	}
	return strings.Join(out, "\n")
}

// titles say what the tables of the comparison with other programs measure.
func titles() map[string]string {
	return map[string]string{
		"run": "all alerts once, each a lookup", "scan": "all alerts once, each a scan", "memory": "peak memory of a run of lookups", "validate": "check the file",
		"start": "print the version", "daemon": "memory of a daemon", "messages": "run and deliver", "file": "the state file",
	}
}
