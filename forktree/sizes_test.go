package forktree

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/sstable"
)

// sized makes a table of as many bytes as its id, in its own file or in one with
// others, behind them.
func sized(id int, key string, file, offset int) sstable.Meta {
	return sstable.Meta{
		ID: ids.TableID(id), File: ids.FileNum(file), Rows: 1, Length: uint64(id), Offset: uint64(offset),
		Smallest: []byte(key), Largest: []byte(key),
	}
}

func TestSizesOfPathsThatShareRunsTablesAndFiles(t *testing.T) {
	tree := New()
	path := chain(tree, 2) // with a fork on top
	newest, oldest := path[0], path[1]
	fork := tree.Forks()[0]
	flush := func(n *Node, metas ...sstable.Meta) {
		c := tree.Claim([]*Node{n})
		tree.InstallTables(c, tree.NewRun(metas), nil)
		tree.Unclaim(c)
	}
	flush(oldest, sized(10, "a", 1, 0), sized(20, "b", 2, 0))
	flush(newest, sized(100, "a", 1, 10), sized(200, "c", 3, 0))
	require.Equal(t, Sizes{Depth: 2, Referenced: 330, Exclusive: 330, Freed: 330}, tree.Sizes(fork.Top))
	require.Equal(t, Sizes{}, tree.Sizes(nil))

	kept := &Snapshot{ID: 50, Name: "kept", Node: oldest}
	tree.AddSnapshot(kept)
	require.Equal(t, Sizes{Depth: 2, Referenced: 330, Exclusive: 300, Freed: 200}, tree.Sizes(fork.Top), "a file holds a table of the snapshot")
	require.Equal(t, Sizes{Depth: 1, Referenced: 30}, tree.Sizes(oldest))

	// A merge takes over one table of the older node, which the snapshot keeps too.
	c := tree.Claim(path)
	made := tree.NewTables([]sstable.Meta{sized(300, "a", 4, 0)})
	tree.installMerge(c, tree.RunOf([]*Table{made[0], oldest.Run.Tables[1]}))
	tree.Unclaim(c)
	require.Equal(t, Sizes{Depth: 1, Referenced: 320, Exclusive: 300, Freed: 300}, tree.Sizes(fork.Top), "a table that two runs have")
	require.Equal(t, Sizes{Depth: 1, Referenced: 30, Exclusive: 10, Freed: 110}, tree.Sizes(oldest), "the file is longer than what lives in it")
	require.NoError(t, tree.Verify(nil, nil))

	tree.DropSnapshot(kept)
	for tree.Release(1) {
	}
	require.Equal(t, Sizes{Depth: 1, Referenced: 320, Exclusive: 320, Freed: 320}, tree.Sizes(fork.Top))
	require.NoError(t, tree.Verify(nil, nil))

	// Two forks at one node.
	tree.AddFork(&Fork{ID: 60, Name: "second", Top: fork.Top, MemtableID: 61})
	require.Equal(t, Sizes{Depth: 1, Referenced: 320}, tree.Sizes(fork.Top))
	require.NoError(t, tree.Verify(nil, nil))
}
