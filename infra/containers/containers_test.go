// Package containers_test builds the images of the Dockerfile with the engine of Docker, and uses
// them. It takes minutes and runs only if SENTINEL_IMAGES=1: make image-test. The base images are
// stand-ins, which bases.sh makes from what is on the machine.
package containers_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	program = "sqlsentinel-test"
	lambda  = "sqlsentinel-lambda-test"
)

func TestMain(m *testing.M) {
	if os.Getenv("SENTINEL_IMAGES") == "" {
		fmt.Println("SKIPPED: the images are tested by make image-test")
		return
	}
	stop, err := prepare()
	if err != nil {
		fmt.Fprintln(os.Stderr, "containers:", err)
		stop()
		os.Exit(1)
	}
	code := m.Run()
	stop()
	os.Exit(code)
}

// prepare finds or starts an engine, and builds both images.
func prepare() (stop func(), err error) {
	stop = func() {}
	if err := os.Setenv("DOCKER_BUILDKIT", "0"); err != nil {
		return stop, err
	}
	if _, err := docker("info"); err != nil {
		if stop, err = engine(); err != nil {
			return stop, err
		}
	}
	if out, err := exec.Command("./bases.sh").CombinedOutput(); err != nil {
		return stop, fmt.Errorf("make the stand-ins of the bases: %w\n%s", err, out)
	}
	proxy, err := modules()
	if err != nil {
		return stop, err
	}
	defer func() { _ = proxy.Close() }()
	for image, target := range map[string]string{lambda: "lambda", program: "sqlsentinel"} {
		_, err := docker("build", "-q", "--network", "host", "--target", target, "-t", image, "--build-arg", "GO_IMAGE=sentinel-standin/go", "--build-arg", "LAMBDA_IMAGE=sentinel-standin/lambda",
			"--build-arg", "GOPROXY=http://"+proxy.Addr().String(), "--build-arg", "GOSUMDB=off", "../..")
		if err != nil {
			return stop, err
		}
	}
	return stop, nil
}

// modules serves the modules that are on this machine as a proxy, so that a build needs no
// other network. go.sum vouches for them.
func modules() (net.Listener, error) {
	out, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		return nil, fmt.Errorf("find the modules: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(strings.TrimSpace(string(out)), "cache", "download")
	go func() { _ = http.Serve(listener, http.FileServer(http.Dir(folder))) }() // until it is closed
	return listener, nil
}

// engine starts one with a folder of its own, which only root can.
func engine() (stop func(), err error) {
	stop = func() {}
	if os.Getuid() != 0 {
		return stop, errors.New("no engine of Docker answers, and only root can start one")
	}
	dir, err := os.MkdirTemp("", "sentinel-docker-")
	if err != nil {
		return stop, err
	}
	host := "unix://" + filepath.Join(dir, "socket")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return stop, err
	}
	d := exec.Command("dockerd", "--data-root", filepath.Join(dir, "root"), "--exec-root", filepath.Join(dir, "exec"), "--pidfile", filepath.Join(dir, "pid"), "-H", host)
	d.Stdout, d.Stderr = log, log
	if err := d.Start(); err != nil {
		return stop, fmt.Errorf("start dockerd (Debian: apt-get install docker.io): %w", err)
	}
	stop = func() {
		_ = d.Process.Signal(syscall.SIGTERM)
		_ = d.Wait()
		_ = log.Close()
		_ = os.RemoveAll(dir)
	}
	if err := os.Setenv("DOCKER_HOST", host); err != nil {
		return stop, err
	}
	for begun := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		if _, err = docker("info"); err == nil {
			return stop, nil
		}
		if time.Since(begun) > time.Minute {
			text, _ := os.ReadFile(log.Name())
			return stop, fmt.Errorf("dockerd does not answer: %w\n%s", err, text)
		}
	}
}

// A failure of docker says what it printed.
type failure struct {
	code int
	text string
}

func (f *failure) Error() string { return fmt.Sprintf("exit code %d: %s", f.code, f.text) }

// docker runs a command of it and returns what it printed; five minutes at most.
func docker(args ...string) (string, error) { return run("docker", nil, args...) }

