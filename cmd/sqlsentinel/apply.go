package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud/control"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud/stacks"
	"github.com/sqlsentinel/sqlsentinel/shared/config"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

type applyFlags struct {
	stack    string
	dry, yes bool
}

func (a *app) applyCommand() *cobra.Command {
	var flags applyFlags
	c := &cobra.Command{
		Use:   "apply [CONFIG] --stack NAME",
		Short: "Put the alert file in force on AWS",
		Long: `Checks the alert file for AWS, shows what will change, uploads it with the queries and payloads that
stand in other files, and waits until the stack has taken it. Secrets are not uploaded: each
${NAME} must exist in Parameter Store; see "sqlsentinel secrets set".`,
		Example: `  sqlsentinel apply alerts.yaml --stack sentinel --dry-run
  sqlsentinel apply --stack sentinel`,
		Args: configOnly(),
		RunE: func(c *cobra.Command, args []string) error {
			if flags.stack == "" {
				return usagef("name the stack with --stack")
			}
			return a.apply(c.Context(), first(args), flags)
		},
	}
	a.addJSON(c)
	c.ValidArgsFunction = completeFiles
	c.Flags().StringVar(&flags.stack, "stack", "", "the name of the stack on AWS")
	c.Flags().BoolVar(&flags.dry, "dry-run", false, "show what would change, and change nothing")
	c.Flags().BoolVar(&flags.yes, "yes", false, "remove alerts even if more than a fifth of them go")
	return c
}

// applyJSON is the object of apply.
type applyJSON struct {
	Stack  string `json:"stack"`
	DryRun bool   `json:"dry_run"`
	changesJSON
	Warnings []string `json:"warnings"`
	// Version is that of the uploaded object.
	Version string  `json:"version,omitempty"`
	Problem *string `json:"problem"`
}

// changesJSON is what an alert file changes, by alert name.
type changesJSON struct {
	Added       []string `json:"added"`
	Changed     []string `json:"changed"`
	Removed     []string `json:"removed"`
	Rescheduled []string `json:"rescheduled"`
	// Closes are the alerts whose open episodes are closed by the change.
	Closes []string `json:"closes"`
}

func (a *app) apply(ctx context.Context, path string, flags applyFlags) error {
	path, err := a.configPath(path)
	if err != nil {
		return err
	}
	if strings.HasPrefix(path, "s3://") {
		return usagef("apply uploads a file of this machine; %s is one already", path)
	}
	stack, err := stacks.Open(ctx, flags.stack)
	if err != nil {
		return err
	}
	file, data, err := a.loadForStack(ctx, path, stack)
	if err != nil {
		return err
	}
	store, err := stack.Store()
	if err != nil {
		return err
	}
	changes, total, err := changesOf(ctx, store, flags.stack, file)
	if err != nil {
		return err
	}
	out := applyJSON{Stack: flags.stack, DryRun: flags.dry, changesJSON: changes, Warnings: crowdedMinutes(file, a.now())}
	for _, w := range out.Warnings {
		a.say("sqlsentinel: warning: %s", w)
	}
	if !a.flags.json {
		if err := a.printChanges(changes, len(file.Alerts)); err != nil {
			return err
		}
	}
	if control.TooMany(len(changes.Removed), total) && !flags.yes {
		return usagef("%d of %d alerts would be removed; if that is meant, say --yes", len(changes.Removed), total)
	}
	if flags.dry {
		if a.flags.json {
			return a.printJSON(out)
		}
		a.say("dry run: nothing was changed")
		return nil
	}
	return a.upload(ctx, stack, store, data, flags.yes, out)
}

// loadForStack reads an alert file as the stack's sync will.
func (a *app) loadForStack(ctx context.Context, path string, stack *stacks.Stack) (*config.File, []byte, error) {
	parameters, err := stack.Parameters(ctx)
	if err != nil {
		return nil, nil, err
	}
	options, err := a.configOptions()
	if err != nil {
		return nil, nil, err
	}
	options.Env, options.EnvFile, options.NoEnvFile, options.Scope = nil, "", true, stack.Stack
	options.Exists = func(user, name string) bool { return parameters[user+"/"+name] }
	file, err := config.Load(path, options)
	if err == nil {
		if unfit := control.Unfit(file, stack.Limits); len(unfit) > 0 {
			err = unfit
		}
	}
	var problems config.Problems
	if errors.As(err, &problems) {
		err = a.reject(problems)
		if slices.ContainsFunc(problems, func(p config.Problem) bool {
			return strings.Contains(p.Message, "${") || strings.Contains(p.Message, "variable")
		}) {
			a.say("on AWS, values come from Parameter Store: `sqlsentinel secrets set NAME %s --stack %s`", path, stack.Stack)
		}
		return nil, nil, err
	}
	if err != nil {
		return nil, nil, &failure{exitUsage, err}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read the alert file: %w", err)
	}
	alone, err := config.Inline(data, file.Dir)
	return file, alone, err
}

