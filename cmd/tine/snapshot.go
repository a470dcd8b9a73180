package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tinedb/tine/cmd/tine/internal/picture"
)

func (a *app) snapshotCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "snapshot", Short: "Create, list and drop snapshots"}
	group(cmd)
	cmd.AddCommand(a.snapshotCreateCommand(), a.snapshotListCommand(), a.snapshotDropCommand())
	return cmd
}

func (a *app) snapshotCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Put a name on what a fork is now",
		Long: `Put a name on what --fork is now. Read it with --snapshot, or fork it with
"tine fork create --from-snapshot".`,
		Args: takes("one name", 1, 1),
		RunE: func(_ *cobra.Command, names []string) error {
			if err := checkNames(names); err != nil {
				return err
			}
			return a.withFork(writing, func(fork forkspace) error {
				id, err := fork.Snapshot(names[0])
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(map[string]any{"id": id, "name": names[0], "fork": fork.Name()})
				}
				return a.printf("created snapshot %s of fork %s\n", names[0], fork.Name())
			})
		},
	}
	a.forkFlag(cmd)
	return cmd
}

func (a *app) snapshotListCommand() *cobra.Command {
	type row struct {
		ID              uint64    `json:"id"`
		Name            string    `json:"name"`
		Fork            string    `json:"fork,omitempty"`
		Created         time.Time `json:"created"`
		ReferencedBytes uint64    `json:"referenced_bytes"`
	}
	return &cobra.Command{
		Use:   "list",
		Short: "List all snapshots by name",
		Args:  takes("nothing", 0, 0),
		RunE: func(*cobra.Command, []string) error {
			return a.withStore(reading, func(store target) error {
				rows := []row{}
				table := [][]string{{"NAME", "FORK", "CREATED", "BYTES"}}
				snapshots, err := store.Snapshots()
				if err != nil {
					return err
				}
				for _, s := range snapshots {
					rows = append(rows, row{s.ID, s.Name, s.Fork, s.Created.UTC(), s.ReferencedBytes})
					table = append(table, []string{s.Name, orDash(s.Fork), s.Created.UTC().Format(time.RFC3339), picture.Size(s.ReferencedBytes)})
				}
				if a.json {
					return a.printJSON(rows)
				}
				return picture.Table(a.out, table)
			})
		},
	}
}

func (a *app) snapshotDropCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drop NAME...",
		Short: "Throw snapshots away",
		Args:  takes("at least one name", 1, -1),
		RunE: func(_ *cobra.Command, names []string) error {
			return a.withStore(writing, func(store target) error { return a.dropSnapshots(store, names) })
		},
	}
	a.destructive(cmd)
	return cmd
}

func (a *app) dropSnapshots(store target, names []string) error {
	what := make([]string, len(names))
	seen := map[string]bool{}
	for i, name := range names {
		if seen[name] {
			return usagef("snapshot %s is named twice", name)
		}
		seen[name] = true
		if _, err := store.Snapshot(name); err != nil {
			return err
		}
		what[i] = "drop snapshot " + name
	}
	ok, err := a.confirm(what)
	if !ok || err != nil {
		return err
	}
	for i, name := range names {
		if err := store.DropSnapshot(name); err != nil {
			return fmt.Errorf("drop snapshot %s (%d dropped before): %w", name, i, err)
		}
	}
	if err := store.Settle(); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"dropped": names})
	}
	for _, name := range names {
		if err := a.printf("dropped snapshot %s\n", name); err != nil {
			return err
		}
	}
	return nil
}
