package emulators

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/servers"
)

// A Cloud is an emulator of AWS for one user alone, who can deploy and destroy.
type Cloud struct {
	// Endpoint is its address.
	Endpoint string
	// Environment is what programs need to reach it: names and values.
	Environment []string
	// HTTP reaches it and trusts its certificate.
	HTTP *http.Client

	process *servers.Process
	dir     string
}

// NewCloud starts an empty cloud, which ends with the test; see StartCloud.
func NewCloud(t testing.TB, iam bool) *Cloud {
	t.Helper()
	c, err := StartCloud(iam)
	if errors.Is(err, errNotFetched) && os.Getenv("CI") != "true" {
		t.Skipf("SKIPPED, NOT TESTED: ministack: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

// StartCloud starts an empty ministack. With iam it answers by TLS only, and does only what
// the roles of who calls allow.
func StartCloud(iam bool) (*Cloud, error) {
	home, err := folder("ministack")
	if err != nil {
		return nil, err
	}
	c := &Cloud{HTTP: http.DefaultClient}
	if c.dir, err = servers.NewFolder("cloud"); err != nil {
		return nil, err
	}
	_, err = servers.WithPort(func(port int) error {
		if c.process, err = runMinistack(home, c.dir, port, iam); err != nil {
			return err
		}
		if err = c.await(c.dir, port, iam); err != nil {
			c.Stop()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	c.Environment = append(c.Environment, "AWS_ENDPOINT_URL="+c.Endpoint, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "CDK_DEFAULT_REGION=us-east-1", "CDK_DEFAULT_ACCOUNT=000000000000")
	return c, nil
}

// Stop ends it, with the functions that it runs, and removes what it stored.
func (c *Cloud) Stop() {
	c.Kill("SENTINEL_STACK")
	c.process.Stop(syscall.SIGKILL)
	_ = os.RemoveAll(c.dir)
}

// await returns when it answers.
func (c *Cloud) await(dir string, port int, iam bool) error {
	if !iam {
		c.Endpoint = fmt.Sprintf("http://localhost:%d", port)
		return await(port, "/_ministack/health")
	}
	c.Endpoint = fmt.Sprintf("https://localhost:%d", port)
	certificate := filepath.Join(dir, "ministack-tls", "server.crt")
	var err error
	for range 300 {
		time.Sleep(100 * time.Millisecond)
		pem, readErr := os.ReadFile(certificate)
		if readErr != nil {
			err = readErr
			continue
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		c.HTTP = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
		var answer *http.Response
		if answer, err = c.HTTP.Get(c.Endpoint + "/_ministack/health"); err == nil {
			c.Environment = []string{"SSL_CERT_FILE=" + certificate, "AWS_CA_BUNDLE=" + certificate, "NODE_EXTRA_CA_CERTS=" + certificate}
			return answer.Body.Close()
		}
	}
	return fmt.Errorf("it does not answer: %w", err)
}

// Kill ends the process of one of its functions with SIGKILL, and tells whether there was
// one. The marker is an environment variable that only that function has.
func (c *Cloud) Kill(marker string) bool {
	environments, _ := filepath.Glob("/proc/[0-9]*/environ")
	killed := false
	for _, path := range environments {
		text, err := os.ReadFile(path)
		variables := "\x00" + string(text)
		if err != nil || !strings.Contains(variables, "\x00AWS_ENDPOINT_URL="+c.Endpoint+"\x00") || !strings.Contains(variables, "\x00"+marker+"=") || !strings.Contains(variables, "\x00AWS_LAMBDA_RUNTIME_API=") {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(path, "/proc/%d/environ", &pid); err == nil {
			killed = syscall.Kill(pid, syscall.SIGKILL) == nil || killed
		}
	}
	return killed
}
