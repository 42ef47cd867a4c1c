package query_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/databases"
)

// clickhouse is a database with the table orders of three rows.
func clickhouse(t *testing.T) (address string, do func(statement string) string) {
	t.Helper()
	address = databases.ClickHouse(t)
	do = func(statement string) string {
		t.Helper()
		answer, err := databases.ClickHouseDo(t.Context(), address, statement)
		require.NoError(t, err, statement)
		return answer
	}
	do("CREATE TABLE orders (id Int32, region String, total Decimal(10, 2)) ENGINE = MergeTree ORDER BY id")
	do("INSERT INTO orders VALUES (1, 'EU', 10.50), (2, 'US', 20.00), (3, 'EU', 30.25)")
	return address, do
}

func clickhouseRunner(t *testing.T, address string) *query.Runner {
	t.Helper()
	w := &world{url: address}
	return w.runner(t, 2)
}

func TestClickHouseGivesOneRowOrOneAnInstance(t *testing.T) {
	address, _ := clickhouse(t)
	r := clickhouseRunner(t, address)
	one := works(t, r, "SELECT 'alert' AS STATUS, SUM(total) AS Actual_Value, 100 AS threshold, 'x' AS why FROM orders")
	require.Equal(t, "60.75", one.Rows[0].Actual.String())
	require.Equal(t, "why=x", one.Rows[0].Context.String())
	keyed := works(t, r, "SELECT region, 'OK' AS status, count(*) AS actual_value FROM orders GROUP BY region ORDER BY region", "region")
	require.Equal(t, "region=US", keyed.Rows[1].Instance.String())
	require.True(t, works(t, r, "SELECT 'OK' AS status FROM orders WHERE id > 100").Empty)
	require.True(t, works(t, r, "SELECT region, 'OK' AS status FROM orders WHERE id > 100; -- ;", "region").Empty)
	require.Contains(t, fails(t, ask(t, r, "SELECT region FROM orders WHERE id > 100"), alert.ErrorNoStatus), "region")
	text := `SELECT 'OK' AS status, ':word %s %% ? $1 @x #no ${HOME} {y} ;' AS actual_value -- :c ? $2`
	require.Equal(t, ":word %s %% ? $1 @x #no ${HOME} {y} ;", works(t, r, text).Rows[0].Actual.String())
	require.NoError(t, r.Ping(t.Context(), ""))
	require.Contains(t, fails(t, ask(t, r, "SELECT 'OK' AS status FROM nowhere"), alert.ErrorQuery), "nowhere")
	require.Contains(t, fails(t, ask(t, r, "SELECT 'OK' AS status,\n nix FROM orders"), alert.ErrorQuery), "nix")
	require.Contains(t, fails(t, ask(t, r, "SELECT 'OK' AS status,\n FROM FROM x y z"), alert.ErrorQuery), "line 2")
}

