// Package servers starts programs that serve tests, watches them, and ends them with us.
package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// startLimit is how long a server may take until it is ready.
const startLimit = 90 * time.Second

// A Process is a server's, watched until it ends.
type Process struct {
	cmd    *exec.Cmd
	log    *journal
	exited chan struct{}
}

// Start starts a server in its folder and returns when its log says `ready`.
func Start(dir string, as *Account, end syscall.Signal, ready, program string, args ...string) (*Process, error) {
	p := &Process{cmd: exec.CommandContext(context.Background(), program, args...), log: &journal{want: ready, seen: make(chan struct{})}, exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	settle(p.cmd, dir, as, end)
	started := make(chan error, 1)
	go func() {
		// The kernel ends the server when the thread that started it ends. Locked, the
		// thread lives as long as this goroutine, and that as long as the server.
		runtime.LockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // a server that we stop ends with an error; the log tells others
		}
		close(p.exited)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, p.await()
}

func (p *Process) await() error {
	select {
	case <-p.log.seen:
		return nil
	case <-p.exited:
		return fmt.Errorf("the server ended at once: %s", p.log)
	case <-time.After(startLimit):
		p.Stop(syscall.SIGKILL)
		return fmt.Errorf("the server was not ready after %s: %s", startLimit, p.log)
	}
}

// Stop ends the server by a signal, and by force if that takes long.
func (p *Process) Stop(by syscall.Signal) {
	if err := p.cmd.Process.Signal(by); err == nil {
		select {
		case <-p.exited:
		case <-time.After(20 * time.Second):
		}
	}
	// What a server may have started is in its process group.
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.exited
}

// Pid is the server's process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// settle makes a program work in a folder as the account.
func settle(cmd *exec.Cmd, dir string, as *Account, end syscall.Signal) {
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	cmd.SysProcAttr = attributes(as, end)
}

// Complete runs a program of a server to its end.
func Complete(dir string, as *Account, program string, args ...string) error {
	cmd := exec.CommandContext(context.Background(), program, args...)
	settle(cmd, dir, as, syscall.SIGKILL)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run %s: %w: %s", program, err, out)
	}
	return nil
}

// A journal keeps the last lines of a log and tells when it says that the server is ready.
type journal struct {
	mu   sync.Mutex
	text []byte
	want string
	seen chan struct{}
	done bool
}

const journalSize = 16 << 10

// Write takes a piece of the log.
func (j *journal) Write(piece []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.text = append(j.text, piece...)
	if !j.done && bytes.Contains(j.text, []byte(j.want)) {
		j.done = true
		close(j.seen)
	}
	if extra := len(j.text) - journalSize; extra > 0 {
		j.text = append([]byte(nil), j.text[extra:]...)
	}
	return len(piece), nil
}

// String is the kept end of the log.
func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return string(j.text)
}

// freePort finds a port that nobody uses.
func freePort() (int, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// WithPort tries several ports, for another program may take one before the server does.
func WithPort(start func(port int) error) (int, error) {
	var failed error
	for range 3 {
		port, err := freePort()
		if err != nil {
			return 0, err
		}
		if err = start(port); err == nil {
			return port, nil
		}
		failed = errors.Join(failed, err)
	}
	return 0, failed
}
