package simulation_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/simulation"
)

type runtime = sentineltest.Runtime

// planted are guards that are broken on purpose, and the promise that each must be seen to
// break. docs/reliability.md names the seeds.
var planted = []struct {
	name    string
	seed    uint64 // that finds it; later ones are tried, too
	plant   simulation.Bug
	promise string
}{
	{"a commit ignores the version of the state", 2, func(r runtime) runtime { return anyVersion{r} }, "replaces version|after the run of"},
	{"a run does not see the last one, and an older one is decided", 1, func(r runtime) runtime { return noLast{r} }, "although it knows the run of|after the run of"},
	{"a claim ignores a lease that has not ended", 4, func(r runtime) runtime { return anyLease{r} }, "although it is leased|although it is due"},
	{"a settlement ignores who holds the lease", 684, func(r runtime) runtime { return anyHolder{r} }, "does not hold its lease|not accepted under this lease|without holding its lease"},
	{"a recovery is told to one of those who were told", 3, func(r runtime) runtime { return oneRecovery{r} }, "hears that 0 times|than a replay gives"},
	{"a successor does not wait for its predecessor", 4, func(r runtime) runtime { return noWaiting{r} }, "before .*, which is"},
	{"what stands behind a superseded message is forgotten", 87, func(r runtime) runtime { return forgetful{r} }, "before .*, which is"},
	{"a delivery is enqueued but not stored", 1, func(r runtime) runtime { return notStored{r} }, "never stored|than a replay gives"},
	{"a delivery whose sender died is not found again", 6, func(r runtime) runtime { return pendingOnly{r} }, "is stuck"},
	{"an answer is not recorded", 1, func(r runtime) runtime { return unrecorded{r} }, "has not recorded it"},
	{"a change of the file closes nothing", 14, func(r runtime) runtime { return notClosed{r} }, "was never stored"},
	{"an alert is not retired before it is closed", 3762, func(r runtime) runtime { return notRetired{r} }, "is open, although|hears that 0 times"},
	{"the sweeper enqueues nothing", 10, func(r runtime) runtime { return noSweep{r} }, "is stuck"},
}

// enough is how many seeds a planted bug may take to be found.
const enough = 2000

func TestEachPlantedBugIsFound(t *testing.T) {
	for _, bug := range planted {
		t.Run(bug.name, func(t *testing.T) {
			t.Parallel()
			for seed := bug.seed; seed <= bug.seed+enough; seed++ {
				memory := sentineltest.NewMemory()
				report, err := simulation.Run(simulation.Options{Seed: seed, Plant: bug.plant, Open: func() (runtime, error) { return memory, nil }})
				require.NoError(t, err)
				if len(report.Violations) > 0 {
					require.Regexp(t, bug.promise, report.Violations[0], "seed %d", seed)
					t.Logf("seed %d finds it: %.160s", seed, report.Violations[0])
					return
				}
			}
			t.Fatalf("%d seeds do not find it", enough)
		})
	}
}

type anyVersion struct{ runtime }

func (r anyVersion) Commit(ctx context.Context, c sentinel.Commit) error {
	err := r.runtime.Commit(ctx, c)
	if !errors.Is(err, sentinel.ErrConflict) || c.State == nil {
		return err
	}
	states, readErr := r.States(ctx, c.ID.Scope)
	if readErr != nil {
		return readErr
	}
	state := *c.State
	state.Version = states[c.ID.Name].Version
	c.State = &state
	return r.runtime.Commit(ctx, c)
}

type noLast struct{ runtime }

func (r noLast) Load(ctx context.Context, id alert.ID) (sentinel.Snapshot, error) {
	s, err := r.runtime.Load(ctx, id)
	s.State.Last = nil
	return s, err
}

type anyLease struct{ runtime }

func (r anyLease) Claim(ctx context.Context, d alert.Delivery, now, until time.Time) (sentinel.Claim, error) {
	stored, err := r.Delivery(ctx, d.ID)
	if err == nil && stored.Status == alert.Sending {
		now = stored.LeaseUntil
	}
	return r.runtime.Claim(ctx, d, now, until)
}

type anyHolder struct{ runtime }

func (r anyHolder) Settle(ctx context.Context, s sentinel.Settlement) error {
	if d, err := r.Delivery(ctx, s.ID); err == nil {
		s.Lease = d.Lease
	}
	return r.runtime.Settle(ctx, s)
}

type oneRecovery struct{ runtime }

func (r oneRecovery) Commit(ctx context.Context, c sentinel.Commit) error {
	told := false
	c.Deliveries = slices.DeleteFunc(slices.Clone(c.Deliveries), func(d alert.Delivery) bool {
		again := told && d.Message.Event == alert.EventRecovery
		told = told || d.Message.Event == alert.EventRecovery
		return again
	})
	return r.runtime.Commit(ctx, c)
}

type noWaiting struct{ runtime }

func (r noWaiting) Claim(ctx context.Context, d alert.Delivery, now, until time.Time) (sentinel.Claim, error) {
	claim, err := r.runtime.Claim(ctx, d, now, until)
	claim.Waiting = nil
	return claim, err
}

type forgetful struct{ runtime }

func (r forgetful) Claim(ctx context.Context, d alert.Delivery, now, until time.Time) (sentinel.Claim, error) {
	claim, err := r.runtime.Claim(ctx, d, now, until)
	claim.Waiting = slices.DeleteFunc(claim.Waiting, func(d alert.Delivery) bool { return !slices.Contains(claim.Delivery.After, d.ID) })
	return claim, err
}

type notStored struct{ runtime }

func (r notStored) Commit(ctx context.Context, c sentinel.Commit) error {
	c.Deliveries = nil
	return r.runtime.Commit(ctx, c)
}

type pendingOnly struct{ runtime }

func (r pendingOnly) Due(ctx context.Context, scope string, now time.Time, limit int) ([]alert.Delivery, error) {
	due, err := r.runtime.Due(ctx, scope, now, limit)
	return slices.DeleteFunc(due, func(d alert.Delivery) bool { return d.Status == alert.Sending }), err
}

type unrecorded struct{ runtime }

func (r unrecorded) Settle(ctx context.Context, s sentinel.Settlement) error {
	if s.Status == alert.Sent {
		return nil
	}
	return r.runtime.Settle(ctx, s)
}

type notClosed struct{ runtime }

func (r notClosed) Commit(ctx context.Context, c sentinel.Commit) error {
	if c.Record != nil && c.Record.Status == alert.StatusClosed {
		return nil
	}
	return r.runtime.Commit(ctx, c)
}

type notRetired struct{ runtime }

func (r notRetired) PutDefinitions(ctx context.Context, definitions []sentinel.Definition) error {
	if retiring := len(definitions[0].Fingerprint) > 32; retiring {
		return nil
	}
	return r.runtime.PutDefinitions(ctx, definitions)
}

type noSweep struct{ runtime }

func (r noSweep) Sweep(context.Context, sentinel.Ref, time.Time, time.Time) error {
	return sentinel.ErrUnclaimable
}
