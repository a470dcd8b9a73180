package forktree

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/manifest"
	"github.com/tinedb/tine/sstable"
)

// longNode makes a tree of one node with a run of so many tables, all in a file of
// their own, and one fork at it.
func longNode(tables int, by cuts) (*Tree, *Node) {
	tree := New()
	tree.cuts = by
	n := chain(tree, 1)[0]
	c := tree.Claim([]*Node{n})
	metas := make([]sstable.Meta, tables)
	for i := range metas {
		metas[i] = tableAt(i+1, i)
	}
	tree.InstallTables(c, tree.NewRun(metas), nil)
	tree.Unclaim(c)
	return tree, n
}

// tableAt describes a table of one row at a place of the key space.
func tableAt(id, place int) sstable.Meta {
	key := fmt.Appendf(nil, "%09d", place)
	return sstable.Meta{ID: ids.TableID(id), File: ids.FileNum(id), Rows: 1, Length: 10, Smallest: key, Largest: key}
}

// rewriteSome swaps in new tables for those at some places of the node's run.
func (t *Tree) rewriteSome(n *Node, id int, places ...int) {
	c := t.Claim([]*Node{n})
	tables := slices.Clone(n.Run.Tables)
	for i, at := range places {
		m := tables[at].Meta
		m.ID, m.File = ids.TableID(id+i), ids.FileNum(id+i)
		tables[at] = t.NewTables([]sstable.Meta{m})[0]
	}
	t.installMerge(c, t.RunOf(tables))
	t.Unclaim(c)
}

// loggedBytes is what a transaction says about runs: 45 bytes a node and 13 a chunk, and
// 8 for each that they name.
func loggedBytes(tx *manifest.Transaction) (bytes int) {
	for _, n := range tx.PutNodes {
		bytes += 45 + 8*(len(n.Tables)+len(n.Chunks))
	}
	for _, c := range tx.PutChunks {
		bytes += 13 + 8*len(c.Tables)
	}
	return bytes + 9*len(tx.DropChunks)
}

// TestAPartialMergeLogsWhatItChanges: of ten thousand tables some are rewritten, time
// and again. With the list of all tables each step would log 80 KB.
func TestAPartialMergeLogsWhatItChanges(t *testing.T) {
	const tables, steps, changed = 10_000, 100, 4
	tree, n := longNode(tables, defaultCuts)
	require.Less(t, len(n.Run.chunks), tables/20)
	whole := loggedBytes(tree.TakeTransaction())
	random := rand.New(rand.NewPCG(1, 1))
	total, most := 0, 0
	for step := range steps {
		at := random.IntN(tables - changed)
		tree.rewriteSome(n, 20_000+step*changed, at, at+1, at+2, at+3)
		tx := tree.TakeTransaction()
		require.Len(t, tx.PutTables, changed)
		require.Len(t, tx.DropTables, changed)
		require.LessOrEqual(t, len(tx.PutChunks), 4, "the stretch with the change, and until the cuts are the same again")
		total, most = total+loggedBytes(tx), max(most, loggedBytes(tx))
	}
	t.Logf("the whole run takes %d bytes in %d chunks; a step logs %d on average and %d at most", whole, len(n.Run.chunks), total/steps, most)
	require.Less(t, total/steps, 4000)
	require.Less(t, most, 8000)
	require.NoError(t, tree.Verify(nil, nil))
}

// TestCutsDependOnTheListAlone: whatever was done to a run, its chunks are those that a
// tree would make which has never seen another. So runs of any history share what they
// have in common.
func TestCutsDependOnTheListAlone(t *testing.T) {
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 2))
		by := cuts{whole: 3, mean: 1 + random.Uint64N(6), max: 2 + random.IntN(8)}
		tree, n := longNode(60, by)
		next := 1000
		for range 30 {
			c := tree.Claim([]*Node{n})
			tables := slices.Clone(n.Run.Tables)
			from := random.IntN(len(tables) + 1)
			to := min(len(tables), from+random.IntN(6))
			var made []*Table
			for i := range to - from { // as many or fewer in their place
				if random.IntN(3) > 0 {
					m := tables[from+i].Meta
					m.ID, m.File = ids.TableID(next), ids.FileNum(next)
					made, next = append(made, tree.NewTables([]sstable.Meta{m})...), next+1
				}
			}
			tables = slices.Replace(tables, from, to, made...)
			for range random.IntN(3) { // the list goes on where it ended
				tables, next = append(tables, tree.NewTables([]sstable.Meta{tableAt(next, next)})...), next+1
			}
			tree.installMerge(c, tree.RunOf(tables))
			tree.Unclaim(c)
			require.NoError(t, tree.Verify(nil, nil))
		}
		fresh := New()
		fresh.cuts = by
		var copies []*Table
		for _, tb := range n.Run.Tables {
			copies = append(copies, &Table{Meta: tb.Meta})
		}
		want := fresh.RunOf(copies)
		require.Equal(t, len(want.chunks), len(n.Run.chunks), "seed %d", seed)
		for i, c := range n.Run.chunks {
			require.Equal(t, tableIDs(want.chunks[i].tables), tableIDs(c.tables), "seed %d", seed)
			require.LessOrEqual(t, len(c.tables), by.max)
		}
	}
}

