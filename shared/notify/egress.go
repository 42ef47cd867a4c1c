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

// guard refuses connections to where no receiver can be, after redirects and name
// resolution: link-local addresses, which hold the metadata services of clouds.
type guard struct {
	dialer *net.Dialer
}

// metadata are the addresses at which clouds hand out credentials; nothing allows them.
func metadata() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("100.100.100.200/32"), netip.MustParsePrefix("192.0.0.192/32"),
		netip.MustParsePrefix("fd00:ec2::/32"), netip.MustParsePrefix("fe80::/10"),
	}
}

func newGuard(secrets *alert.Secrets, denyLoopback bool) (*guard, error) {
	allow4 := prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
	allow6 := prefixes("fc00::/7")
	if !denyLoopback {
		allow4, allow6 = append(allow4, prefixes("127.0.0.0/8")...), append(allow6, prefixes("::1/128")...)
	}
	for _, text := range strings.FieldsFunc(fromEnv(secrets.Lookup, "EGRESS_ALLOW"), func(r rune) bool { return r == ',' || r == ' ' }) {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("EGRESS_ALLOW: %q is not a network such as 10.1.2.0/24", text)
		}
		if prefix.Addr().Is4() {
			allow4 = append(allow4, prefix)
		} else {
			allow6 = append(allow6, prefix)
		}
	}
	ranges := ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(allow4...), ssrf.WithAllowedV6Prefixes(allow6...))
	never := metadata()
	control := func(network, address string, c syscall.RawConn) error {
		if target, err := netip.ParseAddrPort(address); err == nil {
			for _, p := range never {
				if p.Contains(target.Addr().Unmap().WithZone("")) {
					return &alert.SendError{Permanent: true, Message: fmt.Sprintf("%s is refused: link-local and metadata addresses are no receivers", target.Addr())}
				}
			}
		}
		if err := ranges.Safe(network, address, c); err != nil {
			return &alert.SendError{Permanent: true, Message: fmt.Sprintf("%s is refused as a receiver; EGRESS_ALLOW names networks that are allowed", address)}
		}
		return nil
	}
	return &guard{dialer: &net.Dialer{Control: control, KeepAlive: 30 * time.Second}}, nil
}

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParsePrefix(t)
	}
	return out
}

// dial connects if the address may be a receiver's.
func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return g.dialer.DialContext(ctx, network, address)
}
