package servers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhatAKilledProcessLeftIsRemovedByTheNext(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ended := exec.Command(os.Args[0], "-test.list", "^$")
	require.NoError(t, ended.Run())
	dead, alive := strconv.Itoa(ended.Process.Pid), strconv.Itoa(os.Getpid())
	left := map[string]string{}
	for name, hours := range map[string]int{"kind-" + dead + "-old": 1, "kind-" + dead + "-new": 0, "kind-" + alive + "-old": 1, "other-" + dead + "-old": 1, "kind-x-old": 1} {
		left[name] = filepath.Join(os.TempDir(), "sentineltest-"+name)
		require.NoError(t, os.Mkdir(left[name], 0o700))
		then := time.Now().Add(-time.Duration(hours) * time.Hour)
		require.NoError(t, os.Chtimes(left[name], then, then))
	}
	made, err := NewFolder("kind")
	require.NoError(t, err)
	require.DirExists(t, made)
	require.NoDirExists(t, left["kind-"+dead+"-old"])
	delete(left, "kind-"+dead+"-old")
	for _, dir := range left {
		require.DirExists(t, dir)
	}
}

func TestAPortThatIsTakenIsTriedAgainElsewhere(t *testing.T) {
	tried := 0
	_, err := WithPort(func(int) error {
		if tried++; tried < 3 {
			return os.ErrExist
		}
		return nil
	})
	require.NoError(t, err)
	_, err = WithPort(func(int) error { return os.ErrExist })
	require.ErrorIs(t, err, os.ErrExist)
}

func TestAServerThatEndsAtOnceIsReportedWithItsLog(t *testing.T) {
	_, err := Start(t.TempDir(), nil, 9, "never", "/bin/sh", "-c", "echo the disk is full >&2")
	require.ErrorContains(t, err, "the disk is full")
	require.ErrorContains(t, Complete(t.TempDir(), nil, "/bin/sh", "-c", "echo no space; exit 1"), "no space")
}
