package alert

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxExpression is far above the longest sensible list (60 minutes are 169 bytes).
const maxExpression = 1000

const fiveFields = "write five fields: minute, hour, day of month, month, day of week, such as `0 9 * * MON-FRI`"

// quoted shows a piece of an expression in an error, cut where it is long.
func quoted(text string) string {
	if len(text) > 60 {
		text = strings.ToValidUTF8(text[:60], "") + "…"
	}
	return strconv.Quote(text)
}

// errorf is an error of one field: its name and text, what is wrong, what is allowed.
func (f cronField) errorf(text, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	return fmt.Errorf("the %s field %s %s; allowed are %d-%d, for example %s", f.name, quoted(text), what, f.min, f.max, f.example)
}

func (f cronField) stepError(text, step string) error {
	n, ok := smallNumber(step)
	switch {
	case ok && n > f.max-f.min && f.max == 59:
		return f.errorf(text, "has the step %d; a step starts again each hour, so it is from 1 to 59 (`*/30`; each hour is `0` here, each second hour `*/2` in the hour field)", n)
	case ok:
		return f.errorf(text, "has the step %d; a step is from 1 to %d", n, f.max-f.min)
	}
	return f.errorf(text, "has the step %s, which is not a number; a step is from 1 to %d", quoted(step), f.max-f.min)
}

func (f cronField) backwardsError(text string, lo, hi int) error {
	if hi == f.min {
		return f.errorf(text, "has a range that ends before it starts; write `%d-%d,%d`", lo, f.max, hi)
	}
	return f.errorf(text, "has a range that ends before it starts; write `%d-%d,%d-%d`", lo, f.max, f.min, hi)
}

// checkForeign knows what other programs write in a field and says what to write here.
func (f cronField) checkForeign(text string) error {
	upper := strings.ToUpper(text)
	day := f.max == 31 || f.max == 7
	switch {
	case strings.Contains(text, "?"):
		return f.errorf(text, "has Quartz's `?`; write `*` instead")
	case strings.Contains(text, "#"):
		return f.errorf(text, "has Quartz's `#`, an n-th weekday, which Unix cron does not know; run on each such weekday and let the query tell which it is")
	case day && (strings.HasSuffix(upper, "L") || strings.HasPrefix(upper, "L-") || strings.HasSuffix(upper, "LW")):
		return f.errorf(text, "has Quartz's `L`, the last day, which Unix cron does not know; run on 28-31 and let the query tell, or on day 1 about the month that ended")
	case day && strings.HasSuffix(upper, "W"):
		return f.errorf(text, "has Quartz's `W`, the nearest weekday, which Unix cron does not know; run on MON-FRI and let the query tell which day it is")
	case upper == "H" || strings.HasPrefix(upper, "H/") || strings.HasPrefix(upper, "H(") || strings.Contains(text, "~"):
		return f.errorf(text, "asks for a chosen or random value, which Jenkins and some crons know; write the value itself")
	}
	return nil
}

// checkWhole refuses what is no list of fields at all.
func checkWhole(text string) error {
	switch upper := strings.ToUpper(text); {
	case text == "":
		return fmt.Errorf("the schedule is empty; %s", fiveFields)
	case len(text) > maxExpression:
		return fmt.Errorf("the schedule has %d characters, %d are allowed; use ranges and steps, such as */5", len(text), maxExpression)
	case strings.HasPrefix(upper, "TZ=") || strings.HasPrefix(upper, "CRON_TZ="):
		return fmt.Errorf("the schedule %s names a time zone; write the zone under `timezone` and only the five fields here", quoted(text))
	case strings.HasPrefix(upper, "CRON(") || strings.HasPrefix(upper, "RATE(") || strings.HasPrefix(upper, "AT("):
		return fmt.Errorf("the schedule %s is written for EventBridge; %s", quoted(text), fiveFields)
	}
	return nil
}

func fieldCountError(parts []string) error {
	text := quoted(strings.Join(parts, " "))
	switch n := len(parts); n {
	case 6, 7:
		return fmt.Errorf("the schedule %s has %d fields; seconds are not supported, nor are years: %s", text, n, fiveFields)
	case 1:
		return fmt.Errorf("the schedule %s has 1 field; %s", text, fiveFields)
	default:
		return fmt.Errorf("the schedule %s has %d fields; %s", text, n, fiveFields)
	}
}

// expandAtName turns an @name into five fields.
func expandAtName(text string) (string, error) {
	name, rest, _ := strings.Cut(strings.ToLower(text), " ")
	if name == "@every" {
		return "", everyError(text, strings.TrimSpace(rest))
	}
	switch strings.ToLower(text) {
	case "@hourly":
		return "0 * * * *", nil
	case "@daily", "@midnight":
		return "0 0 * * *", nil
	case "@weekly":
		return "0 0 * * 0", nil
	case "@monthly":
		return "0 0 1 * *", nil
	case "@yearly", "@annually":
		return "0 0 1 1 *", nil
	case "@reboot":
		return "", errors.New("the schedule \"@reboot\" names no time; use @hourly or five fields, and `sqlsentinel run` in a boot script")
	}
	return "", fmt.Errorf("the schedule %s is unknown; use @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually or five fields, such as `0 9 * * MON-FRI`", quoted(text))
}

// everyError translates an interval where cron can say it.
func everyError(text, interval string) error {
	advice := fiveFields
	if d, err := time.ParseDuration(interval); err == nil {
		switch minutes := int(d / time.Minute); {
		case d <= 0 || d%time.Minute != 0:
			advice = "a schedule is exact to the minute: the shortest is `* * * * *`"
		case minutes == 1:
			advice = "write `* * * * *`"
		case minutes < 60 && 60%minutes == 0:
			advice = fmt.Sprintf("write `*/%d * * * *`", minutes)
		case minutes == 60:
			advice = "write `0 * * * *`"
		case minutes == 24*60:
			advice = "write `0 0 * * *`"
		case minutes%60 == 0 && 24*60%minutes == 0:
			advice = fmt.Sprintf("write `0 */%d * * *`", minutes/60)
		}
	}
	return fmt.Errorf("the schedule %s is an interval, which would start again with each restart; %s", quoted(text), advice)
}

// checkDayFields refuses `*/n` in one day field beside a restricted other one: some crons
// take both together, some take either, and EventBridge can say neither.
func checkDayFields(days string, dayKind fieldKind, weekdays string, weekdayKind fieldKind) error {
	if dayKind == anyValue || weekdayKind == anyValue || dayKind == restricted && weekdayKind == restricted {
		return nil
	}
	return fmt.Errorf("the day of month field %s and the day of week field %s are both restricted, one by a `*/n` step, which crons read differently; "+
		"write the values, such as 1-31/2 (then a day that matches either field counts), or `*` in one of the two fields", quoted(days), quoted(weekdays))
}
