package alert_test

import (
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

func FuzzParseSchedule(f *testing.F) {
	for _, expr := range []string{"0 9 * * MON-FRI", "*/15 * * * *", "0 0 29 2 *", "30 2 * 3,10 7", ", * * * *", "@every 5m", "1-5/2,7 */3 1-31/2 JAN-MAR *", "TZ=UTC", "0 0 L * ?"} {
		f.Add(expr, "Europe/Paris", int64(1_900_000_000))
		f.Add(expr, "Australia/Lord_Howe", int64(-62135596800))
	}
	f.Fuzz(func(t *testing.T, expr, zone string, from int64) {
		s, err := alert.ParseSchedule(expr, zone)
		if err != nil {
			require.NotEmpty(t, err.Error())
			require.True(t, utf8.ValidString(err.Error()))
			require.Less(t, len(err.Error()), 1000, "an error is short, whatever was written: each clipped text is at most 240 bytes quoted")
			return
		}
		at := time.Unix(from%100_000_000_000, 0)
		next := s.Next(at)
		s.ClockChange(at, 1)
		if next.IsZero() {
			require.False(t, s.Previous(at).After(at))
			return
		}
		require.True(t, next.After(at))
		if s.InUTC() {
			require.Zero(t, next.UTC().Second())
		} else {
			require.Zero(t, next.Second())
		}
		require.True(t, next.Equal(s.Previous(next)), "a tick is its own latest tick")
		require.True(t, s.Previous(next.Add(-time.Nanosecond)).Compare(at) <= 0, "no tick lies between")
		require.True(t, next.Equal(s.Next(next.Add(-time.Nanosecond))))
	})
}
