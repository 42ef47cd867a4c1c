package alert

import (
	"fmt"
	"strings"
)

// A bitset holds small numbers: bit n stands for the value n.
type bitset uint64

func (b bitset) has(n int) bool { return b&(1<<n) != 0 }

// rangeOf is the set of lo, lo+step, … up to hi.
func rangeOf(lo, hi, step int) bitset {
	var set bitset
	for n := lo; n <= hi; n += step {
		set |= 1 << n
	}
	return set
}

// cron is a parsed expression: what each of its five fields allows.
type cron struct {
	minutes, hours, days, months, weekdays bitset // a Sunday is 0
	// either is set when both day fields are restricted: then a day matches by one of
	// them, as in every Unix cron. Otherwise it must match both.
	either bool
}

// cronField describes one of the five fields.
type cronField struct {
	name, example string
	min, max      int
	names         []string // names[i] means the value min+i
}

func cronFields() [5]cronField {
	return [5]cronField{
		{name: "minute", example: "0, 30, 0-29 or */15", max: 59},
		{name: "hour", example: "9, 8-18 or */2", max: 23},
		{name: "day of month", example: "1, 1-7 or 1,15", min: 1, max: 31},
		{name: "month", example: "1, JAN, 1-6 or */3", min: 1, max: 12,
			names: []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}},
		{name: "day of week", example: "MON, MON-FRI or 1-5 (0 and 7 are Sunday)", max: 7,
			names: []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}},
	}
}

// full is the set of all values of the field.
func (f cronField) full() bitset { return rangeOf(f.min, f.max, 1) }

// parseCron reads five Unix fields or one of the @names.
func parseCron(expr string) (cron, error) {
	text := strings.TrimSpace(expr)
	if err := checkWhole(text); err != nil {
		return cron{}, err
	}
	if strings.HasPrefix(text, "@") {
		expanded, err := expandAtName(text)
		if err != nil {
			return cron{}, err
		}
		text = expanded
	}
	parts := strings.Fields(text)
	if len(parts) != 5 {
		return cron{}, fieldCountError(parts)
	}
	return parseFields([5]string(parts))
}

func parseFields(parts [5]string) (cron, error) {
	var sets [5]bitset
	for i, f := range cronFields() {
		set, err := f.parse(parts[i])
		if err != nil {
			return cron{}, err
		}
		sets[i] = set
	}
	c := cron{minutes: sets[0], hours: sets[1], days: sets[2], months: sets[3], weekdays: foldSunday(sets[4])}
	days, weekdays := kindOf(parts[2]), kindOf(parts[4])
	if err := checkDayFields(parts[2], days, parts[4], weekdays); err != nil {
		return cron{}, err
	}
	c.either = days != anyValue && weekdays != anyValue
	return c, c.checkFires(parts[2], parts[3])
}

// foldSunday makes 7 the same day as 0.
func foldSunday(set bitset) bitset {
	if set.has(7) {
		set |= 1
	}
	return set &^ (1 << 7)
}

// parse reads a list of items.
func (f cronField) parse(text string) (bitset, error) {
	if err := f.checkForeign(text); err != nil {
		return 0, err
	}
	var set bitset
	items := strings.Split(text, ",")
	for _, item := range items {
		if item == "" {
			return 0, f.errorf(text, "has a comma with nothing beside it")
		}
		if item == "*" && len(items) > 1 {
			return 0, f.errorf(text, "lists more values beside `*`, which already means all of them; write only `*` or only the values")
		}
		more, err := f.parseItem(text, item)
		if err != nil {
			return 0, err
		}
		set |= more
	}
	return set, nil
}

// parseItem reads `*`, `*/n`, `a`, `a-b` or `a-b/n`; text is the whole field, for errors.
func (f cronField) parseItem(text, item string) (bitset, error) {
	values, stepText, stepped := strings.Cut(item, "/")
	step := 1
	if stepped {
		n, ok := smallNumber(stepText)
		if !ok || n < 1 || n > f.max-f.min {
			return 0, f.stepError(text, stepText)
		}
		step = n
	}
	if values == "*" {
		if f.max == 7 { // 7 is only another name of 0, which a step must not meet twice
			return rangeOf(0, 6, step), nil
		}
		return rangeOf(f.min, f.max, step), nil
	}
	from, to, ranged := strings.Cut(values, "-")
	if ranged {
		return f.parseRange(text, from, to, step)
	}
	n, err := f.value(text, from)
	if err == nil && stepped {
		err = f.errorf(text, "has a step after a single value; name the end of the range: `%s-%d/%d`", from, f.max, step)
	}
	return 1 << n, err
}

// parseRange reads the two ends of a range.
func (f cronField) parseRange(text, from, to string, step int) (bitset, error) {
	lo, err := f.value(text, from)
	if err != nil {
		return 0, err
	}
	hi, err := f.value(text, to)
	if err != nil {
		return 0, err
	}
	if lo > 0 && strings.EqualFold(to, "SUN") { // as an end, Sunday is the last day
		hi = 7
	}
	if hi < lo {
		return 0, f.backwardsError(text, lo, hi)
	}
	return rangeOf(lo, hi, step), nil
}

// value reads a number or a name of the field.
func (f cronField) value(text, item string) (int, error) {
	for i, name := range f.names {
		if strings.EqualFold(item, name) {
			return f.min + i, nil
		}
	}
	n, ok := smallNumber(item)
	switch {
	case item == "":
		return 0, f.errorf(text, "lacks a value")
	case !ok && f.names != nil:
		return 0, f.errorf(text, "has %s, which is neither a number nor one of %s", quoted(item), strings.Join(f.names, " "))
	case !ok:
		return 0, f.errorf(text, "has %s, which is not a number", quoted(item))
	case n < f.min || n > f.max:
		return 0, f.errorf(text, "has %s, which is out of range", item)
	}
	return n, nil
}

// smallNumber reads one to four ASCII digits.
func smallNumber(text string) (int, bool) {
	if len(text) < 1 || len(text) > 4 {
		return 0, false
	}
	n := 0
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// fieldKind tells how a day field takes part in the choice of days.
type fieldKind int

const (
	anyValue   fieldKind = iota // `*` or `*/1`
	starStep                    // holds a `*/n`
	restricted                  // names values
)

func kindOf(text string) fieldKind {
	kind := restricted
	for item := range strings.SplitSeq(text, ",") {
		step, ok := strings.CutPrefix(item, "*/")
		if n, _ := smallNumber(step); item == "*" || ok && n == 1 {
			return anyValue
		}
		if ok {
			kind = starStep
		}
	}
	return kind
}

// checkFires refuses a schedule whose days exist in none of its months.
func (c cron) checkFires(days, months string) error {
	if c.either { // some weekday always comes
		return nil
	}
	for m := 1; m <= 12; m++ {
		if c.months.has(m) && c.days&rangeOf(1, longestMonth(m), 1) != 0 {
			return nil
		}
	}
	return fmt.Errorf("the schedule can never fire: month %s has no day %s; write a day that exists, or 28-31 to meet the end of any month", quoted(months), quoted(days))
}

// longestMonth is the number of days of a month, of February in a leap year.
func longestMonth(m int) int {
	switch m {
	case 2:
		return 29
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}
