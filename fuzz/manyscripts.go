package fuzz

import (
	"fmt"

	"github.com/tinedb/tine/fuzz/ops"
)

// manyLetters are what makes or drops several forks by one record, on names that meet
// those of the alphabet.
var manyLetters = []ops.Op{
	{Kind: ops.ForkMany, Fork: "main", Names: []string{"second", "many.1", "many.2"}},
	{Kind: ops.ForkMany, Fork: "child", Names: []string{"many.3", "grandchild"}, NoSync: true},
	{Kind: ops.ForkManySnap, Fork: "kept", Names: []string{"many.1", "many.3"}},
	{Kind: ops.DropMany, Names: []string{"main", "child"}},
	{Kind: ops.DropPrefix, Name: "many."},
	{Kind: ops.DropPrefix, Name: "m", NoSync: true},
	{Kind: ops.DropSubtree, Fork: "child"},
}

// manyTrial crashes at every call of scripts with such letters. A seed is what comes
// before or after each of them: a letter of the alphabet, or another such letter.
func manyTrial() Trial {
	letters := append(append([]ops.Op{}, alphabet...), manyLetters...)
	n := len(letters)
	flush := len(alphabet) - 3
	return Trial{
		Name: "crash-many",
		Runs: n,
		Run: func(seed uint64, counts *Counts) error {
			other := letters[seed%uint64(n)]
			var scripts [][]ops.Op
			for _, many := range manyLetters {
				scripts = append(scripts,
					[]ops.Op{many, other},
					[]ops.Op{other, many},
					[]ops.Op{manyLetters[0], many, other, letters[flush]})
			}
			counts.Add("scripts", len(scripts))
			return parallel(len(scripts), func(i int) error {
				list := append(append([]ops.Op{}, prelude...), scripts[i]...)
				for n := range list {
					list[n].N = n
				}
				p := crashes{
					config: CrashConfig(), seed: seed*29 + uint64(i), from: len(prelude), stride: 1, closing: 4, single: true,
					depth: 1, goOn: 12,
				}
				return p.run(fmt.Sprintf("crash-many-%d-%d", seed, i), list, counts)
			})
		},
		Sometimes: map[string]int{
			"scripts": 21 * 24, "images": 4000, "images in recovery": 400, "images during forkmany": 300,
			"images during forkmanysnapshot": 80, "images during dropmany": 80, "images during dropprefix": 150,
			"images during dropsubtree": 80, "several forks made at one cut": 200, "several forks dropped at once": 50,
			"operation that was not promised is there": 100, "operation that was not promised is not there": 100,
		},
	}
}
