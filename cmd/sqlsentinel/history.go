package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

type historyFlags struct {
	channel, since string
	limit          int
}

func (a *app) historyCommand() *cobra.Command {
	var flags historyFlags
	c := &cobra.Command{
		Use:   "history [CONFIG]",
		Short: "List runs, the newest first",
		Example: `  sqlsentinel history --alert "Daily revenue" --limit 50
  sqlsentinel history --channel slack --since 7d
  sqlsentinel history --since 2026-11-01 --json`,
		Args: configOnly(),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := a.loadStored(c.Context(), first(args))
			if err != nil {
				return err
			}
			return s.history(c.Context(), flags)
		},
	}
	a.addState(c)
	a.addJSON(c)
	a.addAlerts(c, "list only runs of this alert; the exact name of a removed one works too")
	a.addChannel(c, &flags.channel, "list only runs that had a message for this channel")
	c.Flags().IntVar(&flags.limit, "limit", 20, "list at most this many runs")
	c.Flags().StringVar(&flags.since, "since", "", "list only runs since then: 24h, 7d, 2026-11-01, or RFC 3339")
	return c
}

func (a *app) addChannel(c *cobra.Command, into *string, help string) {
	c.Flags().StringVar(into, "channel", "", help)
	complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return a.channelNames(), cobra.ShellCompDirectiveNoFileComp
	}
	_ = c.RegisterFlagCompletionFunc("channel", complete) // fails for an unknown flag only
}

func (s *session) history(ctx context.Context, flags historyFlags) (err error) {
	filter := sentinel.HistoryFilter{Scope: s.file.Scope, Channel: flags.channel, Limit: flags.limit + 1}
	if filter.Since, err = s.since(flags.since); err != nil {
		return err
	}
	if err := checkLimit(flags.limit); err != nil {
		return err
	}
	if err := s.checkChannel(flags.channel); err != nil {
		return err
	}
	store, err := s.readState(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if filter.Alerts, err = s.pastNames(ctx, store); err != nil {
		return err
	}
	records, err := store.History(ctx, filter)
	if err != nil {
		return err
	}
	records, more := newest(records, flags.limit)
	posts := &posts{byID: map[string]post{}}
	if err := posts.completeRecords(ctx, store, records); err != nil {
		return err
	}
	if err := s.printHistory(records, posts); err != nil {
		return err
	}
	if more {
		s.say("older runs are left out; --limit lists more")
	}
	return nil
}

// maxLimit bounds --limit.
const maxLimit = 1_000_000

// checkLimit refuses a --limit that nobody means.
func checkLimit(n int) error {
	if n < 1 || n > maxLimit {
		return usagef("--limit is %d; it must be from 1 to %d", n, maxLimit)
	}
	return nil
}

// newest leaves out what was read beyond the limit, and tells whether there was any.
func newest[T any](all []T, limit int) ([]T, bool) {
	return all[:min(len(all), limit)], len(all) > limit
}

// printHistory prints records as JSON or as a table.
func (s *session) printHistory(records []alert.Record, posts *posts) error {
	if s.flags.json {
		runs := make([]runJSON, len(records))
		for i, r := range records {
			runs[i] = s.runOf(r, posts.status)
		}
		return s.printJSON(struct {
			Runs []runJSON `json:"runs"`
		}{runs})
	}
	if len(records) == 0 {
		s.say("no runs")
		return nil
	}
	zones := s.zones()
	g := grid{header: []string{"TIME", "ALERT", "STATUS", "ACTUAL", "THRESHOLD", "MESSAGES", "RUN", "REASON"}, status: 2}
	for _, r := range records {
		g.add(clock(r.Scheduled, zones(r.Alert)), r.Alert, string(r.Status), shown(r.Actual), shown(r.Threshold), posts.summary(r.Deliveries), r.RunID, s.why(r))
	}
	return s.printGrid(g)
}

// pastNames are the alerts that --alert names, those that left the file included.
func (s *session) pastNames(ctx context.Context, store sentinel.Store) ([]string, error) {
	var out []string
	for _, pattern := range s.flags.alerts {
		chosen, err := choose(s.file.Alerts, []string{pattern})
		if err == nil {
			out = append(out, names(chosen)...)
			continue
		}
		past, historyErr := store.History(ctx, sentinel.HistoryFilter{Scope: s.file.Scope, Alerts: []string{pattern}, Limit: 1})
		if historyErr != nil {
			return nil, historyErr
		}
		if len(past) == 0 {
			return nil, err
		}
		out = append(out, pattern)
	}
	return out, nil
}

// zones gives the time zone of an alert by name; of one that is gone, UTC.
func (s *session) zones() func(name string) *time.Location {
	byName := make(map[string]string, len(s.file.Alerts))
	for _, x := range s.file.Alerts {
		byName[x.Name] = x.Timezone
	}
	loaded := map[string]*time.Location{}
	return func(name string) *time.Location {
		zone := byName[name]
		if loaded[zone] == nil {
			loaded[zone] = zoneOf(zone)
		}
		return loaded[zone]
	}
}

// zoneOf loads the zone of a valid alert.
func zoneOf(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	return zone
}

// since reads how far back to look.
func (s *session) since(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := alert.ParseDuration(text); err == nil {
		return s.now().Add(-d.Std()), nil
	}
	at, err := parseTime(text, time.UTC)
	if err != nil {
		return at, usagef("--since %q is neither a duration such as 24h or 7d, nor a time such as 2026-11-01 or 2026-11-01T09:00:00Z", text)
	}
	return at, nil
}

// parseTime reads a time as people write it: RFC 3339, or a date with or without a time of
// the zone.
func parseTime(text string, zone *time.Location) (time.Time, error) {
	text = strings.TrimSpace(text)
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	return onClock(text, zone)
}

// checkChannel refuses a channel that does not exist.
func (s *session) checkChannel(name string) error {
	known := s.channelNames()
	if name == "" || slices.Contains(known, name) {
		return nil
	}
	return unknown("channel", name, known)
}