// TestAShortRunIsNotCut, for a chunk of its own would be one record more.
func TestAShortRunIsNotCut(t *testing.T) {
	for _, tables := range []int{0, 1, defaultCuts.whole} {
		tree, _ := longNode(tables, defaultCuts)
		tx := tree.TakeTransaction()
		require.Empty(t, tx.PutChunks)
		require.Len(t, tx.PutNodes[0].Tables, tables)
		require.Empty(t, tx.PutNodes[0].Chunks)
	}
	tree, _ := longNode(defaultCuts.whole+1, defaultCuts)
	tx := tree.TakeTransaction()
	require.NotEmpty(t, tx.PutChunks)
	require.Empty(t, tx.PutNodes[0].Tables)
}

// TestNodesShareChunksAcrossABranchPoint: the node that a merge leaves to a snapshot, and
// the one above it that has most of its tables, count and log what they share once; and
// who lets go last lets the tables go.
func TestNodesShareChunksAcrossABranchPoint(t *testing.T) {
	tree := New()
	tree.cuts = cuts{whole: 4, mean: 8, max: 16}
	path := chain(tree, 2)
	upper, lower := path[0], path[1]
	flush := func(n *Node, metas ...sstable.Meta) {
		c := tree.Claim([]*Node{n})
		tree.InstallTables(c, tree.NewRun(metas), nil)
		tree.Unclaim(c)
	}
	var metas []sstable.Meta
	for i := range 200 {
		metas = append(metas, tableAt(i+1, i))
	}
	flush(lower, metas...)
	flush(upper, tableAt(500, 100))
	kept := &Snapshot{ID: 50, Name: "kept", Node: lower}
	tree.AddSnapshot(kept)
	tree.TakeTransaction()
	before := len(lower.Run.chunks)

	c := tree.Claim(path)
	tables := slices.Clone(lower.Run.Tables)
	tables[100] = tree.NewTables([]sstable.Meta{tableAt(501, 100)})[0]
	tree.installMerge(c, tree.RunOf(tables))
	tree.Unclaim(c)
	require.NoError(t, tree.Verify(nil, nil))
	tx := tree.TakeTransaction()
	require.Len(t, tx.PutNodes, 1)
	require.LessOrEqual(t, len(tx.PutChunks), 3)
	require.Empty(t, tx.DropChunks, "the snapshot has them all")
	require.True(t, upper.Run.Shares(upper.Run.Tables[0]), "a table of a chunk that two runs have")
	require.False(t, upper.Run.Shares(upper.Run.Tables[100]))
	require.EqualValues(t, 1, lower.Run.Tables[0].held, "the chunk counts the two runs, the table the chunk")
	require.Equal(t, uint64(10), tree.Sizes(lower).Exclusive)

	watch := tree.Watch()
	watch.Take(false, nil)
	tree.DropSnapshot(kept)
	for tree.Release(1) {
	}
	require.NoError(t, tree.Verify(nil, nil))
	require.False(t, upper.Run.Shares(upper.Run.Tables[0]))
	tx = tree.TakeTransaction()
	require.LessOrEqual(t, len(tx.DropChunks), 3)
	require.Less(t, len(tx.DropChunks), before)
	require.Equal(t, []ids.TableID{101}, tx.DropTables)
	files, gone := tree.TakeObsolete()
	require.Equal(t, []ids.FileNum{500, 101}, files)
	require.Len(t, gone, 2)
	require.Equal(t, uint64(2000), tree.Sizes(upper).Exclusive)
}

