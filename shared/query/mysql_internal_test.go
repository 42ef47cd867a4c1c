package query

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAMySQLHostMayBeAnIPv6Address(t *testing.T) {
	d := new(mysqlDialect)
	db, err := d.open("mysql://u:p@[::1]:3399/shop", "")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	require.Equal(t, "[::1]:3399", d.config.Addr)
}
