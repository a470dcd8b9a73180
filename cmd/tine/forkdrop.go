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
			seen := map[string]bool{}
			for _, name := range names {
				if seen[name] {
					return usagef("fork %s is named twice", name)
				}
				seen[name] = true
			}
			return a.withStore(writing, func(store target) error {
				doomed, err := store.WouldDrop(selection{names, prefix, subtree})
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

// selection is what is to be dropped: one of the three.
type selection struct {
	names           []string
	prefix, subtree string
}

// check is the error of a selection of none.
func (s selection) check(count int) error {
	if s.prefix != "" && count == 0 {
		return fmt.Errorf("no fork's name begins with %q: %w", s.prefix, engine.ErrForkNotFound)
	}
	return nil
}

// doomed is what a selection takes.
type doomed struct {
	what   selection
	forks  []engine.ForkInfo
	hidden int // further ones, of which a node does not tell
}

// listDoomed finds all forks before the first is dropped, so that one bad name among
// many throws nothing away.
func listDoomed(store target, what selection) (*doomed, error) {
	if what.prefix != "" {
		infos, err := store.ListForks(engine.ListOptions{Prefix: what.prefix})
		if err != nil {
			return nil, err
		}
		return &doomed{what, infos, 0}, what.check(len(infos))
	}
	names := what.names
	if len(names) == 0 {
		names = []string{what.subtree}
	}
	infos := make([]engine.ForkInfo, len(names))
	for i, name := range names {
		fork, err := store.Fork(name)
		if err != nil {
			return nil, err
		}
		if infos[i], err = fork.Info(); err != nil {
			return nil, err
		}
	}
	if what.subtree != "" {
		forks, err := store.ListForks(engine.ListOptions{})
		if err != nil {
			return nil, err
		}
		infos = descendants(forks, infos[0].ID)
	}
	return &doomed{what, infos, 0}, nil
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
func dropText(d *doomed) []string {
	var text []string
	var own uint64
	var memory int64
	for _, f := range d.forks {
		if f.Created.UnixNano() == 0 { // a node tells its name and nothing more
			text = append(text, fmt.Sprintf("drop fork %s", f.Name))
			continue
		}
		text = append(text, fmt.Sprintf("drop fork %s (%s)", f.Name, ownText(f)))
		own += f.ExclusiveBytes
		memory += f.MemtableBytes
	}
	if n := len(d.forks); n > announcedForks {
		text = []string{fmt.Sprintf("drop %d forks, from %s to %s (at least %s in tables, %s in memory)",
			n, d.forks[0].Name, d.forks[n-1].Name, picture.Size(own), picture.Size(memory))}
	}
	if d.hidden > 0 {
		text = append(text, fmt.Sprintf("drop %s that you may not read", forksText(d.hidden)))
	}
	return text
}

func forksText(n int) string {
	if n == 1 {
		return "1 fork"
	}
	return fmt.Sprintf("%d forks", n)
}

func (a *app) dropForks(store target, d *doomed) error {
	if none, err := store.LeavesNone(len(d.forks)); err != nil {
		return err
	} else if none {
		return fmt.Errorf("drop all forks of the store: %w", engine.ErrProtected)
	}
	ok, err := a.confirm(dropText(d))
	if !ok || err != nil {
		return err
	}
	names := make([]string, len(d.forks))
	for i, f := range d.forks {
		names[i] = f.Name
	}
	dropped, err := store.DropForks(d)
	if err != nil {
		return fmt.Errorf("%w (%d dropped before)", err, dropped)
	}
	if err := store.Settle(); err != nil {
		return err
	}
	if a.json {
		result := map[string]any{"dropped": names}
		if d.hidden > 0 {
			result["count"] = dropped
		}
		return a.printJSON(result)
	}
	if len(names) > announcedForks || d.hidden > 0 {
		return a.printf("dropped %s\n", forksText(dropped))
	}
	for _, name := range names {
		if err := a.printf("dropped fork %s\n", name); err != nil {
			return err
		}
	}
	return nil
}
