package churn

import (
	"fmt"

	"github.com/tinedb/tine/fuzz"
)

// cyclesPerRun is how many forks one run makes, and cyclesPerCheck after how many
// of them everything is compared.
const (
	cyclesPerRun   = 2000
	cyclesPerCheck = 150
)

// Trials are the ways to churn: on a file system in memory, where unlinks fail
// and the disk is examined while the store is open, on the operating system's, and by
// several goroutines at a time.
func Trials() []fuzz.Trial { return []fuzz.Trial{Memory(), Disk(), Hands()} }

// Memory churns on a file system in memory. Shape and configuration follow from
// the seed: eighteen seeds in a row have every pair of them.
func Memory() fuzz.Trial {
	return fuzz.Trial{
		Name: "churn",
		Run: func(seed uint64, counts *fuzz.Counts) error {
			p := planOf(seed)
			return p.describe(churn(p, cyclesPerRun, counts))
		},
		Sometimes: map[string]int{
			"cycles": 70_000, "exact checks": 450, "forks compared": 8_000,
			"forks of depth 64 or more": 5_000, "live chains of 64 or more": 20, "forks made while 64 or more live": 5_000,
			"forks of a snapshot": 1_000, "resets": 500, "range deletes": 5_000, "rows deleted by ranges": 20_000,
			"drops": 65_000, "drops of a parent before its child": 10_000, "subtrees dropped": 500,
			"iterators over a dropped fork": 500, "iterators over a reset fork": 50, "iterators over a flush or merge": 500,
			"unlinks that failed": 500, "unlinks retried": 300, "exact checks after failed unlinks": 40,
			"store: merges": 2_000, "store: merges across a branch point": 500, "store: files removed": 5_000,
			"branch points that vanished and were merged over": 25,
			"reopens": 80, "reopens with iterators open": 20, "reopens with garbage": 20, "opens that found unlinks failing": 5,
			"disks examined": 300, "disks examined with iterators open": 40, "runs that ended with one fork": 36,
			"forks made at once": 2_000, "drop forks of several": 200, "drop prefix of several": 15, "drop subtree of several": 80,
			"crashes": 200, "crashes: a kill": 80, "crashes: a loss of power": 40, "crashes: a loss of power that keeps some": 40,
			"forks renamed": 100, "snapshots renamed": 40,
			"packs": 300, "tables of several runs": 5_000, "store: tables relocated": 10_000, "store: joins": 2_000,
			"chunks of several runs": 25, "runs of old and new chunks": 30, "chunks that died": 600,
			"iterators through a weave, no background work": 2_000, "store: sieves": 500, "store: merges because of shadowed rows": 700,
			"manifests that know every path": 50, "exact checks at rest": 40, "runs that end with hardly more than a new store takes": 18,
		},
	}
}

// Disk churns on the operating system's files.
func Disk() fuzz.Trial {
	return fuzz.Trial{
		Name: "churn-disk",
		Run: func(seed uint64, counts *fuzz.Counts) error {
			p := planOf(seed * 7) // another pair each time, too
			p.onDisk = true
			return p.describe(churn(p, cyclesPerRun/5, counts))
		},
		Sometimes: map[string]int{
			"cycles": 1_600, "exact checks": 12, "unlinks that failed": 10, "unlinks retried": 5, "reopens": 2,
			"disks examined": 8, "runs that ended with one fork": 4,
		},
	}
}

// describe adds to an error what a seed stood for.
func (p plan) describe(err error) error {
	if err != nil {
		return fmt.Errorf("%s tree, %s: %w", p.shape.name, p.config.Name, err)
	}
	return nil
}
