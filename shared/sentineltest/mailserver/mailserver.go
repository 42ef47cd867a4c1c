// Package mailserver is a mail server on the loopback interface that keeps what it
// receives. Tests and the demo send real mail to it over SMTP, plain or encrypted, and can
// tell it to misbehave as servers do: refuse a recipient, ask to come back later, hang, or
// drop the connection after a message was taken. It delivers nothing.
package mailserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/selfsigned"
)

// Security is how connections are encrypted.
type Security int

// The ways. Plain offers no encryption, STARTTLS refuses mail before it, ImplicitTLS
// begins with the handshake.
const (
	Plain Security = iota
	STARTTLS
	ImplicitTLS
)

// Options are what a server is started with. The zero Options are a plain server without
// authentication on a free port.
type Options struct {
	// Addr is the address to listen on; empty means 127.0.0.1 and a free port.
	Addr     string
	Security Security
	// Username and Password, if set, are required by AUTH PLAIN or LOGIN before any mail.
	Username, Password string
	// Hosts are the names and IP addresses in the certificate; empty means 127.0.0.1, ::1
	// and localhost.
	Hosts []string
}

// A Message is one mail as it was received.
type Message struct {
	From string   // of the envelope
	To   []string // of the envelope, in order
	Data []byte   // header and body as sent, dots unstuffed
	TLS  bool     // whether it came encrypted
	User string   // who authenticated; empty without authentication
}

// A Server is a running mail server. It is safe for concurrent use.
type Server struct {
	smtp     *smtp.Server
	listener net.Listener
	opts     Options
	cert     selfsigned.Certificate
	done     chan struct{} // closed by Close, which ends what hangs
	served   chan error

	mu       sync.Mutex
	messages []Message
	taken    int           // messages that Next has handed out
	arrived  chan struct{} // closed and replaced with each message
	rules    []Rule
	counts   map[Stage]int
}

// maxMessage bounds one message, in bytes, as public servers do.
const maxMessage = 25 << 20

// Start starts a server. Close it when done.
func Start(opts Options) (*Server, error) {
	if opts.Addr == "" {
		opts.Addr = "127.0.0.1:0"
	}
	s := &Server{opts: opts, done: make(chan struct{}), served: make(chan error, 1), arrived: make(chan struct{}), counts: map[Stage]int{}}
	if err := s.configure(); err != nil {
		return nil, err
	}
	plain, err := new(net.ListenConfig).Listen(context.Background(), "tcp", opts.Addr)
	if err != nil {
		return nil, fmt.Errorf("start mail server: %w", err)
	}
	s.listener = &gate{Listener: plain, server: s}
	go func() { s.served <- s.smtp.Serve(s.listener) }()
	return s, nil
}

func (s *Server) configure() error {
	s.smtp = smtp.NewServer(smtp.BackendFunc(s.newSession))
	s.smtp.Domain = "localhost"
	s.smtp.AllowInsecureAuth = s.opts.Security == Plain
	s.smtp.MaxMessageBytes = maxMessage
	s.smtp.ReadTimeout, s.smtp.WriteTimeout = time.Minute, time.Minute
	s.smtp.ErrorLog = log.New(io.Discard, "", 0) // broken clients are what tests are about
	if s.opts.Security == Plain {
		return nil
	}
	cert, err := selfsigned.New(s.opts.Hosts...)
	if err != nil {
		return fmt.Errorf("start mail server: %w", err)
	}
	s.cert = cert
	if s.opts.Security == STARTTLS {
		s.smtp.TLSConfig = s.tlsConfig()
	}
	return nil
}

func (s *Server) tlsConfig() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{s.cert.Pair}, MinVersion: tls.VersionTLS12}
}

// Close stops the server and drops its connections. What it received stays readable.
// Close it once.
func (s *Server) Close() error {
	close(s.done)
	errs := []error{s.smtp.Close()}
	// The library closes the listener only if its Serve has begun.
	if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) {
		errs = append(errs, err)
	}
	if err := <-s.served; !errors.Is(err, net.ErrClosed) {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stop mail server: %w", err)
	}
	return nil
}

// Addr is the server's address, host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Host is the server's IP address.
func (s *Server) Host() string { return s.tcpAddr().IP.String() }

// Port is the server's port.
func (s *Server) Port() int { return s.tcpAddr().Port }

func (s *Server) tcpAddr() *net.TCPAddr { return s.listener.Addr().(*net.TCPAddr) }

// CertPool trusts the server's certificate; it is empty for a Plain server.
func (s *Server) CertPool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.cert.PEM)
	return pool
}

// CertPEM is the server's certificate, which is its own authority; nil for a Plain server.
func (s *Server) CertPEM() []byte { return slices.Clone(s.cert.PEM) }

// Messages are all messages that were kept, in order of arrival.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Next waits for a message that no call of Next has returned yet.
func (s *Server) Next(ctx context.Context) (Message, error) {
	for {
		s.mu.Lock()
		if s.taken < len(s.messages) {
			m := s.messages[s.taken]
			s.taken++
			s.mu.Unlock()
			return m, nil
		}
		arrived := s.arrived
		s.mu.Unlock()
		if err := s.wait(ctx, arrived); err != nil {
			return Message{}, err
		}
	}
}

// Wait waits until n messages were kept since the start, and returns all.
func (s *Server) Wait(ctx context.Context, n int) ([]Message, error) {
	for {
		s.mu.Lock()
		all, arrived := slices.Clone(s.messages), s.arrived
		s.mu.Unlock()
		if len(all) >= n {
			return all, nil
		}
		if err := s.wait(ctx, arrived); err != nil {
			return all, err
		}
	}
}

func (s *Server) wait(ctx context.Context, arrived <-chan struct{}) error {
	select {
	case <-arrived:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for mail: %w", ctx.Err())
	case <-s.done:
		return errors.New("wait for mail: the server is closed")
	}
}

func (s *Server) keep(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
	close(s.arrived)
	s.arrived = make(chan struct{})
}
