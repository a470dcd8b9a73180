package fuzz

import (
	"fmt"
	"math/rand/v2"

	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/fuzz/ops"
)

// alphabet is what short scripts are made of, flush, compact and reopen at its
// end. It holds every kind of operation that changes a file, with and without
// sync, on names that meet: what one letter makes another drops or renames.
var alphabet = []ops.Op{
	{Kind: ops.Put, Fork: "main", Key: "a", Size: 70},
	{Kind: ops.Delete, Fork: "child", Key: "a", NoSync: true},
	{Kind: ops.Batch, Writes: []ops.Write{
		{Fork: "main", Key: "b", Size: 30}, {Fork: "child", Range: &model.Range{Lower: ops.Bound("b")}}, {Fork: "child", Key: "b", Size: 30},
		{Fork: "main", Key: "a", Delete: true},
	}, NoSync: true},
	{Kind: ops.Fork, Fork: "main", Name: "second"},
	{Kind: ops.Fork, Fork: "child", Name: "grandchild", NoSync: true},
	{Kind: ops.ForkSnapshot, Fork: "kept", Name: "second"},
	{Kind: ops.Snapshot, Fork: "child", Name: "more"},
	{Kind: ops.DropSnapshot, Fork: "kept"},
	{Kind: ops.Drop, Fork: "main"},
	{Kind: ops.Drop, Fork: "child", NoSync: true},
	{Kind: ops.Rename, Fork: "child", Name: "renamed"},
	{Kind: ops.Reset, Fork: "main", Name: "child"},
	{Kind: ops.ResetSnapshot, Fork: "child", Name: "kept", NoSync: true},
	{Kind: ops.DeleteRange, Fork: "child", Range: model.Range{Lower: ops.Bound("aa"), Upper: ops.Bound("d")}},
	{Kind: ops.Flush},
	{Kind: ops.Compact},
	{Kind: ops.Reopen},
}

// prelude is what comes before: it leaves two forks, a snapshot, tables and
// unflushed writes of both forks. One table has a row on either side of the lower
// bound of the letter that deletes a range, another lies within it.
var prelude = []ops.Op{
	{Kind: ops.Batch, Writes: []ops.Write{{Fork: "main", Key: "a", Size: 40}, {Fork: "main", Key: "aa", Size: 40}}},
	{Kind: ops.Snapshot, Fork: "main", Name: "kept"},
	{Kind: ops.Put, Fork: "main", Key: "c", Size: 40},
	{Kind: ops.Flush},
	{Kind: ops.Fork, Fork: "main", Name: "child"},
	{Kind: ops.Put, Fork: "main", Key: "d", Size: 40, NoSync: true},
	{Kind: ops.Put, Fork: "child", Key: "d", Size: 40, NoSync: true},
}

// script puts the numbered letters behind the prelude.
func script(letters ...int) []ops.Op {
	list := append([]ops.Op{}, prelude...)
	for _, letter := range letters {
		list = append(list, alphabet[letter])
	}
	for n := range list {
		list[n].N = n
	}
	return list
}

// scriptTrial crashes scripts at every call of their last letter and of the
// close after it. The calls before are those of a shorter script: all scripts
// together are crashed at each of their calls. With its first len(alphabet)²
// seeds it does every script of up to three letters, those that share their
// first two in one run; with the others as many that are drawn, of up to six.
func scriptTrial() Trial {
	n := len(alphabet)
	return Trial{
		Name: "crash-scripts",
		Runs: n * n,
		Run: func(seed uint64, counts *Counts) error {
			scripts := scriptsOf(seed)
			counts.Add("scripts", len(scripts))
			return parallel(len(scripts), func(i int) error {
				list := script(scripts[i]...)
				p := crashes{
					config: CrashConfig(), seed: seed*31 + uint64(i), creation: seed%16 == 0 && i == 0,
					from: len(list) - 1, stride: 1, closing: 4, single: true, depth: 1, goOn: 6,
				}
				return p.run(fmt.Sprintf("crash-script-%d-%d", seed, i), list, counts)
			})
		},
		Sometimes: map[string]int{
			"scripts": 17 + 289 + 4913,
			"images":  20000, "images in recovery": 2000, "images during fork": 500, "images during flush": 1000,
			"images during compact": 200, "images during drop": 200, "images during reset": 100, "images during deleterange": 300,
			"images during reopen": 1000, "images in reclaim": 500, "images before a log segment is trimmed": 200,
			"images before a manifest sync": 500, "torn logs": 15, "torn manifests": 50,
			"operation that was not promised is there": 500, "operation that was not promised is not there": 500,
		},
	}
}

// scriptsOf gives the scripts of one run, by the numbers of their letters.
func scriptsOf(seed uint64) [][]int {
	n := uint64(len(alphabet))
	var all [][]int
	if seed < n*n {
		first, second := int(seed/n), int(seed%n)
		if second == 0 {
			all = append(all, []int{first})
		}
		all = append(all, []int{first, second})
		for third := range alphabet {
			all = append(all, []int{first, second, third})
		}
		return all
	}
	rng := rand.New(rand.NewPCG(seed, 11))
	for range alphabet {
		letters := make([]int, 3+rng.IntN(4))
		for i := range letters {
			letters[i] = rng.IntN(len(alphabet))
		}
		all = append(all, letters)
	}
	return all
}

// garbageTrial does every letter on forks that have tables of their own, and
// then what makes garbage of them go. A seed is a letter.
func garbageTrial() Trial {
	n := len(alphabet)
	flush := n - 3
	return Trial{
		Name: "crash-garbage",
		Runs: n,
		Run: func(seed uint64, counts *Counts) error {
			return parallel(n-flush, func(i int) error {
				list := script(flush, int(seed%uint64(n)), flush+i)
				list[5].Fork = "child" // main would share its file
				p := crashes{config: CrashConfig(), seed: seed*3 + uint64(i), from: len(prelude), stride: 1, powers: 2, depth: 1, goOn: 4}
				return p.run(fmt.Sprintf("crash-garbage-%d-%d", seed, i), list, counts)
			})
		},
		Sometimes: map[string]int{
			"images": 1000, "images in recovery": 200, "images in reclaim": 100, "images before a table file is unlinked": 20,
		},
	}
}
