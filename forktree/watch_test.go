package forktree

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
)

// A node at which somebody enters while a Take rests is told this time or the next, also
// if the walk has been there and the node's own change is still to be looked at.
func TestAnEntryThatComesWhileATakeRestsIsTold(t *testing.T) {
	tree := New()
	w := tree.Watch()
	next := uint64(1)
	id := func() uint64 { next++; return next }
	grow := func(top *Node) *Node {
		n := id()
		f := &Fork{ID: ids.ForkID(n), Name: string(rune(n)), Top: top, MemtableID: ids.NodeID(id())}
		tree.AddFork(f)
		f.Mem, f.Low = count(1), 1
		return tree.Freeze(f, 1, ids.NodeID(id()))
	}
	base := grow(nil)
	node := grow(base)
	above := grow(node)
	tree.DropFork(tree.ActiveFork(node.Fork))
	for range restEvery + 10 {
		grow(base)
	}
	w.Take(false, nil)
	require.False(t, node.entered())
	require.True(t, above.entered())

	tree.stirThrough(base)
	tree.stirThrough(node)
	rests := 0
	told := w.Take(false, func() {
		if rests++; rests == 1 {
			n := id()
			tree.AddFork(&Fork{ID: ids.ForkID(n), Name: "late", Top: node, MemtableID: ids.NodeID(id())})
		}
	})
	require.Positive(t, rests)
	require.True(t, node.entered())
	require.True(t, slices.Contains(append(told, w.Take(false, nil)...), node))
}
