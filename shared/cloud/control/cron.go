package control

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
)

// A Timetable is what EventBridge Scheduler must be told so that it fires at the times of a
// Unix schedule.
type Timetable struct {
	// Expressions are one, or two where a day counts that matches one of two fields:
	// EventBridge knows no "or". A tick that both name is one run.
	Expressions []string
	// Zone is the IANA name of the zone in which they are read.
	Zone string
}

// expressionSize is how long an expression may be.
const expressionSize = 256

var weekdays = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}

// TranslateCron says a Unix schedule in the six fields of EventBridge: minutes, hours, day
// of month, month, day of week, year. It lists values rather than steps, whose beginning
// the two understand differently, and names the days of the week, which they count
// differently. A clock change is the same to both: a time that is skipped does not fire,
// one that comes twice fires once.
// Source: https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
func TranslateCron(expr, zone string) (Timetable, error) {
	schedule, err := alert.ParseSchedule(expr, zone)
	if err != nil {
		return Timetable{}, err
	}
	f := schedule.Fields()
	out := Timetable{Zone: f.Zone}
	say := func(days, weekdays string) {
		out.Expressions = append(out.Expressions, fmt.Sprintf("cron(%s %s %s %s %s *)", values(f.Minutes), values(f.Hours), days, values(f.Months), weekdays))
	}
	switch {
	case f.Either && f.Days != nil && f.Weekdays != nil:
		say(values(f.Days), "?")
		say("?", dayNames(f.Weekdays))
	case f.Either || f.Days == nil && f.Weekdays == nil:
		say("*", "?")
	case f.Weekdays == nil:
		say(values(f.Days), "?")
	case f.Days == nil:
		say("?", dayNames(f.Weekdays))
	default:
		return Timetable{}, fmt.Errorf("%q restricts the day of the month and the day of the week and means days that match both, which EventBridge cannot say; restrict one of them, and let the query look at the other", cloud.Clip(expr, 60))
	}
	for _, e := range out.Expressions {
		if len(e) > expressionSize {
			return Timetable{}, fmt.Errorf("%q has %d characters in the language of EventBridge, which takes %d; use fewer values", cloud.Clip(expr, 60), len(e), expressionSize)
		}
	}
	return out, nil
}

// values writes numbers, runs of them as ranges.
func values(list []int) string {
	if list == nil {
		return "*"
	}
	var out []string
	for i := 0; i < len(list); {
		end := i
		for end+1 < len(list) && list[end+1] == list[end]+1 {
			end++
		}
		switch {
		case end-i >= 2:
			out = append(out, fmt.Sprintf("%d-%d", list[i], list[end]))
		default:
			for _, n := range list[i : end+1] {
				out = append(out, strconv.Itoa(n))
			}
		}
		i = end + 1
	}
	return strings.Join(out, ",")
}

func dayNames(list []int) string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = weekdays[n]
	}
	return strings.Join(out, ",")
}
