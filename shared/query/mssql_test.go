package query_test

import (
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"io"
	"math"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
)

// integer is a column of the type INT.
func integer(name string, n uint64) tdsCell {
	return tdsCell{name, []byte{0x26, 4}, join([]byte{4}, number(4, n))}
}

func TestAnAlertOnSQLServerRunsInATransactionThatIsRolledBack(t *testing.T) {
	server, w := sqlServer(t, map[string]tdsAnswer{
		"FROM orders": result(row(nvarchar("status", "ALERT"), integer("actual_value", 7), integer("threshold", 5), nvarchar("region", "EU"))),
	})
	r := w.runner(t, 1)
	const text = "SELECT 'ALERT' AS status, COUNT(*) AS actual_value, 5 AS threshold, 'EU' AS region FROM orders"
	first := works(t, r, text)
	require.Equal(t, alert.StatusAlert, first.Rows[0].Status)
	require.Equal(t, "7", first.Rows[0].Actual.String())
	require.Equal(t, "region=EU", first.Rows[0].Context.String())
	require.NoError(t, r.Ping(t.Context(), ""))
	login := server.saw("login")
	require.Len(t, login, 1, "the session is used again")
	require.Equal(t, "sentinel password="+tdsPassword+" application=sqlsentinel database=shop read-only", login[0].text)
	batches := server.saw("batch")
	require.Len(t, batches, 6)
	require.Regexp(t, `^SET XACT_ABORT ON; SET DEADLOCK_PRIORITY LOW; SET LOCK_TIMEOUT [1-9]\d+; BEGIN TRANSACTION;$`, batches[0].text)
	require.Equal(t, text+"\n", batches[1].text, "the query is sent as it is written")
	require.NotZero(t, batches[1].transaction)
	require.Equal(t, "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION;", batches[2].text)
	require.Equal(t, batches[1].transaction, batches[2].transaction)
	require.True(t, batches[3].reset, "the next query finds a session as new")
	require.Equal(t, "SELECT 1\n", batches[4].text)
	require.Contains(t, batches[5].text, "ROLLBACK")
}

