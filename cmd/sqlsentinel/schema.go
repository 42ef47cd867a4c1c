package main

import (
	"github.com/spf13/cobra"

	"github.com/sqlsentinel/sqlsentinel/shared/config"
)

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the alert file",
		Long: `Prints the JSON Schema of the alert file, from which editors complete and check it. The first line
of an alert file names it: # yaml-language-server: $schema=./alerts.schema.json`,
		Example: "  sqlsentinel schema > alerts.schema.json",
		Args:    between(0, 0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			text, err := a.schema()
			if err != nil {
				return err
			}
			return a.write(string(text))
		},
	}
}

// schema is the JSON Schema of the alert file, as text.
func (a *app) schema() ([]byte, error) {
	options, err := a.configOptions()
	if err != nil {
		return nil, err
	}
	return config.Schema(options)
}
