package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud/control"
	"github.com/sqlsentinel/sqlsentinel/shared/config"
)

func (a *app) validateCommand() *cobra.Command {
	var connect bool
	var target string
	c := &cobra.Command{
		Use:   "validate [CONFIG]",
		Short: "Check the alert file, and show what would run and when",
		Long: `Reports every problem of the alert file with its line and column; or, if there is none, what it would
run and the next three times. With --connect it also opens a session with every database and goes as
far with every target as it can without sending anything.`,
		Example: `  sqlsentinel validate
  sqlsentinel validate shop.yaml --connect
  sqlsentinel validate --target aws
  sqlsentinel validate --json | jq -r '.problems[] | "\(.line): \(.message)"'`,
		Args: configOnly(),
		RunE: func(c *cobra.Command, args []string) error {
			if target != "" && target != "local" && target != "aws" {
				return usagef("--target %q is neither local nor aws", target)
			}
			s, err := a.loadFile(first(args))
			if err != nil {
				return err
			}
			if target == "aws" {
				if unfit := control.Unfit(s.file, control.DefaultLimits); len(unfit) > 0 {
					return s.reject(unfit)
				}
			}
			return s.validate(c.Context(), connect)
		},
	}
	a.addConfig(c)
	a.addJSON(c)
	c.Flags().StringVar(&target, "target", "", "where it shall run: local, or aws, which refuses what functions cannot do")
	c.Flags().BoolVar(&connect, "connect", false, "also connect to every database and target; nothing is sent")
	return c
}

// planJSON is when an alert runs.
type planJSON struct {
	Name     string      `json:"name"`
	Enabled  bool        `json:"enabled"`
	Schedule string      `json:"schedule"`
	Timezone string      `json:"timezone"`
	Next     []time.Time `json:"next"`
}

func (s *session) validate(ctx context.Context, connect bool) error {
	plan, err := s.plan()
	if err != nil {
		return err
	}
	if !s.flags.json {
		for _, w := range s.file.Warnings {
			s.sayProblem(w)
		}
		if err := s.printPlan(plan); err != nil {
			return err
		}
	}
	var checks []check
	if connect {
		checks = s.connect(ctx)
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if s.flags.json {
		err = s.validationJSON(plan, checks, connect)
	} else if connect {
		err = s.printChecks(checks)
	}
	if err != nil {
		return err
	}
	return exit(verdictOf(checks))
}

// plan computes the next three times of every alert.
func (s *session) plan() ([]planJSON, error) {
	var schedules alert.Schedules
	now := s.now()
	out := make([]planJSON, len(s.file.Alerts))
	for i, x := range s.file.Alerts {
		schedule, err := schedules.Parse(x.Schedule, x.Timezone)
		if err != nil {
			return nil, fmt.Errorf("read the schedule of %q: %w", x.Name, err)
		}
		next := []time.Time{}
		for at := schedule.Next(now); x.Enabled && !at.IsZero() && len(next) < 3; at = schedule.Next(at) {
			next = append(next, at.In(schedule.Zone()))
		}
		out[i] = planJSON{x.Name, x.Enabled, x.Schedule, schedule.Zone().String(), next}
	}
	return out, nil
}

func (s *session) validationJSON(plan []planJSON, checks []check, connect bool) error {
	out := struct {
		Problems    []config.Problem `json:"problems"`
		Alerts      []planJSON       `json:"alerts"`
		Connections []check          `json:"connections,omitempty"`
	}{list(s.file.Warnings), list(plan), nil}
	if connect {
		out.Connections = list(checks)
	}
	return s.printJSON(out)
}

func (s *session) printPlan(plan []planJSON) error {
	g := grid{header: []string{"ALERT", "SCHEDULE", "ZONE", "NEXT", "THEN", "AND"}, status: -1}
	for _, p := range plan {
		next := [3]string{}
		for i, at := range p.Next {
			next[i] = at.Format("Mon 2006-01-02 15:04 MST")
		}
		if !p.Enabled {
			next[0] = "disabled"
		}
		g.add(p.Name, p.Schedule, p.Timezone, next[0], next[1], next[2])
	}
	if err := s.printGrid(g); err != nil {
		return err
	}
	summary := []string{plural(len(plan), "alert")}
	if n := len(s.file.Warnings); n > 0 {
		summary = append(summary, plural(n, "warning"))
	}
	return s.print("%s is valid: %s", s.file.Path, strings.Join(summary, ", "))
}
