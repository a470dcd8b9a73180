package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tinedb/tine/cmd/tine/internal/picture"
	"github.com/tinedb/tine/engine"
)

func (a *app) forkCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "fork", Short: "Create, show, rename, reset and drop forks"}
	group(cmd)
	cmd.AddCommand(a.forkCreateCommand(), a.forkListCommand(), a.forkTreeCommand(), a.forkShowCommand(),
		a.forkRenameCommand(), a.forkResetCommand(), a.forkDropCommand())
	return cmd
}

func (a *app) forkRenameCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rename OLD NEW",
		Short: "Give a fork another name",
		Args:  takes("the old and the new name", 2, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkNames(args[1:]); err != nil {
				return err
			}
			return a.withStore(writing, func(store target) error {
				fork, err := store.Fork(args[0])
				if err != nil {
					return err
				}
				if err := fork.Rename(args[1]); err != nil {
					return err
				}
				if a.json {
					return a.printJSON(map[string]any{"id": fork.ID(), "name": args[1], "was": args[0]})
				}
				return a.printf("fork %s is now %s\n", args[0], args[1])
			})
		},
	}
}

func (a *app) forkResetCommand() *cobra.Command {
	var to, toSnapshot string
	cmd := &cobra.Command{
		Use:   "reset NAME",
		Short: "Make a fork what another fork or a snapshot is now",
		Long: `Make a fork what --to or --to-snapshot is now. What the fork holds that nothing
else holds is thrown away.`,
		Args: takes("one name", 1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			if (to == "") == (toSnapshot == "") {
				return usagef("say what to reset %s to: --to FORK or --to-snapshot SNAPSHOT", args[0])
			}
			return a.withStore(writing, func(store target) error {
				return a.resetFork(store, args[0], to, toSnapshot)
			})
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "the fork to become")
	cmd.Flags().StringVar(&toSnapshot, "to-snapshot", "", "the snapshot to become")
	a.destructive(cmd)
	return cmd
}

func (a *app) resetFork(store target, name, to, toSnapshot string) error {
	fork, err := store.Fork(name)
	if err != nil {
		return err
	}
	info, err := fork.Info()
	if err != nil {
		return err
	}
	var source keyspace
	what := "fork " + to
	if toSnapshot != "" {
		what = "snapshot " + toSnapshot
		source, err = store.Snapshot(toSnapshot)
	} else {
		source, err = store.Fork(to)
	}
	if err != nil {
		return err
	}
	ok, err := a.confirm([]string{fmt.Sprintf("reset fork %s to %s and throw away what only %s holds (%s)", name, what, name, ownText(info))})
	if !ok || err != nil {
		return err
	}
	if err := fork.Reset(source); err != nil {
		return err
	}
	if err := store.Settle(); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"reset": name, "to": what})
	}
	return a.printf("reset fork %s to %s\n", name, what)
}

// ownText says what goes with a fork.
func ownText(f engine.ForkInfo) string {
	return fmt.Sprintf("%s in tables, %s in memory", picture.Size(f.ExclusiveBytes), picture.Size(f.MemtableBytes))
}
