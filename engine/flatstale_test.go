package engine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/forktree"
)

// subtrees makes two forks of main, with two forks each, so that each of the two has a
// shared node above main's; all have a view. It gives the newest nodes of the three.
func (m *marking) subtrees() (base, left, right *forktree.Node) {
	m.layer(MainFork, "abcdef")
	base = m.layer(MainFork, "bd")
	for _, name := range []string{"left", "right"} {
		m.makeFork(MainFork, name)
		m.layer(name, "ac")
		m.layer(name, "ce")
		m.makeFork(name, name+"-1")
		m.makeFork(name, name+"-2")
		m.set(name+"-1", "xy")
	}
	m.flush()
	m.holds(m.s)
	return base, m.top("left"), m.top("right")
}

// sweep lets go of what is stale and keeps what is idle.
func (m *marking) sweep() {
	m.s.mu.Lock()
	var all []*viewer
	for r := range m.s.mu.viewed {
		all = append(all, r)
	}
	m.s.mu.Unlock()
	m.s.forgetSome(all, false)
}

// cached is the view that a fork keeps, nil if it has none.
func (m *marking) cached(name string) *view {
	r, err := m.fork(name).reader()
	require.NoError(m, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.view
}

// A swap makes stale what goes through its node, and nothing else: the views and flats
// of another subtree stay the same objects.
func TestASwapMakesStaleWhatGoesThroughItsNode(t *testing.T) {
	groups := map[string][]string{
		"left": {"left", "left-1", "left-2"}, "right": {"right", "right-1", "right-2"}, "main": {MainFork},
	}
	for _, c := range []struct {
		name  string
		swap  func(m *marking, base, left, right *forktree.Node)
		stale []string // groups
	}{
		{"a merge in one subtree", func(m *marking, _, left, _ *forktree.Node) { m.merge(left, left.Older) }, []string{"left"}},
		{"a merge in the other one", func(m *marking, _, _, right *forktree.Node) { m.merge(right, right.Older) }, []string{"right"}},
		{"a merge of what all share", func(m *marking, base, _, _ *forktree.Node) { m.merge(base, base.Older) }, []string{"left", "right", "main"}},
		{"a rewrite in one subtree", func(m *marking, _, left, _ *forktree.Node) { m.rewrite(left, left.Run.Tables[0]) }, []string{"left"}},
		{"nothing", func(*marking, *forktree.Node, *forktree.Node, *forktree.Node) {}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMarking(t, 8<<10)
			base, left, right := m.subtrees()
			before := map[string]*view{}
			flats := map[string]*flat{}
			for _, names := range groups {
				for _, name := range names {
					v := m.view(name)
					before[name], flats[name] = v, v.flat
				}
			}
			require.Same(t, left, flats["left-1"].node)
			require.Same(t, right, flats["right-1"].node)
			require.Same(t, base, flats["right-1"].below.node)
			built := m.s.counter.flats.Load()
			c.swap(m, base, left, right)
			m.sweep()
			stale := map[string]bool{}
			for _, group := range c.stale {
				for _, name := range groups[group] {
					stale[name] = true
				}
			}
			for name, v := range before {
				if stale[name] {
					require.Nil(t, m.cached(name), name)
				} else {
					require.Same(t, v, m.cached(name), name)
				}
			}
			m.holds(m.s)
			for name, f := range flats {
				if stale[name] {
					require.NotSame(t, f, m.view(name).flat, name)
				} else {
					require.Same(t, f, m.view(name).flat, name)
				}
			}
			require.EqualValues(t, len(c.stale), m.s.counter.flats.Load()-built)
			require.NoError(t, m.s.reclaim())
			require.NoError(t, m.s.Verify())
			m.sound()
		})
	}
}

// What one fork deletes by marks, and its flush, is no concern of the others.
func TestMarksMakeStaleWhatGoesThroughTheirNode(t *testing.T) {
	m := newMarking(t, 8<<10)
	m.subtrees()
	kept := []string{"right", "right-1", "right-2", "left", "left-2", MainFork}
	before := map[string]*view{}
	for _, name := range kept {
		before[name] = m.view(name)
	}
	m.delete("left-1", "abx")
	m.flush()
	require.NotEmpty(t, m.top("left-1").Marks())
	m.sweep()
	for _, name := range kept {
		require.Same(t, before[name], m.cached(name), name)
	}
	m.holds(m.s)

	m.delete(MainFork, "f") // a node that nobody else has
	m.flush()
	m.sweep()
	for _, name := range kept[:5] {
		require.Same(t, before[name], m.cached(name), name)
	}
	m.holds(m.s)
	m.sound()
}

// Whoever reads only through nodes that are as they were keeps no file that is not
// needed; whoever does not lets go of it at the next sweep.
func TestStaleViewsKeepNoFilesBehindASweep(t *testing.T) {
	m := newMarking(t, 8<<10)
	_, left, _ := m.subtrees()
	for range 3 { // a view that was found to be right is still found stale later
		m.sweep()
		m.holds(m.s)
	}
	old := left.Older.Run.Tables[0].Place.Meta().File
	m.merge(left, left.Older)
	require.True(t, m.s.mu.tree.HasFile(old), "the views of the subtree hold it")
	m.sweep()
	require.NoError(t, m.s.reclaim())
	require.False(t, m.s.mu.tree.HasFile(old))
	require.NoError(t, m.s.Verify())
	m.sound()
}

// A flat over a stale one is stale, also when it is asked first, and when the one below
// was looked at long before.
func TestAFlatOverAStaleOneIsStale(t *testing.T) {
	m := newMarking(t, 8<<10)
	name := MainFork
	for i := range 6 {
		m.layer(name, "abc")
		m.layer(name, "bcd")
		m.makeFork(name, fmt.Sprint("f", i))
		name = fmt.Sprint("f", i)
	}
	m.holds(m.s)
	third := m.top("f2")
	v := m.view(name)
	for f := range v.flat.under() {
		require.False(m, f.stale)
	}
	m.merge(third, third.Older)
	var present []bool // from the top down
	m.s.mu.Lock()
	top := m.s.isPresentLocked(v.flat)
	for f := range v.flat.under() {
		present = append(present, m.s.isPresentLocked(f))
	}
	m.s.mu.Unlock()
	require.False(t, top)
	require.Equal(t, []bool{false, false, false, true, true, true}, present)
	m.sweep()
	m.holds(m.s)
	m.sound()
}

// In a store at rest that writes in one of many forks, what a read of the others costs
// does not depend on the writer: the flat that they share is not built again.
func TestAWriterMakesNothingOfOthersStale(t *testing.T) {
	m := newMarking(t, 8<<10)
	m.layer(MainFork, "abcdefgh")
	for i := range 20 {
		m.makeFork(MainFork, fmt.Sprint("f", i))
		m.set(fmt.Sprint("f", i), "bx")
	}
	m.makeFork(MainFork, "writer")
	m.flush()
	m.holds(m.s)
	held, err := m.fork("f0").NewIter(Range{}) // so that the flat stays
	require.NoError(t, err)
	base := m.view("f0").flat
	for i := range 10 {
		m.layer("writer", fmt.Sprintf("%c%c", 'a'+i%8, 'p'+i))
		if n := m.top("writer"); i%3 == 2 {
			m.merge(n, n.Older)
		}
		for i := range 20 {
			require.Same(t, base, m.view(fmt.Sprint("f", i)).flat)
		}
	}
	require.NoError(t, held.Close())
	m.holds(m.s)
	m.sound()
}
