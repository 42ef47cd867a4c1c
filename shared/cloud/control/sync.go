// Package control is what the sync function of AWS does: it reads the configuration in S3
// and makes definitions and the schedules of EventBridge Scheduler what it says.
package control

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/config"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// A Syncer makes what stands in AWS what the configuration says: the body of the sync
// function. It looks at what is there now, whatever the event said.
type Syncer struct {
	Sentinel  *sentinel.Sentinel
	Store     *cloud.Store
	Configs   *Configs
	Schedules *Schedules
	// Scope is the stack's name.
	Scope string
	// Parse reads a configuration; exists tells whether a secret does.
	Parse func(data []byte, exists func(user, name string) bool) (*config.File, error)
	// Parameters lists the secrets that exist, as USER/NAME.
	Parameters func(ctx context.Context) (map[string]bool, error)
	// Beat asks for the heartbeat's URL.
	Beat func(ctx context.Context, url string) error
	Log  *cloud.Log
	// Metrics takes the gauges of each tick.
	Metrics *cloud.Metrics
	// Tick is how a tick is done.
	Tick sentinel.TickOptions
	// Lease is how long one sync may take; zero means 5 minutes.
	Lease time.Duration
	// Every is how often the schedules are held against the definitions; zero: 15 minutes.
	Every time.Duration
}

const (
	defaultLease = 5 * time.Minute
	defaultEvery = 15 * time.Minute
	// restarts is how often a sync begins again because a newer configuration came.
	restarts = 5
)

// Handle answers every event alike: a configuration that changed, a tick of the minute.
func (s *Syncer) Handle(ctx context.Context) error {
	s.Log.Begin(ctx)
	status, err := s.Store.SyncStatus(ctx, s.Scope)
	if err != nil {
		return err
	}
	due, err := s.due(ctx, status)
	if err != nil {
		s.Log.Error("look at the configuration", "error", err) // the alerts go on as they stand
	}
	if due {
		if status, err = s.locked(ctx, status); err != nil {
			s.Log.Error("sync", "error", err)
		}
	}
	return errors.Join(err, s.tick(ctx, status))
}

// due tells whether there is a configuration that was not looked at, another function to
// call, or nothing was compared for a while.
func (s *Syncer) due(ctx context.Context, status cloud.SyncStatus) (bool, error) {
	every := s.Every
	if every == 0 {
		every = defaultEvery
	}
	version, err := s.Configs.Version(ctx)
	switch {
	case errors.Is(err, ErrNoConfig) && status.Version == "":
		return false, nil // there never was one
	case errors.Is(err, ErrNoConfig) && status.Problem == "":
		return true, nil // it was deleted
	case errors.Is(err, ErrNoConfig):
		version = status.Version
	case err != nil:
		return false, err
	}
	return version != status.Version || status.Target != s.Schedules.Target || s.Sentinel.Now().Sub(status.Full) >= every, nil
}

// locked syncs under a lease. Another sync that has it looks for a newer configuration
// before it ends, so that nothing need wait for it.
func (s *Syncer) locked(ctx context.Context, status cloud.SyncStatus) (cloud.SyncStatus, error) {
	lease := s.Lease
	if lease == 0 {
		lease = defaultLease
	}
	token, now := rand.Text(), s.Sentinel.Now()
	switch err := s.Store.LockSync(ctx, s.Scope, token, now, now.Add(lease)); {
	case errors.Is(err, sentinel.ErrConflict):
		s.Log.Info("another sync is under way")
		return status, nil
	case err != nil:
		return status, err
	}
	defer func() { s.Store.UnlockSync(context.WithoutCancel(ctx), s.Scope, token) }()
	for range restarts {
		next, err := s.sync(ctx, status)
		if err != nil {
			return status, err
		}
		if err := s.Store.PutSyncStatus(ctx, s.Scope, next); err != nil {
			return status, err
		}
		status = next
		version, err := s.Configs.Version(ctx)
		if err != nil && !errors.Is(err, ErrNoConfig) {
			return status, err
		}
		if errors.Is(err, ErrNoConfig) || version == status.Version {
			return status, nil
		}
	}
	return status, fmt.Errorf("the configuration changed at each of %d syncs", restarts)
}

// sync reads the configuration and makes it so. What is wrong with it is in the status; the
// error is a failure that a repetition may mend.
func (s *Syncer) sync(ctx context.Context, status cloud.SyncStatus) (cloud.SyncStatus, error) {
	stored, err := s.Configs.Read(ctx, ConfigKey)
	if errors.Is(err, ErrNoConfig) || errors.Is(err, sentinel.ErrTooLarge) {
		version, versionErr := s.Configs.Version(ctx)
		if versionErr != nil {
			version = status.Version
		}
		return s.invalid(ctx, status, version, err), nil
	}
	if err != nil {
		return status, err
	}
	parameters, err := s.Parameters(ctx)
	if err != nil {
		return status, err
	}
	file, err := s.Parse(stored.Data, func(user, name string) bool { return parameters[user+"/"+name] })
	if err != nil {
		return s.invalid(ctx, status, stored.Version, err), nil
	}
	if err := errors.Join(cloud.Storable(Connected(file)), s.removal(ctx, file, stored)); err != nil {
		return s.invalid(ctx, status, stored.Version, err), nil
	}
	s.Store.Retain(file.Retention.Std())
	report, err := s.Sentinel.Sync(ctx, s.Scope, Connected(file))
	if err != nil {
		return status, err
	}
	if status.Retention != file.Retention {
		if err := s.Store.PutDefinitions(ctx, report.Definitions); err != nil { // they carry it to the others
			return status, err
		}
	}
	mended, err := s.Schedules.Reconcile(ctx, report.Definitions)
	if err != nil {
		return status, err
	}
	s.Log.Info("synced", "version", stored.Version, "alerts", len(file.Alerts), "added", len(report.Added), "changed", len(report.Changed),
		"removed", len(report.Removed), "closed", len(report.Closed), "schedules_mended", mended)
	next := cloud.SyncStatus{
		Version: stored.Version, At: s.Sentinel.Now(), Full: s.Sentinel.Now(), Target: s.Schedules.Target, Alerts: len(file.Alerts), Beaten: status.Beaten, Retention: file.Retention,
		Added: report.Added, Changed: report.Changed, Removed: report.Removed, Closed: report.Closed,
	}
	if file.Heartbeat != nil {
		next.Heartbeat, next.Every = file.Heartbeat.URL, file.Heartbeat.Every
	}
	return next, nil
}

