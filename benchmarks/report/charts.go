package report

// Chart is a picture of curves over the number of alerts, both axes logarithmic. The program
// in benchmarks/plot draws it.
type Chart struct {
	File  string `json:"file"`
	Title string `json:"title"`
	X     string `json:"x"`
	Y     string `json:"y"`
	Lines []Line `json:"lines"`
}

// Line is one curve of a chart.
type Line struct {
	Name   string  `json:"name"`
	Points []Point `json:"points"`
}

// Charts are the pictures of the page.
func Charts(r Results) []Chart {
	var out []Chart
	for _, c := range []struct{ file, title, y, section, table string }{
		{"scale-time.svg", "Time by the number of alerts", "seconds", "scale", "time"},
		{"scale-memory.svg", "Peak memory by the number of alerts", "MB", "scale", "memory"},
		{"scale-file.svg", "State file by the number of alerts", "MB", "scale", "file"},
		{"others-run.svg", "All alerts once, each a lookup in SQLite", "seconds", "others", "run"},
		{"others-memory.svg", "Peak memory of all alerts once", "MB", "others", "memory"},
	} {
		chart := Chart{File: c.file, Title: c.title, X: "alerts", Y: c.y, Lines: []Line{}}
		for _, curve := range r.Sections[c.section].Curves {
			if curve.Table == c.table {
				chart.Lines = append(chart.Lines, Line{Name: curve.Name, Points: curve.Points})
			}
		}
		out = append(out, chart)
	}
	return out
}
