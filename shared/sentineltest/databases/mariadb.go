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
	"strings"
	"syscall"

	"github.com/go-sql-driver/mysql"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/servers"
)

func startMariaDB() (*Server, error) {
	programs, err := findMariaDB()
	if err != nil {
		return nil, err
	}
	as, err := servers.As("mysql")
	if err != nil {
		return nil, err
	}
	dir, err := servers.NewFolder("mariadb")
	if err != nil {
		return nil, err
	}
	s, err := programs.serve(dir, as)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// mariaDBPrograms are the server and the script that makes its first files; a MySQL
// server does that itself and needs no script.
type mariaDBPrograms struct{ server, install string }

func findMariaDB() (mariaDBPrograms, error) {
	out := mariaDBPrograms{
		server:  lookFor("mariadbd", "mysqld"),
		install: lookFor("mariadb-install-db", "mysql_install_db"),
	}
	if out.server == "" {
		return out, ErrNotInstalled
	}
	return out, nil
}

// lookFor finds the first of several programs by PATH or where servers are kept.
func lookFor(names ...string) string {
	for _, name := range names {
		for _, path := range []string{name, "/usr/sbin/" + name, "/usr/libexec/" + name, "/usr/local/sbin/" + name} {
			if found, err := exec.LookPath(path); err == nil {
				return found
			}
		}
	}
	return ""
}

func (m mariaDBPrograms) serve(dir string, as *servers.Account) (*Server, error) {
	cert, key, pem, err := writeCertificate(dir)
	if err != nil {
		return nil, err
	}
	first, data := filepath.Join(dir, "first.sql"), filepath.Join(dir, "data")
	setup := fmt.Sprintf("CREATE USER IF NOT EXISTS 'sentinel'@'%%' IDENTIFIED BY '%s';\nGRANT ALL ON *.* TO 'sentinel'@'%%' WITH GRANT OPTION;\n", password)
	if err := os.WriteFile(first, []byte(setup), 0o600); err != nil {
		return nil, err
	}
	if err := as.Own(dir); err != nil {
		return nil, err
	}
	if err := m.initialize(dir, as, data); err != nil {
		return nil, err
	}
	var p *servers.Process
	port, err := servers.WithPort(func(port int) error {
		p, err = servers.Start(dir, as, syscall.SIGKILL, "ready for connections", m.server, "--no-defaults", "--datadir="+data, "--port="+strconv.Itoa(port),
			"--bind-address=127.0.0.1", "--socket="+filepath.Join(dir, "s"), "--pid-file="+filepath.Join(dir, "pid"), "--init-file="+first,
			"--skip-name-resolve", "--skip-log-bin", "--max-connections=200", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=64M",
			"--ssl-cert="+cert, "--ssl-key="+key, "--ssl-ca="+cert)
		return err
	})
	if err != nil {
		return nil, err
	}
	address := url.URL{Scheme: "mysql", User: url.UserPassword("sentinel", password), Host: fmt.Sprintf("127.0.0.1:%d", port), Path: "/mysql"}
	return &Server{url: address.String(), cert: pem, stop: func() {
		p.Stop(syscall.SIGKILL) // the data goes, so that nothing need be written out
		_ = os.RemoveAll(dir)
	}}, nil
}

// initialize makes the first files of a server.
func (m mariaDBPrograms) initialize(dir string, as *servers.Account, data string) error {
	if m.install == "" {
		return servers.Complete(dir, as, m.server, "--no-defaults", "--initialize-insecure", "--datadir="+data)
	}
	return servers.Complete(dir, as, m.install, "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve")
}

func createMariaDB(ctx context.Context, admin, name string) (string, func() error, error) {
	u, err := url.Parse(admin)
	if err != nil {
		return "", nil, fmt.Errorf("read URL: %w", err)
	}
	config := mysql.NewConfig()
	config.Net, config.Addr, config.User = "tcp", u.Host, u.User.Username()
	config.Passwd, _ = u.User.Password()
	config.DBName = strings.TrimPrefix(u.Path, "/")
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return "", nil, err
	}
	db := sql.OpenDB(connector)
	if _, err := db.ExecContext(ctx, "CREATE DATABASE "+name+" CHARACTER SET utf8mb4"); err != nil {
		return "", nil, errors.Join(err, db.Close())
	}
	u.Path = "/" + name
	return u.String(), func() error {
		_, err := db.ExecContext(context.WithoutCancel(ctx), "DROP DATABASE "+name)
		if closed := db.Close(); err == nil {
			err = closed
		}
		return err
	}, nil
}
