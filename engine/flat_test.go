package engine

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/sstable"
)

// view gives the present view of a fork, which it checks against a plain walk.
func (m *marking) view(name string) *view {
	m.Helper()
	top := m.top(name)
	v, err := m.fork(name).acquire()
	require.NoError(m, err)
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	v.releaseLocked() // the fork keeps it
	if v.isPresentLocked() {
		v.checkAgainst(top)
	}
	return v
}

// flats are all flats that views use.
func (m *marking) flats() map[*flat]bool {
	out := map[*flat]bool{}
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	for v := range m.s.mu.views {
		for f := range v.flat.under() {
			out[f] = true
		}
	}
	return out
}

// Active forks of one base have little of their own, whatever the base holds and
// whatever was deleted in it: a view, its private layers, and the rows they delete.
func TestViewsOfForksOfOneBaseShareWhatLiesBelow(t *testing.T) {
	const rows, forks = 20_000, 50
	m := newMarking(t, 512<<10)
	main := m.fork(MainFork)
	key := func(i int) []byte { return fmt.Appendf(nil, "k%05d", i) }
	write := func(f *Fork, n int, add func(b *Batch, i int)) {
		b := m.s.NewBatch()
		for i := range n {
			add(b, i)
		}
		require.NoError(t, b.Commit(NoSync))
	}
	write(main, rows, func(b *Batch, i int) { b.Set(main, key(i), []byte("v")) })
	m.flush()
	write(main, rows/10, func(b *Batch, i int) { b.Delete(main, key(10*i)) })
	m.flush()
	base := m.top(MainFork)
	require.Greater(t, len(base.Older.Run.Tables), 1)
	require.Len(t, base.Marks(), len(base.Older.Run.Tables))

	var children []*Fork
	for i := range forks {
		f, err := main.Fork(fmt.Sprint("f", i), NoSync)
		require.NoError(t, err)
		require.NoError(t, f.Delete(key(5+400*i), NoSync))
		children = append(children, f)
	}
	m.flush()
	m.s.forgetViews()
	built := m.s.counter.flats.Load()
	for i, f := range children {
		_, err := f.Get(key(5 + 400*i))
		require.ErrorIs(t, err, ErrNotFound)
		_, err = f.Get(key(400 * i))
		require.ErrorIs(t, err, ErrNotFound)
		v, err := f.Get(key(5 + 400*((i+1)%forks)))
		require.NoError(t, err)
		require.Equal(t, "v", string(v))
	}
	require.Equal(t, built+1, m.s.counter.flats.Load(), "one for all")
	require.Len(t, m.flats(), 1)
	shared, own := int64(0), int64(0)
	for _, mk := range base.Marks() {
		shared += readBytes(mk)
	}
	for i := range forks {
		v := m.view(fmt.Sprint("f", i))
		require.Empty(t, v.own, "its node has no row")
		require.Same(t, base, v.flat.node)
		require.Len(t, v.dead.own, 1)
		require.Same(t, v.flat.dead, v.dead.below)
		for _, mk := range m.top(fmt.Sprint("f", i)).Marks() {
			own += readBytes(mk)
		}
	}
	require.LessOrEqual(t, own, int64(forks*128))
	require.Greater(t, shared, int64(rows/8))
	require.NoError(t, m.s.Verify())
}

// A fork that deletes all of a shared table does not look at it, and others do.
func TestATableMayBeWhollyDeadForOneViewOnly(t *testing.T) {
	m := newMarking(t, 1)
	base := m.layer(MainFork, "abcdefgh")
	m.makeFork(MainFork, "one")
	m.makeFork(MainFork, "two")
	m.deleteRange("one", "b", "g")
	m.flush()
	m.holds(m.s)
	one, two := m.view("one"), m.view("two")
	require.Same(t, one.flat, two.flat)
	require.Len(t, one.dead.aliveIn(base.Run), 3)
	require.Len(t, two.dead.aliveIn(base.Run), 8)
	m.sound()
}

// What the flat of a base knows of the tables that are alive is about its own runs, not
// about those of all forks that were ever read over it.
func TestAFlatRemembersNoRunsOfTheForksAboveIt(t *testing.T) {
	m := newMarking(t, 1)
	base := m.layer(MainFork, "abcdefghijklmnopqrstuvwxyz")
	m.deleteRange(MainFork, "b", "g")
	m.flush()
	few, many := 3*maxAliveRuns, maxAliveRuns+10
	for i := range few + many {
		name := fmt.Sprint("f", i)
		m.makeFork(MainFork, name)
		keys := "h"
		if i >= few {
			keys = "hijklmnopq"
		}
		m.set(name, keys)
	}
	m.flush()
	m.holds(m.s)
	dead := m.view("f0").dead
	require.Same(t, dead, m.view(fmt.Sprint("f", few)).dead, "the forks have no marks of their own")
	require.LessOrEqual(t, len(*dead.alive.Load()), maxAliveRuns)
	require.Len(t, dead.aliveIn(base.Run), 21)
	require.Contains(t, *dead.alive.Load(), base.Run)
	m.sound()
}

