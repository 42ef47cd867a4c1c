package main

import (
	"database/sql"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// versionJSON is what `version` tells.
type versionJSON struct {
	Version  string   `json:"version"`
	Commit   *string  `json:"commit"`
	Modified bool     `json:"modified"`
	Go       string   `json:"go"`
	Platform string   `json:"platform"`
	Drivers  []string `json:"drivers"`
}

func (a *app) versionCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  sqlsentinel version --json",
		Args:    between(0, 0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			v := versionOf()
			if a.flags.json {
				return a.printJSON(v)
			}
			commit := ""
			if v.Commit != nil {
				commit = ", commit " + shorten(*v.Commit, 13)
			}
			return a.print("sqlsentinel %s%s, %s %s, drivers: %s", v.Version, commit, v.Go, v.Platform, strings.Join(v.Drivers, ", "))
		},
	}
	a.addJSON(c)
	return c
}

// versionOf is what the linker said, else what the build says of itself.
func versionOf() versionJSON {
	out := versionJSON{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Drivers: sql.Drivers()}
	info, known := debug.ReadBuildInfo()
	if known && out.Version == "" {
		out.Version = info.Main.Version
	}
	if out.Version == "" {
		out.Version = "(devel)"
	}
	if !known {
		return out
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			out.Commit = optional(setting.Value)
		case "vcs.modified":
			out.Modified = setting.Value == "true"
		}
	}
	return out
}
