package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

type silenceFlags struct {
	instance                []string
	duration, until, reason string
}

func (a *app) silenceCommand() *cobra.Command {
	var flags silenceFlags
	c := &cobra.Command{
		Use:   "silence [CONFIG] --alert NAME (--duration 1h | --until TIME)",
		Short: "Hold back the messages of an alert for a while",
		Long: `Holds back the messages of an alert, or of one of its instances, for a while. Evaluation goes on.
What is still open when the silence ends is told then; an announced episode's recovery is
always told. A new silence takes the place of the one before.`,
		Example: `  sqlsentinel silence --alert "Daily revenue" --duration 90m --reason "import is late"
  sqlsentinel silence --alert 'Daily *' --duration 2          # hours
  sqlsentinel silence --alert "Failed payments" --instance region=EU --until "2026-11-24 09:00"`,
		Args: configOnly(),
		RunE: func(c *cobra.Command, args []string) error {
			if len(a.flags.alerts) == 0 {
				return usagef("name the alert to silence with --alert")
			}
			if (flags.duration == "") == (flags.until == "") {
				return usagef("say how long: either --duration or --until")
			}
			s, err := a.loadStored(c.Context(), first(args))
			if err != nil {
				return err
			}
			return s.silence(c.Context(), flags)
		},
	}
	a.addState(c)
	a.addJSON(c)
	a.addAlerts(c, "silence this alert")
	a.addInstance(c, &flags.instance)
	c.Flags().StringVar(&flags.duration, "duration", "", "how long: 90m, 1h30m, 2d; a bare number is hours")
	c.Flags().StringVar(&flags.until, "until", "", `until when: RFC 3339, or "2026-11-24 09:00" on the clock of the alert's zone`)
	c.Flags().StringVar(&flags.reason, "reason", "", "why, for whoever reads status")
	return c
}

func (a *app) addInstance(c *cobra.Command, into *[]string) {
	c.Flags().StringArrayVar(into, "instance", nil, "only this instance, COLUMN=VALUE for every column of its key; repeats, or commas between")
}

// silencedJSON is one silence that was set.
type silencedJSON struct {
	Alert    string       `json:"alert"`
	Instance alert.Fields `json:"instance"`
	Until    time.Time    `json:"until"`
	Author   string       `json:"author"`
	Reason   string       `json:"reason"`
}

// A wantedSilence is an alert with the silences to set on it: one, or one for every
// reading of an instance that state does not know.
type wantedSilence struct {
	alert    alert.Alert
	zone     *time.Location
	silences []alert.Silence
}

func (s *session) silence(ctx context.Context, flags silenceFlags) (err error) {
	chosen, err := s.chosen()
	if err != nil {
		return err
	}
	wanted := make([]wantedSilence, len(chosen))
	for i, x := range chosen { // everything is checked before anything is written
		if wanted[i], err = s.wanted(x, flags); err != nil {
			return err
		}
	}
	store, err := s.openState(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	steps, err := s.bookkeeper(store)
	if err != nil {
		return err
	}
	out := []silencedJSON{}
	for _, w := range wanted {
		if err := s.silenceOne(ctx, steps, store, &w, flags); err != nil {
			return err
		}
		set := w.silences[0]
		out = append(out, silencedJSON{w.alert.Name, set.Label, set.Until, set.Author, set.Reason})
		if s.flags.json {
			continue
		}
		left := alert.Duration(set.Until.Sub(s.now()).Round(time.Minute))
		if err := s.print("%s is silenced until %s (%s)", quotedSubject(w.alert.Name, set.Label), clock(set.Until, w.zone), left); err != nil {
			return err
		}
	}
	if s.flags.json {
		return s.printJSON(struct {
			Silences []silencedJSON `json:"silences"`
		}{out})
	}
	return nil
}

func quotedSubject(name string, instance alert.Fields) string {
	if len(instance) == 0 {
		return fmt.Sprintf("%q", name)
	}
	return fmt.Sprintf("%s of %q", instance, name)
}

// wanted checks what is asked for an alert.
func (s *session) wanted(x alert.Alert, flags silenceFlags) (wantedSilence, error) {
	w := wantedSilence{alert: x, zone: zoneOf(x.Timezone)}
	until, err := s.silenceEnd(flags, w.zone)
	if err != nil {
		return w, err
	}
	w.silences = []alert.Silence{{Created: s.now(), Until: until, Author: s.author(), Reason: flags.reason}}
	if len(flags.instance) > 0 {
		_, err = parseInstance(x, flags.instance)
	}
	return w, err
}

// silenceOne sets the silences of one alert. An alert that no run has stored yet is
// stored first.
func (s *session) silenceOne(ctx context.Context, steps *sentinel.Sentinel, store keeper, w *wantedSilence, flags silenceFlags) error {
	if err := s.define(ctx, steps, store, w.alert); err != nil {
		return err
	}
	if len(flags.instance) > 0 {
		texts, err := parseInstance(w.alert, flags.instance)
		if err != nil {
			return err
		}
		snapshot, err := store.Load(ctx, w.alert.ID())
		if err != nil {
			return err
		}
		w.silences = instanceSilences(w.silences[0], w.alert, texts, snapshot.State)
	}
	for _, silence := range w.silences {
		if err := steps.Silence(ctx, w.alert.ID(), silence); err != nil {
			return err
		}
	}
	return nil
}

// define makes sure that the state knows an alert.
func (s *session) define(ctx context.Context, steps *sentinel.Sentinel, store keeper, x alert.Alert) error {
	_, err := store.Load(ctx, x.ID())
	if !errors.Is(err, sentinel.ErrNotFound) {
		return err
	}
	return steps.Define(ctx, x)
}

// longest is how long a silence may last, in hours; a longer one is to disable the alert.
const longest = 10 * 366 * 24

// silenceEnd is when a silence shall end; it must be to come.
func (s *session) silenceEnd(flags silenceFlags, zone *time.Location) (time.Time, error) {
	now := s.now()
	if flags.until != "" {
		until, err := parseTime(flags.until, zone)
		if errors.As(err, new(*skippedError)) {
			return until, usagef("--until %w", err)
		}
		if err != nil {
			return until, usagef("--until %q is no time; write RFC 3339, or \"2026-11-24 09:00\" on the clock of the alert's zone, %s", flags.until, zone)
		}
		if !until.After(now) {
			return until, usagef("--until %s has passed; it is %s", clock(until, zone), clock(now, zone))
		}
		if until.Sub(now).Hours() > longest {
			return until, usagef("--until %s is more than ten years away; set `enabled: false` instead", clock(until, zone))
		}
		return until, nil
	}
	length, err := silenceLength(flags.duration)
	if err != nil {
		return now, err
	}
	return now.Add(length), nil
}

// silenceLength reads a duration; a bare number is hours.
func silenceLength(text string) (time.Duration, error) {
	if hours, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err == nil && !math.IsNaN(hours) && !strings.ContainsAny(text, "eExXpP") {
		if hours <= 0 || hours > longest {
			return 0, usagef("--duration %q must be longer than nothing and ten years at most", text)
		}
		return time.Duration(hours * float64(time.Hour)), nil
	}
	d, err := alert.ParseDuration(text)
	if err != nil {
		return 0, usagef("--duration: %w; a bare number is hours", err)
	}
	if d <= 0 {
		return 0, usagef("--duration %q must be longer than nothing", text)
	}
	return d.Std(), nil
}

// author is the user of this machine who sets a silence.
func (s *session) author() string {
	if name := s.variable("SUDO_USER"); name != "" && os.Geteuid() == 0 {
		return name
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return s.variable("USER")
}
