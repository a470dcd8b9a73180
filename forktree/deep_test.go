package forktree

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/manifest"
)

const deep = 100_000

// TestADeepChainIsDroppedInSlices drops a fork over a chain of 100 000 nodes: the
// drop touches one, and each slice as many as it may.
func TestADeepChainIsDroppedInSlices(t *testing.T) {
	const slice = 1000
	tree := New()
	chain(tree, deep)
	require.NoError(t, tree.Verify(nil, nil))
	tree.DropFork(tree.ForkByName("main"))
	require.Equal(t, deep, tree.NodeCount(), "a drop takes nothing apart")
	for left := deep - slice; ; left -= slice {
		more := tree.Release(slice)
		require.Equal(t, left, tree.NodeCount())
		require.Equal(t, left > 0, more)
		if !more {
			break
		}
	}
	require.Zero(t, tree.MemoryBytes())
	require.Zero(t, tree.MemoryNodes())
	require.NoError(t, tree.Verify(nil, nil))
}

// TestADeepChainIsLoaded loads a chain of which every other node is in tables.
func TestADeepChainIsLoaded(t *testing.T) {
	state := manifest.NewState()
	frozen, mems := map[ids.NodeID]Frozen{}, map[ids.NodeID]Memtable{}
	for id := ids.NodeID(1); id <= deep; id++ {
		if id%2 == 0 {
			state.Nodes[id] = manifest.Node{ID: id, Older: id - 1}
			continue
		}
		frozen[id] = Frozen{Older: id - 1, LSN: ids.LSN(id)}
		mems[id] = Memtable{Mem: count(1), Low: ids.LSN(id)}
	}
	state.Forks.Put(manifest.Fork{ID: 1, Name: "main", Top: deep, Memtable: deep + 1})
	tree, err := Load(state, frozen, mems)
	require.NoError(t, err)
	require.NoError(t, tree.Verify(nil, nil))
	require.Equal(t, deep, tree.NodeCount())
	require.Equal(t, deep/2, tree.MemoryNodes())
	require.Equal(t, ids.LSN(1), tree.LowLSN(deep, nil))
	require.Len(t, tree.TakeTransaction().PutNodes, deep/2)

	tree.DropFork(tree.ForkByID(1))
	for tree.Release(deep / 7) {
	}
	require.Zero(t, tree.NodeCount())
	require.Len(t, tree.TakeTransaction().DropNodes, deep/2)
}

// TestADeepTreeIsDrawnNarrow draws a chain, and a comb: a chain with a fork of
// one node at each. Neither may indent, or call, deeper with each node.
func TestADeepTreeIsDrawnNarrow(t *testing.T) {
	tree := New()
	chain(tree, deep)
	draw := func() []string {
		var picture bytes.Buffer
		require.NoError(t, tree.Draw(&picture))
		return strings.Split(strings.TrimSpace(picture.String()), "\n")
	}
	require.Len(t, draw(), deep)

	id := ids.NodeID(2 * deep)
	for _, n := range tree.Nodes() {
		f := &Fork{ID: ids.ForkID(id), Name: "f" + ids.SegmentName(ids.FileNum(id)), Top: n, MemtableID: id}
		tree.AddFork(f)
		f.Mem, f.Low = count(1), 1
		id++
		tree.Freeze(f, 2, id)
	}
	lines := draw()
	require.Len(t, lines, 2*deep)
	indented := 0
	for _, line := range lines {
		require.False(t, strings.HasPrefix(line, "│"))
		if strings.HasPrefix(line, "├─ ") {
			indented++
		}
	}
	require.Equal(t, deep-1, indented, "the last of the chain has one child")
}
