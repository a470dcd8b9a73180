package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tinedb/tine/cmd/tine/internal/picture"
	"github.com/tinedb/tine/cmd/tine/internal/tree"
)

func (a *app) importCommand() *cobra.Command {
	var opts tree.ImportOptions
	cmd := &cobra.Command{
		Use:   "import DIR",
		Short: "Store a directory tree in a fork",
		Long: `Store what is below DIR in --fork: one key for each file, symbolic link and empty
directory, the key being --prefix and the path ("tree/" as prefix gives
tree/src/main.go). Sockets, pipes and devices are refused unless --skip-special.
In an empty or missing directory a new store is made.

An import that was interrupted goes on when it is started again: files with the
same mode, size and time, or else the same content, are left alone.`,
		Args: takes("one directory", 1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := args[0]
			remote, err := a.isRemote()
			if err != nil {
				return err
			}
			if _, err := os.Stat(dir); err != nil {
				return fmt.Errorf("import: %w", err)
			}
			if !remote {
				data, err := a.dataDir()
				if err != nil {
					return err
				}
				if tree.Contains(dir, data) {
					return usagef("the store %s lies in %s; it cannot be stored in itself", data, dir)
				}
			}
			opts.DryRun = a.dryRun
			how := importing
			if a.dryRun {
				how = reading
			}
			return a.withFork(how, func(fork forkspace) error {
				bar := &progress{a: a, what: "import"}
				opts.Started, opts.Progress = bar.started, bar.did
				report, err := tree.Import(a.ctx, fork, dir, opts)
				bar.end()
				if errors.Is(err, context.Canceled) {
					return fmt.Errorf("import: stopped with %d stored and %d that were there already: %w",
						report.Files+report.Symlinks+report.Directories, report.Already, context.Canceled)
				}
				if err != nil {
					return err
				}
				return a.printImport(dir, fork.Name(), report)
			})
		},
	}
	a.forkFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&opts.Prefix, "prefix", "", "put this before every path; end it with / to make it a directory")
	f.BoolVar(&opts.Checksum, "checksum", false, "compare contents even where mode, size and time are the same")
	f.BoolVar(&opts.Delete, "delete", false, "delete the keys under --prefix that DIR does not have")
	f.BoolVar(&opts.SkipSpecial, "skip-special", false, "leave out sockets, pipes and devices")
	f.BoolVar(&a.dryRun, "dry-run", false, "count only")
	return cmd
}

func (a *app) printImport(dir, fork string, r tree.ImportReport) error {
	if a.json {
		return a.printJSON(struct {
			Fork   string `json:"fork"`
			DryRun bool   `json:"dry_run,omitempty"`
			tree.ImportReport
		}{fork, a.dryRun, r})
	}
	for _, s := range r.Skipped {
		fmt.Fprintf(a.errOut, "skipped %s\n", s)
	}
	if r.Already > 0 {
		if err := a.printf("resumed: %d already there\n", r.Already); err != nil {
			return err
		}
	}
	verb := "imported"
	if a.dryRun {
		verb = "would import"
	}
	if err := a.printf("%s %s into fork %s: %d files, %d links, %d directories, %s\n", verb, dir, fork,
		r.Files, r.Symlinks, r.Directories, picture.Size(r.Bytes)); err != nil {
		return err
	}
	if r.Deleted > 0 {
		return a.printf("deleted %d that are not in %s\n", r.Deleted, dir)
	}
	return nil
}
