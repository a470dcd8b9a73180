package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tinedb/tine/engine"
)

func (a *app) forkCreateCommand() *cobra.Command {
	var from, fromSnapshot, prefix string
	var count int
	cmd := &cobra.Command{
		Use:   "create NAME... | --count N --prefix PREFIX",
		Short: "Fork a fork or a snapshot",
		Long: fmt.Sprintf(`Make forks of --from (default main) or of --from-snapshot: all of the same moment,
and all or none. Nothing is copied, however large the parent is. Names are 1 to 128
bytes of A-Z a-z 0-9 . _ / -. With --count they are numbered, with zeros in front so
that they sort: --count 1000 --prefix run- makes run-0001 to run-1000. At most %d
forks are made at once.`, engine.MaxForkMany),
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, names []string) error {
			numbered := cmd.Flags().Changed("count") || cmd.Flags().Changed("prefix")
			switch {
			case numbered && len(names) > 0:
				return usagef("give names, or --count and --prefix, not both")
			case numbered && (count < 1 || prefix == ""):
				return usagef("--count and --prefix go together, and the count is at least 1")
			case !numbered && len(names) == 0:
				return takes("at least one name", 1, -1)(cmd, names)
			case numbered:
				if err := engine.CheckName(prefix); err != nil {
					return err
				}
				if count > engine.MaxForkMany {
					return usagef("--count is %d; at most %d forks are made at once", count, engine.MaxForkMany)
				}
				names = numberedNames(prefix, count)
			}
			if err := checkNames(names); err != nil {
				return err
			}
			return a.withStore(writing, func(store target) error {
				return a.createForks(store, from, fromSnapshot, names, numbered)
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", engine.MainFork, "the fork to fork")
	cmd.Flags().StringVar(&fromSnapshot, "from-snapshot", "", "the snapshot to fork")
	cmd.Flags().IntVar(&count, "count", 0, "make so many forks, with numbered names")
	cmd.Flags().StringVar(&prefix, "prefix", "", "what the numbered names begin with")
	exclusive(cmd, "from", "from-snapshot")
	return cmd
}

// numberedNames gives count names that sort as their numbers do.
func numberedNames(prefix string, count int) []string {
	names := make([]string, count)
	digits := len(fmt.Sprint(count))
	for i := range names {
		names[i] = fmt.Sprintf("%s%0*d", prefix, digits, i+1)
	}
	return names
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

func (a *app) createForks(store target, from, fromSnapshot string, names []string, numbered bool) error {
	var parent keyspace
	var err error
	if fromSnapshot != "" {
		parent, err = store.Snapshot(fromSnapshot)
	} else {
		parent, err = store.Fork(from)
	}
	if err != nil {
		return err
	}
	forks, err := parent.ForkMany(names)
	if err != nil {
		return err
	}
	if numbered && !a.json {
		return a.printf("created %d forks %s … %s\n", len(names), names[0], names[len(names)-1])
	}
	for i, child := range forks {
		if a.json {
			err = a.printJSON(map[string]any{"id": child.ID(), "name": names[i]})
		} else {
			err = a.printf("created fork %s\n", names[i])
		}
		if err != nil {
			return err
		}
	}
	return nil
}
