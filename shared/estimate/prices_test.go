package estimate_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/estimate"
)

func TestEveryPriceIsUsedAndEveryUsedPriceIsThere(t *testing.T) {
	prices, err := estimate.ListPrices()
	require.NoError(t, err)
	used := map[string]bool{"lambda_gb_second_x86_64": true, "lambda_gb_second_arm64": true}
	for _, l := range report(t, options(t, alerts(1, "@daily"))).Lines {
		require.Contains(t, prices.Prices, l.Price)
		used[l.Price] = true
	}
	for name := range prices.Prices {
		require.True(t, used[name], "nothing costs %s", name)
	}
}

func TestAUsersPricesReplaceThoseThatTheyName(t *testing.T) {
	own, err := estimate.ReadPrices([]byte(`{"date": "2027-01-01", "region": "eu-central-1", "prices": {"scheduler_million": 2}, "quotas": {"lambda_concurrency": 10}}`))
	require.NoError(t, err)
	require.Equal(t, "eu-central-1", own.Region)
	require.Empty(t, own.Source, "the note on our own prices does not hold any more")
	require.InDelta(t, 0.20, own.Prices["lambda_requests_million"], 0)
	o := options(t, alerts(1, "* * * * *"))
	o.Prices = own
	r := report(t, o)
	require.InDelta(t, 0.0864, line(t, r, "scheduler_million").Cost, 1e-9)
	require.Equal(t, 10.0, r.Prices.Quotas["lambda_concurrency"])
}

func TestPricesThatAreWrongAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{`:                    "it is no JSON object",
		`[]`:                   "it is no JSON object",
		`{} {}`:                "more than one",
		`{"dates": ""}`:        `unknown field "dates"`,
		`{"region": "x"}`:      `"date" is missing`,
		`{"date": "2027-1-1"}`: `"region" is missing`,
		`{"date": "x", "region": "x", "prices": {"lambda": 1}}`:             `prices: there is no "lambda"; there are alarm_month, `,
		`{"date": "x", "region": "x", "prices": {"sqs_million": -1}}`:       "prices: sqs_million is -1; it must not be below 0",
		`{"date": "x", "region": "x", "quotas": {"lambda_concurrency": 0}}`: "quotas: lambda_concurrency is 0; it must be above 0",
	} {
		_, err := estimate.ReadPrices([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
}
