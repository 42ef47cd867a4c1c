package notify

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// guard refuses connections to where no receiver can be, whatever name resolved to it:
// link-local addresses, and those at which clouds hand out credentials.
type guard struct {
	dialer *net.Dialer
	never  []netip.Prefix
}

// never are link-local and metadata addresses. Nothing allows them.
func never() []netip.Prefix {
	return prefixes(
		"169.254.0.0/16", "fe80::/10", // link-local; AWS, Azure, Google
		"fd00:ec2::/32", "fd20:ce::254/128", // AWS and Google over IPv6
		"100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32", // Alibaba, Oracle, Azure
	)
}

// newGuard allows public and private networks, loopback unless denied, and the networks
// that EGRESS_ALLOW names.
func newGuard(env alert.Lookup, denyLoopback bool) (*guard, error) {
	allow := prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
	if !denyLoopback {
		allow = append(allow, prefixes("127.0.0.0/8", "::1/128")...)
	}
	exceptions, err := parseNetworks(fromEnv(env, "EGRESS_ALLOW"))
	if err != nil {
		return nil, err
	}
	var allow4, allow6 []netip.Prefix
	for _, p := range append(allow, exceptions...) {
		if p.Addr().Is4() {
			allow4 = append(allow4, p)
		} else {
			allow6 = append(allow6, p)
		}
	}
	ranges := ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(allow4...), ssrf.WithAllowedV6Prefixes(allow6...))
	g := &guard{never: never()}
	g.dialer = &net.Dialer{KeepAlive: 30 * time.Second, Control: func(network, address string, c syscall.RawConn) error {
		if target, err := netip.ParseAddrPort(address); err == nil && g.refuses(target.Addr()) {
			return permanent("%s is refused: link-local and metadata addresses are no receivers", target.Addr())
		}
		if ranges.Safe(network, address, c) != nil {
			return permanent("%s is refused as a receiver; EGRESS_ALLOW names the networks that are allowed besides", address)
		}
		return nil
	}}
	return g, nil
}

// parseNetworks reads networks or single addresses, separated by commas or blanks.
func parseNetworks(text string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
		prefix, err := netip.ParsePrefix(word)
		if addr, addrErr := netip.ParseAddr(word); addrErr == nil {
			prefix, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("EGRESS_ALLOW: %q is not a network such as 10.1.2.0/24", word)
		}
		out = append(out, prefix.Masked())
	}
	return out, nil
}

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParsePrefix(t)
	}
	return out
}

// refuses tells whether an address is never a receiver's, whichever way it is written.
func (g *guard) refuses(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	inner, carries := carried(a)
	for _, p := range g.never {
		if p.Contains(a) || carries && p.Contains(inner) {
			return true
		}
	}
	return false
}

// carried is the IPv4 address to which a gateway hands on what is sent to an IPv6 address:
// NAT64, its local form, 6to4, Teredo, and IPv4-compatible addresses.
func carried(a netip.Addr) (netip.Addr, bool) {
	if !a.Is6() {
		return a, false
	}
	b := a.As16()
	last := [4]byte(b[12:])
	for _, p := range prefixes("64:ff9b::/96", "64:ff9b:1::/48", "::/96") {
		if p.Contains(a) {
			return netip.AddrFrom4(last), true
		}
	}
	switch {
	case b[0] == 0x20 && b[1] == 0x02: // 2002::/16
		return netip.AddrFrom4([4]byte(b[2:])), true
	case [4]byte(b[:]) == [4]byte{0x20, 0x01}: // 2001::/32, where it is inverted
		for i := range last {
			last[i] ^= 0xff
		}
		return netip.AddrFrom4(last), true
	}
	return a, false
}

// refusesHost tells the same of a host that is written as an address.
func (g *guard) refusesHost(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && g.refuses(a)
}

// dial connects if the address may be a receiver's.
func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return g.dialer.DialContext(ctx, network, address)
}
