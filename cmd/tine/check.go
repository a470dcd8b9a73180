package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tinedb/tine/engine"
)

// checkResult is a check as --json prints it. Its lists are never cut.
type checkResult struct {
	OK       bool           `json:"ok"`
	Level    string         `json:"level"`
	Problems []checkProblem `json:"problems"`
	Damage   []checkDamage  `json:"damage"`
	*CheckNames
	*CheckCounts
	*CheckMoreCounts
	TornLog      *checkPlace `json:"torn_log"` // null: it is whole
	TornManifest *checkPlace `json:"torn_manifest"`
	Hashes       []checkHash `json:"hashes,omitempty"`
	Lookups      uint64      `json:"lookups,omitempty"`
}

// CheckNames are files that should be there, or should not. A node does not look for them.
type CheckNames struct {
	Missing   []string `json:"missing"`
	Leaked    []string `json:"leaked"`
	Undecided []string `json:"undecided"`
	Stale     []string `json:"stale"`
	Foreign   []string `json:"foreign"`
}

// CheckCounts are what a check went through. A node that has found damage gives none.
// Its name is exported for the decoder of JSON, which fills no other embedded type.
type CheckCounts struct {
	Forks      int    `json:"forks"`
	Snapshots  int    `json:"snapshots"`
	Tables     int    `json:"tables"`
	TableBytes uint64 `json:"table_bytes"`
	LastLSN    uint64 `json:"last_lsn"`
	LogRecords uint64 `json:"log_records"`
}

// CheckMoreCounts are those that a node does not give.
type CheckMoreCounts struct {
	Files int    `json:"files"`
	Nodes int    `json:"nodes"`
	Rows  uint64 `json:"rows"`
}

type checkProblem struct {
	File       string            `json:"file"`
	Offset     int64             `json:"offset"`           // -1 if unknown
	Length     int64             `json:"length,omitempty"` // absent if unknown
	Text       string            `json:"text"`
	Unreadable bool              `json:"unreadable,omitempty"`
	Forks      []string          `json:"forks,omitempty"`
	Keys       map[string]string `json:"keys,omitempty"` // from lower to before upper; an absent bound is none
}

type checkDamage struct {
	Name string              `json:"name"`
	Keys []map[string]string `json:"keys"`
}

type checkPlace struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"`
}

type checkHash struct {
	Name string `json:"name"`
	Hash string `json:"hash"`
	Rows uint64 `json:"rows"`
}

var checkLevels = map[string]engine.CheckLevel{
	"quick": engine.CheckQuick, "full": engine.CheckFull, "deep": engine.CheckDeep,
}

func (a *app) checkCommand() *cobra.Command {
	var level string
	var repair bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Look for damage, without changing anything",
		Long: `Look for damage, without changing anything, and go on behind the first.

  --level quick   the log and the manifest, and the files that they need
  --level full    also every block of every table
  --level deep    also a hash of what each fork and snapshot holds, computed in
                  two independent ways; equal hashes mean equal content, in this
                  store and in others

What is bad is listed with the forks and the ranges of keys that it hits; rows
that newer ones hide are counted as hit. Ends with exit code 5 if anything is
damaged, missing or cannot be read. A torn end of the log or the manifest is not
damage: that is what a crash leaves, and the next open cuts it off. Nor are files
that were left over: the next open removes them.

A node (--addr) checks its store while it is used: the manifest, the log, and every
block of every table that forks and snapshots reach at one moment, whether --level
is quick or full. It ends at the first damage. It neither looks for files that are
left over nor compares contents; for that, check a backup, or the directory when the
node is stopped.

--repair-orphans removes left-over table files without opening the store. It is
the only thing that writes, and it refuses unless it is certain that nothing can
need the files: nothing may be damaged, and no crash left undecided. It never
touches a file that is not the store's own.`,
		Example: "  tine check --data DIR --level deep\n  tine check --data DIR --repair-orphans --dry-run",
		Args:    takes("nothing", 0, 0),
		RunE: func(*cobra.Command, []string) error {
			of, known := checkLevels[level]
			if !known {
				return usagef("--level %s: it is quick, full or deep", quote(level))
			}
			remote, err := a.isRemote()
			if err != nil {
				return err
			}
			if remote && !repair {
				return a.checkNode(of)
			}
			dir, err := a.dataDir()
			if err != nil {
				return err
			}
			if repair {
				return a.repairOrphans(dir)
			}
			if a.yes || a.dryRun {
				return usagef("--yes and --dry-run go with --repair-orphans: a check changes nothing")
			}
			report, err := engine.Check(dir, engine.CheckOptions{Level: of})
			if err != nil {
				return err
			}
			return a.printCheck(level, report)
		},
	}
	cmd.Flags().StringVar(&level, "level", "quick", "quick, full or deep")
	cmd.Flags().BoolVar(&repair, "repair-orphans", false, "remove left-over files if nothing can need them")
	exclusive(cmd, "level", "repair-orphans")
	a.destructive(cmd)
	return cmd
}

