package query_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/snowflakedb/gosnowflake/v2" // the admin's own way in
	"github.com/stretchr/testify/require"
	"github.com/youmark/pkcs8"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/emulators"
)

// openSnow is a database of its own on the emulator of Snowflake, with the table orders.
func openSnow(t *testing.T) *world {
	t.Helper()
	u, err := url.Parse(emulators.Snowflake(t))
	require.NoError(t, err)
	name := fmt.Sprintf("SHOP_%d", time.Now().UnixNano())
	admin, err := sql.Open("snowflake", fmt.Sprintf("admin:secret@%s/%s/PUBLIC?account=here&protocol=http", u.Host, name))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, admin.Close()) })
	w := &world{
		name: "snowflake", admin: admin,
		url: fmt.Sprintf("snowflake://reader:c4n4ry@here/%s/PUBLIC?warehouse=small&role=sentinel&host=%s&port=%s&protocol=http", name, u.Hostname(), u.Port()),
	}
	w.exec(t, "CREATE TABLE orders (id INTEGER, region VARCHAR(20), total NUMBER(10,2))", "INSERT INTO orders VALUES (1, 'EU', 10.50), (2, 'US', 20.00), (3, 'EU', 30.25)")
	return w
}

func TestSnowflakeKeepsTheContractOfQueries(t *testing.T) {
	t.Parallel()
	w := openSnow(t)
	r := watcher(t, alert.Database{URL: w.url})
	one := works(t, r, "SELECT 'alert' AS STATUS, SUM(total) AS Actual_Value, 100 AS threshold, 'x' AS why FROM orders")
	require.Equal(t, alert.StatusAlert, one.Rows[0].Status)
	require.Equal(t, "60.75", one.Rows[0].Actual.String())
	keyed := works(t, r, "SELECT region, 'OK' AS status, COUNT(*) AS actual_value FROM orders GROUP BY region ORDER BY region", "region")
	require.Len(t, keyed.Rows, 2)
	require.True(t, works(t, r, "SELECT 'OK' AS status FROM orders WHERE id > 100").Empty)
	require.True(t, works(t, r, "SELECT 'OK' AS status, SUM(total) AS actual_value FROM orders WHERE id > 100").Rows[0].NoData)
	works(t, r, "WITH o AS (SELECT * FROM orders) SELECT 'OK' AS status FROM o WHERE id = 1; -- done\n /* really */ ;")
	require.NoError(t, r.Ping(t.Context(), ""))

	require.Contains(t, fails(t, ask(t, r, "SELECT 1 AS one, 2 AS two"), alert.ErrorNoStatus), "ONE, TWO")
	require.Contains(t, fails(t, ask(t, r, "SELECT 'OK' AS status FROM nowhere"), alert.ErrorQuery), "may the role")
	fails(t, ask(t, r, "SELECT 'OK' AS status, id FROM orders"), alert.ErrorRows)
	w.exec(t, "DROP TABLE orders")
	require.Contains(t, fails(t, ask(t, r, "SELECT 'OK' AS status, SUM(total) AS actual_value, 100 AS threshold, 'x' AS why FROM orders"), alert.ErrorQuery), "ORDERS")
}

