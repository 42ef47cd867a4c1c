package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// heartbeatTimeout is how long the outside service may take to answer.
const heartbeatTimeout = 10 * time.Second

// stuckAfter is how often a delivery is found past due before it is stuck.
const stuckAfter = 5

// heartbeat asks for the heartbeat's URL if all is well with the watching itself. That it
// cannot be reached never fails the run; only the state's failure does.
func (s *session) heartbeat(ctx context.Context, e *engine, outcomes []outcome) error {
	if slices.ContainsFunc(outcomes, func(o outcome) bool { return !o.done || o.err != nil }) {
		s.say("the heartbeat is not sent: not every alert ran")
		return nil
	}
	ill, err := s.illness(ctx, e.store)
	if err != nil {
		return err
	}
	if ill != "" {
		s.say("the heartbeat is not sent: %s", ill)
		return nil
	}
	s.warn("the heartbeat failed", s.ping(ctx))
	return nil
}

// keeper is what the heartbeat reads.
type keeper interface {
	sentinel.Store
	sentinel.Outbox
}

// illness says what is wrong with the watching itself; empty if nothing is.
func (s *session) illness(ctx context.Context, store keeper) (string, error) {
	counts, err := store.Counts(ctx, s.file.Scope)
	if err != nil {
		return "", err
	}
	for _, c := range counts {
		if c.Dead > 0 {
			return "a delivery is dead; see `sqlsentinel deliveries list --status dead`", nil
		}
	}
	outages, err := store.Outages(ctx, s.file.Scope)
	if err != nil {
		return "", err
	}
	for _, o := range outages {
		if strings.HasPrefix(o.Subject, alert.TargetSubject("")) {
			return s.subject(o) + " takes no messages", nil
		}
	}
	waiting, err := store.Deliveries(ctx, sentinel.DeliveryFilter{
		Scope: s.file.Scope, Statuses: []alert.DeliveryStatus{alert.Pending, alert.Sending}, Limit: searched,
	})
	for _, d := range waiting {
		if d.Swept >= stuckAfter {
			return "delivery " + d.ID + " is stuck", err
		}
	}
	return "", err
}

// ping asks for the heartbeat's URL. Its error does not hold the URL, which is a secret.
func (s *session) ping(ctx context.Context) error {
	address, err := s.file.Secrets.Expand(s.file.Heartbeat.URL)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, heartbeatTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return errors.New("its URL is not valid")
	}
	request.Header.Set("User-Agent", "sqlsentinel")
	client := &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{Control: outside}).DialContext}}
	defer client.CloseIdleConnections()
	answer, err := client.Do(request)
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // its status says all
	if answer.StatusCode >= 300 {
		return fmt.Errorf("the service answered %s", answer.Status)
	}
	return nil
}

// outside refuses the addresses at which clouds hand out credentials, whatever name or
// redirect led there.
func outside(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("read the address %s: %w", address, err)
	}
	ip := target.Addr().Unmap().WithZone("")
	if ip.IsLinkLocalUnicast() || ip == netip.MustParseAddr("100.100.100.200") || ip == netip.MustParseAddr("fd00:ec2::254") {
		return fmt.Errorf("%s is refused: link-local and metadata addresses are no heartbeat service", ip)
	}
	return nil
}
