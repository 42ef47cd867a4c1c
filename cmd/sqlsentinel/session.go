package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud/stacks"
	"github.com/sqlsentinel/sqlsentinel/shared/config"
	"github.com/sqlsentinel/sqlsentinel/shared/notify"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
)

// defaultConfig is the alert file of those who name none.
const defaultConfig = "alerts.yaml"

// A session is a command with a valid alert file.
type session struct {
	*app
	file *config.File
	// stack is where the state is kept, if that is on AWS; nil: on this machine.
	stack *stacks.Stack
}

// load reads the alert file, and says what is wrong with it.
func (a *app) load(ctx context.Context, path string) (*session, error) {
	if stack, ok := a.stackName(); ok {
		return a.loadStack(ctx, stack)
	}
	return a.loadFile(path)
}

// loadFile is load, but of a file of this machine only.
func (a *app) loadFile(path string) (*session, error) {
	return a.toldOf(a.loadQuietly(path))
}

// loadUnset is loadFile for a command that needs no value of the environment: what is not set
// here is set elsewhere.
func (a *app) loadUnset(path string) (*session, error) {
	return a.toldOf(a.loadWith(path, func(o *config.Options) { o.Exists = func(string, string) bool { return true } }))
}

// toldOf tells the problems of a file.
func (a *app) toldOf(s *session, err error) (*session, error) {
	var problems config.Problems
	if errors.As(err, &problems) {
		return nil, a.reject(problems)
	}
	return s, err
}

// loadStored is load for commands about what is stored. They go on while the alert file is
// not valid, with the alerts of the last valid one; a daemon does the same.
func (a *app) loadStored(ctx context.Context, path string) (*session, error) {
	if stack, ok := a.stackName(); ok {
		return a.loadStack(ctx, stack)
	}
	s, err := a.loadQuietly(path)
	var problems config.Problems
	if !errors.As(err, &problems) {
		if err == nil {
			s.acquaint(ctx)
		}
		return s, err
	}
	if err := s.recall(ctx, problems); err != nil || len(s.file.Alerts) == 0 {
		return nil, a.reject(problems)
	}
	for _, p := range problems {
		a.sayProblem(p)
	}
	a.secrets.Store(s.file.Secrets)
	a.say("sqlsentinel: warning: the alert file cannot be used as it is read here; the alerts are those of the last version that the state knows")
	return s, nil
}

// acquaint says so if the state has alerts, and none of the file's name: then the file is new
// to it, or has another name than before, under which nothing runs. A state that cannot be
// read is told by what reads it next.
func (s *session) acquaint(ctx context.Context) {
	store, err := s.readFile(ctx)
	if err != nil {
		return
	}
	defer func() { _ = store.Close() }()
	if scopes, err := store.Scopes(ctx); err == nil && len(scopes) > 0 && !slices.Contains(scopes, s.file.Scope) {
		s.say("sqlsentinel: warning: the state has no alerts of %q, but of %q: they are another file's, or `name` was changed, and what runs keeps the name that it began with", s.file.Scope, strings.Join(scopes, "\", \""))
	}
}

