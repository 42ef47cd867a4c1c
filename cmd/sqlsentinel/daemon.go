package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"gopkg.in/natefinch/lumberjack.v2"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud/stacks"
	"github.com/sqlsentinel/sqlsentinel/shared/local"
	"github.com/sqlsentinel/sqlsentinel/shared/local/daemon"
	"github.com/sqlsentinel/sqlsentinel/shared/query"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// daemonFlags are the flags of `daemon` alone.
type daemonFlags struct {
	listen, logFile string
	grace           time.Duration
}

// evaluated is how many alerts of a database the daemon evaluates at once: while some query,
// the others wait for their commit, and those that wait together share an fsync. It is fewer
// than `run` has under way, for messages share the processors with them.
const evaluated = 8

// defaultListen is where the daemon answers HTTP.
const defaultListen = "127.0.0.1:8080"

func (a *app) daemonCommand() *cobra.Command {
	var flags daemonFlags
	c := &cobra.Command{
		Use:   "daemon [CONFIG]",
		Short: "Run the schedules, deliver, follow changes of the file",
		Long: `Runs until it is stopped: evaluates each alert at its ticks, delivers messages, follows
changes of the alert file and of the files that it names, and answers HTTP on --listen:
/health, /ready and /metrics.

SIGTERM and Ctrl-C stop it; what was begun has --grace to finish, and a second signal does
not wait. SIGHUP reads the alert file again, SIGUSR1 opens the log file again.`,
		Example: `  sqlsentinel daemon
  sqlsentinel daemon shop.yaml --listen 127.0.0.1:9000 --log-file /var/log/sqlsentinel.log`,
		Args: configOnly(),
		RunE: func(c *cobra.Command, args []string) error {
			path, err := a.configPath(first(args))
			if err != nil {
				return err
			}
			if strings.HasPrefix(path, "s3://") {
				return usagef("the daemon follows a file of this machine; what stands in a bucket runs on AWS, or is copied here first")
			}
			if flags.grace < 0 {
				return usagef("--grace is %s; it must not be less than nothing", flags.grace)
			}
			return a.daemon(c.Context(), path, flags)
		},
	}
	a.addState(c)
	c.Flags().StringVar(&flags.listen, "listen", "", "where HTTP is answered (default "+defaultListen+", or all interfaces on $PORT); none: nowhere")
	c.Flags().StringVar(&flags.logFile, "log-file", "", "write the log to this file, and begin another at 100 MB; ten are kept")
	c.Flags().DurationVar(&flags.grace, "grace", 25*time.Second, "how long what was begun may go on after a signal")
	return c
}

// daemon runs until a signal comes.
func (a *app) daemon(ctx context.Context, path string, flags daemonFlags) (err error) {
	to, closeLog, err := a.daemonLog(flags.logFile)
	if err != nil {
		return err
	}
	defer closeLog()
	s, err := a.loadFile(path)
	if err != nil {
		return err
	}
	if err := a.logTo(to, "info", "json"); err != nil {
		return err
	}
	listener, err := a.listen(flags.listen)
	if err != nil {
		return err
	}
	store, err := s.openFileLingering(ctx, 0) // a message waits for no other run
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	a.spread()
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	asked := make(chan struct{}, 1)
	go relay(ctx, reload, asked)

	load := func() (*daemon.Setup, error) {
		fresh, err := a.loadQuietly(path)
		if err != nil {
			return nil, err
		}
		return fresh.setup(store)
	}
	first, err := s.setup(store)
	if err != nil {
		return err
	}
	d, err := daemon.New(daemon.Options{
		Store: store, Load: load, Path: s.file.Path, Log: a.log, Listener: listener, Grace: flags.grace, Reload: asked, Version: versionOf().Version, Clock: a.clock,
	})
	if err != nil {
		return err
	}
	if listener != nil {
		a.log.Info("listening", "address", listener.Addr().String())
	}
	return d.Run(ctx, first)
}

// spread uses more threads than there are processors. Queries of SQLite compute in this
// process; it is the kernel that shares the processors out then, and messages do not queue
// behind queries.
func (a *app) spread() {
	if a.variable("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(2 * runtime.GOMAXPROCS(0))
	}
}

// relay hands signals on as requests.
func relay(ctx context.Context, signals <-chan os.Signal, asked chan<- struct{}) {
	for {
		select {
		case <-signals:
			select {
			case asked <- struct{}{}:
			default:
			}
		case <-ctx.Done():
			return
		}
	}
}

// daemonLog opens the log file, which is opened again at SIGUSR1.
func (a *app) daemonLog(path string) (to io.Writer, end func(), err error) {
	if path == "" {
		return a.errs, func() {}, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open the log file: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, nil, fmt.Errorf("open the log file: %w", err)
	}
	file := &lumberjack.Logger{Filename: path, MaxSize: 100, MaxBackups: 10}
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGUSR1)
	go func() {
		for range again {
			_ = file.Close() // the next line opens it
		}
	}()
	return file, func() {
		signal.Stop(again)
		close(again)
		_ = file.Close()
	}, nil
}

// listen opens the port of HTTP; nil if it is `none`.
func (a *app) listen(address string) (net.Listener, error) {
	switch port := a.variable("PORT"); {
	case address == "none":
		return nil, nil
	case address == "" && port != "":
		address = ":" + port
	case address == "":
		address = defaultListen
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, usagef("listen on %s: %w; choose another with --listen, or --listen none", address, err)
	}
	return listener, nil
}

// setup is what the daemon needs of an alert file.
func (s *session) setup(store *local.Store) (*daemon.Setup, error) {
	queries, err := query.New(query.Options{Databases: s.file.Databases, Secrets: s.file.Secrets, Credentials: stacks.DatabaseToken()})
	if err != nil {
		return nil, fmt.Errorf("prepare the databases: %w", err)
	}
	senders, err := s.openSenders()
	if err != nil {
		return nil, errors.Join(err, queries.Close())
	}
	options := sentinel.Options{Store: store, Outbox: store, Query: queries, Send: senders, Now: s.now, Log: s.log}
	if s.wire != nil {
		s.wire(&options)
	}
	out := &daemon.Setup{
		Scope: s.file.Scope, Alerts: s.file.Alerts, Files: append([]string{s.file.Path, s.environmentFile()}, s.file.Reads...), Steps: options,
		Workers: func(database string) int { return max(evaluated, s.connections(database)) }, Retention: s.file.Retention.Std(), Close: queries.Close,
	}
	if h := s.file.Heartbeat; h != nil {
		out.Every, out.Beat = h.Every.Std(), func(ctx context.Context) error { return senders.Beat(ctx, h.URL) }
	}
	return out, nil
}

// environmentFile is the file of variables, which may not be there.
func (s *session) environmentFile() string {
	if s.flags.envFile != "" {
		return s.flags.envFile
	}
	return filepath.Join(s.file.Dir, ".env")
}