func TestEveryTypeOfClickHouseSurvives(t *testing.T) {
	address, _ := clickhouse(t)
	r := clickhouseRunner(t, address)
	for _, c := range []cell{
		{"NULL", "NULL", "null"}, {"42", "42", "42"}, {"toUInt64('18446744073709551615')", "18446744073709551615", `"18446744073709551615"`}, {"toInt128('-170141183460469231731687303715884105728')", "-170141183460469231731687303715884105728", `"-170141183460469231731687303715884105728"`},
		{"toUInt256('115792089237316195423570985008687907853269984665640564039457584007913129639935')", "115792089237316195423570985008687907853269984665640564039457584007913129639935", `"115792089237316195423570985008687907853269984665640564039457584007913129639935"`},
		{"toDecimal64('100', 2)", "100.00", "100.00"}, {"toDecimal128('-0.5', 3)", "-0.500", "-0.500"}, {"toNullable(toDecimal32('1.1', 2))", "1.10", "1.10"}, {"toDecimal256('12345678901234567890.123456789012345678901234567890', 30)", "12345678901234567890.123456789012345678901234567890", `"12345678901234567890.123456789012345678901234567890"`},
		{"0.1", "0.1", "0.1"}, {"toFloat32(0.1)", "0.1", "0.1"}, {"nan", "NaN", `"NaN"`}, {"-inf", "-Inf", `"-Inf"`}, {"1e300", "1e+300", "1e+300"}, {"true", "true", "true"},
		{"'it''s «ü» \\n'", "it's «ü» \n", `"it's «ü» \n"`}, {"unhex('00ff')", `\x00ff`, `"\\x00ff"`}, {"toFixedString('abc', 3)", "abc", `"abc"`}, {"toLowCardinality('x')", "x", `"x"`}, {"toNullable('x')", "x", `"x"`},
		{"toDate('2026-03-02')", "2026-03-02", `"2026-03-02"`}, {"toDate32('1925-03-02')", "1925-03-02", `"1925-03-02"`},
		{"toDateTime('2026-03-02 09:00:00', 'UTC')", "2026-03-02T09:00:00Z", `"2026-03-02T09:00:00Z"`}, {"toDateTime64('2026-03-02 09:00:00.123456789', 9, 'Asia/Kolkata')", "2026-03-02T09:00:00.123456789+05:30", `"2026-03-02T09:00:00.123456789+05:30"`},
		{"toUUID('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", `"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"`}, {"toIPv4('10.0.0.1')", "10.0.0.1", `"10.0.0.1"`}, {"toIPv6('2001:db8::1')", "2001:db8::1", `"2001:db8::1"`},
		{"CAST('sad' AS Enum8('sad' = 1, 'happy' = 2))", "sad", `"sad"`}, {"[1, NULL, 3]", "[1,null,3]", "[1,null,3]"}, {"[toDecimal32(1.1, 2)]", "[1.10]", "[1.10]"}, {"[toDate('2026-03-02')]", `["2026-03-02"]`, `["2026-03-02"]`}, {"[[1], [2, 3]]", "[[1],[2,3]]", "[[1],[2,3]]"}, {"emptyArrayString()", "[]", "[]"},
		{"map('k', 1, 'a', 2)", `{"a":2,"k":1}`, `{"a":2,"k":1}`}, {"(1, 'x')", `[1,"x"]`, `[1,"x"]`}, {"CAST((1, toDate('2026-03-02')) AS Tuple(b Int8, a Date))", `{"b":1,"a":"2026-03-02"}`, `{"b":1,"a":"2026-03-02"}`},
		{"toIntervalDay(3)", "3 Days", `"3 Days"`}, {"(1., 2.)::Point", "[1,2]", "[1,2]"}, {`'{"b":1}'`, `{"b":1}`, `"{\"b\":1}"`},
	} {
		row := works(t, r, "SELECT 'ALERT' AS status, "+c.sql+" AS actual_value").Rows[0]
		require.Equal(t, c.text, row.Actual.String(), c.sql)
		encoded, err := json.Marshal(row.Actual)
		require.NoError(t, err)
		require.Equal(t, c.json, string(encoded), c.sql)
	}
	for _, unknown := range []string{"sumState(1)", "uniqState(region)"} {
		message := fails(t, ask(t, r, "SELECT 'OK' AS status, "+unknown+" AS actual_value FROM orders"), alert.ErrorQuery)
		require.Contains(t, message, "AggregateFunction", "a type that nothing maps is named")
	}
}

func TestNothingThatWritesGetsThroughClickHouse(t *testing.T) {
	address, do := clickhouse(t)
	r := clickhouseRunner(t, address)
	for _, text := range []string{
		"INSERT INTO orders VALUES (4, 'EU', 1)", "INSERT INTO orders SELECT 4, 'EU', 1", "INSERT INTO orders SETTINGS readonly = 0 SELECT 4, 'EU', 1", "ALTER TABLE orders DELETE WHERE 1", "ALTER TABLE orders ADD COLUMN x Int8", "DELETE FROM orders WHERE 1",
		"DROP TABLE orders", "TRUNCATE TABLE orders", "CREATE TABLE stolen (x Int8) ENGINE = Memory", "CREATE TABLE stolen ENGINE = Memory AS SELECT 1", "CREATE DATABASE stolen", "CREATE FUNCTION stolen AS x -> x", "RENAME TABLE orders TO stolen", "OPTIMIZE TABLE orders FINAL", "DETACH TABLE orders",
		"SET readonly = 0", "SET max_execution_time = 0", "SELECT 'OK' AS status SETTINGS readonly = 0", "SELECT 'OK' AS status SETTINGS max_result_rows = 0", "SYSTEM FLUSH LOGS", "INSERT INTO FUNCTION file('x.csv', 'CSV', 'a Int8') SELECT 1",
		"SELECT 'OK' AS status FROM file('/etc/passwd', 'LineAsString')", "SELECT 'OK' AS status FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
	} {
		message := fails(t, ask(t, r, text), alert.ErrorReadOnly, alert.ErrorQuery)
		require.NotContains(t, message, "DB::Exception", text)
		require.Equal(t, "3\t60.75", do("SELECT count(), sum(total) FROM orders"), text)
		require.Equal(t, "orders", do("SHOW TABLES"), text)
	}
	require.Contains(t, fails(t, ask(t, r, "DROP TABLE orders"), alert.ErrorReadOnly), "only reads")
	works(t, r, "SELECT 'OK' AS status FROM orders WHERE id = 1")
}

