package notify_test

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/notify"
)

func guarded(t *testing.T, allow string, denyLoopback bool) *notify.Senders {
	s, err := notify.New(notify.Options{Secrets: alert.NewSecrets(lookup(map[string]string{"EGRESS_ALLOW": allow})), EgressDenyLoopback: denyLoopback})
	require.NoError(t, err)
	return s
}

// over are the settings by which each channel sends to a host.
func over(name, host, port string) map[string]any {
	address := "http://" + net.JoinHostPort(host, port) + "/"
	return map[string]map[string]any{
		"webhook": {"url": address}, "slack": {"webhook_url": address},
		"email": {"recipients": []string{"b@example.com"}, "from": "a@example.com", "smtp_host": host, "smtp_port": 25},
	}[name]
}

func TestMetadataAddressesAreNeverReached(t *testing.T) {
	s := guarded(t, "0.0.0.0/0, ::/0", false)
	for _, host := range []string{
		"169.254.169.254", "169.254.170.2", "::ffff:169.254.169.254", "fe80::1%lo", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192", "168.63.129.16", "64:ff9b::a9fe:a9fe",
		"2002:a9fe:a9fe::1", "64:ff9b:1::a9fe:a9fe", "::a9fe:a9fe", "2001:0:1:2:3:4:5601:5601", "64:ff9b::6464:64c8", "2002:a83f:8110::1", "fd00:ec2::23",
	} {
		for _, name := range []string{"webhook", "slack", "email"} {
			if name != "email" && host == "fe80::1%lo" {
				host = "fe80::1%25lo"
			}
			d := delivery(t, name, over(name, host, "80"), message(alert.EventAlert))
			err := failed(t, s.Send(t.Context(), d))
			require.True(t, err.Permanent, "%s %s: %s", name, host, err.Message)
			require.Contains(t, err.Message, "link-local and metadata addresses are no receivers")
			require.ErrorContains(t, channel(t, s, name).Connect(t.Context(), d.Target), "metadata addresses")
			if host == "fe80::1%25lo" {
				host = "fe80::1%lo"
			}
		}
	}
}

func TestLoopbackIsRefusedWhereItIsDeniedAndExceptionsHold(t *testing.T) {
	r := listen(t, nil)
	host, port, err := net.SplitHostPort(r.Listener.Addr().String())
	require.NoError(t, err)
	send := func(s *notify.Senders, host string) error {
		return s.Send(t.Context(), delivery(t, "webhook", over("webhook", host, port), message(alert.EventAlert)))
	}
	require.NoError(t, send(guarded(t, "", false), host))
	for _, host := range []string{"127.0.0.1", "localhost", "::1", "0.0.0.0", "::ffff:127.0.0.1"} { // a name too: what counts is what it resolves to
		refused := failed(t, send(guarded(t, "10.0.0.0/8", true), host))
		require.True(t, refused.Permanent, refused.Message)
		require.Contains(t, refused.Message, "EGRESS_ALLOW")
	}
	require.Len(t, r.all(), 1)
	require.NoError(t, send(guarded(t, "10.0.0.0/8 127.0.0.1", true), host))
	require.NoError(t, send(guarded(t, "127.0.0.0/8,fd00::/8", true), "localhost"))
	refused := failed(t, guarded(t, "", true).Send(t.Context(), delivery(t, "email", over("email", host, port), message(alert.EventAlert))))
	require.True(t, refused.Permanent, "mail is guarded alike")
}

func TestAMalformedExceptionIsAnError(t *testing.T) {
	_, err := notify.New(notify.Options{Secrets: alert.NewSecrets(lookup(map[string]string{"EGRESS_ALLOW": "10.0.0.0/8, everything"}))})
	require.EqualError(t, err, `EGRESS_ALLOW: "everything" is not a network such as 10.1.2.0/24`)
}
