package servers

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

// An Account is the user that servers run as: database servers refuse to be root.
type Account struct{ uid, gid int }

// As returns the first of the users that exists, else nobody: it is nil unless this
// process is root's, for then no other user is needed.
func As(names ...string) (*Account, error) {
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
		return &Account{uid, gid}, errors.Join(uidErr, gidErr)
	}
	return nil, fmt.Errorf("none of the users %s and nobody exists, and the server refuses to run as root", strings.Join(names, ", "))
}

// Own gives a folder and all in it to the account.
func (a *Account) Own(dir string) error {
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

// NewFolder makes the folder of a server. Its name holds our process id, so that what a
// killed test process left behind is found and removed by the next.
func NewFolder(kind string) (string, error) {
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