// A swap makes a new flat for new views. The old one stays for who reads through
// it, with its files, and goes with the last of them.
func TestAFlatLivesAsLongAsItsReaders(t *testing.T) {
	m := newMarking(t, 8<<10)
	old := m.layer(MainFork, "abc")
	young := m.layer(MainFork, "bd")
	m.makeFork(MainFork, "one")
	m.makeFork(MainFork, "two")
	it, err := m.fork("one").NewIter(Range{})
	require.NoError(t, err)
	before := m.view("one").flat
	require.Same(t, young, before.node)
	require.Same(t, before, m.view("two").flat)
	files := m.s.Stats().Files

	m.merge(young, old)
	require.NoError(t, m.s.afterSwap())
	require.NotSame(t, before, m.view("two").flat)
	require.Same(t, m.view("one").flat, m.view("two").flat)
	require.Len(t, m.flats(), 2)
	require.NoError(t, m.s.Verify())
	require.Equal(t, files+1, m.s.Stats().Files, "the merged tables are there for the iterator")

	for ok := it.First(); ok; ok = it.Next() {
	}
	require.NoError(t, it.Close())
	require.Len(t, m.flats(), 1)
	require.NoError(t, m.s.reclaim())
	require.Equal(t, 1, m.s.Stats().Files)
	m.s.forgetViews()
	require.Empty(t, m.s.mu.flats)
	m.sound()
}

// In random trees every view, with all the flats under it, gives what a plain walk of
// the path gives, whatever was swapped, forked or dropped while other views were kept.
func TestViewsOverFlatsAreLikePlainWalks(t *testing.T) {
	deepest, widest := 0, 0
	for seed := range uint64(unlessShort(40)) {
		rng := rand.New(rand.NewPCG(seed, 1))
		m := newMarking(t, []int64{1, 30, 8 << 10}[seed%3])
		names := func() []string { return slices.Sorted(maps.Keys(m.want)) }
		one := func() string { return names()[rng.IntN(len(m.want))] }
		letter := func() string { return string(rune('a' + rng.IntN(26))) }
		m.layer(MainFork, "abcdefghijklmnopqrstuvwxyz")
		for step := range 60 {
			switch rng.IntN(10) {
			case 0, 1:
				m.makeFork(one(), fmt.Sprint("f", step))
			case 2:
				if len(m.want) > 5 {
					m.drop(one())
				}
			case 3:
				m.set(one(), letter()+letter())
			case 4, 5:
				m.delete(one(), letter())
			case 6:
				a, b := letter(), letter()
				m.deleteRange(one(), min(a, b), max(a, b))
			case 7, 8:
				m.flush()
			case 9:
				if n := m.top(one()); n != nil && n.Run != nil && n.Older != nil && n.Older.Run != nil {
					m.merge(n, n.Older)
				}
			}
			for _, name := range names() {
				depth := 0
				for f := range m.view(name).flat.under() {
					depth++
					widest = max(widest, f.refs)
				}
				deepest = max(deepest, depth)
			}
			if step%10 == 9 {
				m.holds(m.s)
				require.NoError(t, m.s.afterSwap())
				require.NoError(t, m.s.Verify())
			}
		}
		m.sound()
	}
	require.Greater(t, deepest, 2)
	require.Greater(t, widest, 3)
}

// unlessShort is n, or a quarter of it in short runs.
func unlessShort(n int) int {
	if testing.Short() {
		return n / 4
	}
	return n
}

// A chain of nested forks has a flat each, and no view repeats what lies below.
func TestViewsOfNestedForksAreNoLongerWithDepth(t *testing.T) {
	m := newMarking(t, 8<<10)
	name := MainFork
	const depth = 200
	for i := range depth {
		m.set(name, "a")
		m.makeFork(name, fmt.Sprint("f", i))
		name = fmt.Sprint("f", i)
	}
	m.holds(m.s)
	layers := 0
	for f := range m.flats() {
		layers += len(f.layers)
	}
	for v := range m.s.mu.views {
		require.Empty(t, v.own)
	}
	require.Equal(t, depth, layers)
	require.Len(t, m.view(name).layers(), depth)
	require.NoError(t, m.s.Verify())
	require.NoError(t, m.s.Settle())
	m.holds(m.s)
	require.NoError(t, m.s.Verify())
}

// Lists of what is dead lie over each other without becoming many.
func TestDeadTablesHaveFewLists(t *testing.T) {
	m := newMarking(t, 1)
	base := m.layer(MainFork, "abcdefghijklmnopqrstuvwxyz")
	var tables []*forktree.Table
	tables = append(tables, base.Run.Tables...)
	rng := rand.New(rand.NewPCG(4, 4))
	var all *deadTables
	newest := map[*forktree.Table]*forktree.Marks{}
	for range 200 {
		marked := deadOnPath{}
		for range 1 + rng.IntN(5) {
			tb := tables[rng.IntN(len(tables))]
			mk := &forktree.Marks{Table: tb, Vector: sstable.WholeVector(1)}
			marked[tb] = []*forktree.Marks{mk}
			newest[tb] = mk
		}
		all = marked.over(all)
		lists := 0
		for d := all; d != nil; d = d.below {
			lists++
		}
		require.LessOrEqual(t, lists, 6)
		for _, tb := range tables {
			if mk := newest[tb]; mk != nil {
				require.Same(t, mk.Local, all.of(tb))
			} else {
				require.Nil(t, all.of(tb))
			}
		}
	}
}

// acquire gives the view that the fork is read through.
func (f *Fork) acquire() (*view, error) {
	r, err := f.reader()
	if err != nil {
		return nil, err
	}
	return r.acquire()
}
