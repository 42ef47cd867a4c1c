package servers

import "syscall"

// attributes make a process end with us, whatever ends us, and out of reach of the
// terminal's Ctrl-C, which would end it before the tests have.
func attributes(as *Account, end syscall.Signal) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: end}
	if as != nil {
		attr.Credential = &syscall.Credential{Uid: uint32(as.uid), Gid: uint32(as.gid)}
	}
	return attr
}