// TestWhoMarksASharedChunkIsToldWhenItIsSharedNoMore, for what was worth nothing to
// rewrite now gives space back; and nobody is told when a swap leaves it as it was.
func TestWhoMarksASharedChunkIsToldWhenItIsSharedNoMore(t *testing.T) {
	tree := New()
	tree.cuts = cuts{whole: 4, mean: 8, max: 16}
	path := chain(tree, 3)
	for i, n := range path {
		c := tree.Claim([]*Node{n})
		metas := []sstable.Meta{tableAt(500+i, 150)}
		if i == 2 {
			metas = nil
			for k := range 200 {
				metas = append(metas, tableAt(k+1, k))
			}
		}
		tree.InstallTables(c, tree.NewRun(metas), nil)
		tree.Unclaim(c)
	}
	top, middle, base := path[0], path[1], path[2]
	kept := &Snapshot{ID: 50, Name: "kept", Node: base}
	tree.AddSnapshot(kept)
	tree.addMarks(top, base.Run.Tables[3], sstable.WholeVector(1))
	watch := tree.Watch()
	watch.Take(false, nil)

	merge := func(rng []*Node, id int, at int) {
		c := tree.Claim(rng)
		tables := slices.Clone(rng[len(rng)-1].Run.Tables)
		tables[at] = tree.NewTables([]sstable.Meta{tableAt(id, at)})[0]
		tree.installMerge(c, tree.RunOf(tables))
		tree.Unclaim(c)
	}
	merge(path[1:], 600, 150)
	require.True(t, middle.Run.Shares(middle.Run.Tables[3]))
	watch.Take(false, nil)
	stirred := top.stirs
	old, heir := middle.Run, tree.RunOf(slices.Clone(middle.Run.Tables))
	tree.hold(heir)
	middle.Run = heir
	tree.letGo(old, heir)
	require.Equal(t, stirred, top.stirs, "the heir has the same chunks")
	require.NoError(t, tree.Verify(nil, nil))

	tree.DropSnapshot(kept)
	watch.Take(false, nil)
	require.Zero(t, top.stirs&watch.below)
	for tree.Release(1) {
	}
	require.NotZero(t, top.stirs&watch.below, "its marks may be worth a rewrite now")
	require.False(t, middle.Run.Shares(middle.Run.Tables[3]))
	require.NoError(t, tree.Verify(nil, nil))
}

// TestAChunkThatIsHeldAgainIsNotDropped, in the same transaction or in a later one.
func TestAChunkThatIsHeldAgainIsNotDropped(t *testing.T) {
	for _, between := range []bool{false, true} {
		tree, n := longNode(40, cuts{whole: 4, mean: 4, max: 8})
		state := manifest.NewState()
		state.Apply(tree.TakeTransaction())
		want := fmt.Sprint(state.Chunks)
		first, tables := n.Run, slices.Clone(n.Run.Tables)
		tree.Pin(first) // a view
		tree.rewriteSome(n, 100, 0, 20, 39)
		if between {
			state.Apply(tree.TakeTransaction())
			require.NotEqual(t, want, fmt.Sprint(state.Chunks))
		}
		c := tree.Claim([]*Node{n})
		tree.installMerge(c, tree.RunOf(tables))
		tree.Unclaim(c)
		tree.Unpin(first)
		require.NoError(t, tree.Verify(nil, nil))
		state.Apply(tree.TakeTransaction())
		require.Equal(t, want, fmt.Sprint(state.Chunks))
		require.Equal(t, tableIDs(tables), slices.Collect(state.Run(new(state.Nodes[n.ID]))))
	}
}

