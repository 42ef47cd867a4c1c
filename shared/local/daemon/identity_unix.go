//go:build unix

package daemon

import (
	"fmt"
	"io/fs"
	"syscall"
)

// identity tells a file from another that has its name now.
func identity(info fs.FileInfo) string {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprint(s.Dev, " ", s.Ino, " ", s.Ctim)
	}
	return ""
}
