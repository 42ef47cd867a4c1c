//go:build !linux

package servers

import "syscall"

// attributes put a process into a group of its own, so that all of it can be ended. Here
// the kernel does not end it with us: a killed test process leaves its server running.
func attributes(as *Account, _ syscall.Signal) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if as != nil {
		attr.Credential = &syscall.Credential{Uid: uint32(as.uid), Gid: uint32(as.gid)}
	}
	return attr
}
