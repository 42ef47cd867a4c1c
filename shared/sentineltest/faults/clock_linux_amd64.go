package faults

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
)

// A Clock is what one process takes for the time of day: the machine's clock and an offset.
// The machine and its other processes keep theirs.
type Clock struct {
	memory *os.File
	offset int64 // where it stands in the process's memory
}

// seen is machine code for clock_gettime: it asks the kernel, and adds the seconds behind
// the code if the time of day (clock 0) was asked for.
var seen = []byte{
	0xb8, 0xe4, 0, 0, 0, // mov eax, 228
	0x0f, 0x05, // syscall
	0x85, 0xff, // test edi, edi
	0x75, 0x0a, // jnz to ret
	0x48, 0x8b, 0x0d, 0x04, 0, 0, 0, // mov rcx, [the seconds]
	0x48, 0x01, 0x0e, // add [rsi], rcx
	0xc3, // ret
}

// TakeClock takes over the clock of a process, of which the caller must be allowed to write
// the memory: it replaces the code by which Go programs read the clock, which the kernel
// gives each process (the vDSO).
func TakeClock(process *os.Process) (*Clock, error) {
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		return nil, fmt.Errorf("take the clock: %w", err)
	}
	c, err := take(process.Pid)
	return c, errors.Join(err, process.Signal(syscall.SIGCONT))
}

func take(pid int) (*Clock, error) {
	from, to, err := vdso(pid)
	if err != nil {
		return nil, fmt.Errorf("take the clock: %w", err)
	}
	memory, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("take the clock: %w", err)
	}
	c, err := place(memory, from, to)
	if err != nil {
		return nil, fmt.Errorf("take the clock: %w", errors.Join(err, memory.Close()))
	}
	return c, nil
}

// place puts the code at the end of the image, which is padding, and a jump to it where the
// old code begins.
func place(memory *os.File, from, to int64) (*Clock, error) {
	image := make([]byte, to-from)
	if _, err := memory.ReadAt(image, from); err != nil {
		return nil, err
	}
	entry, err := symbol(image, "__vdso_clock_gettime")
	if err != nil {
		return nil, err
	}
	at := (len(image) - len(seen) - 8) &^ 7
	if len(bytes.Trim(image[at:], "\x00")) > 0 {
		return nil, errors.New("there is no room at the end of the vDSO")
	}
	code := binary.LittleEndian.AppendUint64(bytes.Clone(seen), 0)
	jump := binary.LittleEndian.AppendUint32([]byte{0xe9}, uint32(int32(at-int(entry)-5)))
	_, err = memory.WriteAt(code, from+int64(at))
	if err == nil {
		_, err = memory.WriteAt(jump, from+int64(entry))
	}
	return &Clock{memory, from + int64(at+len(seen))}, err
}

// Set makes the process's clock differ from the machine's by so much, in whole seconds.
func (c *Clock) Set(by time.Duration) error {
	if _, err := c.memory.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(by/time.Second)), c.offset); err != nil {
		return fmt.Errorf("set the clock: %w", err)
	}
	return nil
}

// Close lets go of the process, whose clock stays as it is.
func (c *Clock) Close() error { return c.memory.Close() }

// vdso finds where the kernel's code is in a process.
func vdso(pid int) (from, to int64, err error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(maps)) {
		if strings.HasSuffix(strings.TrimSpace(line), "[vdso]") {
			_, err := fmt.Sscanf(line, "%x-%x", &from, &to)
			return from, to, err
		}
	}
	return 0, 0, errors.New("the process has no vDSO")
}

// symbol finds where a function begins.
func symbol(image []byte, name string) (uint64, error) {
	file, err := elf.NewFile(io.NewSectionReader(bytes.NewReader(image), 0, int64(len(image))))
	if err != nil {
		return 0, err
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return 0, err
	}
	for _, s := range symbols {
		if s.Name == name {
			return s.Value, nil
		}
	}
	return 0, fmt.Errorf("the vDSO has no %s", name)
}