func TestClickHouseTakesOneSelectAndWritesNoFile(t *testing.T) {
	address, do := clickhouse(t)
	r := clickhouseRunner(t, address)
	folder := t.TempDir()
	file := "'" + filepath.Join(folder, "stolen.csv") + "'"
	for text, c := range map[string]struct {
		code  alert.Code
		words string
	}{
		"SELECT 'OK' AS status; DROP TABLE orders":                                        {alert.ErrorStatements, "more than one statement"},
		"SELECT 'OK' AS status; SELECT 'OK' AS status":                                    {alert.ErrorStatements, "more than one statement"},
		"SELECT 'OK' AS status -- x\n; SELECT 1 INTO OUTFILE " + file:                     {alert.ErrorStatements, "more than one statement"},
		"SELECT 1); DROP TABLE orders; SELECT (1":                                         {alert.ErrorQuery, "bracket"},
		"SELECT 1) INTO OUTFILE " + file + " FORMAT CSV; SELECT (1":                       {alert.ErrorQuery, "bracket"},
		"SELECT 1 /* ( */) INTO OUTFILE " + file + " FORMAT CSV; SELECT (1":               {alert.ErrorQuery, "bracket"},
		"SELECT 'OK' AS status INTO OUTFILE " + file:                                      {alert.ErrorQuery, "INTO OUTFILE"},
		"SELECT 'OK' AS status FROM orders INTO OUTFILE " + file + " TRUNCATE FORMAT CSV": {alert.ErrorQuery, "INTO OUTFILE"},
		"SELECT 'OK' AS status FORMAT CSV":                                                {alert.ErrorQuery, "without FORMAT"},
		"SELECT 'OK' AS status FORMAT Null":                                               {alert.ErrorQuery, "without FORMAT"},
		"KILL QUERY WHERE 1":                                                              {alert.ErrorReadOnly, "begins with KILL"},
		"SHOW TABLES":                                                                     {alert.ErrorReadOnly, "begins with SHOW"},
		"EXPLAIN SELECT 1":                                                                {alert.ErrorReadOnly, "begins with EXPLAIN"},
		"USE default":                                                                     {alert.ErrorReadOnly, "begins with USE"},
		"SET readonly = 0; DROP TABLE orders":                                             {alert.ErrorReadOnly, "begins with SET"},
		"-- x\n /* y */ DROP TABLE orders":                                                {alert.ErrorReadOnly, "begins with DROP"},
		"WITH 1 AS x INSERT INTO orders SELECT 4, 'EU', 1":                                {alert.ErrorQuery, "one SELECT"},
		" ; -- nothing":                                                                   {alert.ErrorQuery, "empty"},
		"SELECT nix AS status FROM orders":                                                {alert.ErrorQuery, "nix"},
		"SELECT 'OK' AS status FROM FROM x y z":                                           {alert.ErrorQuery, "position 33 (x) (line 1, col 33)"},
		"SELECT 'OK' AS status,\n FROM FROM x y z":                                        {alert.ErrorQuery, "(line 2, col "},
	} {
		for range 2 {
			require.Contains(t, fails(t, ask(t, r, text), c.code), c.words, text)
		}
		files, err := os.ReadDir(folder)
		require.NoError(t, err)
		require.Empty(t, files, text)
		require.Equal(t, "orders", do("SHOW TABLES"), text)
	}
	for _, text := range []string{
		"SELECT 'OK' AS status;", "SELECT 'OK' AS status; -- ; done\n /* ; */ ;", "-- first\nSELECT 'OK' AS status -- last", "WITH 1 AS x SELECT 'OK' AS status", "FROM orders SELECT 'OK' AS status LIMIT 1", "(SELECT 'OK' AS status)",
		"SELECT 'OK' AS status WHERE 0 UNION ALL SELECT 'OK'", "SELECT ')' = '(' ? 'ALERT' : 'OK' AS status", "SELECT 'OK' AS status, '); INTO OUTFILE x' AS a, `)` FROM (SELECT 1 AS `)`)", "SELECT 'OK' AS status, $x$ ) ' $x$ AS a",
	} {
		for range 2 {
			works(t, r, text)
		}
	}
}