func TestEveryTypeOfSQLServerSurvives(t *testing.T) {
	le := binary.LittleEndian
	nullable := func(kind, size byte, value []byte) tdsCell {
		return tdsCell{"", []byte{kind, size}, join(number(1, uint64(len(value))), value)}
	}
	scaled := func(kind byte, value []byte) tdsCell { return nullable(kind, 7, value) }
	maximal := func(kind byte, collated []byte, value []byte) tdsCell {
		return tdsCell{"", join([]byte{kind, 0xff, 0xff}, collated), join(number(8, uint64(len(value))), number(4, uint64(len(value))), value, number(4, 0))}
	}
	variant := func(kind byte, properties, value []byte) tdsCell {
		inner := join([]byte{kind, byte(len(properties))}, properties, value)
		return tdsCell{"", join([]byte{0x62}, number(4, 8009)), join(number(4, uint64(len(inner))), inner)}
	}
	decimal := func(positive byte, digits uint64) tdsCell {
		return tdsCell{"", []byte{0x6a, 17, 38, 2}, join([]byte{17, positive}, number(8, digits), number(8, 0))}
	}
	day := number(3, 739676) // 2026-03-02
	nine := number(5, (9*3600+1)*10_000_000+1_234_567)
	guid := []byte{0x99, 0xbc, 0xee, 0xa0, 0x0b, 0x9c, 0xf8, 0x4e, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38, 0x0a, 0x11}
	for name, c := range map[string]struct {
		cell       tdsCell
		text, json string
	}{
		"null":             {nullable(0x26, 4, nil), "NULL", "null"},
		"tinyint":          {nullable(0x26, 1, []byte{255}), "255", "255"},
		"smallint":         {nullable(0x26, 2, number(2, 0xfffe)), "-2", "-2"},
		"int":              {nullable(0x26, 4, number(4, 0xffffffff)), "-1", "-1"},
		"bigint":           {nullable(0x26, 8, number(8, math.MaxInt64)), "9223372036854775807", `"9223372036854775807"`},
		"bit":              {nullable(0x68, 1, []byte{1}), "true", "true"},
		"real":             {nullable(0x6d, 4, le.AppendUint32(nil, math.Float32bits(0.1))), "0.1", "0.1"},
		"float":            {nullable(0x6d, 8, le.AppendUint64(nil, math.Float64bits(1e300))), "1e+300", "1e+300"},
		"decimal":          {decimal(1, 12345678901234567890), "123456789012345678.90", `"123456789012345678.90"`},
		"a small decimal":  {decimal(0, 5), "-0.05", "-0.05"},
		"money":            {nullable(0x6e, 8, join(number(4, 0), number(4, 1234500))), "123.4500", "123.4500"},
		"smallmoney":       {nullable(0x6e, 4, number(4, 1_0001)), "1.0001", "1.0001"},
		"date":             {tdsCell{"", []byte{0x28}, join([]byte{3}, day)}, "2026-03-02", `"2026-03-02"`},
		"time":             {scaled(0x29, nine), "09:00:01.1234567", `"09:00:01.1234567"`},
		"datetime2":        {scaled(0x2a, join(nine, day)), "2026-03-02T09:00:01.1234567", `"2026-03-02T09:00:01.1234567"`},
		"datetimeoffset":   {scaled(0x2b, join(nine, day, number(2, 330))), "2026-03-02T14:30:01.1234567+05:30", `"2026-03-02T14:30:01.1234567+05:30"`},
		"datetime":         {nullable(0x6f, 8, join(number(4, 46081), number(4, 9*3600*300))), "2026-03-02T09:00:00", `"2026-03-02T09:00:00"`},
		"smalldatetime":    {nullable(0x6f, 4, join(number(2, 46081), number(2, 9*60+5))), "2026-03-02T09:05:00", `"2026-03-02T09:05:00"`},
		"uniqueidentifier": {nullable(0x24, 16, guid), "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", `"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"`},
		"varbinary":        {tdsCell{"", join([]byte{0xa5}, number(2, 10)), join(number(2, 2), []byte{0, 255})}, `\x00ff`, `"\\x00ff"`},
		"varbinary(max)":   {maximal(0xa5, nil, []byte{1, 2}), `\x0102`, `"\\x0102"`},
		"nvarchar":         {nvarchar("", "it's «ü» 😀"), "it's «ü» 😀", `"it's «ü» 😀"`},
		"nvarchar(max)":    {maximal(0xe7, make([]byte, 5), narrow("lång")), "lång", `"lång"`},
		"xml":              {tdsCell{"", []byte{0xf1, 0}, join(number(8, 8), number(4, 8), narrow("<a/>"), number(4, 0))}, "<a/>", `"\u003ca/\u003e"`},
		"image":            {tdsCell{"", join([]byte{0x22}, number(4, 100), []byte{0}), join([]byte{16}, make([]byte, 24), number(4, 2), []byte{7, 8})}, `\x0708`, `"\\x0708"`},
		"a variant int":    {variant(0x38, nil, number(4, 42)), "42", "42"},
		"a variant number": {variant(0x6a, []byte{38, 2}, join([]byte{1}, number(8, 150), number(8, 0))), "1.50", "1.50"},
		"a variant text":   {variant(0xe7, join(make([]byte, 5), number(2, 20)), narrow("x")), "x", `"x"`},
		"a variant binary": {variant(0xa5, number(2, 20), []byte{0xff}), `\xff`, `"\\xff"`},
	} {
		t.Run(name, func(t *testing.T) {
			c.cell.name = "actual_value"
			_, w := sqlServer(t, map[string]tdsAnswer{"AS actual_value": result(row(nvarchar("status", "OK"), c.cell))})
			actual := works(t, w.runner(t, 1), "SELECT 'OK' AS status, x AS actual_value FROM y").Rows[0].Actual
			require.Equal(t, c.text, actual.String())
			encoded, err := json.Marshal(actual)
			require.NoError(t, err)
			require.Equal(t, c.json, string(encoded))
		})
	}
	t.Run("a type that nobody knows", func(t *testing.T) {
		_, w := sqlServer(t, map[string]tdsAnswer{"strange": result(row(nvarchar("status", "OK"), tdsCell{"strange", []byte{0xf5, 1}, []byte{1}}))})
		r := w.runner(t, 1)
		fails(t, ask(t, r, "SELECT 'OK' AS status, strange FROM y"), alert.ErrorQuery, alert.ErrorUnreachable)
		works(t, r, "SELECT 'OK' AS status")
	})
	t.Run("a type that the driver knows but cannot name", func(t *testing.T) {
		_, w := sqlServer(t, map[string]tdsAnswer{"nameless": result(row(nvarchar("status", "OK"), tdsCell{"nameless", []byte{0x1f}, nil}))})
		r := w.runner(t, 1)
		require.NotNil(t, ask(t, r, "SELECT 'OK' AS status, nameless FROM y").Failure)
		works(t, r, "SELECT 'OK' AS status")
	})
}

