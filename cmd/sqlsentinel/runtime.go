package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud/stacks"
	"github.com/sqlsentinel/sqlsentinel/shared/local"
	"github.com/sqlsentinel/sqlsentinel/shared/notify"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// stateName is the state file of those who name none, beside the alert file.
const stateName = "sqlsentinel.db"

// statePath is the file that keeps the state. --state is relative to the folder in which
// the command runs, STATE_DB_URL to the alert file's, so that it means one file whoever
// runs the command.
func (s *session) statePath() (string, error) {
	url, dir, from := s.flags.state, "", "--state"
	if url == "" {
		url, dir, from = s.setting("STATE_DB_URL"), s.file.Dir, "STATE_DB_URL"
	}
	if url == "" {
		return filepath.Join(s.file.Dir, stateName), nil
	}
	scheme, path, isURL := strings.Cut(url, "://")
	switch {
	case !isURL:
		path = url
	case scheme == "dynamodb":
		return "", usagef("%s: this command works on this machine only; dynamodb://STACK is for status, history, explain, deliveries, silence, unsilence and run", from)
	case scheme != "sqlite" || !strings.HasPrefix(path, "/") || path == "/":
		return "", usagef("%s is not a state: write sqlite:///PATH, or sqlite:////PATH for one that begins at the root", from)
	default:
		path = path[1:]
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return path, nil
}

// A keeper is where state is kept: a file, or a stack on AWS.
type keeper interface {
	sentinel.Store
	sentinel.Outbox
	sentinel.Queue
	Close() error
}

// openState opens the state to be changed; a file is created and migrated.
func (s *session) openState(ctx context.Context) (keeper, error) {
	if s.stack != nil {
		return s.stackState()
	}
	return s.openFile(ctx)
}

// openFile opens the state file of this machine.
func (s *session) openFile(ctx context.Context) (*local.Store, error) {
	return s.openFileLingering(ctx, linger(len(s.file.Alerts)))
}

func (s *session) openFileLingering(ctx context.Context, linger time.Duration) (*local.Store, error) {
	path, err := s.statePath()
	if err != nil {
		return nil, err
	}
	return local.Open(ctx, local.Options{Path: path, Linger: linger})
}

// linger lets the commits of many alerts share transactions; those of a few wait for nobody.
func linger(alerts int) time.Duration {
	if alerts < 2*underWay {
		return 0
	}
	return 4 * time.Millisecond
}

// readState opens the state to be read; one that does not exist is empty.
func (s *session) readState(ctx context.Context) (keeper, error) {
	if s.stack != nil {
		return s.stackState()
	}
	return s.readFile(ctx)
}

// readFile is readState on this machine.
func (s *session) readFile(ctx context.Context) (*local.Store, error) {
	path, err := s.statePath()
	if err != nil {
		return nil, err
	}
	store, err := local.Open(ctx, local.Options{Path: path, ReadOnly: true})
	if errors.Is(err, fs.ErrNotExist) {
		return local.Empty(ctx)
	}
	return store, err
}

// An engine is everything that the steps of sentinel need, on one machine.
type engine struct {
	*sentinel.Sentinel
	store   *local.Store
	queries *query.Runner
	senders *notify.Senders
}

// openEngine wires the rooms around a store. It closes the store if that fails.
func (s *session) openEngine(store *local.Store) (*engine, error) {
	queries, err := query.New(query.Options{Databases: s.file.Databases, Secrets: s.file.Secrets, Credentials: stacks.DatabaseToken()})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the databases: %w", err), store.Close())
	}
	senders, err := s.openSenders()
	if err != nil {
		return nil, errors.Join(err, queries.Close(), store.Close())
	}
	options := sentinel.Options{Store: store, Outbox: store, Queue: store, Query: queries, Send: senders, Now: s.now, Log: s.log}
	if s.wire != nil {
		s.wire(&options)
	}
	steps, err := sentinel.New(options)
	if err != nil {
		return nil, errors.Join(err, queries.Close(), store.Close())
	}
	return &engine{steps, store, queries, senders}, nil
}

func (s *session) openSenders() (*notify.Senders, error) {
	senders, err := notify.New(notify.Options{Secrets: s.file.Secrets, AWS: stacks.PersonConfig})
	if err != nil {
		return nil, fmt.Errorf("prepare the channels: %w", err)
	}
	return senders, nil
}

// bookkeeper is a sentinel that neither queries nor sends: for changes between runs.
func (s *session) bookkeeper(store keeper) (*sentinel.Sentinel, error) {
	return sentinel.New(sentinel.Options{Store: store, Outbox: store, Queue: store, Now: s.now, Log: s.log})
}

// close ends what openEngine began.
func (e *engine) close() error {
	if err := errors.Join(e.queries.Close(), e.store.Close()); err != nil {
		return fmt.Errorf("end the run: %w", err)
	}
	return nil
}
