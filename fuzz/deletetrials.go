package fuzz

import (
	"fmt"
	"slices"

	"github.com/tinedb/tine/fuzz/ops"
)

// deleteTrial does lists that delete most of what they write, and queues, in every
// configuration.
func deleteTrial() Trial {
	return Trial{
		Name: "model-deletes",
		Runs: 12,
		Run: func(seed uint64, counts *Counts) error {
			profile, length := ops.Deleting(), 1800
			configs := Configs()
			switch seed % 4 {
			case 2:
				profile, length = ops.Queueing(), 3600
			case 3: // where memory is flushed by itself, it never holds much
				profile, length = ops.Hoarding(), 700
				configs = slices.DeleteFunc(configs, func(c Config) bool {
					return !c.Options.Manual && c.Options.MemtableBytes > 0
				})
			}
			list := ops.NewGenerator(3000+seed, profile).List(length)
			return runConfigs(fmt.Sprintf("model-deletes-%d", seed), list, configs, counts)
		},
		Sometimes: map[string]int{
			"operations": 150000, "operation deleterange": 10000, "operation seek": 8000, "operation reopen": 1200,
			"batch with a range delete": 3000, "batch with a range delete over several forks": 1200,
			"range deletes of no row": 2000, "range deletes of some rows": 6000, "range deletes of every row": 1000, "range deletes of more than 1024 rows": 30,
			"range deletes of rows that the parent has and keeps":                             500,
			"held iterator read after a range delete under it":                                1000,
			"held iterator read after a range delete under it and then a flush or compaction": 500,
			"iterators through a weave, no background work":                                   300,
			"iterators read again beside the driver after something changed":                  500,
			"store: flushes": 5000, "store: merges": 2000, "store: merges across a branch point": 500,
			"store: rows marked": 40000, "store: tombstones resolved": 10000, "store: vectors translated": 2000, "store: vectors staged": 4000,
			"store: merges because of dead rows": 4000, "closed with vectors": 500,
			"lists on which all configurations agree": 12,
		},
	}
}

// deleteCrashTrial crashes lists in which tables that forks share are filled and
// emptied, flushed and merged; every fourth is done with background work.
func deleteCrashTrial() Trial {
	how := crashes{config: CrashConfig(), stride: 5, powers: 1, depth: 1, goOn: 6}
	trial := crashTrial("crash-deletes", ops.Erasing(), 100, how, 16, map[string]int{
		"images": 4000, "images in recovery": 800, "images during deleterange": 100, "images during batch": 200,
		"images during flush": 1000, "images during compact": 300, "images before a table file is unlinked": 100,
		"images in a rewrite": 50, "store: merges": 50, "range deletes of some rows": 100, "range deletes of every row": 20,
		"store: rows marked": 300, "store: vectors translated": 10, "store: vectors staged": 50, "store: merges because of dead rows": 40,
		"closed with vectors": 5,
	})
	manual := trial.Run
	how.config.Options.Manual = false
	background := crashTrial(trial.Name+"-background", ops.Erasing(), 100, how, 0, nil).Run
	trial.Run = func(seed uint64, counts *Counts) error {
		if seed%4 == 3 {
			return background(seed, counts)
		}
		return manual(seed, counts)
	}
	return trial
}

// deleteFaultTrial lets every call fail of lists that fill and empty tables.
func deleteFaultTrial() Trial {
	return Trial{
		Name: "faults-deletes",
		Runs: 8,
		Run: func(seed uint64, counts *Counts) error {
			list := ops.NewGenerator(700+seed, ops.Erasing()).List(22)
			for i, kind := range []ops.Kind{ops.Reopen, ops.Check} {
				list = append(list, ops.Op{N: 22 + i, Kind: kind})
			}
			return sweepAll(fmt.Sprintf("faults-deletes-%d", seed), list, CrashConfig(), seed, counts, func(fault) bool { return true })
		},
		Sometimes: map[string]int{
			"faults": 5000, "faults surfaced by deleterange": 200, "faults surfaced by batch": 100, "faults surfaced by flush": 300,
			"faults surfaced by compact": 100, "stores that went on": 400, "stores poisoned": 500,
			"faults: read of tables": 20, "faults: open of tables": 20,
		},
	}
}
