package query_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/emulators"
)

// warehouse is a dataset of its own on the emulator of BigQuery, with the table orders.
type warehouse struct {
	endpoint, dataset string
}

func openWarehouse(t *testing.T) *warehouse {
	t.Helper()
	w := &warehouse{endpoint: emulators.BigQuery(t), dataset: fmt.Sprintf("shop_%d", time.Now().UnixNano())}
	w.post(t, "datasets", map[string]any{"datasetReference": map[string]string{"projectId": "shop", "datasetId": w.dataset}, "location": "EU"})
	w.exec(t, "CREATE TABLE orders (id INT64, region STRING, total NUMERIC)", "INSERT INTO orders (id, region, total) VALUES (1, 'EU', NUMERIC '10.50'), (2, 'US', NUMERIC '20.00'), (3, 'EU', NUMERIC '30.25')")
	return w
}

// post asks the emulator past everything under test.
func (w *warehouse) post(t *testing.T, path string, body any) map[string]any {
	t.Helper()
	text, err := json.Marshal(body)
	require.NoError(t, err)
	answer, err := http.Post(w.endpoint+"/bigquery/v2/projects/shop/"+path, "application/json", bytes.NewReader(text))
	require.NoError(t, err)
	defer func() { require.NoError(t, answer.Body.Close()) }()
	var out map[string]any
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&out))
	require.Equal(t, http.StatusOK, answer.StatusCode, out)
	return out
}

func (w *warehouse) exec(t *testing.T, statements ...string) {
	t.Helper()
	for _, s := range statements {
		w.post(t, "queries", map[string]any{"query": s, "useLegacySql": false, "defaultDataset": map[string]string{"projectId": "shop", "datasetId": w.dataset}})
	}
}

// unchanged looks at the data and at the schema.
func (w *warehouse) unchanged(t *testing.T, after string) {
	t.Helper()
	answer := w.post(t, "queries", map[string]any{"query": "SELECT COUNT(*), SUM(total) FROM " + w.dataset + ".orders", "useLegacySql": false})
	text, err := json.Marshal(answer["rows"])
	require.NoError(t, err)
	require.JSONEq(t, `[{"f":[{"v":"3"},{"v":"60.75"}]}]`, string(text), after)
	tables, err := http.Get(w.endpoint + "/bigquery/v2/projects/shop/datasets/" + w.dataset + "/tables")
	require.NoError(t, err)
	defer func() { require.NoError(t, tables.Body.Close()) }()
	var listed struct{ Tables []any }
	require.NoError(t, json.NewDecoder(tables.Body).Decode(&listed))
	require.Len(t, listed.Tables, 1, after)
}

func (w *warehouse) url() string {
	return "bigquery://shop/" + w.dataset + "?location=EU&api_endpoint=" + w.endpoint
}

