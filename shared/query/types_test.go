package query_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// A cell is an expression and how its value must read, as text and in JSON.
type cell struct{ sql, text, json string }

func TestEveryTypeSurvivesWithEveryDigit(t *testing.T) {
	common := []cell{
		{"NULL", "NULL", "null"},
		{"42", "42", "42"},
		{"9007199254740993", "9007199254740993", `"9007199254740993"`},
		{"-9223372036854775807", "-9223372036854775807", `"-9223372036854775807"`},
		{"'it''s «ü» \n'", "it's «ü» \n", `"it's «ü» \n"`},
		{"''", "", `""`},
	}
	cells := map[string][]cell{
		"sqlite": {
			{"0.1", "0.1", "0.1"}, {"1000000.0", "1000000", "1000000"}, {"1e300", "1e+300", "1e+300"}, {"1e-7", "1e-07", "1e-07"},
			{"9e999", "+Inf", `"+Inf"`}, {"-0.5", "-0.5", "-0.5"}, {"x'00ff'", `\x00ff`, `"\\x00ff"`}, {"x''", `\x`, `"\\x"`},
			{"CAST(x'ff61' AS TEXT)", `\xff61`, `"\\xff61"`}, {"1 = 1", "1", "1"}, {"CAST('a' || char(0) || 'b' AS TEXT)", "a\x00b", `"a\u0000b"`},
			{"(SELECT j FROM zoo)", `{"a":[1.10]}`, `{"a":[1.10]}`}, {"(SELECT n FROM zoo)", "text in a number", `"text in a number"`}, {"(SELECT d FROM zoo)", `\x01`, `"\\x01"`}, {"(SELECT b FROM zoo)", "2", "2"},
		},
		"duckdb": duckdbCells(),
		"postgres": {
			{"12345678901234567890.123456789012345678901234567890::numeric", "12345678901234567890.123456789012345678901234567890", `"12345678901234567890.123456789012345678901234567890"`},
			{"100.00::numeric(10,2)", "100.00", "100.00"}, {"'NaN'::numeric", "NaN", `"NaN"`}, {"'Infinity'::numeric", "Infinity", `"Infinity"`}, {"1e-20::numeric", "0.00000000000000000001", "0.00000000000000000001"},
			{"0.1::float8", "0.1", "0.1"}, {"0.1::float4", "0.1", "0.1"}, {"1000000::float8", "1000000", "1000000"}, {"'NaN'::float8", "NaN", `"NaN"`}, {"'-infinity'::float8", "-Inf", `"-Inf"`},
			{"7::int2", "7", "7"}, {"9223372036854775807::int8", "9223372036854775807", `"9223372036854775807"`},
			{"true", "true", "true"}, {"false", "false", "false"},
			{"date '2026-03-02'", "2026-03-02", `"2026-03-02"`}, {"'infinity'::date", "infinity", `"infinity"`},
			{"date '0044-03-15 BC'", "0044-03-15 BC", `"0044-03-15 BC"`}, {"date '12026-03-02'", "12026-03-02", `"12026-03-02"`},
			{"time '23:59:59.000001'", "23:59:59.000001", `"23:59:59.000001"`}, {"time '24:00:00'", "24:00:00", `"24:00:00"`}, {"timetz '09:00+02'", "09:00:00+02:00", `"09:00:00+02:00"`},
			{"timestamp '2026-03-02 09:00:00.123456'", "2026-03-02T09:00:00.123456", `"2026-03-02T09:00:00.123456"`}, {"'infinity'::timestamp", "infinity", `"infinity"`},
			{"timestamptz '2026-03-02 09:00:00.5+05:30' AT TIME ZONE 'UTC'", "2026-03-02T03:30:00.5", `"2026-03-02T03:30:00.5"`},
			{`'\x00ff'::bytea`, `\x00ff`, `"\\x00ff"`}, {`''::bytea`, `\x`, `"\\x"`},
			{"'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", `"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"`},
			{"interval '1 year 2 days 03:04:05.6'", "1 year 2 days 03:04:05.6", `"1 year 2 days 03:04:05.6"`},
			{`'{"b": 1.10, "a": [12345678901234567890, null]}'::json`, `{"b":1.10,"a":[12345678901234567890,null]}`, `{"b":1.10,"a":[12345678901234567890,null]}`},
			{`'{"b": 1}'::jsonb`, `{"b":1}`, `{"b":1}`}, {`'"x"'::jsonb`, `"x"`, `"x"`}, {`'{"a": 1}'::jsonb ? 'a'`, "true", "true"}, {`'{"a": 1}'::jsonb @> '{}'`, "true", "true"},
			{"ARRAY[1, NULL, 3]", "[1,null,3]", "[1,null,3]"}, {"ARRAY[1.10, 'NaN']::numeric[]", `[1.10,"NaN"]`, `[1.10,"NaN"]`}, {"ARRAY[9007199254740993]", `["9007199254740993"]`, `["9007199254740993"]`},
			{`ARRAY['a', 'b"c', 'd,e', '{f}', 'NULL', '\', '']`, `["a","b\"c","d,e","{f}","NULL","\\",""]`, `["a","b\"c","d,e","{f}","NULL","\\",""]`},
			{"ARRAY[true, false]", "[true,false]", "[true,false]"}, {"'{}'::int[]", "[]", "[]"}, {"ARRAY[[1,2],[3,NULL]]", "[[1,2],[3,null]]", "[[1,2],[3,null]]"},
			{"'[0:1]={1,2}'::int[]", "[1,2]", "[1,2]"}, {`ARRAY['{"a":1}']::jsonb[]`, `[{"a":1}]`, `[{"a":1}]`}, {"ARRAY[date '2026-03-02']", `["2026-03-02"]`, `["2026-03-02"]`},
			{"'inet 10.0.0.1/8'::text", "inet 10.0.0.1/8", `"inet 10.0.0.1/8"`}, {"inet '10.0.0.1/8'", "10.0.0.1/8", `"10.0.0.1/8"`}, {"int4range(1, 5)", "[1,5)", `"[1,5)"`},
			{"12.5::money", "$12.50", `"$12.50"`}, {"ROW(1, 'x')", "(1,x)", `"(1,x)"`}, {"B'101'", "101", `"101"`}, {"'c'::\"char\"", "c", `"c"`}, {"'n'::name", "n", `"n"`}, {"1::oid", "1", "1"},
			{"'abc  '::char(5)", "abc  ", `"abc  "`}, {"'sad'::mood", "sad", `"sad"`}, {"ARRAY['sad']::mood[]", "{sad}", `"{sad}"`}, {"5::positive", "5", "5"}, {"point '(1,2)'", "(1,2)", `"(1,2)"`},
			{"ROW('a b', NULL, 1.50)::parcel", `("a b",,1.50)`, `"(\"a b\",,1.50)"`}, {"ARRAY[ROW('x', 1, 2)::parcel]", `{"(x,1,2.00)"}`, `"{\"(x,1,2.00)\"}"`}, {"'[1.5,2.5)'::floats", "[1.5,2.5)", `"[1.5,2.5)"`}, {"ARRAY[5]::positive[]", "{5}", `"{5}"`},
			{"int4multirange(int4range(1, 3))", "{[1,3)}", `"{[1,3)}"`}, {"tstzrange(NULL, NULL)", "(,)", `"(,)"`}, {"to_tsvector('simple', 'b a')", "'a':2 'b':1", `"'a':2 'b':1"`}, {"'orders'::regclass", "orders", `"orders"`}, {"'$.a'::jsonpath", `$."a"`, `"$.\"a\""`},
			{"macaddr '08:00:2b:01:02:03'", "08:00:2b:01:02:03", `"08:00:2b:01:02:03"`}, {"pg_lsn '16/B374D848'", "16/B374D848", `"16/B374D848"`}, {"pg_sleep(0)", "", `""`}, {"xid8 '7'", "7", `"7"`}, {"txid_current_snapshot() IS NULL", "false", "false"},
		},
		"mariadb": {
			{"CAST(1234567890123456789012345678901234567890.1234567890 AS DECIMAL(60,10))", "1234567890123456789012345678901234567890.1234567890", `"1234567890123456789012345678901234567890.1234567890"`},
			{"100.00", "100.00", "100.00"}, {"18446744073709551615", "18446744073709551615", `"18446744073709551615"`}, {"-9223372036854775808", "-9223372036854775808", `"-9223372036854775808"`},
			{"1e300", "1e+300", "1e+300"}, {"CAST(0.1 AS DOUBLE)", "0.1", "0.1"}, {"1000000e0", "1000000", "1000000"}, {"(SELECT f FROM zoo)", "0.1", "0.1"}, {"TRUE", "1", "1"}, {"(SELECT tiny FROM zoo)", "1", "1"},
			{"(SELECT u FROM zoo)", "4294967295", "4294967295"}, {"b'101'", `\x05`, `"\\x05"`}, {"(SELECT b + 0 FROM zoo)", "5", "5"}, {"(SELECT wide FROM zoo)", "18446744073709551615", `"18446744073709551615"`},
			{"DATE '2026-03-02'", "2026-03-02", `"2026-03-02"`}, {"TIME '-12:34:56.789'", "-12:34:56.789", `"-12:34:56.789"`}, {"CAST('100:00:00' AS TIME)", "100:00:00", `"100:00:00"`},
			{"TIMESTAMP '2026-03-02 09:00:00.123456'", "2026-03-02 09:00:00.123456", `"2026-03-02 09:00:00.123456"`}, {"(SELECT zero FROM zoo)", "0000-00-00", `"0000-00-00"`}, {"(SELECT zerotime FROM zoo)", "0000-00-00 00:00:00", `"0000-00-00 00:00:00"`},
			{"(SELECT y FROM zoo)", "2026", "2026"}, {"(SELECT e FROM zoo)", "sad", `"sad"`}, {"(SELECT s FROM zoo)", "a,b", `"a,b"`}, {"x'00ff'", `\x00ff`, `"\\x00ff"`}, {"(SELECT blobby FROM zoo)", `\x00ff`, `"\\x00ff"`},
			{"(SELECT latin FROM zoo)", "ü", `"ü"`}, {"(SELECT bin FROM zoo)", `\x610000`, `"\\x610000"`}, {"CURRENT_DATE - INTERVAL 1 DAY < CURRENT_DATE", "1", "1"},
			{"(SELECT i6 FROM zoo)", "2001:db8::1", `"2001:db8::1"`}, {"(SELECT i4 FROM zoo)", "10.0.0.1", `"10.0.0.1"`}, {"(SELECT id FROM zoo)", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", `"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"`}, {"(SELECT j FROM zoo)", `{"b": 1.10}`, `"{\"b\": 1.10}"`},
			{"POINT(1, 2)", `\x000000000101000000000000000000f03f0000000000000040`, `"\\x000000000101000000000000000000f03f0000000000000040"`}, {"ST_AsText(POINT(1, 2))", "POINT(1 2)", `"POINT(1 2)"`},
		},
	}
	worlds(t, func(t *testing.T, w *world) {
		switch w.name {
		case "sqlite":
			w.exec(t, "CREATE TABLE zoo (j JSON, n DECIMAL(10,2), d DATE, b BOOLEAN)", `INSERT INTO zoo VALUES ('{"a": [1.10]}', 'text in a number', x'01', 2)`)
		case "duckdb":
			w.exec(t, "CREATE TYPE mood AS ENUM ('sad', 'happy')")
		case "postgres":
			w.exec(t, "CREATE TYPE mood AS ENUM ('sad', 'happy')", "CREATE DOMAIN positive AS int CHECK (VALUE > 0)",
				"CREATE TYPE parcel AS (name text, weight int, price numeric(10,2))", "CREATE TYPE floats AS RANGE (subtype = float8)")
		case "mariadb":
			w.exec(t, "SET sql_mode = ''", `CREATE TABLE zoo (f FLOAT, tiny TINYINT(1), u INT UNSIGNED, b BIT(4), wide BIT(64), zero DATE, zerotime DATETIME, y YEAR,
				e ENUM('sad','happy'), s SET('a','b'), blobby BLOB, latin VARCHAR(9) CHARACTER SET latin1, bin BINARY(3), i6 INET6, i4 INET4, id UUID, j JSON)`,
				"INSERT INTO zoo VALUES (0.1, 1, 4294967295, b'101', b'1111111111111111111111111111111111111111111111111111111111111111', '0000-00-00', '0000-00-00 00:00:00', 2026, 'sad', 'a,b', x'00ff', 'ü', 'a', '2001:db8::1', '10.0.0.1', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{\"b\": 1.10}')")
		}
		r := w.runner(t, 1)
		for _, c := range append(common, cells[w.name]...) {
			row := works(t, r, "SELECT 'ALERT' AS status, "+c.sql+" AS actual_value").Rows[0]
			require.Equal(t, c.text, row.Actual.String(), c.sql)
			encoded, err := json.Marshal(row.Actual)
			require.NoError(t, err)
			require.Equal(t, c.json, string(encoded), c.sql)
		}
	})
}

func TestMariaDBBitsAreNumbers(t *testing.T) {
	w := openMariaDB(t)
	w.exec(t, "CREATE TABLE zoo (b BIT(4), wide BIT(64))", "INSERT INTO zoo VALUES (b'101', ~0)")
	row := works(t, w.runner(t, 1), "SELECT 'OK' AS status, b AS actual_value, wide AS threshold FROM zoo").Rows[0]
	require.Equal(t, "5", row.Actual.String())
	require.Equal(t, "18446744073709551615", row.Threshold.String())
}

func TestAnInstantKeepsItsOffset(t *testing.T) {
	w := openPostgres(t)
	w.url += "&TimeZone=Asia/Kolkata"
	row := works(t, w.runner(t, 1), "SELECT 'OK' AS status, timestamptz '2026-03-02 03:30:00.25+00' AS actual_value, timestamptz '0044-03-15 12:00:00+00 BC' AS threshold").Rows[0]
	require.Equal(t, "2026-03-02T09:00:00.25+05:30", row.Actual.String())
	require.Regexp(t, `^0044-03-15T17:53:28\+05:53.* BC$`, row.Threshold.String())
}

func TestSQLiteGivesWhatIsStoredWhateverIsDeclared(t *testing.T) {
	w := openSQLite(t)
	w.exec(t, "CREATE TABLE zoo (d DATE, dt DATETIME, ts TIMESTAMP, b BOOLEAN, n DECIMAL(10,2), j JSON, x)",
		`INSERT INTO zoo VALUES ('2026-03-02', '2026-03-02 00:00:00', '2026-03-02T09:00:00.120Z', 1, '10.10', '{"a": [1.10]}', 'free')`,
		`INSERT INTO zoo VALUES (1772442000, 12.5, 'yesterday', 2, 10, '{oops', x'01')`)
	r := w.runner(t, 1)
	rows := works(t, r, "SELECT rowid AS id, 'OK' AS status, * FROM zoo ORDER BY rowid", "id").Rows
	require.Equal(t, `d=2026-03-02, dt=2026-03-02 00:00:00, ts=2026-03-02T09:00:00.120Z, b=true, n=10.1, j={"a":[1.10]}, x=free`, rows[0].Context.String())
	require.Equal(t, `d=1772442000, dt=12.5, ts=yesterday, b=2, n=10, j={oops, x=\x01`, rows[1].Context.String())
	require.Equal(t, "2026-03-02", works(t, r, "SELECT 'OK' AS status, max(d) AS actual_value FROM zoo WHERE typeof(d) = 'text'").Rows[0].Actual.String())
}
