package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
)

// execute runs the command line.
func (a *app) execute(ctx context.Context, args []string) error {
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.errs)
	return root.ExecuteContext(ctx)
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "sqlsentinel",
		Short: "Turns SQL into alerts",
		Long: `SQL Sentinel turns SQL into alerts: every alert of a file is a query whose own result says
ALERT or OK, a schedule, and a list of channels.

CONFIG is the alert file: by default $SQLSENTINEL_CONFIG, else ./alerts.yaml.
What was evaluated and sent is kept in --state: by default sqlsentinel.db beside CONFIG.

Exit codes: 0 done; 1 it failed, a run is ERROR or a delivery dead; 2 wrong usage, unknown
name or invalid file; 3 an ALERT under --fail-on-alert; 130 interrupted.`,
		Example: `  sqlsentinel init && sqlsentinel validate && sqlsentinel run
  sqlsentinel demo`,
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			a.started = true
			return a.startLog()
		},
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%w; see %s --help", err, c.CommandPath())
	})
	a.addCommands(root)
	return root
}

// addCommands adds every command, in the groups in which help shows them.
func (a *app) addCommands(root *cobra.Command) {
	groups := []struct {
		title    string
		commands []*cobra.Command
	}{
		{"Begin:", []*cobra.Command{a.initCommand(), a.validateCommand(), a.estimateCommand(), a.schemaCommand(), a.demoCommand()}},
		{"Run:", []*cobra.Command{a.runCommand(), a.daemonCommand(), a.applyCommand(), a.testNotifyCommand()}},
		{"Look:", []*cobra.Command{a.statusCommand(), a.historyCommand(), a.explainCommand(), a.deliveriesCommand(), a.healthcheckCommand(), a.metricsCommand()}},
		{"Act:", []*cobra.Command{a.silenceCommand(), a.unsilenceCommand()}},
		{"More:", []*cobra.Command{a.secretsCommand(), a.versionCommand()}},
	}
	for _, g := range groups {
		id := strings.ToLower(strings.TrimSuffix(g.title, ":"))
		root.AddGroup(&cobra.Group{ID: id, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	root.SetHelpCommandGroupID("more")
	root.SetCompletionCommandGroupID("more")
	root.InitDefaultCompletionCmd("completion")
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "completion":
			c.Args, c.RunE = oneOf("bash", "fish", "powershell", "zsh"), showHelp
		case "help":
			c.Args = helpTopic
		}
	}
}

// helpTopic is for `help`: what it is asked of is a command.
func helpTopic(c *cobra.Command, args []string) error {
	found, rest, err := c.Root().Find(args)
	if err == nil && (len(rest) == 0 || !found.HasSubCommands()) {
		return nil
	}
	var names []string
	for _, x := range found.Commands() {
		if x.IsAvailableCommand() {
			names = append(names, x.Name())
		}
	}
	return unknown("command", args[len(args)-max(len(rest), 1)], names)
}

// oneOf is for a command that only groups others: it takes no argument that is none of them.
func oneOf(commands ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknown("command", args[0], commands)
		}
		return nil
	}
}

func showHelp(c *cobra.Command, _ []string) error { return c.Help() }

// between accepts from least to most arguments.
func between(least, most int, names string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usagef("%s needs %s; see %s --help", c.CommandPath(), names, c.CommandPath())
		case len(args) > most:
			return usagef("%s takes %s, and %q is one too many; see %s --help", c.CommandPath(), names, args[most], c.CommandPath())
		}
		return nil
	}
}

// configOnly accepts the alert file, or nothing.
func configOnly() cobra.PositionalArgs { return between(0, 1, "one argument at most, CONFIG") }

func (a *app) addJSON(c *cobra.Command) {
	c.Flags().BoolVar(&a.flags.json, "json", false, "print one JSON object")
}

// addConfig adds the flags of a command that reads an alert file.
func (a *app) addConfig(c *cobra.Command) {
	c.Flags().StringVar(&a.flags.envFile, "env-file", "", "read variables from this file instead of the .env beside CONFIG")
	c.Flags().BoolVar(&a.flags.noEnvFile, "no-env-file", false, "read variables from the environment only")
	if c.ValidArgsFunction == nil {
		c.ValidArgsFunction = completeFiles
	}
}

// addState adds the flags of a command that reads an alert file and its state.
func (a *app) addState(c *cobra.Command) {
	a.addConfig(c)
	c.Flags().StringVar(&a.flags.state, "state", "", "where state is kept: sqlite:///PATH, or dynamodb://STACK for what runs on AWS (default $STATE_DB_URL, else sqlsentinel.db beside CONFIG)")
}

// addAlerts adds --alert.
func (a *app) addAlerts(c *cobra.Command, help string) {
	c.Flags().StringArrayVar(&a.flags.alerts, "alert", nil, help+"; repeats and takes globs such as 'Daily *'")
	_ = c.RegisterFlagCompletionFunc("alert", a.completeAlerts) // fails for an unknown flag only
}

// completeFiles completes the path of an alert file.
func completeFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

// completeAlerts completes names of alerts.
func (a *app) completeAlerts(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	path := ""
	if len(args) > 0 {
		path = args[0]
	}
	s, err := a.loadQuietly(path)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := make([]string, 0, len(s.file.Alerts))
	for _, x := range s.file.Alerts {
		names = append(names, printable(x.Name))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
