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

func (a *app) forkCreateCommand() *cobra.Command {
	var from, fromSnapshot string
	cmd := &cobra.Command{
		Use:   "create NAME...",
		Short: "Fork a fork or a snapshot",
		Long: `Make forks of --from (default main) or of --from-snapshot. Nothing is copied,
however large the parent is. Names are 1 to 128 bytes of A-Z a-z 0-9 . _ / -.`,
		Args: takes("at least one name", 1, -1),
		RunE: func(_ *cobra.Command, names []string) error {
			if err := checkNames(names); err != nil {
				return err
			}
			return a.withStore(writing, func(store *engine.Store) error {
				fork, err := forker(store, from, fromSnapshot)
				if err != nil {
					return err
				}
				for _, name := range names {
					child, err := fork(name)
					if err != nil {
						return err
					}
					if a.json {
						err = a.printJSON(map[string]any{"id": child.ID(), "name": name})
					} else {
						err = a.printf("created fork %s\n", name)
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", engine.MainFork, "the fork to fork")
	cmd.Flags().StringVar(&fromSnapshot, "from-snapshot", "", "the snapshot to fork")
	exclusive(cmd, "from", "from-snapshot")
	return cmd
}

// checkNames refuses bad names before anything is done for the good ones.
func checkNames(names []string) error {
	for _, name := range names {
		if err := engine.CheckName(name); err != nil {
			return err
		}
	}
	return nil
}

// forker gives the function that forks a fork, or a snapshot if one is named.
func forker(store *engine.Store, from, fromSnapshot string) (func(string) (*engine.Fork, error), error) {
	if fromSnapshot != "" {
		snapshot, err := store.Snapshot(fromSnapshot)
		if err != nil {
			return nil, err
		}
		return func(name string) (*engine.Fork, error) { return snapshot.Fork(name) }, nil
	}
	parent, err := store.Fork(from)
	if err != nil {
		return nil, err
	}
	return func(name string) (*engine.Fork, error) { return parent.Fork(name) }, nil
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
			return a.withStore(writing, func(store *engine.Store) error {
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
			return a.withStore(writing, func(store *engine.Store) error {
				return a.resetFork(store, args[0], to, toSnapshot)
			})
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "the fork to become")
	cmd.Flags().StringVar(&toSnapshot, "to-snapshot", "", "the snapshot to become")
	a.destructive(cmd)
	return cmd
}

func (a *app) resetFork(store *engine.Store, name, to, toSnapshot string) error {
	fork, err := store.Fork(name)
	if err != nil {
		return err
	}
	info, err := fork.Info()
	if err != nil {
		return err
	}
	var source engine.Source
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

func (a *app) forkDropCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drop NAME...",
		Short: "Throw forks away",
		Long: `Throw forks away with what only they hold. Their children and parents stay as
they are. The command ends when the space has been given back to the disk.`,
		Args: takes("at least one name", 1, -1),
		RunE: func(_ *cobra.Command, names []string) error {
			return a.withStore(writing, func(store *engine.Store) error { return a.dropForks(store, names) })
		},
	}
	a.destructive(cmd)
	return cmd
}

// dropForks finds all forks before it drops the first, so that one bad name
// among many throws nothing away.
func (a *app) dropForks(store *engine.Store, names []string) error {
	forks := make([]*engine.Fork, len(names))
	what := make([]string, len(names))
	seen := map[string]bool{}
	for i, name := range names {
		if seen[name] {
			return usagef("fork %s is named twice", name)
		}
		seen[name] = true
		fork, err := store.Fork(name)
		if err != nil {
			return err
		}
		info, err := fork.Info()
		if err != nil {
			return err
		}
		forks[i], what[i] = fork, fmt.Sprintf("drop fork %s (%s)", name, ownText(info))
	}
	if len(names) == len(store.Forks()) {
		return fmt.Errorf("drop all forks of the store: %w", engine.ErrProtected)
	}
	ok, err := a.confirm(what)
	if !ok || err != nil {
		return err
	}
	for i, fork := range forks {
		if err := fork.Drop(); err != nil {
			return fmt.Errorf("drop fork %s (%d dropped before): %w", names[i], i, err)
		}
	}
	if err := store.Settle(); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"dropped": names})
	}
	for _, name := range names {
		if err := a.printf("dropped fork %s\n", name); err != nil {
			return err
		}
	}
	return nil
}
