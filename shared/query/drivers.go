package query

import (
	_ "github.com/microsoft/go-mssqldb"
)