// recall takes the alerts that the state has for those of the file. Where nothing of the file
// can be read, its name neither, they are those of the only file that the state knows.
func (s *session) recall(ctx context.Context, problems config.Problems) (err error) {
	store, err := s.readFile(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	scopes, err := store.Scopes(ctx)
	if err != nil {
		return err
	}
	unreadable := slices.ContainsFunc(problems, func(p config.Problem) bool { return p.Path == "" && p.Severity != "warning" })
	if unreadable && len(scopes) == 1 {
		s.file.Scope = scopes[0]
	}
	definitions, err := store.Definitions(ctx, s.file.Scope)
	recalled(s.file, definitions)
	return err
}

// reject tells the problems of a file, on stdout as JSON or on stderr as lines.
func (a *app) reject(problems config.Problems) error {
	if a.flags.json {
		if err := a.printJSON(struct {
			Problems config.Problems `json:"problems"`
			Alerts   []string        `json:"alerts"`
		}{problems, []string{}}); err != nil {
			return err
		}
		return exit(exitUsage)
	}
	wrong := 0
	for _, p := range problems {
		a.sayProblem(p)
		if p.Severity != "warning" {
			wrong++
		}
	}
	a.say("sqlsentinel: %s in the alert file; nothing was done", plural(wrong, "problem"))
	return exit(exitUsage)
}

func (a *app) sayProblem(p config.Problem) {
	text := p.String()
	if p.Severity == "warning" {
		text = strings.TrimSuffix(text, p.Message) + "warning: " + p.Message
	}
	a.say("%s", printable(text))
}

// loadQuietly reads the alert file. What is wrong in it is a config.Problems; the session's
// file is then what config.Parse leaves of it.
func (a *app) loadQuietly(path string) (*session, error) {
	return a.loadWith(path, func(*config.Options) {})
}

func (a *app) loadWith(named string, change func(*config.Options)) (*session, error) {
	path, err := a.configPath(named)
	if err != nil {
		return nil, err
	}
	options, err := a.configOptions()
	if err != nil {
		return nil, err
	}
	change(&options)
	file, err := readConfig(path, options)
	if errors.Is(err, fs.ErrNotExist) {
		if path == defaultConfig && a.variable("SQLSENTINEL_CONFIG") == "" {
			return nil, usagef("there is no %s here; name an alert file, or write a first one with `sqlsentinel init`", path)
		}
		if named == "" && a.variable("SQLSENTINEL_CONFIG") != "" {
			err = fmt.Errorf("$SQLSENTINEL_CONFIG: %w", err)
		}
		return nil, &failure{exitUsage, err}
	}
	var problems config.Problems
	if err != nil && !errors.As(err, &problems) {
		return nil, &failure{exitUsage, err}
	}
	if err == nil {
		a.secrets.Store(file.Secrets)
	}
	return &session{app: a, file: file}, err
}

// readConfig reads an alert file from disk or from S3. One from S3 has no folder: what is
// relative to it is relative to where the command runs.
func readConfig(path string, options config.Options) (*config.File, error) {
	if !strings.HasPrefix(path, "s3://") {
		return config.Load(path, options)
	}
	data, err := stacks.ReadObject(context.Background(), path)
	if err != nil {
		return nil, err
	}
	return config.Parse(filepath.Base(path), data, options)
}

// configPath is the path of the alert file: as given, else by the environment, else the default.
func (a *app) configPath(path string) (string, error) {
	if path == "" {
		path = a.variable("SQLSENTINEL_CONFIG")
	}
	if path == "" {
		path = defaultConfig
	}
	if scheme, _, found := strings.Cut(path, "://"); found {
		if scheme != "s3" {
			return "", usagef("%s:// is not a place of alert files; name a file, or s3://BUCKET/KEY", scheme)
		}
		return path, nil
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return "", usagef("%s is a folder; name the alert file in it, such as %s", path, filepath.Join(path, defaultConfig))
	}
	return path, nil
}

// configOptions are what reading any alert file needs.
func (a *app) configOptions() (config.Options, error) {
	senders, err := notify.New(notify.Options{Secrets: alert.NewSecrets(nil), AWS: stacks.PersonConfig})
	if err != nil {
		return config.Options{}, fmt.Errorf("prepare the channels: %w", err)
	}
	var channels []config.Channel
	for _, c := range senders.Channels() {
		channels = append(channels, c)
	}
	return config.Options{
		Channels: channels, CheckDatabase: query.CheckDatabase, CheckQuery: query.CheckQuery, Env: a.env,
		EnvFile: a.flags.envFile, NoEnvFile: a.flags.noEnvFile,
	}, nil
}

// channelNames are the kinds of channels there are.
func (a *app) channelNames() []string {
	options, err := a.configOptions()
	if err != nil {
		return nil
	}
	out := make([]string, len(options.Channels))
	for i, c := range options.Channels {
		out[i] = c.Name()
	}
	return out
}

// setting is a variable from the environment, else from .env.
func (s *session) setting(name string) string {
	if value := s.variable(name); value != "" {
		return value
	}
	value, _ := s.file.Secrets.Lookup(name)
	return value
}

// chosen are the alerts that --alert names.
func (s *session) chosen() ([]alert.Alert, error) { return choose(s.file.Alerts, s.flags.alerts) }

// first is the first argument, or empty.
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}
