package query

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// floatValue is a floating-point number in the shortest digits that mean it, without an
// exponent where a person would write none.
func floatValue(f float64, bits int) alert.Value {
	format := byte('g')
	if size := math.Abs(f); size == 0 || size >= 1e-6 && size < 1e21 {
		format = 'f'
	}
	return alert.NumberValue(strconv.FormatFloat(f, format, -1, bits))
}

// position names the place of a byte in a query as people count.
func position(query string, offset int) string { return counted(lineAndColumn(query, offset)) }

// lineAndColumn count lines and characters from 1.
func lineAndColumn(query string, offset int) (line, column int) {
	before := query[:offset]
	return 1 + strings.Count(before, "\n"), 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
}

func counted(line, column int) string {
	return fmt.Sprintf("line %d, column %d of the query", line, column)
}
