package mailserver

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
)

// Stage is a point of the SMTP conversation.
type Stage int

// The stages, in their order.
const (
	AtConnect   Stage = iota // before the greeting
	AtAuth                   // when the credentials are checked
	AtMail                   // MAIL FROM
	AtRecipient              // RCPT TO
	AtData                   // the message has been read
)

// An Action is what a server does at a stage instead of going on.
type Action struct {
	kind actionKind
	code int
	text string
}

type actionKind int

const (
	answer actionKind = iota
	hang
	drop
	keepAndDrop
)

// Answer replies with a code and a text: 550 refuses a recipient for good, 451 asks to
// come back later, 421 closes the service.
func Answer(code int, text string) Action { return Action{kind: answer, code: code, text: text} }

// Hang says nothing until the server is closed.
func Hang() Action { return Action{kind: hang} }

// Drop closes the connection without a word.
func Drop() Action { return Action{kind: drop} }

// KeepAndDrop keeps the message and closes the connection without confirming it: the
// client cannot know that it was accepted. It has this meaning at AtData only; elsewhere
// it is Drop.
func KeepAndDrop() Action { return Action{kind: keepAndDrop} }

// A Rule says what happens at a stage.
type Rule struct {
	At Stage
	// Recipient limits a rule at AtRecipient to one address; empty means any.
	Recipient string
	// Times is how often the rule applies before it is used up; zero means always.
	Times int
	Do    Action
}

// Script replaces the rules. Of several that fit, the first that is not used up applies.
// Without rules every message is accepted.
func (s *Server) Script(rules ...Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = append([]Rule(nil), rules...)
	for i := range s.rules {
		if s.rules[i].Times == 0 {
			s.rules[i].Times = -1
		}
	}
}

// Count is how often clients have reached a stage, refused or not.
func (s *Server) Count(at Stage) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[at]
}

// next counts a stage and takes the rule that applies to it.
func (s *Server) next(at Stage, recipient string) (Action, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[at]++
	for i := range s.rules {
		r := &s.rules[i]
		if r.At != at || r.Times == 0 || r.Recipient != "" && !strings.EqualFold(r.Recipient, recipient) {
			continue
		}
		if r.Times > 0 {
			r.Times--
		}
		return r.Do, true
	}
	return Action{}, false
}

// play does what the rules say at a stage; a nil error means to go on.
func (s *Server) play(at Stage, recipient string, conn net.Conn) error {
	do, ok := s.next(at, recipient)
	if !ok {
		return nil
	}
	return s.do(do, conn)
}

func (s *Server) do(do Action, conn net.Conn) error {
	if do.kind == answer {
		return &smtp.SMTPError{Code: do.code, EnhancedCode: smtp.EnhancedCode{do.code / 100, 0, 0}, Message: do.text}
	}
	if do.kind == hang {
		<-s.done
	}
	if err := conn.Close(); err != nil {
		return fmt.Errorf("drop the connection: %w", err)
	}
	return &smtp.SMTPError{Code: 421, Message: "dropped"} // nobody is left to read it
}

// gate is a listener that plays the rules of AtConnect before the conversation begins.
type gate struct {
	net.Listener
	server *Server
}

// Accept returns the next connection that no rule holds back.
func (g *gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if g.server.opts.Security == ImplicitTLS {
			conn = tls.Server(conn, g.server.tlsConfig())
		}
		do, ok := g.server.next(AtConnect, "")
		if !ok {
			return conn, nil
		}
		go g.server.greet(do, conn)
	}
}

// greet ends a connection as a rule of AtConnect says.
func (s *Server) greet(do Action, conn net.Conn) {
	defer func() { _ = conn.Close() }() // it may be closed already, which is what is wanted
	if do.kind != answer {
		_ = s.do(do, conn)
		return
	}
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err == nil {
		_, _ = fmt.Fprintf(conn, "%d %s\r\n", do.code, do.text) // a client that has gone needs no answer
	}
}
