package alert

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Duration is a span of time that is written with a unit: 90s, 15m, 4h, 7d, 1h30m.
type Duration time.Duration

// Std returns d as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

var durationPart = regexp.MustCompile(`^(\d+)(ms|s|m|h|d)`)

var durationUnits = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
}

// maxDuration keeps every sum of times far from the ends of time.Time.
const maxDuration = 3660 * 24 * time.Hour

// ParseDuration reads a positive duration of the units ms, s, m, h and d, largest first
// or in any order, without blanks.
func ParseDuration(text string) (Duration, error) {
	rest, total := strings.TrimSpace(text), time.Duration(0)
	if rest == "" {
		return 0, fmt.Errorf("a duration is missing; write a number and a unit, such as 90s, 15m, 4h or 7d")
	}
	for rest != "" {
		part := durationPart.FindStringSubmatch(rest)
		if part == nil {
			return 0, fmt.Errorf("%q is not a duration; write a number and a unit, such as 90s, 15m, 4h or 7d", text)
		}
		n, err := strconv.ParseInt(part[1], 10, 64)
		unit := durationUnits[part[2]]
		if err != nil || n > int64(maxDuration/unit) || total+time.Duration(n)*unit > maxDuration {
			return 0, fmt.Errorf("%q is longer than ten years", text)
		}
		total += time.Duration(n) * unit
		rest = rest[len(part[0]):]
	}
	return Duration(total), nil
}

// String writes d as ParseDuration reads it, with the fewest units.
func (d Duration) String() string {
	if d == 0 {
		return "0s"
	}
	if d < 0 {
		return "-" + (-d).String()
	}
	rest, out := time.Duration(d), ""
	for _, unit := range []string{"d", "h", "m", "s", "ms"} {
		if n := rest / durationUnits[unit]; n > 0 {
			out += strconv.FormatInt(int64(n), 10) + unit
			rest -= n * durationUnits[unit]
		}
	}
	if out == "" {
		return time.Duration(d).String()
	}
	return out
}

// MarshalText writes the form that UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a duration as ParseDuration does.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := ParseDuration(string(text))
	*d = parsed
	return err
}

// Count is how long a condition must hold: a number of runs, or a duration from
// scheduled time to scheduled time. The zero Count holds at once.
type Count struct {
	Runs int
	Span Duration
}

// IsZero tells whether c asks for nothing.
func (c Count) IsZero() bool { return c == Count{} }

var runsPattern = regexp.MustCompile(`^(\d+)\s*(runs?)?$`)

// ParseCount reads "3 runs", "1 run", "3" or a duration.
func ParseCount(text string) (Count, error) {
	trimmed := strings.TrimSpace(text)
	if m := runsPattern.FindStringSubmatch(trimmed); m != nil {
		n, err := strconv.Atoi(m[1])
		if err != nil || n < 1 || n > 1_000_000 {
			return Count{}, fmt.Errorf("%q: the number of runs must be from 1 to 1,000,000", text)
		}
		return Count{Runs: n}, nil
	}
	d, err := ParseDuration(trimmed)
	if err != nil {
		return Count{}, fmt.Errorf("%q is neither a number of runs nor a duration; write `3 runs` or `15m`", text)
	}
	if d < Duration(time.Minute) {
		return Count{}, fmt.Errorf("%q is shorter than a minute, the finest step of a schedule", text)
	}
	return Count{Span: d}, nil
}

// String writes c as ParseCount reads it.
func (c Count) String() string {
	switch {
	case c.Span > 0:
		return c.Span.String()
	case c.Runs == 1:
		return "1 run"
	default:
		return strconv.Itoa(c.Runs) + " runs"
	}
}

// MarshalText writes the form that UnmarshalText reads; the zero Count is empty.
func (c Count) MarshalText() ([]byte, error) {
	if c.IsZero() {
		return nil, nil
	}
	return []byte(c.String()), nil
}

// UnmarshalText reads a count as ParseCount does; empty is the zero Count.
func (c *Count) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*c = Count{}
		return nil
	}
	parsed, err := ParseCount(string(text))
	*c = parsed
	return err
}

// reached tells whether a streak that began at `since` and holds `runs` runs at
// `scheduled` satisfies c. Times count in whole minutes.
func (c Count) reached(runs int, since, scheduled time.Time) bool {
	if c.Span > 0 {
		return minutesBetween(since, scheduled) >= c.Span.Std()
	}
	return runs >= max(c.Runs, 1)
}

// progress says how far a streak has come, for a reason's text.
func (c Count) progress(runs int, since, scheduled time.Time) string {
	if c.Span > 0 {
		return fmt.Sprintf("%s of %s", Duration(minutesBetween(since, scheduled)), c.Span)
	}
	return fmt.Sprintf("%d of %d runs", runs, max(c.Runs, 1))
}

// held says how long a streak that satisfies c lasted, " for 3 of 3 runs"; nothing if c
// asks for a single run.
func (c Count) held(runs int, since, scheduled time.Time) string {
	if c.Span == 0 && c.Runs <= 1 {
		return ""
	}
	return " for " + c.progress(runs, since, scheduled)
}

func minutesBetween(from, to time.Time) time.Duration {
	return to.Truncate(time.Minute).Sub(from.Truncate(time.Minute))
}
