package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud/stacks"
	"github.com/sqlsentinel/sqlsentinel/shared/config"
)

func (a *app) secretsCommand() *cobra.Command {
	c := &cobra.Command{Use: "secrets", Short: "Keep the secrets of a stack on AWS", Args: oneOf("set"), RunE: showHelp}
	var stack string
	var users []string
	set := &cobra.Command{
		Use:   "set NAME [CONFIG] --stack STACK",
		Short: "Store a secret that the alert file refers to as ${NAME}",
		Long: `Reads a value from standard input, and stores it in Parameter Store, encrypted, once for each function
of the stack that uses the name in CONFIG: each can read its own parameters only. The value is
never shown and never an argument, where other programs see it. One line break at its end is
left out.`,
		Example: `  sqlsentinel secrets set DB_PASSWORD --stack sentinel < password.txt
  sqlsentinel secrets set SMTP_PASSWORD --stack sentinel --user email`,
		Args: between(1, 2, "NAME and CONFIG"),
		RunE: func(c *cobra.Command, args []string) error {
			if stack == "" {
				return usagef("name the stack with --stack")
			}
			path := ""
			if len(args) == 2 {
				path = args[1]
			}
			return a.setSecret(c.Context(), args[0], path, stack, users)
		},
	}
	set.Flags().StringVar(&stack, "stack", "", "the name of the stack on AWS")
	set.Flags().StringArrayVar(&users, "user", nil, "who may read it, whatever CONFIG says: "+strings.Join(cloud.Users, ", ")+"; repeats")
	c.AddCommand(set)
	return c
}

func (a *app) setSecret(ctx context.Context, name, path, stack string, users []string) error {
	if alert.References("${"+name+"}") == nil {
		return usagef("%q is no name; a name is letters, digits and _", name)
	}
	for _, user := range users {
		if !slices.Contains(cloud.Users, user) {
			return unknown("user", user, cloud.Users)
		}
	}
	if len(users) == 0 {
		var err error
		if users, err = a.usersOf(name, path); err != nil {
			return err
		}
	}
	value, err := a.readSecret(name)
	if err != nil {
		return err
	}
	s, err := stacks.Open(ctx, stack)
	if err != nil {
		return err
	}
	for _, user := range users {
		if err := s.PutSecret(ctx, user, name, value); err != nil {
			return err
		}
	}
	return a.print("%s is stored for %s; functions that run use it within 5 minutes", name, strings.Join(users, ", "))
}

// readSecret reads the value from standard input; at a terminal it is not echoed.
func (a *app) readSecret(name string) (string, error) {
	var text []byte
	var err error
	if f, ok := a.in.(interface{ Fd() uintptr }); ok && term.IsTerminal(int(f.Fd())) {
		_, _ = fmt.Fprintf(a.errs, "value of %s: ", name)
		text, err = term.ReadPassword(int(f.Fd()))
		_, _ = fmt.Fprintln(a.errs)
	} else {
		text, err = io.ReadAll(io.LimitReader(a.in, 64<<10))
	}
	if err != nil {
		return "", fmt.Errorf("read the value: %w", err)
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if value == "" {
		return "", usagef("the value is empty; write it to standard input")
	}
	return value, nil
}

// usersOf are the functions that use a name in an alert file.
func (a *app) usersOf(name, path string) ([]string, error) {
	path, err := a.configPath(path)
	if err != nil {
		return nil, err
	}
	options, err := a.configOptions()
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	options.Env, options.NoEnvFile = nil, true
	options.Exists = func(user, asked string) bool {
		if asked == name {
			used[user] = true
		}
		return true
	}
	if _, err := config.Load(path, options); err != nil && len(used) == 0 {
		return nil, &failure{exitUsage, fmt.Errorf("who uses %s is not known, for the alert file cannot be read: %w; say --user", name, err)}
	}
	if len(used) == 0 {
		return nil, usagef("nothing in %s uses %s; say --user if it is meant for later", path, name)
	}
	return slices.Sorted(maps.Keys(used)), nil
}