// changesOf holds a file against what the stack runs. It also counts the alerts that run.
func changesOf(ctx context.Context, store *cloud.Store, scope string, file *config.File) (changesJSON, int, error) {
	out := changesJSON{[]string{}, []string{}, []string{}, []string{}, []string{}}
	stored, err := store.Definitions(ctx, scope)
	if err != nil {
		return out, 0, err
	}
	states, err := store.States(ctx, scope)
	if err != nil {
		return out, 0, err
	}
	here := map[string]bool{}
	for _, x := range control.Connected(file) {
		here[x.Name] = true
		was, known := stored[x.Name]
		hash, err := sentinel.Hash(x)
		switch {
		case err != nil:
			return out, 0, err
		case !known:
			out.Added = append(out.Added, x.Name)
		case hash != was.Fingerprint:
			out.Changed = append(out.Changed, x.Name)
			closes := was.Alert.Enabled && !x.Enabled || !slices.EqualFunc(x.Key, was.Alert.Key, strings.EqualFold)
			if state := states[x.Name]; closes && (state.Open() > 0 || state.ErrorEpisode != nil) {
				out.Closes = append(out.Closes, x.Name)
			}
			if was.Alert.Schedule != x.Schedule || was.Alert.Timezone != x.Timezone || was.Alert.Enabled != x.Enabled {
				out.Rescheduled = append(out.Rescheduled, x.Name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		if here[name] {
			continue
		}
		out.Removed = append(out.Removed, name)
		if state := states[name]; state.Open() > 0 || state.ErrorEpisode != nil {
			out.Closes = append(out.Closes, name)
		}
	}
	return out, len(stored), nil
}

func (a *app) printChanges(c changesJSON, alerts int) error {
	for _, part := range []struct {
		what  string
		names []string
	}{{"add", c.Added}, {"change", c.Changed}, {"remove", c.Removed}, {"new schedule", c.Rescheduled}, {"close the open episode of", c.Closes}} {
		if len(part.names) == 0 {
			continue
		}
		shown := part.names
		text := strings.Join(shown[:min(len(shown), 20)], ", ")
		if len(shown) > 20 {
			text += fmt.Sprintf(" and %d more", len(shown)-20)
		}
		if err := a.print("%-13s %4d  %s", part.what, len(shown), text); err != nil {
			return err
		}
	}
	if len(c.Added)+len(c.Changed)+len(c.Removed) == 0 {
		return a.print("nothing changes: all %s run as they stand in the file", plural(alerts, "alert"))
	}
	return nil
}

const (
	// applyWait is how long the stack may take to put a file in force.
	applyWait = 3 * time.Minute
	applyPoll = time.Second
)

// upload stores the file and waits until sync has looked at it.
func (a *app) upload(ctx context.Context, stack *stacks.Stack, store *cloud.Store, data []byte, yes bool, out applyJSON) error {
	version, err := stack.Configs().Write(ctx, data, yes)
	if err != nil {
		return err
	}
	out.Version = version
	a.say("uploaded to s3://%s/%s; waiting for the stack", stack.Bucket, control.ConfigKey)
	for end := a.now().Add(applyWait); ; {
		status, err := store.SyncStatus(ctx, out.Stack)
		if err != nil {
			return err
		}
		if status.Version == version {
			return a.applied(status, out)
		}
		if a.now().After(end) {
			return &failure{exitFailed, fmt.Errorf("the stack has not taken the file within %s; see the log of its sync function %s", alert.Duration(applyWait), stack.SyncFunction)}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(applyPoll):
		}
	}
}

func (a *app) applied(status cloud.SyncStatus, out applyJSON) error {
	if status.Problem != "" {
		out.Problem = &status.Problem
	}
	if a.flags.json {
		if err := a.printJSON(out); err != nil {
			return err
		}
	}
	if status.Problem != "" {
		return &failure{exitFailed, fmt.Errorf("the stack refused the file, and the last good one stays in force: %s", status.Problem)}
	}
	if a.flags.json {
		return nil
	}
	return a.print("in force: %s", plural(status.Alerts, "alert"))
}

// crowd is how many alerts may query one database in the same minute without a word.
const crowd = 50

// crowdedMinutes warns of databases that many alerts query in the same minute of the next
// two hours: each is a connection of its own on AWS.
func crowdedMinutes(file *config.File, now time.Time) []string {
	type minute struct {
		database string
		at       int64
	}
	counts := map[minute]int{}
	var schedules alert.Schedules
	for _, x := range file.Alerts {
		schedule, err := schedules.Parse(x.Schedule, x.Timezone)
		if err != nil || !x.Enabled {
			continue
		}
		for at := schedule.Next(now); !at.IsZero() && at.Sub(now) < 2*time.Hour; at = schedule.Next(at) {
			counts[minute{x.Database, at.Unix()}]++
		}
	}
	worst := map[string]minute{}
	for m, n := range counts {
		if old, ok := worst[m.database]; n > crowd && (!ok || n > counts[old] || n == counts[old] && m.at < old.at) {
			worst[m.database] = m
		}
	}
	out := []string{}
	for _, name := range slices.Sorted(maps.Keys(worst)) {
		m := worst[name]
		subject := "the database"
		if name != "" {
			subject = fmt.Sprintf("the database %q", name)
		}
		out = append(out, fmt.Sprintf("%d alerts query %s in the minute of %s, each over a connection of its own; spread their schedules, or limit the concurrency of the query function",
			counts[m], subject, time.Unix(m.at, 0).UTC().Format("15:04 MST")))
	}
	return out
}
