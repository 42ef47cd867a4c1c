package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud/stacks"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
)

// A check is what came of reaching out to one database or target.
type check struct {
	Kind       string  `json:"kind"` // database, or the channel
	Name       string  `json:"name"`
	OK         bool    `json:"ok"`
	Error      *string `json:"error"`
	DurationMS int64   `json:"duration_ms"`

	act func(context.Context) error
}

// checksAtOnce bounds how many databases and targets are reached at a time.
const checksAtOnce = 8

// perform makes the checks, several at once, and leaves them in their order.
func (s *session) perform(ctx context.Context, checks []check) []check {
	var all sync.WaitGroup
	slots := make(chan struct{}, checksAtOnce)
	for i := range checks {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			c, began := &checks[i], time.Now()
			err := c.act(ctx)
			c.OK, c.DurationMS = err == nil, time.Since(began).Milliseconds()
			if err != nil {
				c.Error = optional(s.file.Secrets.Clean(err.Error()))
			}
		})
	}
	all.Wait()
	return checks
}

// verdictOf is the exit code of checks.
func verdictOf(checks []check) int {
	if slices.ContainsFunc(checks, func(c check) bool { return !c.OK }) {
		return exitFailed
	}
	return 0
}

func (s *session) printChecks(checks []check) error {
	g := grid{header: []string{"KIND", "NAME", "RESULT", "TIME", "ERROR"}, status: 2}
	for _, c := range checks {
		result, text := "ok", ""
		if !c.OK {
			result, text = "failed", *c.Error
		}
		g.add(c.Kind, c.Name, result, fmt.Sprintf("%d ms", c.DurationMS), text)
	}
	if len(checks) == 0 {
		return nil
	}
	return s.printGrid(g)
}

// connect reaches every database and every target without sending anything.
func (s *session) connect(ctx context.Context) []check {
	queries, err := query.New(query.Options{Databases: s.file.Databases, Secrets: s.file.Secrets, Credentials: stacks.DatabaseToken()})
	if err != nil {
		return []check{s.failedCheck("database", err)}
	}
	defer func() { _ = queries.Close() }() // what was to be learnt is learnt
	senders, err := s.openSenders()
	if err != nil {
		return []check{s.failedCheck("channel", err)}
	}
	var checks []check
	for _, name := range s.databaseNames() {
		checks = append(checks, check{Kind: "database", Name: databaseLabel(name), act: func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, s.pingTimeout(name))
			defer cancel()
			return queries.Ping(ctx, name)
		}})
	}
	for _, t := range s.targets(s.file.Alerts) {
		channel, known := senders.Channel(t.Channel)
		checks = append(checks, check{Kind: t.Channel, Name: t.Label, act: func(ctx context.Context) error {
			if !known {
				return errors.New("there is no such channel")
			}
			ctx, cancel := context.WithTimeout(ctx, t.WithDefaults().Timeout.Std())
			defer cancel()
			return channel.Connect(ctx, t)
		}})
	}
	return s.perform(ctx, checks)
}

func (s *session) failedCheck(kind string, err error) check {
	return check{Kind: kind, Error: optional(s.file.Secrets.Clean(err.Error()))}
}

// databaseNames are those of the file's databases, in order.
func (s *session) databaseNames() []string {
	var out []string
	for name := range s.file.Databases {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// databaseLabel is how a database is called; the file's one database has no name.
func databaseLabel(name string) string {
	if name == "" {
		return "database"
	}
	return name
}

// pingTimeout is how long a session with a database may take to come about.
func (s *session) pingTimeout(name string) time.Duration {
	if d := s.file.Databases[name].Timeout; d > 0 {
		return d.Std()
	}
	return alert.DefaultQueryTimeout
}
