package faults_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/faults"
)

// TestClockChild prints its time for each line that it reads; by itself it does nothing.
func TestClockChild(t *testing.T) {
	if os.Getenv("SENTINEL_CLOCK_CHILD") == "" {
		return
	}
	began := time.Now()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println(time.Now().UTC().Format(time.RFC3339), time.Since(began).Round(time.Minute))
	}
	os.Exit(0)
}

func TestTheClockOfOneProcessJumps(t *testing.T) {
	child := exec.Command(os.Args[0], "-test.run=^TestClockChild$")
	child.Env = append(os.Environ(), "SENTINEL_CLOCK_CHILD=1")
	in, err := child.StdinPipe()
	require.NoError(t, err)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	lines := bufio.NewScanner(out)
	ask := func() (time.Time, string) {
		_, err := fmt.Fprintln(in)
		require.NoError(t, err)
		require.True(t, lines.Scan())
		var day, lasted string
		_, err = fmt.Sscan(lines.Text(), &day, &lasted)
		require.NoError(t, err)
		at, err := time.Parse(time.RFC3339, day)
		require.NoError(t, err)
		return at, lasted
	}
	ask()
	clock, err := faults.TakeClock(child.Process)
	require.NoError(t, err)
	for _, by := range []time.Duration{0, time.Hour, -24 * time.Hour, 0} {
		require.NoError(t, clock.Set(by))
		at, lasted := ask()
		require.WithinDuration(t, time.Now().Add(by), at, 5*time.Second)
		require.Equal(t, "0s", lasted, "a monotonic clock does not jump")
	}
	require.NoError(t, clock.Close())
	require.NoError(t, in.Close())
	require.NoError(t, child.Wait())
}
