package databases

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	_ "github.com/lib/pq" // the driver that the product uses

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/servers"
)

func startPostgres() (*Server, error) {
	bin, err := postgresFolder()
	if err != nil {
		return nil, err
	}
	as, err := servers.As("postgres")
	if err != nil {
		return nil, err
	}
	dir, err := servers.NewFolder("postgres")
	if err != nil {
		return nil, err
	}
	s, err := postgresIn(dir, bin, as)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// postgresFolder finds the newest installed version, where Debian keeps it or by PATH.
func postgresFolder() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", err
	}
	best, newest := "", 0.0
	for _, path := range found {
		bin := filepath.Dir(path)
		version, err := strconv.ParseFloat(filepath.Base(filepath.Dir(bin)), 64)
		if err == nil && version > newest {
			best, newest = bin, version
		}
	}
	if best != "" {
		return best, nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", ErrNotInstalled
}

func postgresIn(dir, bin string, as *servers.Account) (*Server, error) {
	cert, key, pem, err := writeCertificate(dir)
	if err != nil {
		return nil, err
	}
	pwfile, data := filepath.Join(dir, "password"), filepath.Join(dir, "data")
	if err := os.WriteFile(pwfile, []byte(password+"\n"), 0o600); err != nil {
		return nil, err
	}
	if err := as.Own(dir); err != nil {
		return nil, err
	}
	if err := servers.Complete(dir, as, filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", pwfile,
		"-E", "UTF8", "--no-locale", "--no-sync"); err != nil {
		return nil, err
	}
	s := &Server{cert: pem, create: createPostgres}
	launch := func(port int) error {
		s.process, err = servers.Start(dir, as, syscall.SIGQUIT, "ready to accept connections", filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(port), "-F",
			"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200",
			"-c", "synchronous_commit=off", "-c", "full_page_writes=off",
			"-c", "ssl=on", "-c", "ssl_cert_file="+cert, "-c", "ssl_key_file="+key)
		return err
	}
	port, err := servers.WithPort(launch)
	if err != nil {
		return nil, err
	}
	address := url.URL{Scheme: "postgresql", User: url.UserPassword("postgres", password), Host: fmt.Sprintf("127.0.0.1:%d", port), Path: "/postgres", RawQuery: "sslmode=disable"}
	s.url, s.again = address.String(), func() error { return launch(port) }
	s.stop = func() {
		s.process.Stop(syscall.SIGQUIT) // the data goes, so that nothing need be written out
		_ = os.RemoveAll(dir)
	}
	return s, nil
}

func createPostgres(ctx context.Context, admin, name string) (string, func() error, error) {
	u, err := url.Parse(admin)
	if err != nil {
		return "", nil, fmt.Errorf("read URL: %w", err)
	}
	db, err := sql.Open("postgres", admin)
	if err != nil {
		return "", nil, err
	}
	if _, err := db.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return "", nil, errors.Join(err, db.Close())
	}
	u.Path = "/" + name
	return u.String(), func() error {
		_, err := db.ExecContext(context.WithoutCancel(ctx), "DROP DATABASE "+name+" WITH (FORCE)")
		if closed := db.Close(); err == nil {
			err = closed
		}
		return err
	}, nil
}
