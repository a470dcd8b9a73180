package engine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/schedule"
)

// partial merges from the newest to the oldest node as the engine does: what nothing
// overlaps stays. It gives the tables that were taken over.
func (m *marking) partial(newest, oldest *forktree.Node) (kept []*forktree.Table) {
	c := m.claim(newest, oldest)
	w := m.s.merging(c, wasteful)
	kept = w.kept()
	require.NoError(m, m.s.merge(c, w, m.s.stopped))
	for _, tb := range kept {
		require.Same(m, tb, newest.Run.Find(tb.Meta.Smallest))
	}
	return kept
}

// tables gives first and last key of each table of a node.
func tables(n *forktree.Node) (keys string) {
	for i, tb := range n.Run.Tables {
		keys += string(" "[:min(i, 1)]) + string(tb.Meta.Smallest) + string(tb.Meta.Largest)
	}
	return keys
}

// A merge takes tables over that others hold too, and that all kinds of nodes mark
// rows of. What was marked stays marked, and nothing else becomes so.
func TestAMergeTakesOverWhatNothingOverlaps(t *testing.T) {
	for _, c := range []struct {
		name string
		kept int
		do   func(m *marking, old *forktree.Node, merge func() *forktree.Node)
	}{
		{"without marks", 3, func(m *marking, old *forktree.Node, merge func() *forktree.Node) {
			m.set(MainFork, "g")
			require.Equal(m, "ae fj ko pt", tables(merge()))
		}},
		{"marked by the node that is swapped", 3, func(m *marking, old *forktree.Node, merge func() *forktree.Node) {
			m.set(MainFork, "g")
			m.delete(MainFork, "bhl")
			top := merge()
			require.Equal(m, "ae fj ko pt", tables(top))
			require.Equal(m, "bl", m.marks(top, top))
		}},
		{"marked by a node of the range that goes", 3, func(m *marking, old *forktree.Node, merge func() *forktree.Node) {
			m.delete(MainFork, "bhl")
			m.flush()
			m.set(MainFork, "g")
			top := merge()
			require.Equal(m, "ae fj ko pt", tables(top))
			require.Equal(m, "bl", m.marks(top, top))
		}},
		{"marked by a node of the range that others enter", 3, func(m *marking, old *forktree.Node, merge func() *forktree.Node) {
			m.delete(MainFork, "bhl")
			m.flush()
			between := m.top(MainFork)
			m.makeFork(MainFork, "child")
			m.set(MainFork, "g")
			top := merge()
			require.Equal(m, "bl", m.marks(top, top))
			require.Equal(m, "bhl", m.marks(between, old))
			m.delete("child", "c")
			m.delete(MainFork, "m")
			m.flush()
			require.Equal(m, "c", m.marks(m.top("child"), old))
			require.Equal(m, "m", m.marks(m.top(MainFork), top))
		}},
		{"but not what a newer row lies over, although that one is dead", 2, func(m *marking, old *forktree.Node, merge func() *forktree.Node) {
			m.set(MainFork, "b")
			m.flush()
			m.delete(MainFork, "b")
			m.flush()
			m.set(MainFork, "g")
			require.Empty(m, merge().Marks())
		}},
		{"marked by forks above and beside", 3, func(m *marking, old *forktree.Node, merge func() *forktree.Node) {
			m.makeFork(MainFork, "beside")
			m.set(MainFork, "g")
			m.flush()
			m.makeFork(MainFork, "above")
			m.delete("above", "bgl")
			m.delete("beside", "cgm")
			m.flush()
			top := merge()
			require.Equal(m, "bgl", m.marks(m.top("above"), top))
			require.Equal(m, "cgm", m.marks(m.top("beside"), old))
		}},
		{"with a flush above that has found rows in what is kept and what is not", 3, func(m *marking, old *forktree.Node, merge func() *forktree.Node) {
			m.set(MainFork, "g")
			m.flush()
			m.makeFork(MainFork, "above")
			m.delete("above", "agh")
			var top *forktree.Node
			m.at(schedule.FlushWritten, func() { top = merge() })
			m.flush()
			m.happened()
			require.Equal(m, "agh", m.marks(m.top("above"), top))
		}},
		{"with a flush above while it is written", 3, func(m *marking, old *forktree.Node, merge func() *forktree.Node) {
			m.set(MainFork, "g")
			m.flush()
			m.makeFork(MainFork, "above")
			m.delete("above", "agh")
			m.at(schedule.MergeWritten, m.flush)
			top := merge()
			m.happened()
			require.Equal(m, "agh", m.marks(m.top("above"), top))
		}},
		{"and what is kept is written again later, for one fork and then for the other", 3, func(m *marking, old *forktree.Node, merge func() *forktree.Node) {
			m.makeFork(MainFork, "beside")
			m.set(MainFork, "g")
			top := merge()
			m.makeFork(MainFork, "above")
			m.delete("above", "bq")
			m.delete("beside", "cq")
			m.flush()
			m.merge(top, top)
			require.Equal(m, "bq", m.marks(m.top("above"), top))
			require.Equal(m, "cq", m.marks(m.top("beside"), old))
			m.merge(old, old)
			require.Equal(m, "bq", m.marks(m.top("above"), top))
			require.Equal(m, "cq", m.marks(m.top("beside"), old))
		}},
		{"and the node it came from is dropped", 3, func(m *marking, old *forktree.Node, merge func() *forktree.Node) {
			m.makeFork(MainFork, "beside")
			m.delete("beside", "bq")
			m.set(MainFork, "g")
			merge()
			m.drop("beside")
		}},
		{"and the node that took it over is dropped", 3, func(m *marking, old *forktree.Node, merge func() *forktree.Node) {
			m.makeFork(MainFork, "beside")
			m.set(MainFork, "g")
			merge()
			require.NoError(m, m.fork(MainFork).Reset(m.fork("beside")))
			m.want[MainFork] = m.want["beside"]
		}},
		{"but what is dead to a large part is written again", 2, func(m *marking, old *forktree.Node, merge func() *forktree.Node) {
			m.set(MainFork, "g")
			m.flush()
			m.deleteRange(MainFork, "k", "m")
			top := merge()
			require.Equal(m, "ae fj mo pt", tables(top))
			require.Empty(m, top.Marks())
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMarking(t, 480)
			old := m.layer(MainFork, "abcdefghijklmnopqrst")
			require.Equal(t, "ae fj ko pt", tables(old), "a change of g makes one of them new")
			c.do(m, old, func() *forktree.Node {
				top := m.fork(MainFork).inTree().Top
				if m.fork(MainFork).inTree().Mem != nil {
					m.flush()
					top = m.top(MainFork)
				}
				require.Len(t, m.partial(top, old), c.kept)
				return top
			})
			m.sound()
			m.reopen(480)
			m.sound()
		})
	}
}

