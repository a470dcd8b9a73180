package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tinedb/tine/cmd/tine/internal/picture"
	"github.com/tinedb/tine/engine"
)

func (a *app) forkDropCommand() *cobra.Command {
	var prefix, subtree string
	cmd := &cobra.Command{
		Use:   "drop NAME... | --prefix PREFIX | --subtree NAME",
		Short: "Throw forks away",
		Long: fmt.Sprintf(`Throw forks away with what only they hold: those that are named, those whose names
begin with --prefix, or --subtree with all that was made from it, and from these.
Their children and parents stay as they are. All go or none; more than %d go in
several steps. The command ends when the space has been given back to the disk; a node
does that by itself.`, engine.MaxDropMany),
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, names []string) error {
			byPrefix, bySubtree := cmd.Flags().Changed("prefix"), cmd.Flags().Changed("subtree")
			ways := 0
			for _, used := range []bool{len(names) > 0, byPrefix, bySubtree} {
				if used {
					ways++
				}
			}
			switch {
			case ways == 0:
				return takes("at least one name", 1, -1)(cmd, names)
			case ways > 1:
				return usagef("give names, --prefix or --subtree: one of the three")
			case byPrefix && prefix == "":
				return usagef("--prefix is empty; a store keeps at least one fork")
			}
			return a.withStore(writing, func(store target) error {
				doomed, err := forksToDrop(store, names, prefix, subtree)
				if err != nil {
					return err
				}
				return a.dropForks(store, doomed)
			})
		},
	}
	cmd.Flags().StringVar(&prefix, "prefix", "", "drop all forks whose names begin so")
	cmd.Flags().StringVar(&subtree, "subtree", "", "drop this fork and all that came of it")
	a.destructive(cmd)
	return cmd
}

// forksToDrop finds all forks before the first is dropped, so that one bad name among
// many throws nothing away.
func forksToDrop(store target, names []string, prefix, subtree string) ([]engine.ForkInfo, error) {
	if prefix != "" {
		infos, err := store.ListForks(engine.ListOptions{Prefix: prefix})
		if err != nil {
			return nil, err
		}
		if len(infos) == 0 {
			return nil, fmt.Errorf("no fork's name begins with %q: %w", prefix, engine.ErrForkNotFound)
		}
		return infos, nil
	}
	if len(names) == 0 {
		names = []string{subtree}
	}
	infos := make([]engine.ForkInfo, len(names))
	seen := map[string]bool{}
	for i, name := range names {
		if seen[name] {
			return nil, usagef("fork %s is named twice", name)
		}
		seen[name] = true
		fork, err := store.Fork(name)
		if err != nil {
			return nil, err
		}
		if infos[i], err = fork.Info(); err != nil {
			return nil, err
		}
	}
	if subtree != "" {
		forks, err := store.ListForks(engine.ListOptions{})
		return descendants(forks, infos[0].ID), err
	}
	return infos, nil
}

// descendants gives a fork and what came of it, oldest first.
func descendants(forks []engine.ForkInfo, root uint64) []engine.ForkInfo {
	slices.SortFunc(forks, func(a, b engine.ForkInfo) int { return cmp.Compare(a.ID, b.ID) }) // parents first
	within := map[uint64]bool{root: true}
	var out []engine.ForkInfo
	for _, f := range forks {
		if f.ID == root || within[f.ParentID] {
			within[f.ID] = true
			out = append(out, f)
		}
	}
	return out
}

// announcedForks is up to how many forks a drop is announced one by one.
const announcedForks = 20

// dropText says what is about to be dropped.
func dropText(doomed []engine.ForkInfo) []string {
	var text []string
	var own uint64
	var memory int64
	for _, f := range doomed {
		text = append(text, fmt.Sprintf("drop fork %s (%s)", f.Name, ownText(f)))
		own += f.ExclusiveBytes
		memory += f.MemtableBytes
	}
	if len(doomed) > announcedForks {
		text = []string{fmt.Sprintf("drop %d forks, from %s to %s (at least %s in tables, %s in memory)",
			len(doomed), doomed[0].Name, doomed[len(doomed)-1].Name, picture.Size(own), picture.Size(memory))}
	}
	return text
}

func (a *app) dropForks(store target, doomed []engine.ForkInfo) error {
	if none, err := store.LeavesNone(len(doomed)); err != nil {
		return err
	} else if none {
		return fmt.Errorf("drop all forks of the store: %w", engine.ErrProtected)
	}
	ok, err := a.confirm(dropText(doomed))
	if !ok || err != nil {
		return err
	}
	names := make([]string, len(doomed))
	for i, f := range doomed {
		names[i] = f.Name
	}
	if dropped, err := store.DropForks(doomed); err != nil {
		return fmt.Errorf("%w (%d dropped before)", err, dropped)
	}
	if err := store.Settle(); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"dropped": names})
	}
	if len(names) > announcedForks {
		return a.printf("dropped %d forks\n", len(names))
	}
	for _, name := range names {
		if err := a.printf("dropped fork %s\n", name); err != nil {
			return err
		}
	}
	return nil
}
