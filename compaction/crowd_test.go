package compaction

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
)

// A flush puts the runs of many forks on the paths at once, all of which go through the
// same older runs. What they copy of those they copy together.
func TestAFlushOfManyForksCopiesWhatTheyShareOnce(t *testing.T) {
	const (
		forks = 1000
		rows  = 100
	)
	chain := func(int) string { return "main" }
	for _, c := range []struct {
		name  string
		flush int // each so many forks
		base  uint64
		on    func(i int) string // the fork that is written, and forked after it
		most  float64
	}{
		{"a chain, ten forks a flush", 10, 0, chain, 8},
		{"a chain, a hundred forks a flush", 100, 0, chain, 8},
		{"a chain, a hundred forks a flush, above a base", 100, 10_000_000, chain, 9},
		{"a chain, 250 forks a flush", 250, 0, chain, 8},
		{"a chain, all forks in one flush", forks, 0, chain, 12},
		{"ten chains", 100, 10_000_000, func(i int) string { return fmt.Sprint("chain ", i%10) }, 9},
		{"forks of a fork that goes on", 100, 1_000_000, func(i int) string {
			if i%100 == 0 {
				return "main"
			}
			return fmt.Sprint("fork ", i-i%100)
		}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			var times [2]float64
			for i, alone := range []bool{false, true} {
				s := newSimTree(t, DefaultPolicy())
				s.alone = alone
				s.set("main", nil)
				if c.base > 0 {
					s.write("main", Item{Bytes: c.base, Rows: c.base})
					s.fork("base", "main")
				}
				var pending []*simNode
				var flushed, merged uint64
				s.log = func(_ string, path []Item, plan Plan) {
					if plan.Kind == KindMerge {
						merged += cost(path, plan)
					}
				}
				for i := range forks {
					on := c.on(i)
					if _, ok := s.names[on]; !ok {
						s.fork(on, "main")
					}
					name := fmt.Sprint("fork ", i)
					top := s.write(on, Item{Bytes: rows, Rows: rows, Memory: true})
					s.fork(name, on)
					for s.step(top) { // what is in memory comes to rest
					}
					if pending = append(pending, top); len(pending) == c.flush || i == forks-1 {
						for _, n := range pending {
							n.item.Memory = false
							flushed += n.item.Bytes // more than rows: merged in memory
						}
						pending = nil
						s.rest()
					}
				}
				s.check()
				times[i] = float64(flushed+merged) / (forks * rows)
			}
			t.Logf("a row is written %.2f times, %.2f if each path merges for itself", times[0], times[1])
			require.LessOrEqual(t, times[0], c.most)
			require.LessOrEqual(t, times[0], times[1]*1.15)
		})
	}
}

func TestACrowdSharesAMergeWhereItCostsEachOfItsPathsLeast(t *testing.T) {
	const shared = "2* 2* 2* 2* 100* 3000* 90000* 9000000*" // the newest of them is node 8
	for _, c := range []struct {
		name  string
		path  string
		paths int // through node 8 that hold too many runs
		above int
		want  string
	}{
		{"alone", "1 1 " + shared, 0, 0, "merge 0..1 read bound"},
		{"where others go through", "9 9 " + shared, 9, 2, "merge 2..5 read bound"},
		{"not where others go through if it is dearer there", "1 1 90* 90* 90* 90* 90* 90* 90* 900*", 2, 2, "merge 0..1 read bound"},
		{"so that there is room for the one that has most above", "9 9 2* 80* 3000* 4000* 5000* 6000* 7000* 9000000*", 1e9, 4, "merge 2..8 read bound"},
		{"not for one that has far too much above", "9 9 " + shared, 1e9, 30, "merge 2..5 read bound"},
		{"not at an item that is claimed", "9 9 2*! 2* 2* 2* 100* 3000* 90000* 9000000*", 99, 2, "merge 0..1 read bound"},
		{"not instead of what another rule wants", "1 1 1 1 " + shared, 99, 4, "merge 0..3 tier"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, err := parsePath(c.path)
			require.NoError(t, err)
			for i := range path {
				path[i].Node = ids.NodeID(len(path) - i)
			}
			crowd := Crowd{at: map[ids.NodeID]tooLong{8: {c.paths, c.above}}}
			plan, ok := Pick(path, Policy{})
			require.True(t, ok)
			require.Equal(t, c.want, crowd.Share(path, plan, Policy{}).String())
		})
	}
}

func TestACrowdCountsThePathsThatAreTooLong(t *testing.T) {
	var c Crowd
	c.Add([]ids.NodeID{9, 8, 7, 6, 5, 4, 3, 2, 1}, Policy{})
	require.Empty(t, c.at, "as many as there may be")
	c.Add([]ids.NodeID{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, Policy{})
	c.Add([]ids.NodeID{13, 12, 11, 8, 7, 6, 5, 4, 3, 2, 1}, Policy{})
	require.Equal(t, tooLong{1, 0}, c.at[10])
	require.Equal(t, tooLong{1, 1}, c.at[9])
	require.Equal(t, tooLong{2, 3}, c.at[8])
	require.Equal(t, tooLong{2, 10}, c.at[1])
}

// Of a path of thousands of runs only the old end is looked at; that is where most paths meet.
func TestALongPathSharesAtItsOldEnd(t *testing.T) {
	var c Crowd
	var path []Item
	var runs []ids.NodeID
	for i := range 3000 {
		path = append(path, Item{Node: ids.NodeID(5000 - i), Bytes: 8 << 10, Rows: 1, Entered: true})
		runs = append(runs, path[i].Node)
	}
	path = append(path, Item{Node: 1, Bytes: 1 << 40, Rows: 1})
	runs = append(runs, 1)
	for i := range 2900 {
		c.Add(runs[i:], Policy{})
	}
	require.Len(t, c.at, crowdNodes)
	own := Plan{Kind: KindMerge, First: 0, Last: 2992, Reason: ReasonReadBound}
	shared := c.Share(path, own, Policy{})
	require.GreaterOrEqual(t, shared.First, len(path)-crowdNodes)
	require.Less(t, shared.Last, len(path)-1, "not into the base")
}
