package docs_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/sqlsentinel/sqlsentinel/samples"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/mailserver"
)

// program builds the program and returns its folder.
func program(t *testing.T) string {
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-tags=minicore_disabled", "-o", filepath.Join(dir, "sqlsentinel"), "../cmd/sqlsentinel")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	return dir
}

// scratch is the folder in which a page's commands run.
type scratch struct {
	t        *testing.T
	bin, dir string
	env      []string
}

// newScratch makes the folder of a page: an alert file, the shop, and servers that receive.
func newScratch(t *testing.T, bin, page string) *scratch {
	mail, err := mailserver.Start(mailserver.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, mail.Close()) })
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "ok")
	}))
	t.Cleanup(receiver.Close)
	s := &scratch{t: t, bin: bin, dir: t.TempDir(), env: []string{
		"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + t.TempDir(), "USER=ada", "TMPDIR=" + t.TempDir(),
		"SMTP_HOST=" + mail.Host(), "SMTP_PORT=" + strconv.Itoa(mail.Port()), "SMTP_FROM_ADDRESS=sentinel@example.com", "SMTP_USE_TLS=false",
		"SLACK_WEBHOOK_URL=" + receiver.URL + "/slack", "WEBHOOK_URL=" + receiver.URL + "/webhook",
	}}
	file, err := os.ReadFile("../samples/shop.yaml")
	require.NoError(t, err)
	for _, b := range blocks(t, page, "yaml") {
		if b.mark() == "file: alerts.yaml" {
			file = []byte(b.text)
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "alerts.yaml"), file, 0o600))
	s.openShop()
	s.run("sqlsentinel run", s.dir, 0)
	return s
}

// openShop makes the sample shop; its stock is low, so that something is told.
func (s *scratch) openShop() {
	shop, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.Join(s.dir, "shop.db")}).String())
	require.NoError(s.t, err)
	_, err = shop.Exec(samples.Shop)
	require.NoError(s.t, err)
	require.NoError(s.t, shop.Close())
}

// run runs one line in a folder and wants its exit code. It returns what was printed.
func (s *scratch) run(line, dir string, code int) string {
	c := exec.CommandContext(s.t.Context(), "sh", "-c", line)
	c.Dir, c.Env = dir, s.env
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(s.t, err, line)
	}
	require.Equal(s.t, code, c.ProcessState.ExitCode(), "%s\n%s", line, out.String())
	return out.String()
}

var exitComment = regexp.MustCompile(`# .*exit (\d+)`)

func TestEveryCommandInTheDocumentationRuns(t *testing.T) {
	bin := program(t)
	ran := 0
	for _, page := range pages(t) {
		commands := blocks(t, page, "sh")
		if len(commands) == 0 {
			continue
		}
		t.Run(strings.TrimPrefix(page, "../"), func(t *testing.T) {
			s := newScratch(t, bin, page)
			for _, b := range commands {
				dir := s.dir
				if b.mark() == "in an empty folder" {
					dir = t.TempDir()
				}
				for n, line := range strings.Split(b.text, "\n") {
					if !strings.HasPrefix(line, "sqlsentinel") {
						continue
					}
					code := 0
					if found := exitComment.FindStringSubmatch(line); found != nil {
						_, err := fmt.Sscan(found[1], &code)
						require.NoError(t, err)
					}
					t.Logf("%s:%d: %s", b.page, b.line+n, line)
					s.run(line, dir, code)
					ran++
				}
			}
		})
	}
	require.Greater(t, ran, 30, "commands that were run")
}
