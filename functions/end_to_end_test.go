package functions_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// shopConfig alerts on few orders, over every channel.
const shopConfig = `
name: shop
database: {url: "${SHOP_URL}"}
channels:
  mail: {channel: email, recipients: [team@example.com]}
  hook: {channel: webhook, url: "${HOOK_URL}"}
  chat: {channel: slack}
retention: 30d
alerts:
  - name: "Revenue"
    query: |
      SELECT CASE WHEN coalesce(sum(total), 0) < 100 THEN 'ALERT' ELSE 'OK' END AS status,
             coalesce(sum(total), 0) AS actual_value, 100 AS threshold
      FROM orders
    schedule: "*/5 * * * *"
    notify: [mail, hook, chat]
`

// eventFile is an event of the events folder.
func eventFile(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "events", name))
	require.NoError(t, err)
	return body
}

func TestFromAnUploadToTheMessagesAndBack(t *testing.T) {
	w := newWorld(t)
	status := w.upload(shopConfig)
	require.Empty(t, status.Problem)
	require.Equal(t, []string{"Revenue"}, status.Added)

	nine := time.Now().UTC().Truncate(5 * time.Minute)
	tick := w.ticks(nine)["Revenue"]
	require.NotEmpty(t, tick)
	var answer cloud.Answer
	require.NoError(t, json.Unmarshal(w.invoke("query", tick), &answer))
	require.Equal(t, alert.StatusAlert, answer.Run.Status, "%s %s", answer.Run.Error, w.function("query").Log())
	require.Len(t, answer.Deliveries, 3)
	for _, channel := range cloud.Channels {
		require.Equal(t, 1, w.deliver(channel), channel)
	}
	mails, err := w.mail.Wait(t.Context(), 1)
	require.NoError(t, err)
	require.Contains(t, string(mails[0].Data), "Revenue")
	posts := w.web.take()
	require.Len(t, posts, 2)
	deliveries, err := w.store.Deliveries(t.Context(), sentinel.DeliveryFilter{Scope: w.stack})
	require.NoError(t, err)
	require.Len(t, deliveries, 3)
	for _, d := range deliveries {
		require.Equal(t, alert.Sent, d.Status, d.LastError)
	}

	require.NoError(t, json.Unmarshal(w.invoke("query", tick), &answer))
	require.Equal(t, "repeat", answer.Order, "the same tick again is the same run")
	require.Zero(t, w.deliver("webhook"))

	_, err = w.shop.Exec("INSERT INTO orders VALUES (500)")
	require.NoError(t, err)
	w.invoke("query", w.ticks(nine.Add(5 * time.Minute))["Revenue"])
	for _, channel := range cloud.Channels {
		require.Equal(t, 1, w.deliver(channel), channel)
	}
	posts = w.web.take()
	require.Len(t, posts, 2)
	require.Contains(t, posts[0].body+posts[1].body, `"event":"recovery"`)
	history, err := w.store.History(t.Context(), sentinel.HistoryFilter{Scope: w.stack})
	require.NoError(t, err)
	require.Len(t, history, 2)
	require.Equal(t, "500.00", history[0].Actual.String())
}