// watcher watches a database.
func watcher(t *testing.T, d alert.Database) *query.Runner {
	t.Helper()
	r, err := query.New(query.Options{Databases: map[string]alert.Database{"": d}, Secrets: alert.NewSecrets(environment)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

func TestBigQueryKeepsTheContractOfQueries(t *testing.T) {
	t.Parallel()
	w := openWarehouse(t)
	r := watcher(t, alert.Database{URL: w.url()})
	one := works(t, r, "SELECT 'alert' AS STATUS, SUM(total) AS Actual_Value, 100 AS threshold, 'x' AS why FROM orders")
	require.Equal(t, alert.StatusAlert, one.Rows[0].Status)
	require.Equal(t, "60.75", one.Rows[0].Actual.String())
	require.Equal(t, "why=x", one.Rows[0].Context.String())
	require.NotNil(t, one.Usage)

	keyed := works(t, r, "SELECT region, 'OK' AS status, COUNT(*) AS actual_value FROM orders GROUP BY region ORDER BY region", "region")
	require.Len(t, keyed.Rows, 2)
	require.True(t, works(t, r, "SELECT 'OK' AS status FROM orders WHERE id > 100").Empty)
	require.True(t, works(t, r, "SELECT 'OK' AS status, SUM(total) AS actual_value FROM orders WHERE id > 100").Rows[0].NoData)
	require.NoError(t, r.Ping(t.Context(), ""))

	require.Contains(t, fails(t, ask(t, r, "SELECT 1 AS one, 2 AS two"), alert.ErrorNoStatus), "one, two")
	require.Contains(t, fails(t, ask(t, r, "SELECT 'OK' AS status FROM nowhere"), alert.ErrorQuery), "location=")
	require.Contains(t, fails(t, ask(t, r, "SELECT 'OK' AS status,\n nope FROM orders"), alert.ErrorQuery), "nope")
	fails(t, ask(t, r, "SELECT 'OK' AS status, id FROM orders"), alert.ErrorRows)
	fails(t, ask(t, r, ""), alert.ErrorQuery)
	fails(t, ask(t, r, "SELECT 'OK' AS status, n AS k FROM UNNEST(GENERATE_ARRAY(1, 5000)) AS n", "k"), alert.ErrorRowCap)
	fails(t, ask(t, r, "SELECT 'OK' AS status, REPEAT('x', 2000000) AS actual_value"), alert.ErrorSizeCap)
}

func TestBigQueryIsTakenAtItsWordAboutWhatWrites(t *testing.T) {
	t.Parallel()
	w := openWarehouse(t)
	r := watcher(t, alert.Database{URL: w.url()})
	for _, text := range []string{
		"DELETE FROM orders WHERE true", "INSERT INTO orders (id, region, total) VALUES (4, 'EU', 1)", "UPDATE orders SET total = 0 WHERE true", "DROP TABLE orders", "TRUNCATE TABLE orders",
		"CREATE TABLE stolen (x INT64)", "CREATE TABLE stolen AS SELECT * FROM orders", "CREATE OR REPLACE TABLE orders AS SELECT 1 AS x", "CREATE VIEW stolen AS SELECT 1 AS x",
		"MERGE orders o USING (SELECT 1 AS id) n ON o.id = n.id WHEN NOT MATCHED THEN INSERT (id) VALUES (9)", "ALTER TABLE orders ADD COLUMN x INT64",
		"EXPORT DATA OPTIONS (uri='gs://x/*', format='CSV') AS SELECT 1", "CALL spoil()", "EXECUTE IMMEDIATE 'DROP TABLE orders'", "BEGIN DELETE FROM orders WHERE true; END",
		"SELECT 'OK' AS status; DROP TABLE orders", "SELECT 'OK' AS status; DELETE FROM orders WHERE true; SELECT 'OK' AS status", "SELECT 'OK' AS status -- x\n; DELETE FROM orders WHERE true",
	} {
		result := ask(t, r, text)
		require.NotNil(t, result.Failure, text)
		require.False(t, result.Failure.Unreachable, "%s: %s", text, result.Failure.Message)
		w.unchanged(t, text)
	}
	fails(t, ask(t, r, "INSERT INTO orders (id, region, total) VALUES (4, 'EU', 1)"), alert.ErrorReadOnly)
	fails(t, ask(t, r, "DROP TABLE orders"), alert.ErrorReadOnly)
	fails(t, ask(t, r, "SELECT 'OK' AS status; DROP TABLE orders"), alert.ErrorStatements)
	w.exec(t, "DROP TABLE orders")
	require.Contains(t, fails(t, ask(t, r, "SELECT 'OK' AS status FROM orders"), alert.ErrorQuery), "orders")
}

func TestBigQueryValuesKeepEveryDigit(t *testing.T) {
	t.Parallel()
	w := openWarehouse(t)
	r := watcher(t, alert.Database{URL: w.url()})
	row := works(t, r, `SELECT 'OK' AS status, 9223372036854775807 AS i, NUMERIC '1234567890123456.123456789' AS n, 1.5 AS f, CAST('nan' AS FLOAT64) AS nan, true AS b,
		DATE '2026-01-02' AS d, TIME '01:02:03' AS ti, DATETIME '2026-01-02 03:04:05' AS dt, TIMESTAMP '2026-01-02 03:04:05.123456 UTC' AS ts, b'ab' AS raw,
		[1, 2] AS list, STRUCT(1 AS x, 'y' AS y) AS record, [STRUCT(1 AS x, ['p', 'q'] AS y)] AS both, CAST(NULL AS STRING) AS none, 'é' AS s`).Rows[0]
	for name, want := range map[string]string{
		"i": "9223372036854775807", "n": "1234567890123456.123456789", "f": "1.5", "nan": "NaN", "b": "true", "d": "2026-01-02", "ti": "01:02:03", "dt": "2026-01-02T03:04:05",
		"ts": "2026-01-02T03:04:05.123456Z", "raw": `\x6162`, "list": "[1,2]", "record": `{"x":1,"y":"y"}`, "both": `[{"x":1,"y":["p","q"]}]`, "none": "NULL", "s": "é",
	} {
		got, ok := row.Context.Get(name)
		require.True(t, ok, name)
		require.Equal(t, want, got.String(), name)
	}
}

func TestBigQueryURLsThatCannotBeUsedSayWhy(t *testing.T) {
	for address, advice := range map[string]string{
		"bigquery://shop/sales?loction=EU":                                      "did you mean location",
		"bigquery://shop/sales?maximum_bytes=c4n4ry":                            "did you mean",
		"bigquery://shop/sales?location=EU&location=US":                         "twice",
		"bigquery://shop/sales?credentials_path=none.json":                      "credentials_path cannot be read",
		"bigquery://shop/sales?credentials_base64=c4n4ry":                       "base64",
		"bigquery://shop/sales?credentials_base64=e30=&credentials_path=a.json": "both",
		"bigquery://shop/sales/orders":                                          "part too many",
		"bigquery://u:c4n4ry@shop/sales":                                        "without a user",
		"bigquery://shop/sales?priority=c4n4ry":                                 "INTERACTIVE",
		"bigquery://shop/sales?use_query_cache=c4n4ry":                          "true or false",
		"bigquery://shop/sales?api_endpoint=http://example.com":                 "https://",
	} {
		err := query.CheckDatabase(alert.Database{URL: address, Dir: t.TempDir()}, environment)
		require.ErrorContains(t, err, advice, address)
		require.NotContains(t, err.Error(), "c4n4ry", address)
	}
	for _, address := range []string{"bigquery://shop", "bigquery://shop/sales", "bigquery:///", "bigquery://shop/other.sales?location=EU&priority=BATCH&use_query_cache=false", "bigquery://shop?api_endpoint=https://private.example.com"} {
		require.NoError(t, query.CheckDatabase(alert.Database{URL: address, MaxBytesBilled: 10e9}, environment), address)
	}
	require.ErrorContains(t, query.CheckDatabase(alert.Database{URL: "sqlite:///x.db", MaxBytesBilled: 1}, environment), "max_bytes_billed")
}