// A merge with nothing to read reads nothing: what comes in order is written once.
func TestRowsThatComeInOrderAreWrittenOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		key  func(round, i int) string
	}{
		{"at the end", func(round, i int) string { return fmt.Sprintf("%04d-%04d", round, i) }},
		{"at the front", func(round, i int) string { return fmt.Sprintf("%04d-%04d", 1000-round, i) }},
		{"under three prefixes in turn", func(round, i int) string { return fmt.Sprintf("%d-%04d-%04d", round%3, round, i) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMarking(t, 4<<10)
			main := m.fork(MainFork)
			const rounds, rows = 40, 100
			for round := range rounds {
				for i := range rows {
					require.NoError(t, main.Set([]byte(c.key(round, i)), []byte("value"), NoSync))
				}
				m.flush()
				require.NoError(t, m.s.Compact())
			}
			stats := m.s.Stats()
			require.Zero(t, stats.BytesMerged)
			require.LessOrEqual(t, stats.Nodes, 5)
			require.NoError(t, m.s.Verify())
			n := 0
			it, err := main.NewIter(Range{})
			require.NoError(t, err)
			for ok := it.First(); ok; ok = it.Next() {
				n++
			}
			require.NoError(t, it.Close())
			require.Equal(t, rounds*rows, n)
		})
	}
}

// What a merge takes over is neither read nor moved: only the narrow part of a large
// run in which rows have changed is written again.
func TestANarrowChangeDoesNotRewriteALargeRun(t *testing.T) {
	m := newMarking(t, 4<<10)
	main := m.fork(MainFork)
	const rows = 4000
	key := func(i int) []byte { return fmt.Appendf(nil, "%04d", i) }
	for i := range rows {
		require.NoError(t, main.Set(key(i), []byte("old"), NoSync))
	}
	m.flush()
	base := m.top(MainFork)
	before := map[ids.TableID]bool{}
	for _, tb := range base.Run.Tables {
		before[tb.Meta.ID] = true
	}
	for round := range 8 {
		for i := range 100 {
			require.NoError(t, main.Set(key(1000+i), fmt.Append(nil, round), NoSync))
		}
		m.flush()
	}
	m.partial(m.top(MainFork), base)
	require.NoError(t, m.s.afterSwap())
	made := 0
	for _, tb := range m.top(MainFork).Run.Tables {
		if !before[tb.Meta.ID] {
			made++
		}
	}
	require.Greater(t, len(before), 20)
	require.LessOrEqual(t, made, 8)
	for i := range rows {
		v, err := main.Get(key(i))
		require.NoError(t, err)
		if 1000 <= i && i < 1100 {
			require.Equal(t, "7", string(v))
		} else {
			require.Equal(t, "old", string(v))
		}
	}
	require.NoError(t, m.s.Verify())
}
