package query

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/agnivade/levenshtein"
	"github.com/go-sql-driver/mysql"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// kinds of databases by the scheme of a URL, as people know them from SQLAlchemy.
func kinds() map[string]opener {
	sqlite := over(func() dialect { return &sqliteDialect{} })
	postgres := over(func() dialect { return &postgresDialect{} })
	mysql := over(func() dialect { return &mysqlDialect{} })
	mssql := over(func() dialect { return &mssqlDialect{} })
	return map[string]opener{
		"clickhouse": openClickHouse, "clickhouse+native": openClickHouse, "clickhouse+http": openClickHouse, "clickhouse+https": openClickHouse,
		"duckdb": over(func() dialect { return &duckdbDialect{} }),
		"sqlite": sqlite, "sqlite3": sqlite,
		"postgresql": postgres, "postgres": postgres,
		"redshift": over(func() dialect { return &redshiftDialect{} }),
		"mysql":    mysql, "mariadb": mysql,
		"mssql": mssql, "sqlserver": mssql,
		"bigquery": openBigQuery, "snowflake": over(func() dialect { return &snowflakeDialect{} }),
	}
}

// computesHere tells whether a database is a file, whose queries compute in this process.
// More of them at once than there are processors end no sooner, and keep messages waiting;
// and no server falls silent.
func computesHere(url string) bool {
	scheme, _, _ := strings.Cut(url, "://")
	return slices.Contains([]string{"sqlite", "sqlite3", "duckdb"}, scheme)
}

// parse finds the kind of a URL and drops SQLAlchemy's +driver.
func parse(url string) (opener, string, error) {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return nil, "", errors.New("a database URL begins with its kind, such as postgresql://user:${DB_PASSWORD}@host:5432/name or sqlite:///file.db")
	}
	known := kinds()
	if d, ok := known[strings.ToLower(scheme)]; ok { // where what follows the + makes a difference
		return d, strings.ToLower(scheme) + "://" + rest, nil
	}
	scheme, _, _ = strings.Cut(strings.ToLower(scheme), "+")
	if d, ok := known[scheme]; ok {
		return d, scheme + "://" + rest, nil
	}
	best, distance := "", 4
	for name := range known {
		if d := levenshtein.ComputeDistance(scheme, name); d < distance || d == distance && name < best {
			best, distance = name, d
		}
	}
	if best != "" {
		return nil, "", fmt.Errorf("the kind of database before :// is not known; did you mean %s://?", best)
	}
	return nil, "", errors.New("the kind of database before :// is not known; there are sqlite, postgresql, redshift, mysql, mariadb, mssql, clickhouse, duckdb, bigquery and snowflake")
}

// CheckDatabase tells whether a database's URL has a form that its driver takes. It
// connects to nothing, and its error holds no secret.
func CheckDatabase(d alert.Database, env alert.Lookup) error {
	secrets := alert.NewSecrets(env)
	url, err := secrets.Expand(d.URL)
	if err != nil {
		return err
	}
	open, plain, err := parse(url)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(plain, "bigquery:") && (d.MaxBytesBilled != 0 || d.PricePerTiB != nil) {
		return errors.New("max_bytes_billed and price_per_tib are for BigQuery, which bills by bytes; take them out")
	}
	opened, err := openAs(open, d, plain, 1, nil)
	if err != nil {
		return errors.New(secrets.Clean(err.Error()))
	}
	return opened.close()
}

// stale tells whether a pooled connection turned out to be dead before anything ran on it.
func stale(err error) bool {
	return errors.Is(err, driver.ErrBadConn) || broken(err)
}

// broken tells whether the connection broke.
func broken(err error) bool {
	var network net.Error
	return errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, net.ErrClosed) || errors.As(err, &network) && !network.Timeout()
}
