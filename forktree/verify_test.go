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
		{"a claim that nobody has", func(t *Tree, _, _ *Node, _ *Table) { t.claims[&Claim{}] = struct{}{} }},
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

// TestVerifyFindsEveryKindOfWrongMarks breaks one thing about marks at a time: the
// newest node's, on the tables of the two below it.
func TestVerifyFindsEveryKindOfWrongMarks(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(tree *Tree, newest, middle *Node, m *Marks)
		says  string
	}{
		{"the number of vectors", func(t *Tree, _, _ *Node, _ *Marks) { t.markCount++ }, "counts 4 vectors"},
		{"their memory", func(t *Tree, _, _ *Node, _ *Marks) { t.markBytes++ }, "counts 3 vectors"},
		{"a table that does not know of a node's marks", func(_ *Tree, _, _ *Node, m *Marks) {
			m.Table.holders = nil
		}, "does not know of its marks"},
		{"a node that does not know of its marks", func(_ *Tree, n, _ *Node, _ *Marks) { n.marks = n.marks[1:] }, "node 3 does not know of its marks"},
		{"marks at another place of the table's list", func(_ *Tree, _, _ *Node, m *Marks) {
			h := m.Table.holders
			h[0], h[1] = h[1], h[0]
		}, "does not know of its marks"},
		{"marks twice in the table's list", func(_ *Tree, _, _ *Node, m *Marks) {
			m.Table.holders = append(m.Table.holders, m)
		}, "does not know of its marks"},
		{"marks that name another node", func(_ *Tree, _, middle *Node, m *Marks) { m.Node = middle }, "does not know of its marks"},
		{"marks out of order", func(_ *Tree, n, _ *Node, _ *Marks) {
			n.marks[0], n.marks[1] = n.marks[1], n.marks[0]
		}, "out of order"},
		{"marks twice on a table", func(_ *Tree, n, _ *Node, m *Marks) { n.marks = append([]*Marks{m}, n.marks...) }, "out of order"},
		{"a vector of another table", func(_ *Tree, _, _ *Node, m *Marks) { m.Vector = sstable.WholeVector(6) }, "over 6 rows"},
		{"marks of a node in memory", func(t *Tree, n, _ *Node, _ *Marks) {
			t.memoryBytes, t.memoryNodes = 10, 1
			n.Mem, n.Run = count(1), nil
		}, "in memory and has marks"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree, path := marked()
			require.NoError(t, tree.Verify(nil, nil))
			c.spoil(tree, path[0], path[1], path[0].Marks()[0])
			require.ErrorContains(t, tree.Verify(nil, nil), c.says)
		})
	}
}

// TestVerifyFindsEveryWrongChunk breaks one thing about the chunks of a sound tree at a
// time.
func TestVerifyFindsEveryWrongChunk(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *Tree, r *Run)
	}{
		{"nodes of a chunk", func(_ *Tree, r *Run) { r.chunks[0].held++ }},
		{"runs of a chunk", func(_ *Tree, r *Run) { r.chunks[0].alive++ }},
		{"a run that lacks a chunk", func(_ *Tree, r *Run) { r.chunks = r.chunks[1:] }},
		{"a chunk of other tables", func(_ *Tree, r *Run) { r.chunks[0].tables = r.chunks[1].tables }},
		{"a chunk that the tree does not know", func(t *Tree, r *Run) { t.forgetChunk(r.chunks[0]) }},
		{"a chunk that nobody has", func(t *Tree, r *Run) { t.newChunk(99, r.Tables[:1]) }},
		{"two chunks with one id", func(_ *Tree, r *Run) { r.chunks[1].id = r.chunks[0].id }},
		{"a chunk with an id to come", func(t *Tree, r *Run) { r.chunks[1].id = t.lastChunk + 1 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree, n := longNode(40, cuts{whole: 4, mean: 4, max: 8})
			require.NoError(t, tree.Verify(nil, nil))
			c.spoil(tree, n.Run)
			require.Error(t, tree.Verify(nil, nil))
		})
	}
}

func TestVerifyCountsTheRunOfAReplacement(t *testing.T) {
	tree, path := marked()
	r := prepareRewrite(tree, path[2], 11, 0)
	require.NoError(t, tree.Verify([]*Claim{r.claim}, nil))
	delete(tree.replacements, r)
	require.Error(t, tree.Verify([]*Claim{r.claim}, nil))
}
