package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// up starts everything and returns when the first alerts may be looked at.
func up(ctx context.Context) (err error) {
	if _, err := os.Stat(in(pidFile)); err == nil {
		return errors.New("it is up already, or was not ended: make aws-local-down")
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, down())
		}
	}()
	say("start an emulator of AWS, a PostgreSQL with a shop, and an inbox")
	environment, err := start()
	if err != nil {
		return err
	}
	say("build the functions and deploy the stack; the first time it takes minutes")
	return deploy(ctx, environment)
}

func say(text string) { fmt.Println("aws-local:", text) }

// start runs serve in the background and returns its environment.
func start() ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	said, err := os.Create(in(serveLog))
	if err != nil {
		return nil, err
	}
	defer func() { _ = said.Close() }()
	c := exec.CommandContext(context.Background(), self, "serve")
	c.Stdout, c.Stderr, c.SysProcAttr = said, said, &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return nil, err
	}
	if err := os.WriteFile(in(pidFile), []byte(strconv.Itoa(c.Process.Pid)), 0o600); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() { _ = c.Wait(); close(ended) }()
	for {
		if text, err := os.ReadFile(in(readyFile)); err == nil && bytes.HasSuffix(text, []byte("\n")) {
			return variables(string(text)), nil
		}
		select {
		case <-ended:
			text, _ := os.ReadFile(in(serveLog))
			return nil, errors.New(strings.TrimPrefix(strings.TrimSpace(string(text)), "aws-local: "))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// variables reads the lines that a shell would.
func variables(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		out = append(out, name+"="+strings.Trim(value, "'"))
	}
	return out
}

// secretsOf says which function reads which of the variables.
var secretsOf = map[string][]string{
	"query": {"SHOP_URL"}, "webhook": {"PAGER_URL"}, "slack": {"SLACK_WEBHOOK_URL"}, "email": {"SMTP_HOST", "SMTP_PORT", "SMTP_USE_TLS", "SMTP_FROM_ADDRESS"},
}

func deploy(ctx context.Context, environment []string) error {
	run := func(dir, stdin, name string, args ...string) error {
		c := exec.CommandContext(ctx, name, args...)
		c.Dir, c.Env, c.Stdin = dir, append(os.Environ(), environment...), strings.NewReader(stdin)
		var out bytes.Buffer
		c.Stdout, c.Stderr = &out, &out
		if err := c.Run(); err != nil {
			return fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, out.String())
		}
		return nil
	}
	output, err := filepath.Abs(in("cdk.out"))
	if err != nil {
		return err
	}
	choices := []string{"--output", output, "-c", "stack=" + stack, "-c", "architecture=" + machine(), "-c", `environment={"EGRESS_ALLOW":"127.0.0.0/8"}`}
	if err := run(".", "", "go", "build", "-tags=minicore_disabled", "-o", sentinelProgram, "./cmd/sqlsentinel"); err != nil {
		return err
	}
	for _, step := range [][]string{{"bootstrap", "aws://000000000000/us-east-1"}, {"deploy", "--method=direct", "--require-approval", "never"}} {
		if err := run("infra", "", cdk, append(step, choices...)...); err != nil {
			return err
		}
	}
	if err := writeContainers(ctx, environment); err != nil {
		return err
	}
	say("store the secrets and apply " + sample)
	values := map[string]string{}
	for _, one := range environment {
		name, value, _ := strings.Cut(one, "=")
		values[name] = value
	}
	for user, names := range secretsOf {
		for _, name := range names {
			if err := run(".", values[name], sentinelProgram, "secrets", "set", name, "--stack", stack, "--user", user); err != nil {
				return err
			}
		}
	}
	if err := run(".", "", sentinelProgram, "apply", sample, "--stack", stack); err != nil {
		return err
	}
	fmt.Print(next)
	return nil
}

// machine is that of the functions: the emulator runs them as processes of this one.
func machine() string {
	if runtime.GOARCH == "arm64" {
		return "arm64"
	}
	return "x86_64"
}

const next = `
The stack "` + stack + `" runs on this machine: three alerts, each minute. Type next:

  . ` + home + `/` + readyFile + `
  tail -f ` + home + `/` + inboxFile + `
  ` + sentinelProgram + ` status --state dynamodb://` + stack + `
  ` + sentinelProgram + ` explain "Low stock" --state dynamodb://` + stack + `
  ` + sentinelProgram + ` silence --alert "Low stock" --duration 1h --reason "restocking" --state dynamodb://` + stack + `
  ` + sentinelProgram + ` deliveries list --status dead --state dynamodb://` + stack + `     # the pager refused its first message
  ` + sentinelProgram + ` deliveries redrive ID --state dynamodb://` + stack + `
  psql "$SHOP_URL" -c "UPDATE stock SET quantity = 50"

  make aws-local-down      # ends it, and leaves nothing
`

// down ends what up started.
func down() error {
	text, err := os.ReadFile(in(pidFile))
	if errors.Is(err, os.ErrNotExist) {
		say("nothing runs")
		return os.RemoveAll(home)
	}
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("read %s: %w", in(pidFile), err)
	}
	if runs(pid) {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			return err
		}
	}
	for begun := time.Now(); runs(pid); time.Sleep(100 * time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			return fmt.Errorf("the process %d does not end; kill it by hand", pid)
		}
	}
	say("ended")
	return os.RemoveAll(home)
}

// runs tells whether the process is there, and ours: process ids are used again.
func runs(pid int) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && bytes.HasSuffix(line, []byte("\x00serve\x00"))
}
