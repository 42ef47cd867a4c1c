package faults

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A Disk is a small file system of its own, in memory.
type Disk struct{ dir string }

// NewDisk mounts a disk of so many bytes until the test ends. Only root can: without, the
// test is skipped, or fails under CI=true.
func NewDisk(t testing.TB, size int) *Disk {
	t.Helper()
	if os.Geteuid() != 0 {
		Unable(t, "only root can mount a small disk")
	}
	d := &Disk{t.TempDir()}
	if err := syscall.Mount("tmpfs", d.dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		Unable(t, fmt.Sprintf("cannot mount a small disk: %v", err))
	}
	t.Cleanup(func() { _ = syscall.Unmount(d.dir, syscall.MNT_DETACH) })
	return d
}

// Unable skips a test that this machine cannot run, and says so.
func Unable(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skipf("SKIPPED, NOT TESTED: %s", why)
}

// Dir is its folder.
func (d *Disk) Dir() string { return d.dir }

// ballast is what fills a disk.
func (d *Disk) ballast() string { return filepath.Join(d.dir, "ballast") }

// Fill writes until nothing more fits.
func (d *Disk) Fill() error {
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("fill the disk: %w", err)
	}
	for _, size := range []int{1 << 20, 4096} { // quickly, then to the end
		for block := make([]byte, size); err == nil; {
			_, err = f.Write(block)
		}
		if size > 4096 && errors.Is(err, syscall.ENOSPC) {
			err = nil
		}
	}
	if closed := f.Close(); closed != nil || !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("fill the disk: %w", errors.Join(err, closed))
	}
	return nil
}

// Free removes what filled it.
func (d *Disk) Free() error {
	if err := os.Remove(d.ballast()); err != nil {
		return fmt.Errorf("free the disk: %w", err)
	}
	return nil
}

// immutable is FS_IMMUTABLE_FL of the kernel's fs.h, which package unix lacks.
const immutable = 0x10

// ReadOnly makes a file or folder immutable, or what it was, for root and for who has it
// open too, where the file system knows that (ext4 does).
func ReadOnly(path string, on bool) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("make %s read-only: %w", path, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		return fmt.Errorf("read the flags of %s: %w", path, err)
	}
	flags &^= immutable
	if on {
		flags |= immutable
	}
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(flags)); err != nil {
		return fmt.Errorf("set the flags of %s: %w", path, err)
	}
	return nil
}
