package query

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// at is a run with an interval of an hour.
func at() alert.Run {
	nine := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	return alert.Run{Scheduled: nine, Previous: nine.Add(-time.Hour)}
}

func TestAParameterIsFoundWhereSQLReadsOne(t *testing.T) {
	grammars := map[string]grammar{
		"postgres": (*postgresDialect)(nil).grammar(), "mysql": (*mysqlDialect)(nil).grammar(), "sqlite": (*sqliteDialect)(nil).grammar(),
		"triple": {triple: true, backslash: true, hash: true},
	}
	for _, c := range []struct {
		grammars []string
		text     string
		names    []string
	}{
		{nil, "SELECT 1", nil},
		{nil, "WHERE a >= :previous_time AND a<:scheduled_time", []string{"previous_time", "scheduled_time"}},
		{nil, ":a", []string{"a"}},
		{nil, "(:a,:b)=:a_1", []string{"a", "b", "a_1"}},
		{nil, "x::date, 'y'::text, :a::date, (1)::int", []string{"a"}},
		{nil, "':a' || 'it''s :b' || \":c\" || `:d` -- :e\n || :f /* :g */ || :h", []string{"f", "h"}},
		{nil, "v:path, v['x']:y, arr[1:n], f(x):z, 12:30, @x := 1, a ? b : c", nil},
		{nil, "'unfinished :a", nil},
		{nil, "/* unfinished :a", nil},
		{nil, "-- unfinished :a", nil},
		{nil, ":", nil},
		{nil, ":é", []string{"é"}},
		{[]string{"postgres"}, "$$ :a $$ || $tag$ :b $$ :c $tag$ || :d || a$1:e || $1", []string{"d"}},
		{[]string{"postgres"}, `'\' || :a || E'\' :b' || :c || e'\\' || :d`, []string{"a", "c", "d"}},
		{[]string{"postgres"}, "/* /* :a */ :b */ :c", []string{"c"}},
		{[]string{"postgres"}, "x #> :a", []string{"a"}},
		{[]string{"mysql", "sqlite"}, "/* /* :a */ :b", []string{"b"}},
		{[]string{"mysql"}, `'\' :a' || :b || "\" :c" || :d # :e`, []string{"b", "d"}},
		{[]string{"sqlite"}, `[ :a ] || :b || '\' || :c`, []string{"b", "c"}},
		{[]string{"triple"}, `'''it's :a''' || """ " :b""" || r'\' :c' || :d || '' || :e`, []string{"d", "e"}},
	} {
		of := c.grammars
		if of == nil {
			of = []string{"postgres", "mysql", "sqlite", "triple"}
		}
		for _, name := range of {
			var names []string
			for _, p := range parameters(grammars[name], c.text) {
				require.Equal(t, ":"+p.name, c.text[p.start:p.start+1+len(p.name)])
				names = append(names, p.name)
			}
			require.Equal(t, c.names, names, "%s: %s", name, c.text)
		}
	}
}

func TestAPlaceholderTakesThePlaceOfAName(t *testing.T) {
	const text = "a > :previous_time AND b > :previous_time\nAND c <= :scheduled_time"
	run := at()
	postgres, err := bind((*postgresDialect)(nil).grammar(), text, run)
	require.NoError(t, err)
	require.Equal(t, "a > $1::timestamptz AND b > $1::timestamptz\nAND c <= $2::timestamptz", postgres.text)
	require.Equal(t, []argument{{previousTime, run.Previous}, {scheduledTime, run.Scheduled}}, postgres.args)
	mysql, err := bind((*mysqlDialect)(nil).grammar(), text, run)
	require.NoError(t, err)
	require.Equal(t, "a > ?              AND b > ?             \nAND c <= ?              ", mysql.text)
	require.Equal(t, []argument{{previousTime, run.Previous}, {previousTime, run.Previous}, {scheduledTime, run.Scheduled}}, mysql.args)
}

func FuzzParameters(f *testing.F) {
	for _, seed := range []string{"a > :b", "'x' :a", "$$ :a $$", "E'\\' :a", "/* /* */ :a", "\"\"\"", "[:a", ":a::b", "`", "$a$", "#\n:a", "$"} {
		f.Add(seed, uint8(255))
	}
	f.Fuzz(func(t *testing.T, text string, flags uint8) {
		on := func(n int) bool { return flags>>n&1 == 1 }
		g := grammar{backslash: on(0), escape: on(1), triple: on(2), dollar: on(3), brackets: on(4), doubled: on(7), hash: on(5), nested: on(6)}
		last := -1
		for _, p := range parameters(g, text) {
			require.Greater(t, p.start, last)
			last = p.start
			require.Equal(t, ":"+p.name, text[p.start:p.start+1+len(p.name)])
		}
	})
}
