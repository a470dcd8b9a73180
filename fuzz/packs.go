package fuzz

import (
	"fmt"
	"math/rand/v2"

	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/fuzz/ops"
)

// packTrial crashes a store at every call while the tables that are alive in a shared
// file are moved to another one. A seed chooses which forks stay, what they delete of
// what they share, and what is written beside it.
func packTrial() Trial {
	return Trial{
		Name: "crash-packs",
		Runs: 12,
		Run: func(seed uint64, counts *Counts) error {
			list, from := packScript(rand.New(rand.NewPCG(seed, 5)))
			p := crashes{config: CrashConfig(), seed: seed, from: from, stride: 1, powers: 2, depth: 1, goOn: 6}
			p.config.Options.TableBytes = 64 << 10
			return p.run(fmt.Sprintf("crash-packs-%d", seed), list, counts)
		},
		Sometimes: map[string]int{
			"images": 500, "images during compact": 150, "images in recovery": 100, "images before a table file is unlinked": 20,
			"store: tables relocated": 20,
		},
	}
}

// packScript fills a file with the tables of many forks, drops most of them and
// compacts. from is the first drop.
func packScript(rng *rand.Rand) (list []ops.Op, from int) {
	const forks = 9
	name := func(n int) string { return fmt.Sprintf("pack-%d", n) }
	list = append(list, ops.Op{Kind: ops.Batch, Writes: []ops.Write{{Fork: "main", Key: "a", Size: 60}, {Fork: "main", Key: "b", Size: 60}}})
	for n := range forks {
		list = append(list, ops.Op{Kind: ops.Fork, Fork: "main", Name: name(n), NoSync: true},
			ops.Op{Kind: ops.Put, Fork: name(n), Key: "c", Size: 20 + rng.IntN(300), NoSync: true})
	}
	list = append(list, ops.Op{Kind: ops.Flush})
	keep := rng.Perm(forks)[:1+rng.IntN(2)]
	if rng.IntN(2) == 0 {
		list = append(list, ops.Op{Kind: ops.Delete, Fork: name(keep[0]), Key: "a"})
	} else {
		list = append(list, ops.Op{Kind: ops.DeleteRange, Fork: name(keep[0]), Range: model.Range{Lower: ops.Bound("b"), Upper: ops.Bound("d")}})
	}
	list = append(list, ops.Op{Kind: ops.Flush})
	from = len(list)
	for n := range forks {
		if n != keep[0] && n != keep[len(keep)-1] {
			list = append(list, ops.Op{Kind: ops.Drop, Fork: name(n), NoSync: rng.IntN(2) == 0})
		}
	}
	list = append(list, ops.Op{Kind: ops.Put, Fork: name(keep[0]), Key: "e", Size: 10, NoSync: true}, ops.Op{Kind: ops.Compact}, ops.Op{Kind: ops.Compact})
	for n := range list {
		list[n].N = n
	}
	return list, from
}
