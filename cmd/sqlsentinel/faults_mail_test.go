package main

import (
	"fmt"
	"net/mail"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/faults"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/mailserver"
)

// TestAMailWhoseAnswerIsLostComesAgainAsTheSameMail loses the answer of a mail server that
// took a mail, which is the one moment at which a daemon cannot know; and cuts the
// connection at bytes before it, where it can.
func TestAMailWhoseAnswerIsLostComesAgainAsTheSameMail(t *testing.T) {
	t.Parallel()
	server, err := mailserver.Start(mailserver.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	wire, err := faults.NewWire(server.Addr())
	require.NoError(t, err)
	t.Cleanup(wire.Close)
	host, port, _ := strings.Cut(wire.Addr(), ":")
	c := newCLI(t, fmt.Sprintf(`
alerts:
  - name: stock
    query: SELECT CASE WHEN v < 5 THEN 'ALERT' ELSE 'OK' END AS status FROM t
    schedule: "* * * * *"
    notify: [{channel: email, recipients: [a@example.com], from: b@example.com, smtp_host: %q, smtp_port: %s, smtp_tls: none, timeout: 1s, attempts: 20}]
`, host, port))
	stock := func(n int) {
		require.NoError(t, execSQLite(c.dir+"/shop.db", fmt.Sprintf("DELETE FROM t; INSERT INTO t VALUES (%d)", n)))
	}
	stock(9)
	w := watch(t, c)
	w.stands("OK")
	failed := func() bool { return statusOf(t, c)["notification_failures"].(float64) > 0 }
	settled := func() bool { return statusOf(t, c)["pending_deliveries"] == 0.0 }

	server.Script(mailserver.Rule{At: mailserver.AtData, Times: 1, Do: mailserver.KeepAndDrop()})
	stock(1)
	w.eventually("the answer is lost", failed)
	w.eventually("the mail is sent again", settled)
	ids := messageIDs(t, server)
	require.Len(t, ids, 2)
	require.Equal(t, ids[0], ids[1], "it is the same mail")

	before := statusOf(t, c)["notification_failures"].(float64)
	require.NoError(t, wire.Spoil(faults.Truncate(faults.Down, 100))) // in the middle of the greeting
	stock(9)
	w.eventually("it fails", func() bool { return statusOf(t, c)["notification_failures"].(float64) > before })
	require.NoError(t, wire.Mend())
	w.eventually("the mail is sent", func() bool { return len(server.Messages()) == 3 && settled() })
	ids = messageIDs(t, server)
	require.NotEqual(t, ids[1], ids[2])
	require.NoError(t, w.process.Process.Signal(syscall.SIGTERM))
	require.NoError(t, w.process.Wait(), "%s", w.log)
	require.Len(t, server.Messages(), 3, "and no more")
}

func messageIDs(t *testing.T, server *mailserver.Server) (ids []string) {
	t.Helper()
	for _, m := range server.Messages() {
		parsed, err := mail.ReadMessage(strings.NewReader(string(m.Data)))
		require.NoError(t, err)
		ids = append(ids, parsed.Header.Get("Message-ID"))
	}
	return ids
}