func TestSnowflakeLetsNothingWrite(t *testing.T) {
	t.Parallel()
	w := openSnow(t)
	r := watcher(t, alert.Database{URL: w.url})
	for _, text := range []string{
		"DELETE FROM orders", "INSERT INTO orders VALUES (4, 'EU', 1)", "UPDATE orders SET total = 0", "DROP TABLE orders", "TRUNCATE TABLE orders", "CREATE TABLE stolen (x INTEGER)",
		"CREATE TABLE stolen AS SELECT * FROM orders", "CREATE OR REPLACE TABLE orders AS SELECT 1 AS x", "ALTER TABLE orders ADD COLUMN x INTEGER", "MERGE INTO orders USING (SELECT 9 AS id) n ON orders.id = n.id WHEN NOT MATCHED THEN INSERT (id) VALUES (9)",
		"CALL spoil()", "EXECUTE IMMEDIATE 'DROP TABLE orders'", "BEGIN", "COMMIT", "USE SCHEMA information_schema", "SHOW TABLES", "GRANT SELECT ON orders TO ROLE x", "COPY INTO @~ FROM orders", "ALTER SESSION SET QUERY_TAG = 'x'",
		"-- x\nDROP TABLE orders", "/* x */ DELETE FROM orders",
		"SELECT 'OK' AS status; DROP TABLE orders", "SELECT 'OK' AS status; DELETE FROM orders; SELECT 'OK' AS status", "SELECT 'OK' AS status -- x\n; DELETE FROM orders",
	} {
		result := ask(t, r, text)
		require.NotNil(t, result.Failure, text)
		require.False(t, result.Failure.Unreachable, "%s: %s", text, result.Failure.Message)
		require.Equal(t, 3, w.count(t, "SELECT COUNT(*) FROM orders"), text)
		require.Equal(t, 6075, w.count(t, "SELECT CAST(SUM(total) * 100 AS INTEGER) FROM orders"), text)
		require.Equal(t, 1, w.count(t, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'PUBLIC'"), text)
	}
}

func TestSnowflakeValuesSurvive(t *testing.T) {
	t.Parallel()
	w := openSnow(t)
	row := works(t, watcher(t, alert.Database{URL: w.url}), `SELECT 'OK' AS status, 1234567890.50::NUMBER(20,2) AS n, 7 AS i, 1.5::FLOAT AS f, TRUE AS b, DATE '2026-01-02' AS d,
		TIMESTAMP_NTZ_FROM_PARTS(2026, 1, 2, 3, 4, 5) AS ts, NULL::VARCHAR AS none, 'é' AS s, PARSE_JSON('{"a":[1,2]}') AS v`).Rows[0]
	for name, want := range map[string]string{"N": "1234567890.50", "I": "7", "F": "1.5", "B": "true", "D": "2026-01-02", "TS": "2026-01-02T03:04:05", "NONE": "NULL", "S": "é", "V": `{"a":[1,2]}`} {
		got, ok := row.Context.Get(name)
		require.True(t, ok, "%s of %s", name, row.Context)
		require.Equal(t, want, got.String(), name)
	}
}

func TestAProgramThatOnlyStartsLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	home, temporary := t.TempDir(), t.TempDir()
	program := exec.Command(os.Args[0], "-test.run=^$") //nolint:gosec // this very program
	program.Env = []string{"HOME=" + home, "TMPDIR=" + temporary, "PATH=" + os.Getenv("PATH")}
	out, err := program.CombinedOutput()
	require.NoError(t, err, string(out))
	for _, dir := range []string{home, temporary} {
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

func TestSnowflakeGetsTheInterval(t *testing.T) {
	t.Parallel()
	w := openSnow(t)
	at := time.Date(2026, 1, 2, 4, 4, 5, 0, time.FixedZone("", 3600))
	a := alert.Alert{Query: "SELECT 'OK' AS status, :scheduled_time AS actual_value, :previous_time AS threshold", Params: true, Timeout: alert.Duration(time.Minute)}
	result := watcher(t, alert.Database{URL: w.url}).Query(t.Context(), a, alert.Run{Scheduled: at, Previous: at.Add(-time.Hour)})
	require.Nil(t, result.Failure, "%+v", result.Failure)
	require.Contains(t, result.Rows[0].Actual.String(), "2026-01-02T03:04:05")
	require.Contains(t, result.Rows[0].Threshold.String(), "2026-01-02T02:04:05")
}

// keyFile writes a private key in PEM form.
func keyFile(t *testing.T, dir, name, passphrase string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	block := &pem.Block{Type: "PRIVATE KEY"}
	if passphrase == "" {
		block.Bytes, err = x509.MarshalPKCS8PrivateKey(key)
	} else {
		block.Type = "ENCRYPTED PRIVATE KEY"
		block.Bytes, err = pkcs8.MarshalPrivateKey(key, []byte(passphrase), nil)
	}
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600))
}

func TestSnowflakeURLsThatCannotBeUsedSayWhy(t *testing.T) {
	dir := t.TempDir()
	keyFile(t, dir, "key.p8", "")
	keyFile(t, dir, "locked.p8", "c4n4ry/x")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "text.p8"), []byte("c4n4ry"), 0o600))
	for address, advice := range map[string]string{
		"snowflake://u:c4n4ry@acme/db?warehous=x":                                     "did you mean warehouse",
		"snowflake://u:c4n4ry@acme/db?colour=x":                                       "did you mean",
		"snowflake://acme/db":                                                         "lacks the user",
		"snowflake://u@acme/db":                                                       "no password",
		"snowflake://u:c4n4ry@acme/db/schema/table":                                   "part too many",
		"snowflake://u:c4n4ry@acme/db?authenticator=externalbrowser":                  "without a person",
		"snowflake://u@acme/db?authenticator=snowflake_jwt":                           "private_key_path",
		"snowflake://u@acme/db?authenticator=oauth":                                   "token",
		"snowflake://u@acme/db?private_key_path=none.p8":                              "cannot be read",
		"snowflake://u@acme/db?private_key_path=text.p8":                              "PEM",
		"snowflake://u@acme/db?private_key_path=locked.p8":                            "encrypted",
		"snowflake://u@acme/db?private_key_path=locked.p8&private_key_passphrase=bad": "decrypted",
		"snowflake://u@acme/db?private_key_path=key.p8&private_key_file=key.p8":       "both",
		"snowflake://u@acme/db?private_key_base64=c4n4ry":                             "base64",
		"snowflake://u:c4n4ry@acme/db?port=c4n4ry":                                    "port",
		"snowflake://u:c4n4ry@acme/db?protocol=http":                                  "emulator",
		"snowflake://u:${BAD}@acme/db":                                                "percent",
	} {
		err := query.CheckDatabase(alert.Database{URL: address, Dir: dir}, environment)
		require.ErrorContains(t, err, advice, address)
		require.NotContains(t, err.Error(), "c4n4ry", address)
	}
	for _, address := range []string{
		"snowflake://u:${PASSWORD}@acme-prod/shop/public?warehouse=small&role=sentinel", "snowflake://u:p@xy12345.eu-central-1/shop", "snowflake://u@acme?private_key_path=key.p8",
		"snowflake://u@acme?authenticator=snowflake_jwt&private_key_file=locked.p8&private_key_file_pwd=${PASSWORD}", "snowflake://u@acme?authenticator=programmatic_access_token&token=${PASSWORD}",
	} {
		require.NoError(t, query.CheckDatabase(alert.Database{URL: address, Dir: dir}, environment), address)
	}
}
