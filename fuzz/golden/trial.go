package golden

import (
	"fmt"
	"math/rand/v2"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
	"github.com/tinedb/tine/fuzz/ops"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// Trials gives the one trial: going on with every golden store.
func Trials() []fuzz.Trial {
	return []fuzz.Trial{{
		Name: "golden-stores",
		Run: func(seed uint64, counts *fuzz.Counts) error {
			stores, err := Stores()
			if err != nil {
				return err
			}
			for _, s := range stores {
				if err := s.goOn(seed, counts); err != nil {
					return fmt.Errorf("%s/%s: %w", s.Version, s.Name, err)
				}
			}
			return nil
		},
		Sometimes: map[string]int{
			"golden stores gone on with": 20, "operations": 4000, "forks": 100, "drops": 100,
			"drop of a golden fork": 20, "drop of a golden snapshot": 10,
			"store: flushes": 100, "store: merges": 50, "store: files removed": 50,
		},
	}}
}

// goOn opens a copy of the store in one of the usual configurations, does
// operations to its own forks and then any, and compares and checks throughout.
func (s *Store) goOn(seed uint64, counts *fuzz.Counts) error {
	disk, err := s.Files.Memory()
	if err != nil {
		return err
	}
	configs := fuzz.Configs()
	c := configs[seed%uint64(len(configs))]
	d, err := fuzz.Resume(disk, storeDir, c, s.State, counts)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	for _, op := range s.operations(seed, counts) {
		if err := d.Do(op); err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	if err := d.Close(); err != nil {
		return fmt.Errorf("%s: close: %w", c.Name, err)
	}
	counts.Add("golden stores gone on with", 1)
	return checkClean(disk)
}

// operations draws what to do: first to the forks and snapshots that the store
// came with, then what a generator that knows only main draws, then to the end of
// everything that can be moved about.
func (s *Store) operations(seed uint64, counts *fuzz.Counts) []ops.Op {
	rng := rand.New(rand.NewPCG(seed, 11))
	list := []ops.Op{{Kind: ops.Check}, {Kind: ops.Verify}}
	add := func(op ops.Op) { list = append(list, op) }
	for name := range s.State.Forks.All() {
		child := "golden-child-of-" + name
		switch rng.IntN(4) {
		case 0:
			add(ops.Op{Kind: ops.Put, Fork: name, Key: "k005", Size: 50})
			add(ops.Op{Kind: ops.Delete, Fork: name, Key: "k006", NoSync: true})
		case 1:
			add(ops.Op{Kind: ops.Fork, Fork: name, Name: child})
			add(ops.Op{Kind: ops.Put, Fork: child, Key: "k007", Size: 50})
		case 2:
			if name != engine.MainFork { // what the generator draws is done to main
				add(ops.Op{Kind: ops.Fork, Fork: name, Name: child})
				add(ops.Op{Kind: ops.Drop, Fork: name})
				counts.Add("drop of a golden fork", 1)
			}
		}
		if rng.IntN(6) == 0 {
			add(ops.Op{Kind: []ops.Kind{ops.Flush, ops.Compact, ops.Reopen}[rng.IntN(3)]})
		}
	}
	for name := range s.State.Snapshots.All() {
		switch rng.IntN(3) {
		case 0:
			add(ops.Op{Kind: ops.ForkSnapshot, Fork: name, Name: "golden-fork-of-" + name})
		case 1:
			add(ops.Op{Kind: ops.DropSnapshot, Fork: name})
			counts.Add("drop of a golden snapshot", 1)
		}
	}
	add(ops.Op{Kind: ops.Reopen})
	add(ops.Op{Kind: ops.Check})
	for i := range list {
		list[i].N = 1_000_000 + i
	}
	list = append(list, ops.NewGenerator(seed, ops.Crashing()).List(80)...)
	for i, kind := range []ops.Kind{ops.Check, ops.Flush, ops.Compact, ops.Verify, ops.Check, ops.Reopen, ops.Check} {
		list = append(list, ops.Op{N: 2_000_000 + i, Kind: kind})
	}
	return list
}

// checkClean demands that the store's own check finds nothing, and no file that
// nothing reaches.
func checkClean(disk *crashfs.FS) error {
	report, err := engine.Check(storeDir, engine.CheckOptions{Level: engine.CheckDeep, FS: disk})
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	if !report.OK() || len(report.Leaked) > 0 {
		return fmt.Errorf("check: problems %v, missing %v, leaked %v", report.Problems, report.Missing, report.Leaked)
	}
	return nil
}
