package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/mail"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	_ "github.com/lib/pq" // the shop's database

	"github.com/sqlsentinel/sqlsentinel/samples"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/databases"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/emulators"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/mailserver"
)

// serve runs emulator, database and inbox until it is told to stop.
func serve(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	cloud, err := emulators.StartCloud(false)
	if err != nil {
		return err
	}
	defer cloud.Stop()
	server, err := databases.StartPostgres()
	if errors.Is(err, databases.ErrNotInstalled) {
		return errors.New("there is no PostgreSQL for the sample shop: install its server (Debian: apt-get install postgresql)")
	}
	if err != nil {
		return err
	}
	defer server.Stop()
	shop, err := openShop(ctx, server)
	if err != nil {
		return err
	}
	box, err := openInbox()
	if err != nil {
		return err
	}
	defer box.Close()

	environment := append(cloud.Environment, "SHOP_URL="+shop, "PAGER_URL="+box.url+"/pager", "SLACK_WEBHOOK_URL="+box.url+"/slack",
		"SMTP_HOST="+box.mail.Host(), fmt.Sprint("SMTP_PORT=", box.mail.Port()), "SMTP_USE_TLS=false", "SMTP_FROM_ADDRESS=sentinel@example.com")
	var lines strings.Builder
	for _, one := range environment {
		name, value, _ := strings.Cut(one, "=")
		fmt.Fprintf(&lines, "export %s='%s'\n", name, value)
	}
	if err := os.WriteFile(in(readyFile), []byte(lines.String()), 0o600); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// openShop fills a database and returns its URL.
func openShop(ctx context.Context, server *databases.Server) (string, error) {
	url, err := server.NewDatabase(ctx)
	if err != nil {
		return "", err
	}
	db, err := sql.Open("postgres", url)
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(ctx, samples.ShopPostgres)
	return url, err
}

// An inbox takes the messages and writes a line for each.
type inbox struct {
	url    string
	mail   *mailserver.Server
	web    *http.Server
	log    *log.Logger
	paged  atomic.Bool
	file   io.Closer
	ending context.CancelFunc
}

func openInbox() (*inbox, error) {
	file, err := os.OpenFile(in(inboxFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	b := &inbox{file: file, log: log.New(file, "", log.Ltime)}
	if b.mail, err = mailserver.Start(mailserver.Options{}); err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b.url = "http://" + listener.Addr().String()
	b.web = &http.Server{Handler: b, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = b.web.Serve(listener) }() // until Close
	ctx, cancel := context.WithCancel(context.Background())
	b.ending = cancel
	go b.readMail(ctx)
	return b, nil
}

// ServeHTTP takes a message. The pager refuses its first one for good, so that there is
// something to redrive.
func (b *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if r.URL.Path == "/pager" && b.paged.CompareAndSwap(false, true) {
		b.log.Printf("POST %s: refused, this once", r.URL.Path)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	b.log.Printf("POST %s: %s", r.URL.Path, body)
}

func (b *inbox) readMail(ctx context.Context) {
	for {
		m, err := b.mail.Next(ctx)
		if err != nil {
			return
		}
		subject := "?"
		if read, err := mail.ReadMessage(strings.NewReader(string(m.Data))); err == nil {
			subject = read.Header.Get("Subject")
		}
		b.log.Printf("mail to %s: %s", strings.Join(m.To, ", "), subject)
	}
}

// Close ends it.
func (b *inbox) Close() {
	b.ending()
	_, _, _ = b.web.Close(), b.mail.Close(), b.file.Close()
}
