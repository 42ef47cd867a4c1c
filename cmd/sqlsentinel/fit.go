package main

import (
	"strings"

	"charm.land/lipgloss/v2"
)

// gap is the space after a column.
const gap = 2

// shortHeader is how much of a header must be seen.
const shortHeader = 5

// fit is how wide each column is in a table of the given width: as wide as it wants to be
// if all are, else the widest give way first, and words are split only if nothing else helps.
func (g grid) fit(width int) []int {
	wanted := g.widths()
	space := width - gap*(len(wanted)-1)
	if sum(wanted) <= space {
		return wanted
	}
	needed := g.needs(wanted)
	if sum(needed) > space {
		none := make([]int, len(needed))
		for i := range none {
			none[i] = 1
		}
		return share(none, needed, space)
	}
	return share(needed, wanted, space)
}

// needs are the widths of the columns' longest words.
func (g grid) needs(wanted []int) []int {
	needed := make([]int, len(wanted))
	for i, c := range g.header {
		needed[i] = min(lipgloss.Width(c), shortHeader)
	}
	for _, row := range g.rows {
		for i, c := range row {
			for word := range strings.FieldsSeq(c) {
				if len(word) > needed[i] {
					needed[i] = max(needed[i], lipgloss.Width(word))
				}
			}
		}
	}
	return needed
}

// share gives every column at least least, and what is left of the space to those that
// want more, none of which becomes wider than another that still wants some.
func share(least, wanted []int, space int) []int {
	out := make([]int, len(least))
	for limit := space; limit > 0; limit-- {
		for i := range out {
			out[i] = max(least[i], min(wanted[i], limit))
		}
		if sum(out) <= space {
			break
		}
	}
	for i := len(out) - 1; i >= 0; i-- { // the last column, mostly prose, takes the rest
		if rest := space - sum(out); rest > 0 && out[i] < wanted[i] {
			out[i] = min(wanted[i], out[i]+rest)
		}
	}
	return out
}
