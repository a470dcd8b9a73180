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
	FreedBytes      uint64    `json:"freed_bytes"`
}

func rowOf(f engine.ForkInfo) forkRow {
	return forkRow{f.ID, f.Name, f.Parent, f.Created.UTC(), f.Depth, f.MemtableBytes, f.ReferencedBytes, f.ExclusiveBytes, f.FreedBytes}
}

func (a *app) forkListCommand() *cobra.Command {
	var page engine.ListOptions
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List forks by name",
		Long: `List forks by name. BYTES is what a fork reads through, OWN what of it no other
fork or snapshot reads, both of tables; FREED is what dropping it alone gives back
to the disk at once, since a file may hold tables of several; MEMORY is not in
tables yet. The next page of a long list begins after the last name of the one
before: tine fork list --limit 100 --after NAME.`,
		Args: takes("nothing", 0, 0),
		RunE: func(*cobra.Command, []string) error {
			if page.Limit < 0 {
				return usagef("--limit is %d; a page holds at least one fork, and 0 means all", page.Limit)
			}
			return a.withStore(reading, func(store target) error {
				forks, err := store.ListForks(page)
				if err != nil {
					return err
				}
				if a.json {
					rows := make([]forkRow, len(forks))
					for i, f := range forks {
						rows[i] = rowOf(f)
					}
					return a.printJSON(rows)
				}
				rows := [][]string{{"NAME", "PARENT", "CREATED", "NODES", "BYTES", "OWN", "FREED", "MEMORY"}}
				for _, f := range forks {
					rows = append(rows, []string{f.Name, orDash(f.Parent), f.Created.UTC().Format(time.RFC3339), fmt.Sprint(f.Depth),
						picture.Size(f.ReferencedBytes), picture.Size(f.ExclusiveBytes), picture.Size(f.FreedBytes), picture.Size(f.MemtableBytes)})
				}
				return picture.Table(a.out, rows)
			})
		},
	}
	cmd.Flags().StringVar(&page.Prefix, "prefix", "", "only forks whose names begin so")
	cmd.Flags().StringVar(&page.After, "after", "", "only forks whose names come after this one")
	cmd.Flags().IntVar(&page.Limit, "limit", 0, "list at most so many; 0 lists all")
	return cmd
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
			return a.withStore(reading, func(store target) error {
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
				return a.printf("name     %s\nid       %d\nparent   %s\ncreated  %s\nnodes    %d\nbytes    %s in tables, %s of them its own, %s freed by a drop\nmemory   %s\n",
					row.Name, row.ID, orDash(row.Parent), row.Created.Format(time.RFC3339), row.Nodes,
					picture.Size(row.ReferencedBytes), picture.Size(row.ExclusiveBytes), picture.Size(row.FreedBytes), picture.Size(row.MemtableBytes))
			})
		},
	}
}
