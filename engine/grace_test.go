package engine

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
)

// What a young fork has written for itself is merged when the fork has grown old, or
// when the store is at rest.
func TestAYoungForkIsMergedOnlyAtRest(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(w *watched)
		left int // runs of the young fork
	}{
		{"a pass", func(w *watched) { w.rest() }, 5},
		{"the fork has grown old and is written again", func(w *watched) {
			w.s.mu.grace.begin(ids.ForkID(w.s.nextID.Load()), false)
			w.layer("agent", "abc")
			w.rest()
		}, 2},
		{"at rest after a pass", func(w *watched) {
			w.rest()
			did, err := w.s.tidy(w.s.stopped)
			require.NoError(w, err)
			require.True(w, did)
		}, 2},
		{"all is to be merged", func(w *watched) { require.NoError(w, w.s.Compact()) }, 2},
		{"as many runs as there may be", func(w *watched) {
			for range 3 {
				w.layer("agent", "abc")
				w.rest()
			}
		}, 8},
		{"one run more", func(w *watched) {
			for range 4 {
				w.layer("agent", "abc")
				w.rest()
			}
		}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWatched(t)
			w.fill(MainFork, 0, 500, 1)
			w.makeFork(MainFork, "kept")
			w.layer(MainFork, "abc") // now the fork's own node lies between two branch points
			w.makeFork(MainFork, "old")
			w.s.mu.grace.begin(ids.ForkID(w.s.nextID.Load()), false)
			w.makeFork(MainFork, "agent")
			for _, keys := range []string{"aei", "bfj", "cgk", "dhl"} { // nothing shadows anything
				w.layer("old", keys)
				w.layer("agent", keys)
			}
			require.Equal(t, 6, w.runs("agent"))
			c.do(w)
			require.Equal(t, 3, w.runs("old"))
			require.Equal(t, c.left+1, w.runs("agent"))
			require.NoError(t, w.s.Settle())
			require.NoError(t, w.s.Verify())
			w.holdsRows()
		})
	}
}

func TestAForkIsYoungWhileEightBudgetsAreFlushed(t *testing.T) {
	const budget = 100
	var g grace
	g.begin(10, false)
	require.False(t, g.holds(9), "it was there at the open")
	require.True(t, g.holds(10))
	g.grow(budget-1, budget, 20)
	for i := range uint64(graceBudgets) {
		require.True(t, g.holds(10), "after %d budgets", i)
		g.grow((i+1)*budget, budget, ids.ForkID(20+i))
	}
	require.False(t, g.holds(10))
	require.False(t, g.holds(19))
	require.True(t, g.holds(20), "it was made after the first of them")
	g.grow(graceBudgets*budget+1, budget, 99)
	require.True(t, g.holds(20))
	g.begin(10, true)
	require.False(t, g.holds(10), "nobody is, where merges are called for")
}