func TestWhatIsNoSELECTIsNotSentToSQLServer(t *testing.T) {
	server, w := sqlServer(t, nil)
	r := w.runner(t, 1)
	for text, codes := range map[string][]alert.Code{
		"":                              {alert.ErrorQuery},
		" -- nothing":                   {alert.ErrorQuery},
		"INSERT INTO orders VALUES (4)": {alert.ErrorReadOnly},
		"xp_cmdshell 'whoami'":          {alert.ErrorReadOnly},
		"[sp_who]":                      {alert.ErrorReadOnly},
		"EXEC sp_who":                   {alert.ErrorReadOnly},
		"SELECT 1; DROP TABLE orders":   {alert.ErrorStatements},
		"SELECT 1;SELECT 2":             {alert.ErrorStatements},
		"SELECT 1 AS a; ENABLE TRIGGER t ON orders":       {alert.ErrorStatements},
		"SELECT 1 DELETE FROM orders":                     {alert.ErrorReadOnly},
		"SELECT 1DELETE FROM orders":                      {alert.ErrorReadOnly},
		"SELECT $DELETE FROM orders":                      {alert.ErrorReadOnly},
		"SELECT 1e5TRUNCATE TABLE orders":                 {alert.ErrorReadOnly},
		"SELECT 'x'DELETE FROM orders":                    {alert.ErrorReadOnly},
		"SELECT 1\u00a0DELETE\u00a0FROM orders":           {alert.ErrorReadOnly},
		"SELECT [a]]'b] DELETE FROM orders --'":           {alert.ErrorReadOnly},
		"SELECT 'it''s' EXEC('DROP TABLE orders')":        {alert.ErrorReadOnly},
		"SELECT 'a\\' DELETE FROM orders --'":             {alert.ErrorReadOnly},
		"SELECT \"a\"\"'\" DELETE FROM orders --'":        {alert.ErrorReadOnly},
		"SELECT 1 /* /* */ ' */ DELETE FROM orders --'":   {alert.ErrorReadOnly},
		"SELECT 1 --\rDELETE FROM orders":                 {alert.ErrorQuery},
		"SELECT 1 --\u2028DELETE FROM orders":             {alert.ErrorQuery},
		"SELECT `a` FROM orders":                          {alert.ErrorQuery},
		"SELECT 1 AS a`DELETE FROM orders`":               {alert.ErrorQuery},
		"SELECT * INTO stolen FROM orders":                {alert.ErrorReadOnly},
		"WITH x AS (SELECT 1 AS a) DELETE FROM x":         {alert.ErrorReadOnly},
		"SELECT NEXT VALUE FOR numbers":                   {alert.ErrorReadOnly},
		"SELECT 1 COMMIT":                                 {alert.ErrorReadOnly},
		"SELECT 1 MERGE orders USING x ON 1 = 1":          {alert.ErrorReadOnly},
		"SELECT 1 USE master":                             {alert.ErrorReadOnly},
		"SELECT * FROM OPENQUERY(other, 'DELETE FROM x')": {alert.ErrorReadOnly},
		"SELECT * FROM OPENROWSET('x', 'y', 'z')":         {alert.ErrorReadOnly},
		"SELECT 1 WAITFOR DELAY '01:00:00'":               {alert.ErrorReadOnly},
		"SELECT 1 SET XACT_ABORT OFF":                     {alert.ErrorReadOnly},
		"SELECT 1 IF 1 = 1 DELETE FROM orders":            {alert.ErrorReadOnly},
		"SELECT 1 DECLARE @x INT":                         {alert.ErrorReadOnly},
		"SELECT 1 shutdown":                               {alert.ErrorReadOnly},
	} {
		message := fails(t, ask(t, r, text), codes...)
		require.NotContains(t, message, "%!", text)
	}
	require.Empty(t, server.saw("batch"), "the server saw none of it")
	require.Empty(t, server.saw("execute"))
	require.Contains(t, fails(t, ask(t, r, "SELECT 'OK' AS status,\n set FROM x"), alert.ErrorReadOnly), "line 2, column 2 of the query")
}

