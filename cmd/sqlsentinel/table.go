package main

import (
	"bufio"
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"
)

// A grid is a table of results: a header and rows of cells.
type grid struct {
	header []string
	rows   [][]string
	// status is the column that is coloured by its cells; negative for none.
	status int
	// whole keeps columns that are empty throughout.
	whole bool
}

// add appends a row. Its cells may hold anything.
func (g *grid) add(cells ...string) {
	for i, c := range cells {
		cells[i] = printable(c)
	}
	g.rows = append(g.rows, cells)
}

// fitted is how many rows are laid out to fit a terminal; more are printed line by line,
// for laying them out takes long and nobody reads them there.
const fitted = 500

// printGrid writes a grid to stdout: aligned text, or on a terminal a table as wide as
// that at most. Columns that are empty throughout are left out.
func (a *app) printGrid(g grid) error {
	if !g.whole {
		g = g.withoutEmptyColumns()
	}
	width, terminal := a.terminal(a.out)
	if !terminal || len(g.rows) > fitted {
		return a.printAligned(g)
	}
	return a.write(g.layout(width, a.colored(a.out)) + "\n")
}

func (g grid) withoutEmptyColumns() grid {
	used := make([]bool, len(g.header))
	for _, row := range g.rows {
		for i, c := range row {
			used[i] = used[i] || c != ""
		}
	}
	out := grid{status: -1}
	for i := range g.header {
		if used[i] && i == g.status {
			out.status = len(out.header)
		}
		if used[i] {
			out.header = append(out.header, g.header[i])
		}
	}
	for _, row := range g.rows {
		kept := make([]string, 0, len(out.header))
		for i, c := range row {
			if used[i] {
				kept = append(kept, c)
			}
		}
		out.rows = append(out.rows, kept)
	}
	return out
}

// layout wraps cells so that the table is not wider than the terminal.
func (g grid) layout(width int, color bool) string {
	widths := g.fit(width)
	t := table.New().Border(lipgloss.HiddenBorder()).
		BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).
		BorderHeader(false).BorderColumn(false).BorderRow(false).
		Headers(g.header...).Rows(g.rows...).Width(sum(widths) + gap*(len(widths)-1)).
		StyleFunc(func(row, column int) lipgloss.Style {
			style := g.style(row, column, color).Width(widths[column])
			if column < len(widths)-1 {
				style = style.PaddingRight(gap).Width(widths[column] + gap)
			}
			return style
		})
	lines := strings.Split(t.Render(), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n")
}

func (g grid) style(row, column int, color bool) lipgloss.Style {
	style := lipgloss.NewStyle()
	if color && row == table.HeaderRow {
		style = style.Bold(true)
	}
	if color && row >= 0 && row < len(g.rows) && column == g.status {
		style = statusColor(g.rows[row][column])
	}
	return style
}

// widths are those of the columns, in terminal cells.
func (g grid) widths() []int {
	widths := make([]int, len(g.header))
	for i, c := range g.header {
		widths[i] = lipgloss.Width(c)
	}
	for _, row := range g.rows {
		for i, c := range row {
			if len(c) > widths[i] { // a text is not wider than its bytes
				widths[i] = max(widths[i], lipgloss.Width(c))
			}
		}
	}
	return widths
}

func sum(numbers []int) int {
	total := 0
	for _, n := range numbers {
		total += n
	}
	return total
}

// widest is the width up to which a column is padded; what is longer pushes on.
const widest = 60

// printAligned writes one line a row, uncut.
func (a *app) printAligned(g grid) error {
	out := bufio.NewWriter(a.out)
	widths := g.widths()
	writeAligned(out, g.header, widths)
	for _, row := range g.rows {
		writeAligned(out, row, widths)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

func writeAligned(out *bufio.Writer, cells []string, widths []int) {
	last := len(cells) - 1
	for last > 0 && cells[last] == "" {
		last--
	}
	for i, c := range cells[:last+1] {
		_, _ = out.WriteString(c) // Flush reports it
		if i == last {
			break
		}
		for range max(min(widths[i], widest)-lipgloss.Width(c), 0) + 2 {
			_ = out.WriteByte(' ')
		}
	}
	_ = out.WriteByte('\n')
}