func run(name string, env []string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	if exit := (&exec.ExitError{}); errors.As(err, &exit) {
		return out.String(), &failure{exit.ExitCode(), out.String() + errs.String()}
	}
	return strings.TrimSpace(out.String()), err
}

func do(t *testing.T, args ...string) string {
	t.Helper()
	out, err := docker(args...)
	require.NoError(t, err, "docker %v", args)
	return out
}

// refused runs a container that ends by itself with an error, and returns its last line.
func refused(t *testing.T, code int, args ...string) string {
	t.Helper()
	out, err := docker(append([]string{"run", "--rm"}, args...)...)
	var f *failure
	require.ErrorAs(t, err, &f, "%s", out)
	require.Equal(t, code, f.code, f.text)
	lines := strings.Split(strings.TrimSpace(f.text), "\n")
	return lines[len(lines)-1]
}

type image struct {
	Size         int64
	Architecture string
	Config       struct {
		User        string
		Env         []string
		Healthcheck struct{ Test []string }
		Labels      map[string]string
	}
}

func inspect(t *testing.T, name string) image {
	t.Helper()
	var all []image
	require.NoError(t, json.Unmarshal([]byte(do(t, "image", "inspect", name)), &all))
	return all[0]
}

func TestTheImagesAreSmallAndBelongToNobodySpecial(t *testing.T) {
	daemon := inspect(t, program)
	require.LessOrEqual(t, daemon.Size, int64(70_000_000), "the drivers of all databases are two fifths of it")
	require.Equal(t, "65532:65532", daemon.Config.User)
	require.Equal(t, []string{"CMD", "/sqlsentinel", "healthcheck"}, daemon.Config.Healthcheck.Test)
	functions, base := inspect(t, lambda), inspect(t, "sentinel-standin/lambda")
	require.LessOrEqual(t, functions.Size-base.Size, int64(145_000_000))
	for _, i := range []image{daemon, functions} {
		require.Contains(t, i.Config.Labels, "org.opencontainers.image.source")
	}
	t.Logf("sqlsentinel %.1f MB, lambda %.1f MB over its base", float64(daemon.Size)/1e6, float64(functions.Size-base.Size)/1e6)
}

func TestOneCommitIsOneBinary(t *testing.T) {
	dir := t.TempDir()
	id := do(t, "create", program)
	defer do(t, "rm", id)
	do(t, "cp", id+":/sqlsentinel", filepath.Join(dir, "image"))
	_, err := run("go", []string{"CGO_ENABLED=0", "GOFLAGS="}, "build", "-C", "../..", "-trimpath", "-buildvcs=false", "-tags=minicore_disabled", "-ldflags", "-s -w -X main.version=dev", "-o", filepath.Join(dir, "here"), "./cmd/sqlsentinel")
	require.NoError(t, err)
	require.Equal(t, sum(t, filepath.Join(dir, "here")), sum(t, filepath.Join(dir, "image")))
}

