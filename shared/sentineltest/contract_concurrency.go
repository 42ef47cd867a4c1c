package sentineltest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// crowd is how many do a thing at the same time.
const crowd = 50

var concurrencyTests = []contractTest{
	{"of many commits of one run one wins", func(b *bench) {
		b.define("a")
		commits := make([]sentinel.Commit, crowd)
		for i := range commits {
			commits[i] = b.next("a", b.now)
			commits[i].State.Escalations = i + 1
			commits[i].Record.Rows = i + 1
			commits[i].Deliveries = []alert.Delivery{b.delivery("a", fmt.Sprint(i+1), b.now)}
		}
		wins, winner := b.race(func(i int) error { return b.Commit(b.ctx, commits[i]) }, sentinel.ErrConflict)
		require.Equal(b, 1, wins)
		state := b.load("a").State
		require.EqualValues(b, 1, state.Version)
		require.Equal(b, winner+1, state.Escalations)
		require.Equal(b, winner+1, state.Last.Rows)
		history := b.history(sentinel.HistoryFilter{})
		require.Len(b, history, 1)
		require.Equal(b, winner+1, history[0].Rows)
		all, err := b.Deliveries(b.ctx, sentinel.DeliveryFilter{Scope: b.scope})
		require.NoError(b, err)
		require.Equal(b, []string{commits[winner].Deliveries[0].ID}, ids(all))
	}},
	{"commits of many alerts all succeed, none torn", func(b *bench) {
		names := make([]string, crowd)
		for i := range names {
			names[i] = fmt.Sprintf("alert %d", i)
		}
		b.define(names...)
		wins, _ := b.race(func(i int) error {
			for n := range 4 {
				snapshot, err := b.Load(b.ctx, b.id(names[i]))
				if err != nil {
					return err
				}
				record := b.record(names[i], b.at(n))
				snapshot.State.Last = record
				if err := b.Commit(b.ctx, sentinel.Commit{ID: b.id(names[i]), State: &snapshot.State, Record: record}); err != nil {
					return err
				}
			}
			return nil
		}, nil)
		require.Equal(b, crowd, wins)
		states, err := b.States(b.ctx, b.scope)
		require.NoError(b, err)
		for _, name := range names {
			require.EqualValues(b, 4, states[name].Version)
			require.Len(b, b.history(sentinel.HistoryFilter{Alerts: []string{name}}), 4)
		}
	}},
	{"whoever decides again after a conflict loses no update", func(b *bench) {
		b.define("a")
		b.race(func(int) error {
			for {
				snapshot, err := b.Load(b.ctx, b.id("a"))
				if err != nil {
					return err
				}
				snapshot.State.Escalations++
				err = b.Commit(b.ctx, sentinel.Commit{ID: b.id("a"), State: &snapshot.State})
				if !errors.Is(err, sentinel.ErrConflict) {
					return err
				}
			}
		}, nil)
		require.Equal(b, crowd, b.load("a").State.Escalations)
	}},
	{"of many claims of one delivery one wins", func(b *bench) {
		d := b.delivery("a", "t", b.now)
		b.enqueue(d)
		wins, _ := b.race(func(int) error {
			_, err := b.Claim(b.ctx, d, b.now, b.now.Add(lease))
			return err
		}, sentinel.ErrUnclaimable)
		require.Equal(b, 1, wins)
		require.Zero(b, b.read(d.ID).Crashes)
	}},
	{"of many claims of an expired lease one wins and one crash is counted", func(b *bench) {
		d := b.delivery("a", "t", b.now)
		b.enqueue(d)
		b.claim(d, b.now)
		wins, _ := b.race(func(int) error {
			_, err := b.Claim(b.ctx, d, b.now.Add(lease), b.now.Add(2*lease))
			return err
		}, sentinel.ErrUnclaimable)
		require.Equal(b, 1, wins)
		require.Equal(b, 1, b.read(d.ID).Crashes)
	}},
	{"of many outages opened at once one wins", func(b *bench) {
		wins, winner := b.race(func(i int) error {
			outage := alert.Outage{Scope: b.scope, Subject: "database", Cause: fmt.Sprint(i), Episode: &alert.Episode{ID: "ep"}}
			return b.Commit(b.ctx, sentinel.Commit{ID: b.id("a"), Outages: []alert.Outage{outage}})
		}, sentinel.ErrConflict)
		require.Equal(b, 1, wins)
		outage, err := b.Outage(b.ctx, b.scope, "database")
		require.NoError(b, err)
		require.Equal(b, fmt.Sprint(winner), outage.Cause)
	}},
	{"of a sender and one who supersedes, one has the delivery", func(b *bench) {
		d := b.delivery("a", "t", b.now)
		b.enqueue(d)
		wins, winner := b.race(func(i int) error {
			if i%2 == 0 {
				_, err := b.Claim(b.ctx, d, b.now, b.now.Add(lease))
				return err
			}
			done, err := b.Supersede(b.ctx, d.ID, b.now)
			if err == nil && !done {
				err = sentinel.ErrUnclaimable
			}
			return err
		}, sentinel.ErrUnclaimable)
		require.Equal(b, 1, wins)
		require.Equal(b, winner%2 == 0, b.read(d.ID).Status == alert.Sending)
	}},
	{"failures are counted by all who fail at the same time", func(b *bench) {
		var all []alert.Delivery
		for i := range crowd {
			all = append(all, b.delivery("a", fmt.Sprint(i), b.now))
		}
		b.enqueue(all...)
		b.race(func(i int) error {
			claim, err := b.Claim(b.ctx, all[i], b.now, b.now.Add(lease))
			if err != nil {
				return err
			}
			s := settlement(claim, alert.Pending, b.at(1))
			s.Attempts = 1
			return b.Settle(b.ctx, s)
		}, nil)
		require.Equal(b, sentinel.DeliveryCounts{Failures: crowd, Pending: crowd}, b.counts()["a"])
	}},
}

// race lets a crowd act at the same time. It returns how many succeeded and the last of
// them; every other must fail as told, or not at all if that is nil.
func (b *bench) race(act func(i int) error, otherwise error) (wins, winner int) {
	b.Helper()
	var group sync.WaitGroup
	var won, last atomic.Int64
	failures := make([]error, crowd)
	start := make(chan struct{})
	for i := range crowd {
		group.Go(func() {
			<-start
			if failures[i] = act(i); failures[i] == nil {
				won.Add(1)
				last.Store(int64(i))
			}
		})
	}
	close(start)
	group.Wait()
	for _, err := range failures {
		if err != nil {
			require.ErrorIs(b, err, otherwise)
		}
	}
	return int(won.Load()), int(last.Load())
}
