package query_test

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// snowflakeServer speaks the protocol of Snowflake's drivers as far as an alert needs it,
// and notes what it is asked. It does what the emulator does not.
type snowflakeServer struct {
	*httptest.Server
	refuse string        // the answer to the login; empty: it succeeds
	fail   string        // the answer to the query itself; empty: a row
	probed string        // the answer to the probe; empty: it compiles
	hang   bool          // the query never ends
	answer func() string // to the query itself, if it gives one

	mu       sync.Mutex
	login    map[string]any
	requests []map[string]any
	aborted  int
	running  chan struct{}
}

func startSnowflake(t *testing.T, s *snowflakeServer) *snowflakeServer {
	t.Helper()
	s.running = make(chan struct{}, 100)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /session/v1/login-request", s.loggingIn)
	mux.HandleFunc("POST /queries/v1/query-request", s.query)
	mux.HandleFunc("POST /queries/v1/abort-request", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.aborted++
		_, _ = io.WriteString(w, `{"success":true,"data":null}`)
	})
	mux.HandleFunc("POST /session", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"success":true,"data":null}`) })
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// body reads a request as JSON, compressed or not.
func body(r *http.Request) map[string]any {
	var reader io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil
		}
		reader = unzipped
	}
	var out map[string]any
	if json.NewDecoder(reader).Decode(&out) != nil {
		return nil
	}
	return out
}

func (s *snowflakeServer) loggingIn(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.login, _ = body(r)["data"].(map[string]any)
	if s.refuse != "" {
		_, _ = io.WriteString(w, s.refuse)
		return
	}
	_, _ = io.WriteString(w, `{"success":true,"data":{"token":"c4n4ry-session","masterToken":"c4n4ry-master","validityInSeconds":3600,"masterValidityInSeconds":14400,"sessionId":1,"parameters":[],"sessionInfo":{}}}`)
}

const snowRow = `{"success":true,"data":{"queryId":"01","statementTypeId":4096,"queryResultFormat":"json","total":1,"returned":1,"rowtype":[{"name":"STATUS","type":"text","nullable":true},
	{"name":"N","type":"fixed","precision":38,"scale":10,"nullable":true},{"name":"V","type":"variant","nullable":true},{"name":"RAW","type":"binary","nullable":true},{"name":"B","type":"boolean","nullable":true},
	{"name":"T","type":"time","scale":9,"nullable":true},{"name":"TZ","type":"timestamp_tz","scale":9,"nullable":true},{"name":"VEC","type":"vector","nullable":true},{"name":"NOVEL","type":"hologram","nullable":true}],
	"rowset":[["OK","1234567890123456789012345678.1234567890","{\"a\":1.50}","6162","1","11045.123456789","1767323045.000000000 1500","[1.0,2.0]","?"]]}}`

func (s *snowflakeServer) query(w http.ResponseWriter, r *http.Request) {
	asked := body(r)
	s.mu.Lock()
	s.requests = append(s.requests, asked)
	s.mu.Unlock()
	text, _ := asked["sqlText"].(string)
	reply := snowRow
	switch {
	case strings.HasPrefix(text, "ALTER SESSION"):
		reply = `{"success":true,"data":{"queryId":"01","statementTypeId":16384,"queryResultFormat":"json","rowtype":[],"rowset":[]}}`
	case asked["describeOnly"] == true && s.probed != "":
		reply = s.probed
	case asked["describeOnly"] == true:
		reply = `{"success":true,"data":{"queryId":"01","statementTypeId":4096,"queryResultFormat":"json","rowtype":[{"name":"EXISTS","type":"boolean"}],"rowset":[]}}`
	case s.hang && text != "SELECT 1":
		s.running <- struct{}{}
		<-r.Context().Done()
	case s.fail != "":
		reply = s.fail
	case s.answer != nil && s.answer() != "":
		reply = s.answer()
	}
	_, _ = io.WriteString(w, reply)
}

func (s *snowflakeServer) database(t *testing.T, more string) alert.Database {
	t.Helper()
	u, err := url.Parse(s.URL)
	require.NoError(t, err)
	return alert.Database{URL: fmt.Sprintf("snowflake://reader:${PASSWORD}@acme/SHOP/PUBLIC?warehouse=SMALL&role=SENTINEL&host=%s&port=%s&protocol=http%s", u.Hostname(), u.Port(), more)}
}

func TestAQueryOfSnowflakeCarriesItsLimitsAndWhoAsks(t *testing.T) {
	t.Parallel()
	s := startSnowflake(t, &snowflakeServer{})
	w := watcher(t, s.database(t, ""))
	for range 2 {
		result := w.Query(t.Context(), alert.Alert{Name: "Revenue", Query: "SELECT 'OK' AS status", Timeout: alert.Duration(30 * time.Second)}, alert.Run{ID: "run_1"})
		require.Nil(t, result.Failure)
		for name, want := range map[string]string{"N": "1234567890123456789012345678.1234567890", "V": `{"a":1.50}`, "RAW": `\x6162`, "B": "true", "T": "03:04:05.123456789", "TZ": "2026-01-02T04:04:05+01:00", "VEC": "[1.0,2.0]", "NOVEL": "?"} {
			got, _ := result.Rows[0].Context.Get(name)
			require.Equal(t, want, got.String(), name)
		}
	}
	require.Equal(t, "reader", s.login["LOGIN_NAME"])
	parameters := s.login["SESSION_PARAMETERS"].(map[string]any)
	require.Equal(t, "JSON", parameters["GO_QUERY_RESULT_FORMAT"])
	require.Equal(t, "true", fmt.Sprint(parameters["ABORT_DETACHED_QUERY"]))
	require.Equal(t, "false", fmt.Sprint(parameters["CLIENT_TELEMETRY_ENABLED"]))
	texts := []string{"ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = 30, ROWS_PER_RESULTSET = 1001", "SELECT EXISTS (\nSELECT 'OK' AS status\n)", "SELECT 'OK' AS status", "SELECT 'OK' AS status"}
	require.Len(t, s.requests, len(texts), "settings and the probe are sent once")
	for i, asked := range s.requests {
		require.Equal(t, texts[i], asked["sqlText"])
		require.Equal(t, i == 1, asked["describeOnly"] == true)
		if i > 0 {
			require.Equal(t, map[string]any{"MULTI_STATEMENT_COUNT": 1.0, "QUERY_TAG": `{"alert":"Revenue","application":"sqlsentinel","run":"run_1"}`}, asked["parameters"])
		}
	}
}

func TestAQueryOfSnowflakeIsAbortedOnTheServer(t *testing.T) {
	t.Parallel()
	s := startSnowflake(t, &snowflakeServer{hang: true})
	require.Contains(t, fails(t, askWithin(t, watcher(t, s.database(t, "")), time.Second, "SELECT endless"), alert.ErrorTimeout), "1s")
	soon(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.aborted > 0
	}, "it is aborted")
}

func TestErrorsOfSnowflakeSayWhatToDo(t *testing.T) {
	t.Parallel()
	failure := func(code, message string) string {
		return fmt.Sprintf(`{"success":false,"code":%q,"message":%q,"data":{"errorCode":%q,"sqlState":"42000","queryId":"01"}}`, code, message, code)
	}
	for _, c := range []struct {
		server *snowflakeServer
		query  string
		code   alert.Code
		advice string
	}{
		{&snowflakeServer{probed: failure("001003", "SQL compilation error:\nsyntax error line 2 at position 0 unexpected 'DROP'.")}, "DROP TABLE orders", alert.ErrorReadOnly, "line 1, column 1 of the query"},
		{&snowflakeServer{probed: failure("001003", "SQL compilation error:\nsyntax error line 3 at position 0 unexpected 'DROP'.")}, "-- x\nDROP TABLE orders", alert.ErrorReadOnly, "line 2, column 1 of the query"},
		{&snowflakeServer{probed: failure("001003", "SQL compilation error:\nsyntax error line 2 at position 22 unexpected ';'.")}, "SELECT 'OK' AS status ; DROP TABLE orders", alert.ErrorStatements, "single SELECT"},
		{&snowflakeServer{probed: failure("000008", "Actual statement count 3 did not match the desired statement count 1.")}, "SELECT 1); DROP TABLE orders; SELECT (1", alert.ErrorStatements, "more than one"},
		{&snowflakeServer{probed: failure("000904", "SQL compilation error: error line 2 at position 7\ninvalid identifier 'NOPE'")}, "SELECT nope", alert.ErrorQuery, "(line 1, column 8 of the query) invalid identifier"},
		{&snowflakeServer{probed: failure("002003", "SQL compilation error:\nObject 'ORDERS' does not exist or not authorized.")}, "SELECT 1", alert.ErrorQuery, "may the role"},
		{&snowflakeServer{fail: failure("003001", "SQL access control error:\nInsufficient privileges to operate on table 'ORDERS'")}, "SELECT 1", alert.ErrorQuery, "may the role"},
		{&snowflakeServer{fail: failure("000606", "No active warehouse selected in the current session.  Select an active warehouse with the 'use warehouse' command.")}, "SELECT 1", alert.ErrorUnreachable, "warehouse="},
		{&snowflakeServer{fail: failure("090073", "Warehouse 'SMALL' cannot be resumed because resource monitor 'X' has exceeded its quota.")}, "SELECT 1", alert.ErrorUnreachable, "quota"},
		{&snowflakeServer{fail: failure("000630", "Statement reached its statement or warehouse timeout of 5 second(s) and was canceled.")}, "SELECT 1", alert.ErrorTimeout, "canceled"},
		{&snowflakeServer{refuse: failure("390100", "Incorrect username or password was specified.")}, "SELECT 1", alert.ErrorUnreachable, "Incorrect username"},
		{&snowflakeServer{refuse: failure("390144", "JWT token is invalid.")}, "SELECT 1", alert.ErrorUnreachable, "JWT"},
		{&snowflakeServer{refuse: failure("390189", "Role 'SENTINEL' specified in the connect string does not exist or not authorized.")}, "SELECT 1", alert.ErrorUnreachable, "does not exist"},
	} {
		s := startSnowflake(t, c.server)
		message := fails(t, ask(t, watcher(t, s.database(t, "")), c.query), c.code)
		require.Contains(t, message, c.advice)
		require.NotContains(t, message, "c4n4ry")
		for _, asked := range s.requests {
			require.True(t, c.server.probed == "" || asked["sqlText"] != c.query, "what does not compile where a query must stand is not sent: %s", c.query)
		}
	}
}

func TestAKeyLogsInToSnowflake(t *testing.T) {
	t.Parallel()
	s := startSnowflake(t, &snowflakeServer{})
	dir := t.TempDir()
	keyFile(t, dir, "locked.p8", "c4n4ry/x")
	text, err := os.ReadFile(filepath.Join(dir, "locked.p8"))
	require.NoError(t, err)
	for _, key := range []string{"private_key_file=locked.p8", "private_key_base64=" + base64.StdEncoding.EncodeToString(text)} {
		d := s.database(t, "&private_key_file_pwd=${PASSWORD}&"+key)
		d.Dir = dir
		works(t, watcher(t, d), "SELECT 'OK' AS status")
		require.Equal(t, "SNOWFLAKE_JWT", s.login["AUTHENTICATOR"])
		require.Regexp(t, `^ey.+\..+\..+$`, s.login["TOKEN"])
		s.login = nil
	}
}