// TestLoadKeepsChunksAsTheyAre: nothing has to be written for them, runs share them
// again, and new ones have ids of their own.
func TestLoadKeepsChunksAsTheyAre(t *testing.T) {
	by := cuts{whole: 4, mean: 4, max: 8}
	tree, n := longNode(40, by)
	tree.AddSnapshot(&Snapshot{ID: 50, Name: "kept", Node: n})
	state := manifest.NewState()
	state.Apply(tree.TakeTransaction())
	state.Nodes[90] = manifest.Node{ID: 90, Chunks: state.Nodes[n.ID].Chunks[:3]}
	state.Snapshots[51] = manifest.Snapshot{ID: 51, Name: "above", Node: 90}
	state.Chunks[77] = state.Chunks[1] // nobody has it
	loaded, err := load(state, nil, nil, by)
	require.NoError(t, err)
	require.NoError(t, loaded.Verify(nil, nil))
	require.Same(t, loaded.NodeByID(90).Run.chunks[0], loaded.NodeByID(n.ID).Run.chunks[0])
	change := manifest.Diff(state, loaded.Recovered())
	require.Equal(t, &manifest.Transaction{DropChunks: []ids.ChunkID{77}}, change)

	m := loaded.NodeByID(n.ID)
	loaded.rewriteSome(m, 100, 20)
	tx := loaded.TakeTransaction()
	require.NotEmpty(t, tx.PutChunks)
	for _, c := range tx.PutChunks {
		require.Greater(t, c.ID, ids.ChunkID(77))
	}
	state.Apply(change)
	state.Apply(tx)
	require.Equal(t, tableIDs(m.Run.Tables), slices.Collect(state.Run(new(state.Nodes[n.ID]))))
	require.Equal(t, tableIDs(tree.NodeByID(n.ID).Run.Tables)[:len(loaded.NodeByID(90).Run.Tables)], tableIDs(loaded.NodeByID(90).Run.Tables))
}

func TestLoadRefusesChunksThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(*manifest.State, *manifest.Node)
		want   string
	}{
		{"a chunk that is not there", func(s *manifest.State, n *manifest.Node) { delete(s.Chunks, n.Chunks[1]) }, "which the manifest does not know"},
		{"a chunk of nothing", func(s *manifest.State, n *manifest.Node) { s.Chunks[n.Chunks[1]] = nil }, "is empty"},
		{"a table that is not there", func(s *manifest.State, n *manifest.Node) { s.Chunks[n.Chunks[1]] = []ids.TableID{999} }, "names table 999, which the manifest does not know"},
		{"chunks out of order", func(_ *manifest.State, n *manifest.Node) { slices.Reverse(n.Chunks) }, "overlap"},
		{"tables out of order", func(s *manifest.State, n *manifest.Node) { slices.Reverse(s.Chunks[n.Chunks[0]]) }, "overlap"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree, n := longNode(40, cuts{whole: 4, mean: 40, max: 8})
			tree.AddSnapshot(&Snapshot{ID: 50, Name: "kept", Node: n})
			state := manifest.NewState()
			state.Apply(tree.TakeTransaction())
			r := state.Nodes[n.ID]
			require.Greater(t, len(state.Chunks[r.Chunks[0]]), 1)
			c.damage(state, &r)
			state.Nodes[n.ID] = r
			_, err := Load(state, nil, nil)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestChunksOfOneRunMayNotOverlap(t *testing.T) {
	tree, n := longNode(40, cuts{whole: 4, mean: 4, max: 8})
	tables := slices.Concat(n.Run.chunks[1].tables, n.Run.chunks[0].tables, n.Run.chunks[2].tables)
	require.PanicsWithValue(t, invariant.Violation(fmt.Sprintf("tables %d and 1 of one run overlap", n.Run.chunks[1].last().Meta.ID)),
		func() { tree.RunOf(tables) })
}

// BenchmarkPartialMerge of 4 of 10 000 tables: what a swap costs under the lock.
func BenchmarkPartialMerge(b *testing.B) {
	tree, n := longNode(10_000, defaultCuts)
	tree.TakeTransaction()
	id := 20_000
	for i := range b.N {
		at := i * 37 % 9_000
		c := tree.Claim([]*Node{n})
		tables := slices.Clone(n.Run.Tables)
		remap := sstable.NewRemapBuilder()
		var consumed []*Table
		for k := range 4 {
			old := tables[at+k]
			m := old.Meta
			remap.From(m.ID, m.Rows)
			consumed = append(consumed, old)
			m.ID, m.File = ids.TableID(id), ids.FileNum(id)
			tables[at+k], id = tree.NewTables([]sstable.Meta{m})[0], id+1
		}
		tree.Install(tree.Replace(c, tree.RunOf(tables), consumed, remap.Finish()), nil)
		tree.Unclaim(c)
		tree.TakeTransaction()
		tree.TakeObsolete()
	}
}
