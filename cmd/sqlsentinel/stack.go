package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud/control"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud/stacks"
	"github.com/sqlsentinel/sqlsentinel/shared/config"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// stackName is the stack that --state or STATE_DB_URL names.
func (a *app) stackName() (string, bool) {
	url := a.flags.state
	if url == "" {
		url = a.variable("STATE_DB_URL")
	}
	return strings.CutPrefix(url, "dynamodb://")
}

// loadStack is a session with what runs in a stack: its alerts are those that the last sync
// stored there, whatever a file on this machine says.
func (a *app) loadStack(ctx context.Context, name string) (*session, error) {
	if name == "" || strings.Contains(name, "/") {
		return nil, usagef("write the name of a stack, as in dynamodb://sentinel")
	}
	stack, err := stacks.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	store, err := stack.Store()
	if err != nil {
		return nil, err
	}
	definitions, err := store.Definitions(ctx, name)
	if err != nil {
		return nil, err
	}
	file := &config.File{Path: "dynamodb://" + name, Scope: name, Secrets: alert.NewSecrets(nil)}
	recalled(file, definitions)
	a.secrets.Store(file.Secrets)
	status, err := store.SyncStatus(ctx, name)
	if err != nil {
		return nil, err
	}
	if status.Problem != "" {
		a.say("sqlsentinel: warning: the configuration in s3://%s/%s is not in force: %s", stack.Bucket, control.ConfigKey, firstLine(status.Problem))
	}
	return &session{app: a, file: file, stack: stack}, nil
}

// recalled makes stored alerts those of a file.
func recalled(file *config.File, definitions map[string]sentinel.Definition) {
	file.Databases = map[string]alert.Database{}
	for _, key := range slices.Sorted(maps.Keys(definitions)) {
		x := definitions[key].Alert
		file.Alerts = append(file.Alerts, x)
		if x.Connection != nil {
			file.Databases[x.Database] = *x.Connection
		}
	}
}

func firstLine(text string) string {
	line, more, _ := strings.Cut(text, "\n")
	if more != "" {
		line += fmt.Sprintf(" (and %s)", plural(strings.Count(more, "\n")+1, "more line"))
	}
	return line
}

// stackState is the state of a stack.
type stackState struct {
	*cloud.Store
	*cloud.Queue
}

// Close ends nothing: the clients of AWS hold nothing.
func (stackState) Close() error { return nil }

func (s *session) stackState() (keeper, error) {
	store, err := s.stack.Store()
	return stackState{store, s.stack.Queue()}, err
}

// requeue tells a stack's queue of a delivery that was opened again, and takes its letter
// off the dead-letter queue. On one machine the outbox is the queue.
func (s *session) requeue(ctx context.Context, store keeper, d alert.Delivery, ref sentinel.Ref) error {
	if s.stack == nil {
		return nil
	}
	d.Try, d.DueAt = ref.Try, s.now()
	if err := store.Enqueue(ctx, []alert.Delivery{d}); err != nil {
		return err
	}
	s.takeLetter(ctx, d)
	return nil
}

// takeLetter takes a delivery's letter off the dead-letter queue of a stack.
func (s *session) takeLetter(ctx context.Context, d alert.Delivery) {
	if s.stack == nil {
		return
	}
	if url := s.stack.DeadLetters[d.Target.Channel]; url != "" {
		_, err := s.stack.Queue().Take(ctx, url, d.ID)
		s.warn("the dead letter of "+d.ID+" stays on its queue", err)
	}
}

// onAWS is a message of a dry run there: what it says, without the settings that only the
// sender's function knows.
func (s *session) onAWS(d alert.Delivery) renderedJSON {
	out := renderedJSON{Alert: d.Alert, Event: d.Message.Event, Channel: d.Target.Channel, Target: d.Target.Label, Headers: []string{}, Summary: "sent by the stack over " + d.Target.Channel}
	body, err := json.MarshalIndent(d.Message, "", "  ")
	if err != nil {
		out.Error = optional(err.Error())
	}
	out.Body = string(body)
	return out
}
