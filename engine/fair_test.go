package engine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/compaction"
	"github.com/tinedb/tine/forktree"
)

// While a merge of a hundred tables is under way, forks that have nothing to do with it
// fill their paths. They come back within the read bound before it ends.
func TestForksAreKeptWithinTheReadBoundWhileALargeMergeIsUnderWay(t *testing.T) {
	w := newWatched(t)
	const (
		small = 5
		most  = 9
		rows  = 2000
	)
	for i := range small {
		w.makeFork(MainFork, fmt.Sprint(i))
	}
	w.makeFork(MainFork, "tier")
	w.makeFork(MainFork, "large")
	w.fill(MainFork, 0, rows, 1)
	w.rest()
	large := w.top(MainFork)
	require.Greater(t, len(large.Run.Tables), 90)
	w.fill(MainFork, 0, rows, 2)
	w.fill("large", 0, rows, 1)

	begun, before, during := false, w.s.Stats().Merges, uint64(0)
	underWay := func() bool { return w.top(MainFork).Older == large }
	require.True(t, underWay())
	_, _, err := w.pass(func() error {
		switch {
		case !underWay() || !large.Claimed():
			return nil
		case !begun:
			begun = true
			for range most + 3 {
				for i := range small {
					w.layer(fmt.Sprint(i), "abc")
				}
				w.fill("large", 0, rows, 2)
			}
			for range 4 {
				w.layer("tier", "abc")
			}
		}
		longest := 0
		for i := range small {
			longest = max(longest, w.runs(fmt.Sprint(i)))
		}
		if longest <= most {
			during = w.s.Stats().Merges - before
			require.Greater(t, w.runs("large"), most, "it would hold the first one up for as long as that takes")
			require.Equal(t, 4, w.runs("tier"), "it has time")
		}
		return nil
	})
	require.NoError(t, err)
	require.True(t, begun)
	require.Equal(t, uint64(small), during)

	_, _, err = w.pass(w.s.stopped)
	require.NoError(t, err)
	require.Equal(t, 1, w.runs("tier"), "the next pass has not forgotten it")
	require.LessOrEqual(t, w.runs("large"), most)
	w.rest()
	require.NoError(t, w.s.Settle())
	require.NoError(t, w.s.Verify())
	w.holdsRows()
}

// A merge that fails in the middle of another does not keep that from its end.
func TestALargeMergeOutlivesASmallOneThatFails(t *testing.T) {
	w := newWatched(t)
	w.makeFork(MainFork, "small")
	w.fill(MainFork, 0, 1000, 1)
	w.rest()
	large := w.top(MainFork)
	w.fill(MainFork, 0, 1000, 2)
	begun, failed := false, 0
	_, _, err := w.pass(func() error {
		switch {
		case !large.Claimed():
			return nil
		case !begun:
			begun = true
			for range 12 {
				w.layer("small", "abc")
			}
		case w.top("small").Claimed():
			failed++
			return fmt.Errorf("test: no more")
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 1, failed)
	require.NotSame(t, large, w.top(MainFork).Older)
	require.Equal(t, 12, w.runs("small"))
	w.rest()
	require.Less(t, w.runs("small"), 12)
	w.holdsRows()
}

// A merge that would make room for many is too large for a turn; the path's own is not.
func TestInATurnAPathDoesWithItsOwnMergeIfTheSharedOneIsTooLarge(t *testing.T) {
	w := newWatched(t)
	const forks = 50
	for i := range 7 {
		w.fill(MainFork, 0, 100-10*i, 1)
		w.flush()
		w.makeFork(MainFork, fmt.Sprint("keeps-", i))
	}
	var tops []*forktree.Node
	for i := range forks {
		name := fmt.Sprint(i)
		w.makeFork(MainFork, name)
		for range 5 {
			w.layer(name, "b")
		}
		tops = append(tops, w.top(name))
	}
	crowd := w.s.crowd(tops, func(compaction.Kind) bool { return true })
	w.s.mu.Lock()
	p := w.s.pathLocked(tops[0], true)
	own, ok := compaction.PickBound(p.items, compaction.DefaultPolicy())
	shared := crowd.Share(p.items, own, compaction.DefaultPolicy())
	bytes := func(plan compaction.Plan) (n uint64) {
		for _, it := range p.items[plan.First : plan.Last+1] {
			n += it.Bytes
		}
		return n
	}
	small, large := bytes(own), bytes(shared)
	w.s.mu.Unlock()
	require.True(t, ok)
	require.Less(t, small, large)
	for _, c := range []struct {
		name string
		most uint64
		want *compaction.Plan
	}{
		{"there is room for the shared one", large, &shared},
		{"only for its own", large - 1, &own},
		{"just for that", small, &own},
		{"for neither", small - 1, nil},
	} {
		plan, claim := w.s.planBound(tops[0], crowd, c.most)
		require.Equal(t, c.want != nil, claim != nil, c.name)
		if claim != nil {
			require.Equal(t, *c.want, plan, c.name)
			w.s.unclaim(claim)
		}
	}
}

// What is kept for the pass after a large merge are live nodes, however often they change.
func TestALargeMergeKeepsLivePathsInMindOnce(t *testing.T) {
	w := newWatched(t)
	w.layer(MainFork, "abc")
	w.makeFork(MainFork, "stays")
	turn := &turns{s: w.s, watch: w.watch, stop: func() error { return nil }}
	for i := range 20 {
		name := fmt.Sprint(i)
		w.makeFork(MainFork, name)
		w.layer(name, "a")
		w.layer("stays", "a")
		turn.look()
		w.drop(name)
		require.NoError(t, w.s.Settle())
		turn.look()
		require.LessOrEqual(t, len(turn.later), w.s.Stats().Nodes)
		require.Contains(t, turn.later, w.top("stays"))
	}
	for i, n := range turn.later {
		require.True(t, n.Live())
		require.NotContains(t, turn.later[:i], n)
	}
}
