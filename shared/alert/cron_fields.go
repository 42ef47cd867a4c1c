package alert

// CronFields are the values at which a schedule fires, for who must say the same in another
// language.
type CronFields struct {
	// Minutes to Weekdays list what each field allows, in order; a Sunday is 0. Nil means
	// every value.
	Minutes, Hours, Days, Months, Weekdays []int
	// Either holds when a day counts that matches Days or Weekdays; else it must match both.
	Either bool
	// Zone is the IANA name of the zone in whose clock the fields are read.
	Zone string
}

// Fields are the values at which the schedule fires.
func (s Schedule) Fields() CronFields {
	fields := cronFields()
	list := func(set, full bitset) []int {
		if set == full {
			return nil
		}
		var out []int
		for n := range 64 {
			if set.has(n) {
				out = append(out, n)
			}
		}
		return out
	}
	out := CronFields{
		Minutes: list(s.cron.minutes, fields[0].full()), Hours: list(s.cron.hours, fields[1].full()), Days: list(s.cron.days, fields[2].full()),
		Months: list(s.cron.months, fields[3].full()), Weekdays: list(s.cron.weekdays, rangeOf(0, 6, 1)), Either: s.cron.either, Zone: "UTC",
	}
	if !s.InUTC() {
		out.Zone = s.runs.String()
	}
	return out
}