// TestAUserWhoseProfileIsReadOnlyReads has the engine refuse the settings that its profile does.
func TestAUserWhoseProfileIsReadOnlyReads(t *testing.T) {
	address, do := clickhouse(t)
	for _, user := range []string{"sentinel_readonly", "sentinel_limits"} {
		r := clickhouseRunner(t, with(t, address, func(u *url.URL) {
			password, _ := u.User.Password()
			u.User = url.UserPassword(user, password)
		}))
		works(t, r, "SELECT 'OK' AS status FROM orders WHERE id = 1")
		require.Equal(t, map[string]string{"sentinel_readonly": "0", "sentinel_limits": "1001"}[user],
			works(t, r, "SELECT 'OK' AS status, getSetting('max_result_rows') AS actual_value").Rows[0].Actual.String(), "a limit is set where it may be")
		require.True(t, works(t, r, "SELECT 'OK' AS status FROM orders WHERE id > 100").Empty)
		fails(t, ask(t, r, "INSERT INTO orders VALUES (4, 'EU', 1)"), alert.ErrorReadOnly)
		fails(t, ask(t, r, "SELECT 'OK' AS status SETTINGS readonly = 0"), alert.ErrorReadOnly)
		fails(t, ask(t, r, "SELECT 'OK' AS status, number AS k FROM numbers(3000)", "k"), alert.ErrorRowCap)
		fails(t, askWithin(t, r, time.Second, "SELECT 'OK' AS status, count() FROM numbers(100000000000) WHERE NOT ignore(sipHash64(number))"), alert.ErrorTimeout)
		require.Equal(t, "3", do("SELECT count() FROM orders"))
	}
}

func TestClickHouseStopsAQueryAtItsDeadlineAndItsCap(t *testing.T) {
	address, _ := clickhouse(t)
	r := clickhouseRunner(t, address)
	start := time.Now()
	fails(t, askWithin(t, r, time.Second, "SELECT 'OK' AS status, count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))"), alert.ErrorTimeout)
	require.Less(t, time.Since(start), 30*time.Second)
	result := ask(t, r, "SELECT 'OK' AS status, number AS k FROM numbers(10000000)", "k")
	require.Contains(t, fails(t, result, alert.ErrorRowCap), "1000")
	require.NotNil(t, result.Table)
	fails(t, ask(t, r, "SELECT 'OK' AS status, repeat('x', 1000000) || repeat('y', 1000000) AS actual_value"), alert.ErrorSizeCap)
	require.Len(t, works(t, r, "SELECT 'OK' AS status, number AS k FROM numbers(1000)", "k").Rows, 1000)
}

// TestAnEndedQueryClosesItsRequestToClickHouse looks at what the server is asked: it is
// ClickHouse that ends a query whose client has gone, by a setting of the query.
func TestAnEndedQueryClosesItsRequestToClickHouse(t *testing.T) {
	address, _ := clickhouse(t)
	target := u(t, address)
	var stuck atomic.Pointer[url.Values]
	gone := make(chan struct{})
	forward := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: target.Host})
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if values := r.URL.Query(); strings.Contains(string(body), "stuck") {
			stuck.Store(&values)
			<-r.Context().Done()
			close(gone)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	r := clickhouseRunner(t, with(t, address, func(u *url.URL) { u.Host = strings.TrimPrefix(proxy.URL, "http://") }))
	message := fails(t, askWithin(t, r, 2*time.Second, "SELECT 'OK' AS status, 'stuck' AS why"), alert.ErrorTimeout)
	require.Contains(t, message, "2s")
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		require.FailNow(t, "the request is still open")
	}
	for name, value := range map[string]string{"readonly": "1", "max_result_rows": "1001", "result_overflow_mode": "break", "cancel_http_readonly_queries_on_client_close": "1"} {
		require.Equal(t, value, stuck.Load().Get(name), name)
	}
	require.Contains(t, []string{"2", "3"}, stuck.Load().Get("max_execution_time"))
}

