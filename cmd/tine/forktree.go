package main

import (
	"bytes"

	"github.com/spf13/cobra"

	"github.com/tinedb/tine/cmd/tine/internal/picture"
	"github.com/tinedb/tine/engine"
)

func (a *app) forkTreeCommand() *cobra.Command {
	var nodes bool
	var most int
	cmd := &cobra.Command{
		Use:   "tree",
		Short: "Draw the forks as a tree",
		Long: `Draw each fork below its parent. A fork whose parent was dropped stands by
itself. With --nodes the tree of nodes is drawn, in which the data lies.`,
		Args: takes("nothing", 0, 0),
		RunE: func(*cobra.Command, []string) error {
			return a.withStore(reading, func(store target) error {
				switch {
				case nodes && a.json:
					var text bytes.Buffer
					if err := store.DrawTree(&text); err != nil {
						return err
					}
					return a.printJSON(map[string]string{"nodes": text.String()})
				case nodes:
					return store.DrawTree(a.out)
				}
				forks, err := store.ListForks(engine.ListOptions{})
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(nest(forks))
				}
				return picture.Forks(a.out, forks, most)
			})
		},
	}
	cmd.Flags().BoolVar(&nodes, "nodes", false, "draw the nodes instead")
	cmd.Flags().IntVar(&most, "most", 0, "draw at most so many children of one fork; 0 draws all")
	return cmd
}

// forkNode is a fork with its children, as --json prints it.
type forkNode struct {
	forkRow
	Children []*forkNode `json:"children,omitempty"`
}

// nest hangs each fork below its parent. The result is never nil, so that an
// empty tree prints as [].
func nest(forks []engine.ForkInfo) []*forkNode {
	nodes := make(map[uint64]*forkNode, len(forks))
	for _, f := range forks {
		nodes[f.ID] = &forkNode{forkRow: rowOf(f)}
	}
	roots := []*forkNode{}
	for _, f := range forks {
		if parent := nodes[f.ParentID]; f.Parent != "" && parent != nil {
			parent.Children = append(parent.Children, nodes[f.ID])
		} else {
			roots = append(roots, nodes[f.ID])
		}
	}
	return roots
}
