package notify

import (
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// fakeDNS is a resolver whose server answers every question about an IPv4 address by what the function gives.
func fakeDNS(t *testing.T, answer func() netip.Addr) *net.Resolver {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		packet := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(packet)
			if err != nil {
				return
			}
			end := 12
			for packet[end] != 0 {
				end += int(packet[end]) + 1
			}
			end += 5 // the end of the name, type and class
			reply := append([]byte(nil), packet[:min(end, n)]...)
			copy(reply[2:12], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0})
			if binary.BigEndian.Uint16(packet[end-4:]) == 1 { // A
				reply[7] = 1
				reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
				reply = append(reply, answer().AsSlice()...)
			}
			_, _ = server.WriteTo(reply, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

func TestANameThatResolvesElsewhereTheNextTimeIsRefused(t *testing.T) {
	var asked, came atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { came.Add(1) }))
	defer server.Close()
	s, err := New(Options{})
	require.NoError(t, err)
	hook, _ := s.Channel("webhook")
	guard := hook.(*webhook).web.guard
	guard.dialer.Resolver = fakeDNS(t, func() netip.Addr {
		if asked.Add(1) == 1 {
			return netip.MustParseAddr("127.0.0.1")
		}
		return netip.MustParseAddr("169.254.169.254")
	})
	port := strconv.Itoa(int(netip.MustParseAddrPort(server.Listener.Addr().String()).Port()))
	d := alert.Delivery{Target: alert.Target{Channel: "webhook", Timeout: alert.Duration(20 * time.Second), Settings: []byte(`{"url": "http://rebind.example.:` + port + `/"}`)}}
	require.NoError(t, s.Send(t.Context(), d), "it is a receiver")
	err = s.Send(t.Context(), d)
	require.ErrorContains(t, err, "169.254.169.254 is refused", "what is checked is the address that is connected to, each time")
	require.EqualValues(t, 1, came.Load())
}

func TestAnAddressInAnOldNotationLeadsNowhereElse(t *testing.T) {
	var came atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { came.Add(1) }))
	defer server.Close()
	s, err := New(Options{EgressDenyLoopback: true})
	require.NoError(t, err)
	port := netip.MustParseAddrPort(server.Listener.Addr().String()).Port()
	for _, host := range []string{"2130706433", "0177.0.0.1", "0x7f000001", "127.1", "0", "127.0.0.1.", "[::127.0.0.1]", "[::ffff:7f00:1]", "%31%32%37.0.0.1"} {
		d := alert.Delivery{Target: alert.Target{Channel: "webhook", Timeout: alert.Duration(5 * time.Second), Settings: []byte(`{"url": "http://` + host + ":" + strconv.Itoa(int(port)) + `/"}`)}}
		require.Error(t, s.Send(t.Context(), d), host)
	}
	require.Zero(t, came.Load())
}
