package databases

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/servers"
)

// ClickHouse returns the URL, clickhouse+http://…, of a new and empty database and of a
// user that may do everything. It is ClickHouse's own engine behind a small HTTP server of
// the tests, which make emulators fetches; or the server at $SENTINEL_TEST_CLICKHOUSE_URL.
func ClickHouse(t testing.TB) string {
	t.Helper()
	return clickHouse.database(t)
}

func startClickHouse() (*Server, error) {
	_, here, _, _ := runtime.Caller(0)
	folder := filepath.Dir(here)
	python := filepath.Join(folder, "..", "..", "..", ".tools", "emulators", "chdb", "bin", "python")
	if _, err := os.Stat(python); err != nil {
		return nil, fmt.Errorf("%w (make emulators fetches it)", ErrNotInstalled)
	}
	dir, err := servers.NewFolder("clickhouse")
	if err != nil {
		return nil, err
	}
	var p *servers.Process
	port, err := servers.WithPort(func(port int) error {
		p, err = servers.Start(dir, nil, syscall.SIGKILL, "ready", python, filepath.Join(folder, "clickhouse.py"), strconv.Itoa(port), filepath.Join(dir, "data"), password)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	address := url.URL{Scheme: "clickhouse+http", User: url.UserPassword("sentinel", password), Host: fmt.Sprintf("127.0.0.1:%d", port), Path: "/default"}
	return &Server{url: address.String(), stop: func() {
		p.Stop(syscall.SIGKILL)
		_ = os.RemoveAll(dir)
	}}, nil
}

func createClickHouse(ctx context.Context, admin, name string) (string, func() error, error) {
	if _, err := ClickHouseDo(ctx, admin, "CREATE DATABASE "+name); err != nil {
		return "", nil, err
	}
	u, err := url.Parse(admin)
	if err != nil {
		return "", nil, fmt.Errorf("read URL: %w", err)
	}
	u.Path = "/" + name
	return u.String(), func() error {
		_, err := ClickHouseDo(context.WithoutCancel(ctx), admin, "DROP DATABASE "+name)
		return err
	}, nil
}

// ClickHouseDo runs a statement at a URL, past the driver, and returns what it answers.
func ClickHouseDo(ctx context.Context, address, statement string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("read URL: %w", err)
	}
	u.RawQuery = url.Values{"database": {strings.TrimPrefix(u.Path, "/")}}.Encode()
	u.Scheme, u.Path = "http", "/"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(statement))
	if err != nil {
		return "", fmt.Errorf("ask ClickHouse: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask ClickHouse: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(string(body))
	}
	return strings.TrimSpace(string(body)), err
}
