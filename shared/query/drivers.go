package query

import (
	_ "github.com/ClickHouse/clickhouse-go/v2"
	_ "github.com/microsoft/go-mssqldb"
)