func TestSELECTsOfManyFormsAreSentToSQLServerAsTheyAre(t *testing.T) {
	server, w := sqlServer(t, nil)
	r := w.runner(t, 1)
	for _, text := range []string{
		"SELECT 'OK' AS status", "select 'OK' as status;", ";WITH x AS (SELECT 1 AS a) SELECT 'OK' AS status FROM x ORDER BY a OFFSET 0 ROWS FETCH NEXT 10 ROWS ONLY; -- done; DELETE", "(SELECT 'OK' AS status)",
		"SELECT 'OK' AS status, 'DELETE; INSERT' AS [set], \"update\" FROM [drop] /* DROP; */ -- DELETE\n;", "SELECT 'OK' AS status FROM a INNER MERGE JOIN b ON a.id = b.id OPTION (MERGE JOIN, USE HINT('RECOMPILE'))",
		"SELECT 'OK' AS status, last_update, updated, #t.x, @@VERSION, dateadd(day, 1, created) FROM settings WHERE value = 1 AND x LIKE '%[a-z]%'", "SELECT 'OK' AS status, [a]]; DROP] FROM x", "SELECT TOP 5 'OK' AS status FROM x WITH (NOLOCK) FOR JSON PATH",
		"SELECT 'OK' AS status\r\n-- a line\r\nFROM x",
	} {
		works(t, r, text)
		batches := server.saw("batch")
		require.Equal(t, text+"\n", batches[len(batches)-2].text)
	}
}

func TestSQLServerIsToldToStopAtTheDeadlineAndTheCap(t *testing.T) {
	many := row(nvarchar("status", "OK"), integer("k", 0))
	for n := range uint64(2000) {
		many = append(many, again(nvarchar("status", "OK"), integer("k", n+1))...)
	}
	large := nvarchar("x", strings.Repeat("x", 4000))
	huge := row(nvarchar("status", "OK"), large)
	for range 300 {
		huge = append(huge, again(nvarchar("status", "OK"), large)...)
	}
	server, w := sqlServer(t, map[string]tdsAnswer{"stuck": {}, "deaf": {deaf: true}, "millions": {tokens: many}, "huge": {tokens: huge}, "twice": result(row(nvarchar("status", "OK")), tdsDone(0x11, 1), row(nvarchar("status", "OK")))})
	r := w.runner(t, 1)
	require.Contains(t, fails(t, askWithin(t, r, 500*time.Millisecond, "SELECT 'OK' AS status FROM stuck"), alert.ErrorTimeout), "500ms")
	require.Len(t, server.saw("attention"), 1)
	capped := ask(t, r, "SELECT 'OK' AS status, k FROM millions", "k")
	require.Contains(t, fails(t, capped, alert.ErrorRowCap), "1000")
	require.Len(t, capped.Table.Rows, 1000)
	require.Len(t, server.saw("attention"), 2)
	fails(t, ask(t, r, "SELECT 'OK' AS status, x FROM huge"), alert.ErrorSizeCap)
	require.Len(t, server.saw("attention"), 3)
	fails(t, ask(t, r, "SELECT 'OK' AS status FROM twice"), alert.ErrorStatements)
	start := time.Now()
	fails(t, askWithin(t, r, 500*time.Millisecond, "SELECT 'OK' AS status FROM deaf"), alert.ErrorTimeout)
	require.Less(t, time.Since(start), 30*time.Second)
	logins := len(server.saw("login"))
	works(t, r, "SELECT 'OK' AS status")
	require.Len(t, server.saw("login"), logins, "a session that answers stays")
}