// checkNode has a node look at its running store: every table is read, whatever the
// level.
func (a *app) checkNode(of engine.CheckLevel) error {
	if of == engine.CheckDeep {
		return usagef("--level deep: not on a store that is in use; 'tine backup --to DIR --check deep' copies it and checks the copy so")
	}
	return a.withStore(reading, func(store target) error {
		report, err := store.Check(of)
		if err != nil {
			return err
		}
		return a.printCheckOf(ofNode, "node", report)
	})
}

// checked is what a check looked at, which says what it has counted.
type checked bool

const (
	ofFiles checked = false
	ofNode  checked = true // while it runs
)

func (a *app) printCheck(level string, report *engine.CheckReport) error {
	return a.printCheckOf(ofFiles, level, report)
}

func (a *app) printCheckOf(what checked, level string, report *engine.CheckReport) (err error) {
	if a.json {
		result := a.checkResult(level, report)
		if what == ofNode {
			result.CheckNames, result.CheckMoreCounts = nil, nil
			if !report.OK() {
				result.CheckCounts = nil
			}
		}
		err = a.printJSON(result)
	} else {
		err = a.printf("%s", a.checkText(what, level, report))
	}
	if err == nil && !report.OK() {
		return &reportedError{code: exitCorrupt}
	}
	return err
}

// repairResult is --repair-orphans as --json prints it.
type repairResult struct {
	Removed []string `json:"removed"`
	Kept    []string `json:"kept"`
}

// repairOrphans says what would be removed, asks, and removes it. The second call
// decides anew: the answer may have taken a while.
func (a *app) repairOrphans(dir string) error {
	would, err := engine.RepairOrphans(dir, engine.RepairOptions{DryRun: true})
	if err != nil {
		return err
	}
	done := would
	if len(would.Removed) > 0 {
		what := make([]string, len(would.Removed))
		for i, name := range would.Removed {
			what[i] = "remove " + name
		}
		if ok, err := a.confirm(what); err != nil || !ok {
			return err
		}
		if done, err = engine.RepairOrphans(dir, engine.RepairOptions{}); err != nil {
			if done != nil && len(done.Removed) > 0 {
				return fmt.Errorf("removed %s, and then: %w", a.list(done.Removed, "files"), err)
			}
			return err
		}
	}
	if a.json {
		return a.printJSON(repairResult{Removed: append([]string{}, done.Removed...), Kept: append([]string{}, done.Kept...)})
	}
	for _, name := range done.Removed {
		if err := a.printf("removed %s\n", name); err != nil {
			return err
		}
	}
	for _, name := range done.Kept {
		if err := a.printf("kept %s: nothing reads it, but the manifest names it; the next command that writes lets it go\n", name); err != nil {
			return err
		}
	}
	if len(done.Removed)+len(done.Kept) == 0 {
		return a.printf("no orphans\n")
	}
	return nil
}
