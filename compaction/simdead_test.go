package compaction

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"
)

// What deletes cost, and what they leave behind, in stores that get as many rows
// as they lose. Marks are counted, not keys: all rows have different ones.
func TestDeletesLeaveLittleBehindAtBoundedCost(t *testing.T) {
	const (
		base   = 20_000
		rounds = 2_000
		batch  = 100
	)
	for _, c := range []struct {
		name   string
		spread func(s *simTree, r *rand.Rand, top *simNode, rows uint64)
		fork   func(i int) bool // keep a fork of this round
		// of a row that was written or marked
		maxRewrites float64
	}{
		{"a queue", (*simTree).markOldest, never, 5},
		{"a stack", (*simTree).markNewest, never, 5},
		{"a working set", (*simTree).markAnywhere, never, 8},
		{"a queue with an old fork alive", (*simTree).markOldest, first, 5},
		{"a working set with an old fork alive", (*simTree).markAnywhere, first, 8},
		{"a queue that is forked all the time", (*simTree).markOldest, always, 8},
		{"a working set that is forked all the time", (*simTree).markAnywhere, always, 16},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewSource(1))
			s := newSimTree(t, DefaultPolicy())
			dead := uint64(0)
			s.log = func(_ string, path []Item, plan Plan) {
				if plan.Reason == ReasonDead {
					dead += cost(path, plan)
				}
			}
			s.set("main", nil)
			s.write("main", Item{Bytes: base, Rows: base})
			var longest int
			var worst float64
			for i := range rounds {
				if c.fork(i) {
					s.fork(fmt.Sprint("fork ", i), "main")
				}
				top := s.write("main", Item{Bytes: batch, Rows: batch})
				c.spread(s, r, top, batch)
				for s.step(top) { // the older forks are at rest: see below
				}
				_, path := s.path(top)
				checkRest(t, path, s.policy)
				longest = max(longest, len(path))
				var rows uint64
				for _, it := range path {
					rows += it.Rows
				}
				require.GreaterOrEqual(t, rows, uint64(base))
				worst = max(worst, float64(rows-base)/float64(rows))
			}
			rewrites := float64(s.rewritten) / float64(s.written+s.marks)
			t.Logf("at most %d runs and %.0f%% dead rows on the path, %.2f rewrites of a row, %.2f of them to be rid of dead ones",
				longest, 100*worst, rewrites, float64(dead)/float64(s.written+s.marks))
			require.LessOrEqual(t, rewrites, c.maxRewrites)
			plans := s.plans
			s.rest()
			require.Equal(t, plans, s.plans, "an older path was not at rest")
		})
	}
}

func never(int) bool   { return false }
func first(i int) bool { return i == 0 }
func always(int) bool  { return true }

// markOldest puts the rows of the oldest runs to death first.
func (s *simTree) markOldest(_ *rand.Rand, n *simNode, rows uint64) {
	nodes, _ := s.path(n)
	for i := len(nodes) - 1; i > 0; i-- {
		some := min(rows, s.alive(n, nodes[i]))
		s.mark(n, i, some)
		rows -= some
	}
}

// markNewest puts the rows of the newest older runs to death first.
func (s *simTree) markNewest(_ *rand.Rand, n *simNode, rows uint64) {
	nodes, _ := s.path(n)
	for i := 1; i < len(nodes); i++ {
		some := min(rows, s.alive(n, nodes[i]))
		s.mark(n, i, some)
		rows -= some
	}
}

// markAnywhere puts any rows of older runs to death.
func (s *simTree) markAnywhere(r *rand.Rand, n *simNode, rows uint64) {
	nodes, _ := s.path(n)
	var all uint64
	alive := make([]uint64, len(nodes))
	for i := 1; i < len(nodes); i++ {
		alive[i] = s.alive(n, nodes[i])
		all += alive[i]
	}
	killed := make([]uint64, len(nodes))
	for range rows {
		at := uint64(r.Int63n(int64(all)))
		for i := range alive {
			if at < alive[i] {
				alive[i]--
				killed[i]++
				all--
				break
			}
			at -= alive[i]
		}
	}
	for i, rows := range killed {
		s.mark(n, i, rows)
	}
}