func TestWhatSQLServerRefusesIsExplained(t *testing.T) {
	gone := tdsAnswer{tokens: join(tdsError(6005, 14, "SHUTDOWN is in progress.", 1), tdsDone(2, 0)), end: true}
	_, w := sqlServer(t, map[string]tdsAnswer{
		"nowhere": refusal(208, 16, "Invalid object name 'nowhere'.", 3), "syntax": refusal(102, 15, "Incorrect syntax near 'syntax'.", 2), "forbidden": refusal(229, 14, "The SELECT permission was denied on the object 'forbidden'.", 1),
		"deadlock": refusal(1205, 13, "Transaction was deadlocked.", 1), "locked": refusal(1222, 16, "Lock request time out period exceeded.", 1), "standby": refusal(3906, 16, "Failed to update database because the database is read-only.", 1),
		"leak": refusal(245, 16, "Conversion failed when converting the value '"+tdsPassword+"' to data type int.", 1), "gone": gone,
		"late": {tokens: join(row(nvarchar("status", "OK")), tdsError(8134, 16, "Divide by zero error encountered.", 1), tdsDone(2, 0)), end: true},
	})
	r := w.runner(t, 1)
	for table, c := range map[string]struct {
		code alert.Code
		word string
	}{
		"nowhere": {alert.ErrorQuery, "line 3 of the query, error 208"}, "syntax": {alert.ErrorQuery, "cannot read the query: Incorrect syntax near 'syntax'. (line 2"}, "forbidden": {alert.ErrorQuery, "GRANT SELECT"},
		"deadlock": {alert.ErrorQuery, "deadlock"}, "locked": {alert.ErrorTimeout, "lock"}, "standby": {alert.ErrorReadOnly, "only reads"}, "leak": {alert.ErrorQuery, "Conversion failed"},
		"gone": {alert.ErrorUnreachable, "SHUTDOWN"}, "late": {alert.ErrorQuery, "Divide by zero"},
	} {
		message := fails(t, ask(t, r, "SELECT 'OK' AS status FROM "+table), c.code)
		require.Contains(t, message, c.word)
		require.NotContains(t, message, "c4n4ry")
		works(t, r, "SELECT 'OK' AS status")
	}
}

func TestASQLServerThatGivesNoSessionIsUnreachable(t *testing.T) {
	server, w := sqlServer(t, nil)
	require.Contains(t, unreachable(t, with(t, w.url, func(u *url.URL) { u.User = url.UserPassword("sentinel", "CANARY") }), ""), "Login failed for user 'sentinel'")
	require.Contains(t, unreachable(t, with(t, w.url, func(u *url.URL) { u.Path = "/other" }), ""), "Cannot open database")
	require.Contains(t, unreachable(t, with(t, w.url, func(u *url.URL) { u.RawQuery = ""; u.User = url.UserPassword("sentinel", "CANARY") }), ""), "encrypt", "encryption is asked for unless the URL says otherwise")
	require.Empty(t, server.saw("batch"))
	unreachable(t, "mssql://x:${CANARY}@127.0.0.1:1/shop", "")
	require.Contains(t, unreachable(t, "mssql://x:${CANARY}@no-such-host.invalid/shop", ""), "no-such-host.invalid")
	for name, talk := range map[string]func(net.Conn){
		"a connection that ends": func(net.Conn) {},
		"another protocol":       func(conn net.Conn) { _, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) },
		"noise": func(conn net.Conn) {
			_, _ = io.CopyN(conn, strings.NewReader(strings.Repeat("\x04\x01\x00\x09", 100)), 400)
		},
	} {
		t.Run(name, func(t *testing.T) { unreachable(t, "mssql://x:${CANARY}@"+talker(t, talk)+"/shop", "") })
	}
}