func sum(t *testing.T, path string) string {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

const alerts = `
database: {url: "sqlite:////state/sqlsentinel.db"}
alerts:
  - {name: One, query: "SELECT 'OK' AS status", schedule: "* * * * *"}
`

func TestWhatKeepsItFromRunningIsItsLastLine(t *testing.T) {
	require.Contains(t, refused(t, 2, program), "/config/alerts.yaml: no such file")
	require.Contains(t, refused(t, 2, program, "nonsense"), `unknown command "nonsense"`)
	config := folder(t, "")
	require.NoError(t, os.WriteFile(filepath.Join(config, "alerts.yaml"), []byte("alerts: [{name: x}]"), 0o644))
	require.Contains(t, refused(t, 2, "-v", config+":/config:ro", program), "in the alert file; nothing was done")
	state := t.TempDir() // of root, who this container is not
	require.NoError(t, os.Chmod(state, 0o755))
	line := refused(t, 1, "-v", folder(t, alerts)+":/config:ro", "-v", state+":/state", program)
	require.Contains(t, line, "/state/sqlsentinel.db")
	require.Contains(t, line, "may not write it or its folder")
	require.Contains(t, refused(t, 64, "-e", "AWS_LAMBDA_RUNTIME_API=127.0.0.1:1", lambda, "nonsense"), `there is no function "nonsense": the command is one of query`)
	require.Contains(t, refused(t, 1, "-e", "AWS_LAMBDA_RUNTIME_API=127.0.0.1:1", lambda, "query"), "is missing; the stack sets it")
}

// folder is a config folder that anybody may read.
func folder(t *testing.T, alerts string) string {
	dir, err := os.MkdirTemp("", "sentinel-config-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	if alerts != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "alerts.yaml"), []byte(alerts), 0o644))
	}
	return dir
}

// TestADaemonRunsOnAReadOnlyRoot starts it as nobody, with nothing but its state to write, asks
// how it is, stops it, and finds its state in the next.
func TestADaemonRunsOnAReadOnlyRoot(t *testing.T) {
	volume := do(t, "volume", "create")
	defer do(t, "volume", "rm", volume)
	args := []string{"--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "-v", folder(t, alerts) + ":/config:ro", "-v", volume + ":/state"}
	id := do(t, append(append([]string{"run", "-d", "-p", "127.0.0.1::8080"}, args...), program)...)
	defer do(t, "rm", "-f", id)
	require.Eventually(t, func() bool {
		out, err := docker("exec", id, "/sqlsentinel", "healthcheck")
		return err == nil && strings.Contains(out, `"status":"ok"`)
	}, 60*time.Second, 100*time.Millisecond)
	answer, err := http.Get("http://" + do(t, "port", id, "8080/tcp") + "/ready")
	require.NoError(t, err)
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, errors.Join(err, answer.Body.Close()))
	require.Equal(t, 200, answer.StatusCode, "%s", body)
	do(t, "exec", id, "/sqlsentinel", "run")
	began := time.Now()
	do(t, "stop", id)
	require.Less(t, time.Since(began), 8*time.Second, "the engine kills after 10")
	require.Equal(t, "0", do(t, "inspect", "--format", "{{.State.ExitCode}}", id), do(t, "logs", id))
	status := do(t, append(append([]string{"run", "--rm"}, args...), program, "status")...)
	require.Contains(t, status, "One    OK", "what it knew is there")
}

// TestTheFunctionsOfTheImage runs the tests of the functions with their image: each event of
// the folder, under a Runtime API and emulators of AWS.
func TestTheFunctionsOfTheImage(t *testing.T) {
	out, err := run("go", []string{"SENTINEL_FUNCTIONS_IMAGE=" + lambda}, "test", "-C", "../..", "./functions", "-run", "TestEveryEventOfTheFolderIsHandled", "-count=1", "-timeout", "5m", "-v")
	require.NoError(t, err, "%s", out)
	require.Contains(t, out, "--- PASS: TestEveryEventOfTheFolderIsHandled/query.json")
}

// TestComposeTellsOfTheShop brings everything of docker-compose.yaml up.
func TestComposeTellsOfTheShop(t *testing.T) {
	env := []string{"COMPOSE_PROJECT_NAME=sentineltest", "SENTINEL_PORT=0", "MAIL_PORT=0", "SENTINEL_IMAGE=" + program, "LAMBDA_IMAGE=" + lambda,
		"POSTGRES_IMAGE=sentinel-standin/postgres", "MAIL_IMAGE=sentinel-standin/receiver", "RECEIVER_IMAGE=sentinel-standin/receiver"}
	compose := func(args ...string) (string, error) {
		return run("docker-compose", env, append([]string{"--project-directory", "../..", "-f", "../../docker-compose.yaml"}, args...)...)
	}
	_, err := compose("config", "-q")
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := compose("down", "-v", "-t", "5")
		require.NoError(t, err)
	})
	_, err = compose("up", "-d", "--no-build")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		mail, _ := compose("logs", "mail")
		posts, _ := compose("logs", "receiver")
		return strings.Contains(mail, "mail to team@example.com: ALERT: Low stock") && strings.Contains(posts, `"alert_name":"Failed payments"`)
	}, 180*time.Second, time.Second, "the alerts come at the next minute")
	status, err := compose("exec", "-T", "sentinel", "/sqlsentinel", "status")
	require.NoError(t, err)
	require.Contains(t, status, "Low stock")
	_, err = compose("stop", "-t", "10", "sentinel")
	require.NoError(t, err)
	log, err := compose("logs", "sentinel")
	require.NoError(t, err)
	require.Contains(t, log, `"message":"stopped"`)
}
