package main

import "time"

// demoStep is the time between two ticks of the demo's virtual clock.
const demoStep = 10 * time.Minute

// A demoTick is one tick of the story: what happens in the shop before it, in words and in
// SQL, and the silence that somebody sets.
type demoTick struct {
	title   string
	sql     []string
	silence *demoSilence
}

// A demoSilence is set from the command line while the story goes on.
type demoSilence struct {
	alert  string
	span   time.Duration
	author string
	reason string
}

// demoRevenue is the alert that the story is about.
const demoRevenue = "Revenue today"

// demoExplained is the tick whose reasons are printed at the end: a silence held back
// both a reminder and an escalation there.
const demoExplained = 3

// demoStory is what happens, in order.
func demoStory() []demoTick {
	return []demoTick{
		{title: "The shop opens. All is well."},
		{
			title: "A price list goes wrong: every order of today lost 170. And a column is renamed under a query.",
			sql: []string{
				"UPDATE orders SET total = total - 170 WHERE day = (SELECT day FROM today)",
				"ALTER TABLE stock RENAME COLUMN quantity TO pieces",
			},
		},
		{
			title: "Ada knows, and silences it for 15 minutes. Somebody empties the table of imports.",
			sql:   []string{"DELETE FROM imports"},
			silence: &demoSilence{
				alert: demoRevenue, span: 15 * time.Minute, author: "ada", reason: "wrong price list, fix is on its way",
			},
		},
		{
			title: "Still silenced. Now payments fail, in two of three regions.",
			sql:   []string{"UPDATE payments SET state = 'failed' WHERE region IN ('EU', 'US') AND day = (SELECT day FROM today)"},
		},
		{
			title: "The silence has ended, the revenue is still low. Payments work again in the US, and the column is back.",
			sql: []string{
				"UPDATE payments SET state = 'paid' WHERE region = 'US'",
				"ALTER TABLE stock RENAME COLUMN pieces TO quantity",
			},
		},
		{
			title: "The prices are right again, so are the payments, and the import has run.",
			sql: []string{
				"UPDATE orders SET total = total + 170 WHERE day = (SELECT day FROM today)",
				"UPDATE payments SET state = 'paid'",
				"INSERT INTO imports SELECT day, 'suppliers', 1430 FROM today",
			},
		},
	}
}
