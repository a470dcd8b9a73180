package main

import (
	"github.com/spf13/cobra"

	"github.com/tinedb/tine/cmd/tine/internal/picture"
	"github.com/tinedb/tine/cmd/tine/internal/tree"
)

func (a *app) exportCommand() *cobra.Command {
	var opts tree.ExportOptions
	cmd := &cobra.Command{
		Use:   "export DIR",
		Short: "Write a stored directory tree",
		Long: `Write the tree that "tine import" stored in --fork (or --snapshot) below DIR, with
modes, times and links. DIR must be empty or missing, or --force be given: files
in it are replaced then. Nothing is ever written outside DIR: if a key would lead
there, or a file is incomplete, all such keys are listed and nothing is written.

On a node (--addr) a fork goes on changing: an export that takes longer than one scan
may, ends with an error rather than mix two states. Export a snapshot then.`,
		Args: takes("one directory", 1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.withKeyspace(func(space keyspace) error {
				bar := &progress{a: a, what: "export"}
				opts.Started, opts.Progress = bar.started, bar.did
				report, err := tree.Export(a.ctx, space, args[0], opts)
				bar.end()
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(report)
				}
				return a.printf("exported %d files, %d links, %d directories, %s to %s\n",
					report.Files, report.Symlinks, report.Directories, picture.Size(report.Bytes), args[0])
			})
		},
	}
	a.keyspaceFlags(cmd)
	cmd.Flags().StringVar(&opts.Prefix, "prefix", "", "only keys that begin so; it is cut off")
	cmd.Flags().BoolVar(&opts.Force, "force", false, "write into a directory that is not empty")
	return cmd
}