// Connected are the alerts of a file, each with its database: the query function has no file.
func Connected(file *config.File) []alert.Alert {
	out := slices.Clone(file.Alerts)
	for i := range out {
		d := file.Databases[out[i].Database]
		d.Dir = ""
		out[i].Connection = &d
	}
	return out
}

// invalid is the status after a configuration that cannot be used: everything stays. What
// stands is still held against the schedules, whose target a deployment may have changed.
func (s *Syncer) invalid(ctx context.Context, status cloud.SyncStatus, version string, cause error) cloud.SyncStatus {
	s.Log.Error("the configuration is invalid; the last good one stays in force", "version", version, "error", cause)
	status.Version, status.Problem, status.At = version, cloud.Clip(cause.Error(), 8<<10), s.Sentinel.Now()
	if err := s.reschedule(ctx); err != nil {
		s.Log.Error("hold the schedules against what stands; the next tick does it again", "error", err)
		return status
	}
	status.Target, status.Full = s.Schedules.Target, s.Sentinel.Now()
	return status
}

func (s *Syncer) reschedule(ctx context.Context) error {
	stored, err := s.Store.Definitions(ctx, s.Scope)
	if err != nil {
		return err
	}
	definitions := slices.Collect(maps.Values(stored))
	if err := s.Schedules.Schedule(ctx, s.Scope, definitions); err != nil {
		return err
	}
	_, err = s.Schedules.Reconcile(ctx, definitions)
	return err
}

// removal refuses a configuration that would remove much, unless who uploaded it said yes.
func (s *Syncer) removal(ctx context.Context, file *config.File, stored Config) error {
	before, err := s.Store.Fingerprints(ctx, s.Scope)
	if err != nil {
		return err
	}
	gone := Removed(before, file.Alerts)
	if TooMany(len(gone), len(before)) && !stored.Confirmed {
		return fmt.Errorf("it would remove %d of %d alerts (%s); if that is meant, upload it by `sqlsentinel apply --yes`", len(gone), len(before), cloud.Clip(strings.Join(gone, ", "), 300))
	}
	return nil
}

// Removed are the stored alerts that a file does not have.
func Removed(before map[string]sentinel.Fingerprint, alerts []alert.Alert) []string {
	left := map[string]bool{}
	for _, a := range alerts {
		left[a.Name] = true
	}
	var out []string
	for name := range before {
		if !left[name] {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// TooMany tells whether so many alerts would go that somebody must have meant it: more than
// a fifth, and not one alone.
func TooMany(gone, of int) bool { return gone > 1 && gone*5 > of }

// tick does the work of the minute on what is stored, whether the configuration is valid or not.
func (s *Syncer) tick(ctx context.Context, status cloud.SyncStatus) error {
	options := s.Tick
	options.Scope = s.Scope
	report, err := s.Sentinel.Tick(ctx, options)
	if len(report.Missed) > 0 {
		s.Log.Error("runs never came; they are recorded as errors", "alerts", report.Missed)
	}
	if stuck := report.Waiting().Stuck; stuck > 0 {
		s.Log.Error("deliveries are stuck: nobody takes them from their queue", "count", stuck)
	}
	s.Metrics.Standing(report, status.Problem != "")
	if err != nil {
		return err
	}
	return s.beat(ctx, status, report)
}

// beat asks for the heartbeat's URL if it is time and all is well with the watching itself.
func (s *Syncer) beat(ctx context.Context, status cloud.SyncStatus, report sentinel.TickReport) error {
	now := s.Sentinel.Now()
	if status.Heartbeat == "" || now.Sub(status.Beaten) < status.Every.Std()-30*time.Second {
		return nil
	}
	stuck := report.Waiting().Stuck
	ill := status.Problem != "" || report.Dead > 0 || stuck > 0 || report.Overdue > 0
	if ill {
		s.Log.Warn("the heartbeat is not sent: the watching itself is ill", "invalid_config", status.Problem != "", "dead", report.Dead,
			"stuck", stuck, "overdue", report.Overdue)
		return nil
	}
	if err := s.Beat(ctx, status.Heartbeat); err != nil {
		s.Log.Warn("the heartbeat failed", "error", err)
		return nil
	}
	return s.Store.Beaten(ctx, s.Scope, now)
}
