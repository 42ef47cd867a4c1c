package alert_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

func TestSizesAreReadWithTheirUnits(t *testing.T) {
	for text, want := range map[string]int64{
		"10GB": 10e9, "10GiB": 10 << 30, "1.5 TiB": 3 << 39, "500mb": 500e6, "42": 42, "1 B": 1, "1PiB": 1 << 50, "64KB": 64e3,
	} {
		got, err := alert.ParseSize(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "GB", "10 G", "-1GB", "0", "1e3", "10GBs", "0x10", "nan", "inf", "0.5", "99999999TiB", "1,5GB"} {
		_, err := alert.ParseSize(text)
		require.Error(t, err, text)
	}
}

func TestAQueryThatDidNotRunIsPricedByItsEstimate(t *testing.T) {
	for _, c := range []struct {
		usage alert.Usage
		cost  string
	}{
		{alert.Usage{BytesEstimated: 1 << 40}, "6.25"},
		{alert.Usage{BytesEstimated: 1 << 40, BytesBilled: 1 << 39}, "3.125"},
		{alert.Usage{BytesEstimated: 1 << 40, CacheHit: true}, "0"},
		{alert.Usage{}, "0"},
	} {
		c.usage.Price(alert.DefaultPricePerTiB)
		require.Equal(t, c.cost, c.usage.EstimatedCost.String())
		require.Contains(t, c.usage.String(), c.cost+" USD")
	}
}
