package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tinedb/tine/cmd/tine/internal/picture"
	"github.com/tinedb/tine/engine"
)

// forkRow is a fork as --json prints it.
type forkRow struct {
	ID              uint64    `json:"id"`
	Name            string    `json:"name"`
	Parent          string    `json:"parent,omitempty"`
	Created         time.Time `json:"created"`
	Nodes           int       `json:"nodes"`
	MemtableBytes   int64     `json:"memtable_bytes"`
	ReferencedBytes uint64    `json:"referenced_bytes"`
	ExclusiveBytes  uint64    `json:"exclusive_bytes"`
}

func rowOf(f engine.ForkInfo) forkRow {
	return forkRow{f.ID, f.Name, f.Parent, f.Created.UTC(), f.Depth, f.MemtableBytes, f.ReferencedBytes, f.ExclusiveBytes}
}

func (a *app) forkListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List all forks by name",
		Long: `List all forks by name. BYTES is what a fork reads through, OWN what would come
back if it alone were dropped, both of tables; MEMORY is not in tables yet.`,
		Args: takes("nothing", 0, 0),
		RunE: func(*cobra.Command, []string) error {
			return a.withStore(reading, func(store *engine.Store) error {
				forks := store.Forks()
				if a.json {
					rows := make([]forkRow, len(forks))
					for i, f := range forks {
						rows[i] = rowOf(f)
					}
					return a.printJSON(rows)
				}
				rows := [][]string{{"NAME", "PARENT", "CREATED", "NODES", "BYTES", "OWN", "MEMORY"}}
				for _, f := range forks {
					rows = append(rows, []string{f.Name, orDash(f.Parent), f.Created.UTC().Format(time.RFC3339), fmt.Sprint(f.Depth),
						picture.Size(f.ReferencedBytes), picture.Size(f.ExclusiveBytes), picture.Size(f.MemtableBytes)})
				}
				return picture.Table(a.out, rows)
			})
		},
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (a *app) forkShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Show one fork",
		Args:  takes("one name", 1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.withStore(reading, func(store *engine.Store) error {
				fork, err := store.Fork(args[0])
				if err != nil {
					return err
				}
				info, err := fork.Info()
				if err != nil {
					return err
				}
				row := rowOf(info)
				if a.json {
					return a.printJSON(row)
				}
				return a.printf("name     %s\nid       %d\nparent   %s\ncreated  %s\nnodes    %d\nbytes    %s in tables, %s of them its own\nmemory   %s\n",
					row.Name, row.ID, orDash(row.Parent), row.Created.Format(time.RFC3339), row.Nodes,
					picture.Size(row.ReferencedBytes), picture.Size(row.ExclusiveBytes), picture.Size(row.MemtableBytes))
			})
		},
	}
}
