package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

func named(names ...string) []alert.Alert {
	out := make([]alert.Alert, len(names))
	for i, n := range names {
		out[i] = alert.Alert{Name: n}
	}
	return out
}

func TestAlertsAreChosenByNameOrGlobInTheOrderOfTheFile(t *testing.T) {
	file := named("Daily revenue", "Daily a/b", "[x]", "x", "Weekly")
	for _, c := range []struct{ patterns, want []string }{
		{nil, []string{"Daily revenue", "Daily a/b", "[x]", "x", "Weekly"}},
		{[]string{"Weekly", "Daily revenue"}, []string{"Daily revenue", "Weekly"}},
		{[]string{"Daily *"}, []string{"Daily revenue", "Daily a/b"}},
		{[]string{"*"}, []string{"Daily revenue", "Daily a/b", "[x]", "x", "Weekly"}},
		{[]string{"[x]"}, []string{"[x]"}}, // the name wins over the glob
		{[]string{"[xy]"}, []string{"x"}},
		{[]string{"?"}, []string{"x"}},
		{[]string{"x", "x"}, []string{"x"}},
	} {
		got, err := choose(file, c.patterns)
		require.NoError(t, err, c.patterns)
		require.Equal(t, c.want, names(got), c.patterns)
	}
}

func TestAnUnknownNameIsAnsweredWithWhatWasMeant(t *testing.T) {
	file := named("Daily revenue", "Weekly")
	for pattern, want := range map[string]string{
		"daily revenue": `did you mean "Daily revenue"?`,
		"Dialy revenue": `did you mean "Daily revenue"?`,
		"revenue":       `did you mean "Daily revenue"?`,
		"Stock":         "there are: Daily revenue, Weekly",
		"Stock*":        "there are: Daily revenue, Weekly",
		"":              "there are: Daily revenue, Weekly",
		"[":             "not a pattern",
	} {
		_, err := choose(file, []string{"Weekly", pattern})
		require.ErrorContains(t, err, want, pattern)
		var f *failure
		require.ErrorAs(t, err, &f)
		require.Equal(t, exitUsage, f.code)
	}
	_, err := choose(named(make([]string, 11)...), []string{"zzz"})
	require.EqualError(t, err, `there is no alert "zzz"`)
}

func TestAnInstanceIsNamedByEveryColumnOfItsKey(t *testing.T) {
	a := alert.Alert{Name: "A", Key: []string{"Region", "shop"}}
	for _, flags := range [][]string{{"region=EU,shop=1,2"}, {"region=EU", "SHOP=1,2"}, {"shop=1,2", "Region=EU"}, {"shop=1,2,region=EU"}} {
		got, err := parseInstance(a, flags)
		require.NoError(t, err, flags)
		require.Equal(t, []string{"EU", "1,2"}, got, flags)
	}
	for _, flags := range [][]string{{"region=EU"}, {"EU"}, {"x=1"}, {"region=EU,region=US,shop=1"}, {""}} {
		_, err := parseInstance(a, flags)
		require.Error(t, err, flags)
	}
}

func TestASilenceFitsTheInstanceThatStateKnows(t *testing.T) {
	a := alert.Alert{Name: "A", Key: []string{"shop"}}
	seven := alert.Fields{{Name: "shop", Value: alert.IntValue(7)}}
	state := alert.State{Instances: map[string]*alert.Instance{alert.InstanceID(seven): {Key: seven}}}

	known := instanceSilences(alert.Silence{Reason: "r"}, a, []string{"7"}, state)
	require.Len(t, known, 1)
	require.Equal(t, alert.InstanceID(seven), *known[0].Instance)
	require.Equal(t, "r", known[0].Reason)

	// One that it does not know is silenced by every reading of its text.
	ids := func(texts ...string) []string {
		var out []string
		for _, s := range instanceSilences(alert.Silence{}, alert.Alert{Key: []string{"a", "b"}[:len(texts)]}, texts, alert.State{}) {
			out = append(out, *s.Instance)
		}
		return out
	}
	require.Equal(t, []string{`["7"]`, `[7]`}, ids("7"))
	require.Equal(t, []string{`["EU"]`}, ids("EU"))
	require.Equal(t, []string{`[null]`}, ids("NULL"))
	require.Equal(t, []string{`["true"]`, `[true]`}, ids("true"))
	require.ElementsMatch(t, []string{`["1","2"]`, `["1",2]`, `[1,"2"]`, `[1,2]`}, ids("1", "2"))
}

func TestColumnsShareTheSpace(t *testing.T) {
	g := grid{header: []string{"NAME", "STATUS", "REASON"}, status: 1}
	g.add("Daily revenue", "ALERT", "the episode is open since this morning")
	require.Equal(t, []int{13, 6, 38}, g.fit(200))
	require.Equal(t, []int{13, 6, 17}, g.fit(40), "prose gives way first")
	require.Equal(t, []int{7, 5, 7}, g.fit(23), "then names, word by word")
	for width := 12; width < 70; width++ {
		widths := g.fit(width)
		require.LessOrEqual(t, sum(widths)+gap*2, width)
		require.Positive(t, widths[0])
	}
}
