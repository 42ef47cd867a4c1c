package query_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// rest answers the requests of BigQuery's REST reference that an alert needs, and takes no
// other. It does what no emulator does: sizes, bills, waiting, cancelling, refusing.
type rest struct {
	*httptest.Server
	// What it answers.
	kind           string // of statement
	bytes, billed  int64
	pages          []string // of getQueryResults
	planned, asked string   // error bodies, with their status before a blank, of the dry run and of results
	hang           string   // the query that never ends
	cut            bool     // the connection is lost when results are asked for
	half           bool     // it is lost within them
	grant          string   // what the token's address answers; empty: a token

	mu        sync.Mutex
	dry, job  map[string]any
	cancelled []string
	jobs      []string // their ids and locations
	text      string   // of the last
	served    int
}

func startREST(t *testing.T, r *rest) *rest {
	t.Helper()
	if r.kind == "" {
		r.kind = "SELECT"
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /bigquery/v2/projects/shop/jobs", r.insert)
	mux.HandleFunc("GET /bigquery/v2/projects/shop/queries/{job}", r.results)
	mux.HandleFunc("GET /bigquery/v2/projects/shop/jobs/{job}", r.get)
	mux.HandleFunc("POST /bigquery/v2/projects/shop/jobs/{job}/cancel", r.cancel)
	mux.HandleFunc("POST /token", r.token)
	r.Server = httptest.NewServer(mux)
	t.Cleanup(r.Close)
	return r
}

func (r *rest) token(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.grant != "" {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprint(w, r.grant)
		return
	}
	_, _ = fmt.Fprint(w, `{"access_token":"c4n4ry-token","token_type":"Bearer","expires_in":3600}`)
}

// refuse answers with an error body as "404 {…}".
func refuse(w http.ResponseWriter, text string) bool {
	status, body, ok := strings.Cut(text, " ")
	if !ok {
		return false
	}
	code := 0
	_, _ = fmt.Sscan(status, &code)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = fmt.Fprint(w, body)
	return true
}

func (r *rest) insert(w http.ResponseWriter, q *http.Request) {
	var job map[string]any
	if err := json.NewDecoder(q.Body).Decode(&job); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.served++
	configuration := job["configuration"].(map[string]any)
	dry := configuration["dryRun"] == true
	reference := job["jobReference"].(map[string]any)
	if dry {
		r.dry = job
		if refuse(w, r.planned) {
			return
		}
	} else {
		r.job = job
		r.jobs = append(r.jobs, fmt.Sprint(reference["jobId"], " ", reference["location"]))
		r.text = fmt.Sprint(configuration["query"].(map[string]any)["query"])
	}
	answer(w, map[string]any{"jobReference": reference, "status": map[string]any{"state": "DONE"},
		"statistics": map[string]any{"totalBytesProcessed": fmt.Sprint(r.bytes), "query": map[string]any{"statementType": r.kind}}})
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

func (r *rest) results(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	endless := r.hang != "" && r.text == r.hang
	r.mu.Unlock()
	if endless {
		select {
		case <-q.Context().Done():
		case <-time.After(100 * time.Millisecond): // the real one waits for timeoutMs
		}
		answer(w, map[string]any{"jobComplete": false})
		return
	}
	if r.cut {
		panic(http.ErrAbortHandler)
	}
	if refuse(w, r.asked) {
		return
	}
	page := 0
	_, _ = fmt.Sscan(q.URL.Query().Get("pageToken"), &page)
	if q.URL.Query().Get("formatOptions.useInt64Timestamp") != "true" || q.URL.Query().Get("location") != "EU" || q.URL.Query().Get("maxResults") == "" || page >= len(r.pages) {
		http.Error(w, "a request that the test does not expect: "+q.URL.String(), http.StatusTeapot)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if r.half {
		w.Header().Set("Content-Length", fmt.Sprint(2*len(r.pages[page])))
	}
	_, _ = fmt.Fprint(w, r.pages[page])
}

func (r *rest) get(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{"statistics": map[string]any{"query": map[string]any{"totalBytesBilled": fmt.Sprint(r.billed), "cacheHit": r.billed == 0}}})
}

func (r *rest) cancel(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cancelled = append(r.cancelled, q.PathValue("job")+" "+q.URL.Query().Get("location"))
	answer(w, map[string]any{})
}

func (r *rest) database(more string) alert.Database {
	return alert.Database{URL: "bigquery://shop/sales?location=EU&api_endpoint=" + r.URL + more}
}

const okPage = `{"jobComplete":true,"schema":{"fields":[{"name":"status","type":"STRING"}]},"rows":[{"f":[{"v":"OK"}]}]}`

func TestAJobOfBigQueryCarriesItsLimitsAndWhoAsks(t *testing.T) {
	t.Parallel()
	r := startREST(t, &rest{bytes: 2 << 30, billed: 3 << 30, pages: []string{okPage}})
	d := r.database("&priority=batch&use_query_cache=false")
	d.MaxBytesBilled = 10e9
	result := watcher(t, d).Query(t.Context(), alert.Alert{Name: "Daily Revenue: Été!", Query: "SELECT 1", Timeout: alert.Duration(time.Minute)}, alert.Run{ID: "run_5K2m"})
	require.Nil(t, result.Failure)
	require.Equal(t, int64(2<<30), result.Usage.BytesEstimated)
	require.Equal(t, int64(3<<30), result.Usage.BytesBilled)
	require.Equal(t, "0.018311", result.Usage.EstimatedCost.String(), "3 GiB at 6.25 USD a TiB")

	reference := r.job["jobReference"].(map[string]any)
	require.Equal(t, "EU", reference["location"])
	require.Regexp(t, `^sqlsentinel_[0-9a-f]{32}$`, reference["jobId"])
	configuration := r.job["configuration"].(map[string]any)
	require.Equal(t, map[string]any{"application": "sqlsentinel", "alert": "daily_revenue__été_", "run": "run_5k2m"}, configuration["labels"])
	require.Regexp(t, `^(59|60)\d{3}$`, configuration["jobTimeoutMs"])
	asked := configuration["query"].(map[string]any)
	require.Equal(t, map[string]any{"query": "SELECT 1", "useLegacySql": false, "maximumBytesBilled": "10000000000", "priority": "BATCH", "useQueryCache": false,
		"defaultDataset": map[string]any{"projectId": "shop", "datasetId": "sales"}}, asked)
	require.Equal(t, asked, r.dry["configuration"].(map[string]any)["query"], "what is planned is what is run")
}

func TestAQueryOfBigQueryWhoseAnswerIsLostIsNotBilledTwice(t *testing.T) {
	t.Parallel()
	for _, r := range []*rest{{cut: true}, {half: true, pages: []string{okPage}}} {
		startREST(t, r)
		fails(t, ask(t, watcher(t, r.database("")), "SELECT 1"), alert.ErrorUnreachable)
		require.Equal(t, r.jobs, r.cancelled)
		require.Len(t, r.jobs, 1)
	}
}

func TestBigQueryGetsTheIntervalAsNamedParameters(t *testing.T) {
	t.Parallel()
	r := startREST(t, &rest{pages: []string{okPage}})
	a := alert.Alert{Query: "SELECT ':a' AS x -- :b\nFROM t WHERE at > :previous_time AND at <= :scheduled_time OR at = :scheduled_time", Params: true, Timeout: alert.Duration(time.Minute)}
	at := time.Date(2026, 1, 2, 4, 4, 5, 0, time.FixedZone("", 3600))
	require.Nil(t, watcher(t, r.database("")).Query(t.Context(), a, alert.Run{Scheduled: at, Previous: at.Add(-time.Hour)}).Failure)
	for _, job := range []map[string]any{r.dry, r.job} {
		asked := job["configuration"].(map[string]any)["query"].(map[string]any)
		require.Equal(t, "SELECT ':a' AS x -- :b\nFROM t WHERE at > @previous_time AND at <= @scheduled_time OR at = @scheduled_time", asked["query"])
		require.Equal(t, "NAMED", asked["parameterMode"])
		parameter := func(name, value string) any {
			return map[string]any{"name": name, "parameterType": map[string]any{"type": "TIMESTAMP"}, "parameterValue": map[string]any{"value": value}}
		}
		require.Equal(t, []any{parameter("previous_time", "2026-01-02 02:04:05+00:00"), parameter("scheduled_time", "2026-01-02 03:04:05+00:00")}, asked["queryParameters"])
	}
}

func TestAQueryOfBigQueryThatCostsTooMuchDoesNotRun(t *testing.T) {
	t.Parallel()
	r := startREST(t, &rest{bytes: 20e9})
	d := r.database("")
	d.MaxBytesBilled = 10e9
	result := ask(t, watcher(t, d), "SELECT 1")
	require.Contains(t, fails(t, result, alert.ErrorBytesBilled), "18.63 GiB")
	require.Nil(t, r.job, "it was planned only")
	require.Equal(t, "0.113687", result.Usage.EstimatedCost.String())

	r = startREST(t, &rest{kind: "SCRIPT"})
	fails(t, ask(t, watcher(t, r.database("")), "SELECT 1; SELECT 2"), alert.ErrorStatements)
	require.Nil(t, r.job)
}

func TestAJobOfBigQueryIsCancelledOnTheServer(t *testing.T) {
	t.Parallel()
	r := startREST(t, &rest{hang: "SELECT endless", pages: []string{okPage}})
	w := watcher(t, r.database(""))
	require.Contains(t, fails(t, askWithin(t, w, time.Second, "SELECT endless"), alert.ErrorTimeout), "1s")
	require.Len(t, r.cancelled, 1)
	require.Equal(t, r.jobs, r.cancelled, "nothing else is asked: it would wait its turn, too, and make a slow query an outage")
}

func TestBigQueryReadsPagesUpToTheCapAndEveryType(t *testing.T) {
	t.Parallel()
	many := `{"jobComplete":true,"pageToken":"%d","schema":{"fields":[{"name":"status","type":"STRING"},{"name":"k","type":"INTEGER"}]},"rows":[` + strings.Repeat(`{"f":[{"v":"OK"},{"v":"1"}]},`, 599) + `{"f":[{"v":"OK"},{"v":"2"}]}]}`
	r := startREST(t, &rest{pages: []string{fmt.Sprintf(many, 1), fmt.Sprintf(many, 2)}})
	fails(t, ask(t, watcher(t, r.database("")), "SELECT 1", "k"), alert.ErrorRowCap)
	require.Len(t, r.cancelled, 1)

	r = startREST(t, &rest{pages: []string{`{"jobComplete":true,"schema":{"fields":[{"name":"status","type":"STRING"},{"name":"big","type":"BIGNUMERIC"},{"name":"iv","type":"INTERVAL"},
		{"name":"days","type":"RANGE","rangeElementType":{"type":"DATE"}},{"name":"span","type":"RANGE","rangeElementType":{"type":"TIMESTAMP"}},{"name":"place","type":"GEOGRAPHY"},{"name":"doc","type":"JSON"},
		{"name":"novel","type":"HOLOGRAM"},{"name":"odd","type":"HOLOGRAM"},{"name":"spans","type":"RANGE","mode":"REPEATED","rangeElementType":{"type":"DATE"}},{"name":"torn","type":"RECORD","fields":[{"name":"a","type":"STRING"}]}]},
		"rows":[{"f":[{"v":"OK"},{"v":"578960446186580977117854925043439539266.34992332820282019728792003956564819967"},{"v":"0-0 1 0:0:0"},{"v":"[2026-01-01, UNBOUNDED)"},
		{"v":"[1767322800000001, UNBOUNDED)"},{"v":"POINT(1 2)"},{"v":"{\"a\":1.50}"},{"v":"?"},{"v":{"x":[1]}},{"v":[{"v":"[2026-01-01, UNBOUNDED)"}]},{"v":{"f":[]}}]}]}`}})
	row := works(t, watcher(t, r.database("")), "SELECT 1").Rows[0]
	for name, want := range map[string]string{
		"big": "578960446186580977117854925043439539266.34992332820282019728792003956564819967", "iv": "0-0 1 0:0:0", "days": "[2026-01-01, UNBOUNDED)", "span": "[2026-01-02T03:00:00.000001Z, UNBOUNDED)",
		"place": "POINT(1 2)", "doc": `{"a":1.50}`, "novel": "?", "odd": `{"x":[1]}`, "spans": `["[2026-01-01, UNBOUNDED)"]`, "torn": `{"f":[]}`,
	} {
		got, _ := row.Context.Get(name)
		require.Equal(t, want, got.String(), name)
	}
}

func TestErrorsOfBigQuerySayWhatToDo(t *testing.T) {
	t.Parallel()
	body := func(status int, reason, message string) string {
		return fmt.Sprintf(`%d {"error":{"code":%d,"message":%q,"errors":[{"reason":%q,"message":%q}]}}`, status, status, message, reason, message)
	}
	for _, c := range []struct {
		body   string
		code   alert.Code
		advice string
	}{
		{body(400, "invalidQuery", `Syntax error: Unexpected identifier "SELEC" at [1:1]`), alert.ErrorQuery, "(line 1, column 1 of the query)"},
		{body(404, "notFound", "Not found: Table shop:sales.orders was not found in location EU"), alert.ErrorQuery, "location="},
		{body(404, "notFound", "Not found: Project shop"), alert.ErrorUnreachable, "Project shop"},
		{body(403, "accessDenied", "Access Denied: Table shop:sales.orders: User does not have permission to query table"), alert.ErrorQuery, "bigquery.dataViewer"},
		{body(403, "accessDenied", "Access Denied: Project shop: User does not have bigquery.jobs.create permission in project shop."), alert.ErrorUnreachable, "jobs.create"},
		{body(403, "quotaExceeded", "Quota exceeded: Your project exceeded quota for free query bytes scanned"), alert.ErrorQuery, "quota"},
		{body(400, "bytesBilledLimitExceeded", "Query exceeded limit for bytes billed: 10000000. 20971520 or higher required."), alert.ErrorBytesBilled, "max_bytes_billed"},
		{body(401, "authError", "Request had invalid authentication credentials."), alert.ErrorUnreachable, "authentication"},
		{body(503, "backendError", "Visibility check was unavailable. Please retry the request"), alert.ErrorUnreachable, "unavailable"},
		{"502 <html>bad gateway</html>", alert.ErrorUnreachable, "Bad Gateway"},
	} {
		for _, r := range []*rest{startREST(t, &rest{planned: c.body}), startREST(t, &rest{asked: c.body})} {
			require.Contains(t, fails(t, ask(t, watcher(t, r.database("")), "SELECT 1"), c.code), c.advice, c.body)
			require.LessOrEqual(t, r.served, 2, "nothing is repeated")
		}
	}
}

func TestCredentialsOfBigQueryThatAreRefusedAreAnOutage(t *testing.T) {
	t.Parallel()
	r := startREST(t, &rest{pages: []string{okPage}})
	dir := t.TempDir()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	key, err := json.Marshal(map[string]string{"type": "service_account", "project_id": "shop", "client_email": "sentinel@shop.iam.gserviceaccount.com", "private_key_id": "c4n4ry",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": r.URL + "/token"})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.json"), key, 0o600))
	d := r.database("&credentials_path=key.json")
	d.Dir = dir
	works(t, watcher(t, d), "SELECT 1")

	r.grant = `{"error":"invalid_grant","error_description":"Invalid JWT Signature. c4n4ry"}`
	encoded := alert.Database{URL: r.database("").URL + "&credentials_base64=" + base64.StdEncoding.EncodeToString(key)}
	for _, d := range []alert.Database{d, encoded} {
		message := fails(t, ask(t, watcher(t, d), "SELECT 1"), alert.ErrorUnreachable)
		require.Contains(t, message, "invalid_grant")
		require.NotContains(t, message, "c4n4ry")
	}
	w := watcher(t, d)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.json"), []byte("c4n4ry"), 0o600))
	require.Contains(t, fails(t, ask(t, w, "SELECT 1"), alert.ErrorUnreachable), "no key of Google Cloud")
	require.NoError(t, os.Remove(filepath.Join(dir, "key.json")))
	require.Contains(t, fails(t, ask(t, w, "SELECT 1"), alert.ErrorUnreachable), "no such file")

	r.Close()
	require.Contains(t, fails(t, ask(t, watcher(t, r.database("")), "SELECT 1"), alert.ErrorUnreachable), "refused")
}