func TestAClickHouseThatGivesNoSessionIsUnreachable(t *testing.T) {
	address, _ := clickhouse(t)
	require.Contains(t, unreachable(t, with(t, address, func(u *url.URL) { u.User = url.UserPassword("sentinel", "CANARY") }), ""), "Authentication failed")
	require.Contains(t, unreachable(t, with(t, address, func(u *url.URL) { u.Path = "/no_such_database" }), ""), "no_such_database")
	unreachable(t, "clickhouse+http://x:${CANARY}@127.0.0.1:1/shop", "")
	unreachable(t, "clickhouse+native://x:${CANARY}@127.0.0.1:1/shop", "")
	http := talker(t, func(conn net.Conn) { _, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) })
	require.Contains(t, unreachable(t, "clickhouse+native://x:${CANARY}@"+http+"/shop", ""), "other protocol")
}

func TestClickHouseBindsTheIntervalOfARun(t *testing.T) {
	address, _ := clickhouse(t)
	r := clickhouseRunner(t, address)
	run := alert.Run{Scheduled: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), Previous: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)}
	a := alert.Alert{Params: true, Timeout: alert.Duration(time.Minute), Query: "SELECT 'OK' AS status, :scheduled_time AS actual_value, :previous_time AS threshold, ':x' AS why"}
	result := r.Query(t.Context(), a, run)
	require.Nil(t, result.Failure, "%+v", result.Failure)
	require.Equal(t, "2026-11-23T09:00:00Z", result.Rows[0].Actual.String())
	require.Equal(t, "2026-11-23T08:00:00Z", result.Rows[0].Threshold.String())
}

func TestURLsOfClickHouse(t *testing.T) {
	for _, good := range []string{
		"clickhouse://h/shop", "clickhouse://u:${PASSWORD}@h:9000/shop", "clickhouse+native://u:p@h/shop?secure=true&skip_verify=true", "clickhouse+http://u@h:8123/shop", "clickhouse+https://h/shop?tls_server_name=x", "clickhouse://h:8443/shop?compress=zstd",
		"clickhouse://[::1]:9440/shop", "clickhouse+asynch://h/shop", "clickhouse+http://h/shop?protocol=https&dial_timeout=5s", "clickhouse+http://h/shop?http_path=/ch",
	} {
		require.NoError(t, query.CheckDatabase(alert.Database{URL: good}, environment), good)
	}
	for bad, advice := range map[string]string{
		"clickhouse://u:${BAD}@h/db":            "percent",
		"clickhouse://u:c4n4ry@/db":             "host",
		"clickhouse://h/db?secur=c4n4ry":        "did you mean secure?",
		"clickhouse://h/db?max_threads=c4n4ry":  "not known",
		"clickhouse://h/db?dial_timeout=c4n4ry": "dial_timeout",
		"clickhouse://h/db?secure=c4n4ry":       "secure",
		"clickhouse://h/db?tls_server_name=x":   "secure=true",
		"clickhous://h/db":                      "clickhouse://",
	} {
		err := query.CheckDatabase(alert.Database{URL: bad}, environment)
		require.ErrorContains(t, err, advice, bad)
		require.NotContains(t, err.Error(), "c4n4ry", bad)
	}
}

// What bounds a result bounds nothing within the query: a count of what was cut would look well.
func TestClickHouseCountsAllOfASubquery(t *testing.T) {
	address, _ := clickhouse(t)
	r := clickhouseRunner(t, address)
	for _, text := range []string{
		"SELECT 'OK' AS status, count() AS actual_value FROM (SELECT number FROM numbers(300000))",
		"SELECT 'OK' AS status, count() AS actual_value FROM (SELECT number FROM numbers(300000) ORDER BY number LIMIT 300000)",
		"WITH n AS (SELECT number FROM numbers(300000) GROUP BY number) SELECT 'OK' AS status, count() AS actual_value FROM n",
		"SELECT 'OK' AS status, count() AS actual_value FROM numbers(300000) WHERE number IN (SELECT number FROM numbers(300000))",
	} {
		require.Equal(t, "300000", works(t, r, text).Rows[0].Actual.String(), text)
	}
}
