package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/local"
	"github.com/sqlsentinel/sqlsentinel/shared/local/daemon"
	"github.com/sqlsentinel/sqlsentinel/shared/notify"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// deliveries compares how fast the daemon sends what is in its outbox, each message claimed
// before and settled after it is sent, with a bare loop that posts as many bytes.
func (b *suite) deliveries() error {
	n := 10_000 / b.scale
	var ratios, rates []float64
	for round := range b.rounds + 1 {
		ear := newArrivals()
		bare, err := postBare(ear.URL, n)
		if err != nil {
			return err
		}
		ear.at = map[string]time.Time{}
		durable, err := sendOutbox(filepath.Join(b.dir, fmt.Sprintf("outbox-%d.db", round)), ear, n)
		ear.Close()
		if err != nil {
			return err
		}
		if round > 0 {
			ratios, rates = append(ratios, float64(bare)/float64(durable)), append(rates, float64(n)/durable.Seconds())
		}
	}
	sync, err := fsync(b.dir)
	if err != nil {
		return err
	}
	rate, ratio := median(rates), median(ratios)
	measured := fmt.Sprintf("%.2f × bare POSTs (%.0f a second)", ratio, rate)
	atLeast(b, fmt.Sprintf("daemon: %d durable deliveries", n), measured, ratio, 0.3, "0.3 ×")
	if sync < time.Millisecond && b.scale == 1 { // seconds are for a quiet machine; ratios for any
		atLeast(b, "daemon: durable deliveries a second", fmt.Sprintf("%.0f (fsync %v)", rate, sync.Round(10*time.Microsecond)), rate, 3000, "3000")
	}
	return nil
}

// postBare posts a message of the usual size n times, one after the other, each over a
// connection of its own, as the daemon does: so that one call is one attempt.
func postBare(url string, n int) (time.Duration, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	body := bytes.Repeat([]byte("x"), 700)
	began := time.Now()
	for range n {
		answer, err := client.Post(url, "application/json", bytes.NewReader(body))
		if err != nil {
			return 0, fmt.Errorf("post: %w", err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		if err := answer.Body.Close(); err != nil {
			return 0, fmt.Errorf("post: %w", err)
		}
	}
	return time.Since(began), nil
}

// always is a query that says ALERT.
type always struct{}

func (always) Query(context.Context, alert.Alert, alert.Run) alert.Result {
	return alert.Result{Rows: []alert.Row{{Status: alert.StatusAlert}}}
}

// sendOutbox fills an outbox with n messages to one target, and lets a daemon send them. It
// returns the time from the receipt of the first to that of the last: before the first, the
// daemon reads its n alerts.
func sendOutbox(path string, ear *arrivals, n int) (took time.Duration, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	store, err := local.Open(ctx, local.Options{Path: path})
	if err != nil {
		return 0, fmt.Errorf("open an outbox: %w", err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	senders, err := notify.New(notify.Options{})
	if err != nil {
		return 0, fmt.Errorf("prepare the channels: %w", err)
	}
	options := sentinel.Options{Store: store, Outbox: store, Query: always{}, Send: senders}
	steps, err := sentinel.New(options)
	if err != nil {
		return 0, fmt.Errorf("prepare the steps: %w", err)
	}
	alerts, err := fillOutbox(ctx, steps, ear.URL, n)
	if err != nil {
		return 0, err
	}
	setup := &daemon.Setup{Scope: "bench", Alerts: alerts, Steps: options, Workers: func(string) int { return 1 }, Close: func() error { return nil }}
	d, err := daemon.New(daemon.Options{Store: store, Load: func() (*daemon.Setup, error) { return setup, nil }, Path: path, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, fmt.Errorf("prepare a daemon: %w", err)
	}
	began, ended := time.Now(), make(chan error, 1)
	go func() { ended <- d.Run(ctx, setup) }()
	for ear.count() < n {
		if time.Since(began) > 2*time.Minute {
			return 0, fmt.Errorf("%d of %d messages came", ear.count(), n)
		}
		time.Sleep(time.Millisecond)
	}
	took = ear.last.Sub(ear.first)
	cancel()
	return took, <-ended
}

// fillOutbox decides a message for each of n alerts.
func fillOutbox(ctx context.Context, steps *sentinel.Sentinel, url string, n int) ([]alert.Alert, error) {
	target := alert.Target{ID: "team", Channel: "webhook", Label: "team", Settings: fmt.Appendf(nil, `{"url":%q}`, url)}
	var alerts []alert.Alert
	for i := range n {
		alerts = append(alerts, alert.Alert{Scope: "bench", Name: fmt.Sprint("alert ", i), Severity: alert.Critical, Query: "SELECT 1", Schedule: "0 0 29 2 *", Timezone: "UTC",
			Enabled: true, OnNoData: alert.NoDataError, Timeout: alert.Duration(30 * time.Second), Notify: []alert.Target{target}})
	}
	if _, err := steps.Sync(ctx, "bench", alerts); err != nil {
		return nil, fmt.Errorf("define the alerts: %w", err)
	}
	failed := make(chan error, n)
	var workers sync.WaitGroup
	slots := make(chan struct{}, 256)
	for _, x := range alerts {
		slots <- struct{}{}
		workers.Go(func() {
			defer func() { <-slots }()
			if _, err := steps.Evaluate(ctx, x.ID(), time.Now()); err != nil {
				failed <- err
			}
		})
	}
	workers.Wait()
	select {
	case err := <-failed:
		return nil, fmt.Errorf("decide a message: %w", err)
	default:
		return alerts, nil
	}
}
