// Command usage runs a command and writes what it cost, as JSON, to file descriptor 3. The kernel begins
// to count the memory of a process with that of its parent: so the parent is this small one.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "usage:", err)
		os.Exit(125)
	}
	os.Exit(code)
}

// run runs the command and tells its exit code.
func run(args []string) (code int, err error) {
	if len(args) == 0 {
		return 0, errors.New("no command is given")
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	began := time.Now()
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		return 0, fmt.Errorf("run %s: %w", args[0], err)
	}
	wall := time.Since(began)
	used, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0, fmt.Errorf("there is no resource usage of %s", args[0])
	}
	cost := map[string]int64{"wall": int64(wall), "cpu": int64(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()), "rss": used.Maxrss * 1024}
	if err := json.NewEncoder(os.NewFile(3, "cost")).Encode(cost); err != nil {
		return 0, fmt.Errorf("write the cost: %w", err)
	}
	return cmd.ProcessState.ExitCode(), nil
}
