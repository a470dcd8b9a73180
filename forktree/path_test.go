package forktree

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/sstable"
)

func TestFindGivesTheOnlyTableThatCanHoldAKey(t *testing.T) {
	meta := func(id ids.TableID, smallest, largest string) sstable.Meta {
		return sstable.Meta{ID: id, File: 1, Length: 10, Rows: 3, Tombstones: 1, Smallest: []byte(smallest), Largest: []byte(largest)}
	}
	run := New().NewRun([]sstable.Meta{meta(1, "b", "d"), meta(2, "e", "e"), meta(3, "g", "k")})
	for key, want := range map[string]ids.TableID{
		"": 0, "a": 0, "b": 1, "c": 1, "d": 1, "d\x00": 0, "e": 2, "e\x00": 0, "f": 0, "g": 3, "h": 3, "k": 3, "k\x00": 0, "z": 0,
	} {
		var got ids.TableID
		if tb := run.Find([]byte(key)); tb != nil {
			got = tb.Meta.ID
		}
		require.Equal(t, want, got, "key %q", key)
	}
	require.EqualValues(t, 30, run.Bytes())
	require.EqualValues(t, 9, run.Rows())
	require.EqualValues(t, 3, run.Tombstones())
	require.Nil(t, (&Run{}).Find([]byte("a")))
}

func TestEntriesAreWhereAPathBeginsOrParts(t *testing.T) {
	tree := New()
	path := chain(tree, 6)
	require.Equal(t, path[:1], tree.Entries(nil))

	tree.AddSnapshot(&Snapshot{ID: 1, Name: "s", Node: path[1]})
	a := &Fork{ID: 2, Name: "a", Top: path[3], MemtableID: 50}
	tree.AddFork(a)
	require.ElementsMatch(t, []*Node{path[3], path[1], path[0]}, tree.Entries(nil))

	a.Mem, a.Low = count(1), 90
	own := tree.Freeze(a, 91, 51)
	require.ElementsMatch(t, []*Node{path[3], path[1], path[0], own}, tree.Entries(nil), "two children make a branch point")

	tree.DropFork(a)
	require.Equal(t, 7, tree.NodeCount())
	require.NotContains(t, tree.Nodes(), own, "it only waits for Release")
	require.False(t, tree.Release(1))
	require.ElementsMatch(t, []*Node{path[1], path[0]}, tree.Entries(nil), "the branch point is gone")

	main := tree.ForkByName("main")
	tree.ResetFork(main, path[2], 60)
	require.False(t, tree.Release(1))
	require.ElementsMatch(t, []*Node{path[2], path[1]}, tree.Entries(nil), "a snapshot alone holds the newest node")
	empty := New()
	empty.AddFork(&Fork{ID: 1, Name: "main", MemtableID: 1})
	require.Empty(t, empty.Entries(nil))
}

// While a long walk rests the tree may change. A memtable that is frozen meanwhile is
// met as a node, and one that takes over another makes the walk worthless.
func TestTheLowestLSNIsKnownOrNotSaid(t *testing.T) {
	tree := New()
	var forks []*Fork
	for i := range ids.ForkID(2 * restEvery) {
		f := &Fork{ID: i + 1, Name: fmt.Sprint(i), MemtableID: ids.NodeID(i + 1), Mem: count(1), Low: ids.LSN(1000 + i)}
		tree.AddFork(f)
		forks = append(forks, f)
	}
	forks[0].Low = 5
	next := ids.NodeID(1 << 20)
	freeze := func(f *Fork) *Node {
		next++
		return tree.Freeze(f, 1<<30, next)
	}
	frozen := false
	require.Equal(t, ids.LSN(5), tree.LowLSN(1<<40, func() {
		if !frozen {
			frozen = true
			for _, f := range forks {
				freeze(f)
			}
		}
	}))
	require.True(t, frozen)

	f := forks[0]
	f.Mem, f.Low = count(1), 1<<30
	n := freeze(f)
	merged := false
	require.Zero(t, tree.LowLSN(1<<40, func() {
		if !merged {
			merged = true
			c := tree.Claim([]*Node{n, n.Older})
			tree.InstallMemory(c, count(2))
			tree.Unclaim(c)
		}
	}), "the older node may have gone before it was met, and the newer one come before it held its rows")
	require.Equal(t, ids.LSN(5), tree.LowLSN(1<<40, nil))
}
