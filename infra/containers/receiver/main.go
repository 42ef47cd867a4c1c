// Command receiver stands in for the mail catcher and the webhook receiver of
// docker-compose.yaml, where their images cannot be had: it takes every mail and every request,
// and prints a line for each.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/mail"
	"os"
	"strings"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/mailserver"
)

func main() {
	mails, err := mailserver.Start(mailserver.Options{Addr: "0.0.0.0:1025"})
	if err != nil {
		fmt.Fprintln(os.Stderr, "receiver:", err)
		os.Exit(1)
	}
	go printMails(mails)
	server := &http.Server{Addr: ":8080", ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		fmt.Println(r.Method, r.URL.Path, string(body))
	})}
	fmt.Fprintln(os.Stderr, "receiver:", server.ListenAndServe())
	os.Exit(1)
}

func printMails(server *mailserver.Server) {
	for {
		m, err := server.Next(context.Background())
		if err != nil {
			return
		}
		subject := "?"
		if read, err := mail.ReadMessage(strings.NewReader(string(m.Data))); err == nil {
			subject = read.Header.Get("Subject")
		}
		fmt.Printf("mail to %s: %s\n", strings.Join(m.To, ", "), subject)
	}
}
