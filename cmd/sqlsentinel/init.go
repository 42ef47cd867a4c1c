package main

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// starter holds the files that init writes.
//
//go:embed starter
var starter embed.FS

func (a *app) initCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a first alert file that works at once",
		Long: `Writes alerts.yaml with two alerts on a small sample database (shop.db), its JSON Schema for
editors, and .env.example. It overwrites nothing: a file that is there is kept, and if that is
alerts.yaml, nothing is written.`,
		Example: `  sqlsentinel init && sqlsentinel validate && sqlsentinel run
  sqlsentinel init monitoring`,
		Args: between(0, 1, "one argument at most, DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			dir := first(args)
			if dir == "" {
				dir = "."
			}
			return a.writeStarter(c.Context(), dir)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	a.addJSON(c)
	return c
}

// initJSON is what init did, by file name.
type initJSON struct {
	Dir     string   `json:"dir"`
	Written []string `json:"written"`
	Kept    []string `json:"kept"`
}

// writeStarter writes what is not there yet.
func (a *app) writeStarter(ctx context.Context, dir string) error {
	if _, err := os.Lstat(filepath.Join(dir, defaultConfig)); err == nil {
		return &failure{exitFailed, fmt.Errorf("%s is there already, and nothing is overwritten; choose another folder: sqlsentinel init DIR", filepath.Join(dir, defaultConfig))}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // a folder of the user's own, as mkdir makes it
		return fmt.Errorf("make the folder: %w", err)
	}
	out := initJSON{Dir: dir, Written: []string{}, Kept: []string{}}
	for _, file := range a.starterFiles() {
		err := file.write(ctx, filepath.Join(dir, file.name))
		if errors.Is(err, fs.ErrExist) {
			out.Kept = append(out.Kept, file.name)
			continue
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", file.name, err)
		}
		out.Written = append(out.Written, file.name)
	}
	if a.flags.json {
		return a.printJSON(out)
	}
	for _, name := range out.Kept {
		a.say("%s is there already and is kept", filepath.Join(dir, name))
	}
	if err := a.print("wrote %s", strings.Join(joined(dir, out.Written), ", ")); err != nil {
		return err
	}
	where := ""
	if dir != "." {
		where = " " + filepath.Join(dir, defaultConfig)
	}
	a.say("next: sqlsentinel validate%s, then sqlsentinel run%s", where, where)
	return nil
}

func joined(dir string, names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = filepath.Join(dir, name)
	}
	return out
}

// A starterFile is one file that init writes; one that exists is fs.ErrExist.
type starterFile struct {
	name  string
	write func(ctx context.Context, path string) error
}

// starterFiles lists them; the alert file comes last, so that an init that failed can be repeated.
func (a *app) starterFiles() []starterFile {
	copied := func(name string) func(context.Context, string) error {
		return func(_ context.Context, path string) error {
			text, err := starter.ReadFile("starter/" + name)
			if err != nil {
				return err
			}
			return writeNew(path, text)
		}
	}
	return []starterFile{
		{"alerts.schema.json", func(_ context.Context, path string) error {
			text, err := a.schema()
			if err != nil {
				return err
			}
			return writeNew(path, text)
		}},
		{".env.example", copied("env.example")},
		{"shop.db", writeShop},
		{defaultConfig, copied("alerts.yaml")},
	}
}

// writeNew writes a file that does not exist yet.
func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // to be edited and shared; it holds no secret
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// writeShop makes the sample database.
func writeShop(ctx context.Context, path string) error {
	if err := writeNew(path, nil); err != nil {
		return err
	}
	text, err := starter.ReadFile("starter/shop.sql")
	if err != nil {
		return err
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(absolute)}).String())
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, string(text))
	if err = errors.Join(err, db.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
