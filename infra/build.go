package main

import (
	"context"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
)

// functions are those of the functions folder, one binary each.
var functions = append([]string{"query", "sync"}, cloud.Channels...)

// machines are what a binary is for, by the name that Lambda has for it.
var machines = map[string]struct {
	goarch string
	elf    elf.Machine
}{
	"arm64":  {"arm64", elf.EM_AARCH64},
	"x86_64": {"amd64", elf.EM_X86_64},
}

// binaries returns the folder with NAME/bootstrap for each function: the one that was
// chosen, or one that is built now. Equal sources make equal files, so that nothing is
// deployed again that did not change. The error says which binary is missing, or is for
// another machine.
func binaries(c Choices) (string, error) {
	folder := c.Binaries
	if folder == "" {
		var err error
		if folder, err = build(c.Architecture); err != nil {
			return "", err
		}
	}
	for _, name := range functions {
		if err := checkMachine(filepath.Join(folder, name, "bootstrap"), c.Architecture); err != nil {
			return "", fmt.Errorf("the function %s: %w", name, err)
		}
	}
	return folder, nil
}

// build compiles the functions as Lambda's provided runtime wants them.
func build(architecture string) (string, error) {
	root, err := repository()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(root, "infra", ".build", architecture)
	for _, name := range functions {
		to := filepath.Join(folder, name, "bootstrap")
		make := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-buildvcs=false", "-tags", "lambda.norpc,minicore_disabled", "-ldflags", "-s -w -buildid=", "-o", to, "./functions/"+name)
		make.Dir = root
		make.Env = append(slices.Clone(os.Environ()), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+machines[architecture].goarch)
		if out, err := make.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build the function %s: %w\n%s", name, err, out)
		}
	}
	return folder, nil
}

// repository is the folder of go.mod.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("%s is not in the repository; run cdk in its infra folder", dir)
		}
	}
}

// checkMachine reads for which machine a binary is.
func checkMachine(path, architecture string) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("there is no %s; build it, or leave `binaries` out", path)
	}
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("%s is no program of Linux: %w", path, err)
	}
	defer func() { _ = f.Close() }()
	if want := machines[architecture].elf; f.Machine != want {
		return fmt.Errorf("%s is for %s, the stack for %s; build it for that, or choose `-c architecture=…`", path, f.Machine, architecture)
	}
	return nil
}
