package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sqlsentinel/sqlsentinel/shared/local"
)

func (a *app) healthcheckCommand() *cobra.Command {
	var deep bool
	var address string
	c := &cobra.Command{
		Use:   "healthcheck [CONFIG]",
		Short: "Ask a daemon whether it is well",
		Long: `Asks the daemon on --listen for /health, and exits with 1 if it is not well or does not
answer. With --deep it asks no daemon: it tries the state, the databases and the channels of
CONFIG itself. Nothing is sent.`,
		Example: `  sqlsentinel healthcheck
  sqlsentinel healthcheck --deep shop.yaml`,
		Args: configOnly(),
		RunE: func(c *cobra.Command, args []string) error {
			if deep {
				s, err := a.loadFile(first(args))
				if err != nil {
					return err
				}
				return s.deep(c.Context())
			}
			text, err := a.ask(c.Context(), address, "/health")
			if err != nil {
				return err
			}
			var said struct {
				Status string            `json:"status"`
				Checks []json.RawMessage `json:"checks"`
			}
			if json.Unmarshal([]byte(text), &said) != nil || said.Status == "" || said.Checks == nil {
				return errors.New("what answers there is no daemon of this program; name its address with --listen")
			}
			return a.print("%s", strings.TrimSpace(text))
		},
	}
	a.addState(c)
	a.addJSON(c)
	c.Flags().BoolVar(&deep, "deep", false, "try state, databases and channels of CONFIG")
	c.Flags().StringVar(&address, "listen", "", "where the daemon answers (default "+defaultListen+", or $PORT)")
	return c
}

// ask is what a daemon answers.
func (a *app) ask(ctx context.Context, address, path string) (string, error) {
	if port := a.variable("PORT"); address == "" && port != "" {
		address = ":" + port
	}
	if address == "" {
		address = defaultListen
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", usagef("--listen %s: write HOST:PORT", address)
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+path, nil)
	if err != nil {
		return "", usagef("--listen %s: %w", address, err)
	}
	client := &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask the daemon: %w; does it run, and on this address?", errors.Unwrap(err))
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 16<<20))
	if err != nil {
		return "", fmt.Errorf("ask the daemon: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the daemon is not well: %s", strings.TrimSpace(string(body)))
	}
	return string(body), nil
}

// deep tries everything that the file needs.
func (s *session) deep(ctx context.Context) error {
	checks := append(s.perform(ctx, []check{{Kind: "state", Name: "state", act: s.tryState}}), s.connect(ctx)...)
	var err error
	if s.flags.json {
		err = s.printJSON(struct {
			Checks []check `json:"checks"`
		}{checks})
	} else {
		err = s.printChecks(checks)
	}
	if err != nil {
		return err
	}
	return exit(verdictOf(checks))
}

// tryState tries whether the state can be written. It neither makes nor migrates one: where
// there is none yet, the folder must be able to take it.
func (s *session) tryState(ctx context.Context) error {
	path, err := s.statePath()
	if err != nil {
		return err
	}
	store, err := local.Open(ctx, local.Options{Path: path, ReadOnly: true})
	if errors.Is(err, fs.ErrNotExist) {
		f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".check-*")
		if err != nil {
			return fmt.Errorf("the state cannot be made: %w", err)
		}
		return errors.Join(f.Close(), os.Remove(f.Name()))
	}
	if err != nil {
		return err
	}
	if err := store.Close(); err != nil {
		return err
	}
	if store, err = s.openFile(ctx); err != nil {
		return err
	}
	return errors.Join(store.Writable(ctx), store.Close())
}
