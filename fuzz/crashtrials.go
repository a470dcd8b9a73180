package fuzz

import (
	"fmt"

	"github.com/tinedb/tine/fuzz/ops"
)

// crashTrial crashes lists that a profile draws.
func crashTrial(name string, p ops.Profile, length int, how crashes, runs int, sometimes map[string]int) Trial {
	return Trial{
		Name: name,
		Runs: runs,
		Run: func(seed uint64, counts *Counts) error {
			how := how
			how.seed, how.creation = seed, seed%16 == 0
			return how.run(fmt.Sprintf("%s-%d", name, seed), ops.NewGenerator(seed, p).List(length), counts)
		},
		Sometimes: sometimes,
	}
}

// randomCrashTrial is of lists in which nearly everything changes something.
func randomCrashTrial() Trial {
	how := crashes{config: CrashConfig(), stride: 2, powers: 2, depth: 1, goOn: 6}
	return crashTrial("crash-random", ops.Crashing(), 50, how, 36, map[string]int{
		"images": 5000, "images in recovery": 1000, "images during fork": 200, "images during flush": 500,
		"images during compact": 200, "images during drop": 100, "images during reset": 30,
		"images before a table file is unlinked": 50, "images before a log segment is trimmed": 100,
		"images in a rotation of the log": 100, "torn logs": 15, "images in a rewrite": 50,
		"power losses after recovery, some of it kept": 1000, "power losses after recovery, nothing unsynced kept": 1000,
	})
}

// mergeCrashTrial is of many flushes of many forks: merges, within a segment and
// across branch points, joins, and files that become unreachable by them.
func mergeCrashTrial() Trial {
	how := crashes{config: CrashConfig(), stride: 9, powers: 1, depth: 1, goOn: 6}
	how.config.Eager = true
	return crashTrial("crash-merges", ops.Merging(), 260, how, 12, map[string]int{
		"images": 3500, "images during compact": 400, "images before a table file is unlinked": 200,
		"store: merges": 100, "store: merges across a branch point": 5, "store: joins": 5, "store: tombstones dropped": 50,
		"images in a rewrite": 100, "iterators through a weave, no background work": 10000,
	})
}

// freezeCrashTrial is of no flushes: nodes in memory are consolidated, and the
// log is trimmed up to the oldest of what they were made of.
func freezeCrashTrial() Trial {
	how := crashes{config: CrashConfig(), stride: 4, powers: 1, depth: 1, goOn: 6}
	return crashTrial("crash-consolidations", ops.Freezing(), 200, how, 10, map[string]int{
		"images": 3000, "store: consolidations": 40, "images before a log segment is trimmed": 60,
	})
}

// backgroundCrashTrial has images also between a flush that nobody asked for and
// the writes of the client.
func backgroundCrashTrial() Trial {
	how := crashes{config: CrashConfig(), stride: 4, powers: 2, goOn: 6}
	how.config.Options.Manual = false
	return crashTrial("crash-background", ops.Crashing(), 120, how, 12, map[string]int{
		"images": 1000, "store: flushes": 50, "images before a table file is unlinked": 10,
	})
}
