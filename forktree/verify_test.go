package forktree

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/sstable"
)

// TestVerifyFindsEveryWrongCount breaks one count of a sound tree at a time.
func TestVerifyFindsEveryWrongCount(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*Tree, *Node, *Node, *Table) // newest node, in memory; oldest, in tables; its table
	}{
		{"references of a node", func(_ *Tree, n, _ *Node, _ *Table) { n.refs++ }},
		{"jobs of a node", func(_ *Tree, n, _ *Node, _ *Table) { n.jobs++ }},
		{"a node freed while it is held", func(_ *Tree, n, _ *Node, _ *Table) { n.freed = true }},
		{"a node in memory and in tables", func(_ *Tree, n, o *Node, _ *Table) { n.Run = o.Run }},
		{"a node above a newer one", func(_ *Tree, n, o *Node, _ *Table) { o.ID = n.ID + 1 }},
		{"bytes in memory", func(t *Tree, _, _ *Node, _ *Table) { t.memoryBytes++ }},
		{"nodes in memory", func(t *Tree, _, _ *Node, _ *Table) { t.memoryNodes++ }},
		{"live bytes", func(t *Tree, _, _ *Node, _ *Table) { t.liveBytes++ }},
		{"holders of a run", func(_ *Tree, _, o *Node, _ *Table) { o.Run.holders++ }},
		{"pins of a run", func(_ *Tree, _, o *Node, _ *Table) { o.Run.pins++ }},
		{"holders of a table", func(_ *Tree, _, _ *Node, tb *Table) { tb.held++ }},
		{"runs of a table", func(_ *Tree, _, _ *Node, tb *Table) { tb.alive++ }},
		{"tables of a file", func(_ *Tree, _, _ *Node, tb *Table) { tb.file.alive++ }},
		{"a table that nobody has", func(t *Tree, _, _ *Node, _ *Table) { t.NewRun([]sstable.Meta{{ID: 8, File: 7}}) }},
		{"a file that nobody has", func(t *Tree, _, _ *Node, _ *Table) { t.files[9] = &file{num: 9} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := New()
			path := chain(tree, 2)
			claim := tree.Claim(path[1:])
			tree.InstallTables(claim, tree.NewRun([]sstable.Meta{{ID: 1, File: 7, Length: 10, Rows: 1}}), nil)
			tree.Unclaim(claim)
			require.NoError(t, tree.Verify(nil, nil))
			c.spoil(tree, path[0], path[1], path[1].Run.Tables[0])
			require.Error(t, tree.Verify(nil, nil))
		})
	}
}
