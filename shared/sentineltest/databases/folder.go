package databases

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// An account is the user that servers run as: database servers refuse to be root.
type account struct{ uid, gid int }

// serverAccount returns nil unless this process is root's.
func serverAccount(names ...string) (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range append(names, "nobody") {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		return &account{uid, gid}, errors.Join(uidErr, gidErr)
	}
	return nil, fmt.Errorf("none of the users %s and nobody exists, and the server refuses to run as root", strings.Join(names, ", "))
}

// own gives a folder and all in it to the account.
func (a *account) own(dir string) error {
	if a == nil {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, a.uid, a.gid)
	})
}

// newFolder makes the folder of a server. Its name holds our process id, so that what a
// killed test process left behind is found and removed by the next.
func newFolder(kind string) (string, error) {
	prefix := "sentineltest-" + kind + "-"
	left, err := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	if err != nil {
		return "", err
	}
	for _, dir := range left {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), prefix), "-")
		if n, err := strconv.Atoi(pid); err == nil && abandoned(dir, n) {
			if err := os.RemoveAll(dir); err != nil {
				return "", fmt.Errorf("remove what an earlier test left: %w", err)
			}
		}
	}
	return os.MkdirTemp("", fmt.Sprintf("%s%d-", prefix, os.Getpid()))
}

// abandoned tells whether a folder is ours, its process has ended, and nothing has
// happened in it for a while.
func abandoned(dir string, pid int) bool {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || time.Since(info.ModTime()) < 10*time.Minute {
		return false
	}
	if os.Geteuid() != 0 {
		if probe, err := os.Open(dir); err != nil || probe.Close() != nil {
			return false
		}
	}
	return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}