func TestTheCertificateOfSQLServerIsChecked(t *testing.T) {
	signed := httptest.NewTLSServer(nil)
	defer signed.Close()
	file := filepath.Join(t.TempDir(), "server.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed.Certificate().Raw}), 0o600))
	server := &tdsServer{}
	address := talker(t, func(conn net.Conn) {
		server.talk(tls.Server(conn, &tls.Config{Certificates: signed.TLS.Certificates, NextProtos: []string{"tds/8.0"}, MinVersion: tls.VersionTLS12}))
	})
	strict := "mssql://sentinel:c4n4ry%2Fp%40ss@" + address + "/shop?encrypt=strict"
	require.Contains(t, unreachable(t, strict, ""), "certificate")
	require.Contains(t, unreachable(t, strict+"&certificate="+file+"&hostnameincertificate=another.example", ""), "valid for example.com")
	require.Empty(t, server.saw("login"), "no password is sent to who is not known")
	_, err := reach(t, strict+"&certificate="+file, "", time.Minute)
	require.NoError(t, err)
	_, err = reach(t, strict+"&servercertificate="+file, "", time.Minute)
	require.NoError(t, err)
	require.Len(t, server.saw("login"), 2)
}

func TestSQLServerBindsTheIntervalOfARun(t *testing.T) {
	server, w := sqlServer(t, nil)
	run := alert.Run{Scheduled: time.Date(2026, 3, 2, 9, 0, 1, 123456700, time.UTC), Previous: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
	text := "SELECT 'OK' AS status FROM x WHERE at > :previous_time AND at <= :scheduled_time AND y <> ':x' AND z = [:y]]:z]"
	result := w.runner(t, 1).Query(t.Context(), alert.Alert{Params: true, Timeout: alert.Duration(time.Minute), Query: text}, run)
	require.Nil(t, result.Failure, "%+v", result.Failure)
	sent := server.saw("execute")
	require.Len(t, sent, 1)
	require.Equal(t, "SELECT 'OK' AS status FROM x WHERE at > @p1            AND at <= @p2             AND y <> ':x' AND z = [:y]]:z]\n", sent[0].text)
	require.Equal(t, "@p1 datetime2(7),@p2 datetime2(7)", sent[0].declared)
	require.Equal(t, join(short("@p1"), []byte{0, 0x2a, 7, 8}, number(5, 9*3600*10_000_000), number(3, 739675),
		short("@p2"), []byte{0, 0x2a, 7, 8}, number(5, (9*3600+1)*10_000_000+1_234_567), number(3, 739676)), sent[0].arguments)
	require.NotZero(t, sent[0].transaction)
}

func TestURLsOfSQLServer(t *testing.T) {
	for _, good := range []string{
		"mssql://u:p@h/shop", "mssql://u:${PASSWORD}@h:1433/shop?encrypt=true&TrustServerCertificate=yes", "mssql+pymssql://u:p@h/shop?charset=utf8", "mssql+pyodbc://u:p@h/shop?driver=ODBC+Driver+18+for+SQL+Server&Encrypt=yes",
		"sqlserver://u:p@h:1433?database=shop&ApplicationIntent=ReadOnly", "mssql://u:p@[::1]:1433/shop?encrypt=strict&hostnameincertificate=sql1", "mssql://u:p@h?encrypt=optional&tlsmin=1.2",
	} {
		require.NoError(t, query.CheckDatabase(alert.Database{URL: good}, environment), good)
	}
	for bad, advice := range map[string]string{
		"mssql://u:${BAD}@h/db":                          "percent",
		"mssql://u:c4n4ry@/db":                           "host",
		"mssql://h/db":                                   "user",
		"mssql://u:c4n4ry@h:99999/db":                    "port",
		`mssql://u:c4n4ry@h\sqlexpress/db`:               "named instance",
		"mssql://u:p@h/db?encypt=c4n4ry":                 "did you mean encrypt?",
		"mssql://u:p@h/db?encrypt=c4n4ry":                "encrypt",
		"mssql://u:p@h/db?trustservercertificate=c4n4ry": "trustservercertificate",
		"mssql://u:p@h/db?certificate=/no/c4n4ry.pem":    "certificate names no file",
		"mssql://u:p@h/db?database=c4n4ry":               "two databases",
		"mssql://u:p@h/db?encrypt=true&Encrypt=false":    "twice",
		"mssql://u:p@h/db?fedauth=c4n4ry":                "fedauth is not offered",
		"mssql://u:p@h/db?authenticator=c4n4ry":          "authenticator is not offered",
		"mssql+pyodbc://u:p@h/db?Trusted_Connection=yes": "trusted_connection is not offered",
		"mssql+pyodbc:///?odbc_connect=c4n4ry":           "odbc_connect",
		"mssql://u:p@h/db?applicationintent=ReadWrite":   "ReadOnly",
		"mssq://u:c4n4ry@h/db":                           "mssql://",
	} {
		err := query.CheckDatabase(alert.Database{URL: bad}, environment)
		require.ErrorContains(t, err, advice, bad)
		require.NotContains(t, err.Error(), "c4n4ry", bad)
	}
}
