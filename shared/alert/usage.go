package alert

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// DefaultPricePerTiB is BigQuery's list price of on-demand queries in US dollars for a
// tebibyte, as of November 2026, in most regions.
const DefaultPricePerTiB = 6.25

// Usage is what a query used, of a database that bills by bytes.
type Usage struct {
	// BytesEstimated is what the database said before it ran the query.
	BytesEstimated int64 `json:"bytes_estimated"`
	// BytesBilled is what it said after: zero where the query did not run, or its answer
	// was in the cache.
	BytesBilled int64 `json:"bytes_billed"`
	// CacheHit holds when the answer came from the database's cache, which is not billed.
	CacheHit bool `json:"cache_hit"`
	// EstimatedCost is what that costs in US dollars, by the price of the database's
	// settings: of the bytes billed, or where the query did not run, of the estimate.
	EstimatedCost Value `json:"estimated_cost_usd"`
}

// Price fills in the estimated cost.
func (u *Usage) Price(perTiB float64) {
	bytes := u.BytesBilled
	if bytes == 0 && !u.CacheHit {
		bytes = u.BytesEstimated
	}
	// A millionth of a dollar is enough.
	micro := math.Round(float64(bytes) / (1 << 40) * perTiB * 1e6)
	u.EstimatedCost = NumberValue(strconv.FormatFloat(micro/1e6, 'f', -1, 64))
}

// String is u in a line for people.
func (u *Usage) String() string {
	billed := "billed " + SizeText(u.BytesBilled)
	if u.CacheHit {
		billed = "answered by the cache, which is not billed"
	}
	return fmt.Sprintf("estimated %s; %s; about %s USD", SizeText(u.BytesEstimated), billed, u.EstimatedCost)
}

// sizeUnits are the units of sizes, the largest first within each family.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"PiB", 1 << 50}, {"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"PB", 1e15}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1}, {"", 1},
}

// ParseSize reads a number of bytes, such as 10GB (10 billion), 10GiB (a power of two), or
// a plain number.
func ParseSize(text string) (int64, error) {
	plain := strings.TrimSpace(text)
	digits := strings.TrimRight(plain, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	unit := strings.TrimSpace(plain[len(digits):])
	n, err := strconv.ParseFloat(digits, 64)
	if err == nil && n > 0 && strings.Trim(digits, "0123456789.") == "" {
		for _, u := range sizeUnits {
			if !strings.EqualFold(u.name, unit) {
				continue
			}
			if bytes := n * float64(u.bytes); bytes >= 1 && bytes < math.MaxInt64/2 {
				return int64(bytes), nil
			}
			return 0, fmt.Errorf("%q is less than a byte or more than 4 exbibytes", text)
		}
	}
	return 0, fmt.Errorf("%q is not a size; write a number and a unit, such as 500MB, 10GB, 10GiB or 1TiB", text)
}

// SizeText writes a number of bytes for people, in powers of two.
func SizeText(bytes int64) string {
	for _, u := range sizeUnits[:5] {
		if bytes >= u.bytes {
			return strconv.FormatFloat(math.Round(float64(bytes)/float64(u.bytes)*100)/100, 'f', -1, 64) + " " + u.name
		}
	}
	return strconv.FormatInt(bytes, 10) + " bytes"
}
