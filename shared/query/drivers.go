package query

import (
	_ "cloud.google.com/go/bigquery"
	_ "github.com/ClickHouse/clickhouse-go/v2"
	_ "github.com/microsoft/go-mssqldb"
	_ "github.com/snowflakedb/gosnowflake/v2"
)
