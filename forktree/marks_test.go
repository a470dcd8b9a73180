package forktree

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/manifest"
	"github.com/tinedb/tine/sstable"
)

// marked is a path of three nodes in tables, newest first: tables 3, 2 and 1 of five
// rows each. The newest marks rows of the other two, the next of the oldest.
func marked() (*Tree, []*Node) {
	tree := New()
	path := chain(tree, 3)
	for i := range path {
		n := path[len(path)-1-i]
		c := tree.Claim([]*Node{n})
		var found []TableMarks
		for j, x := range path[len(path)-i:] {
			found = append(found, deadRows(x.Run.Tables[0], i, i+1-j))
		}
		tree.InstallTables(c, tree.NewRun([]sstable.Meta{fiveRows(i + 1)}), found)
		tree.Unclaim(c)
	}
	return tree, path
}

func fiveRows(id int) sstable.Meta {
	return sstable.Meta{ID: ids.TableID(id), File: ids.FileNum(id), Length: 10, Rows: 5, Smallest: []byte("a"), Largest: []byte("z")}
}

func deadRows(tb *Table, rows ...int) TableMarks {
	var dead set
	for _, row := range rows {
		dead.add(row)
	}
	return TableMarks{Table: tb, Vector: dead.vector(tb)}
}

// nodesOf gives the ids of the nodes that mark rows of a table.
func nodesOf(tb *Table) []ids.NodeID {
	var out []ids.NodeID
	for _, m := range tb.Marked() {
		out = append(out, m.Node.ID)
	}
	return out
}

func TestANodeAndATableBothKnowOfMarks(t *testing.T) {
	tree, path := marked()
	require.NoError(t, tree.Verify(nil, nil))
	newest, middle, oldest := path[0], path[1], path[2]
	require.Equal(t, 3, tree.MarkCount())
	one, two := oldest.Run.Tables[0], middle.Run.Tables[0]
	require.ElementsMatch(t, []ids.NodeID{middle.ID, newest.ID}, nodesOf(one))
	require.Equal(t, []ids.NodeID{newest.ID}, nodesOf(two))
	require.Equal(t, 2, one.Holders())
	require.Equal(t, 0, newest.Run.Tables[0].Holders())

	require.Empty(t, oldest.Marks())
	require.Len(t, newest.Marks(), 2)
	require.Equal(t, one, newest.Marks()[0].Table, "by table id")
	require.Equal(t, two, newest.MarksOn(two).Table)
	require.Nil(t, middle.MarksOn(two))

	var bytes int64
	for _, n := range path {
		for _, m := range n.Marks() {
			bytes += m.Vector.Bytes()
		}
	}
	require.Positive(t, bytes)
	require.Equal(t, bytes, tree.MarkBytes())
}

func TestMoreMarksOfANodeOnATableAreOneVector(t *testing.T) {
	tree, path := marked()
	tree.TakeTransaction()
	one := path[2].Run.Tables[0]
	m := path[1].MarksOn(one)
	before := m.Vector
	m.Local = "a reader's form"
	added := deadRows(one, 4)
	shape, swaps := tree.Shape(), tree.Swaps()
	tree.addMarks(path[1], one, added.Vector)

	require.Same(t, m, path[1].MarksOn(one))
	require.True(t, sstable.UnionVectors(before, added.Vector).Equal(m.Vector))
	require.Nil(t, m.Local, "it is of the vector that was")
	require.Equal(t, 2, one.Holders())
	require.Greater(t, tree.Shape(), shape, "there may be work for a picker")
	require.Greater(t, tree.Swaps(), swaps, "older views are to be let go")
	require.NoError(t, tree.Verify(nil, nil))
	require.Equal(t, []manifest.Marks{{Node: path[1].ID, Table: 1, Vector: added.Vector}}, tree.TakeTransaction().AddMarks, "what was added alone")
}

// TestHoldersAreTakenOutInAnyOrder drops the forks over many nodes that mark one
// table, each once as the first and once as the last of the list.
func TestHoldersAreTakenOutInAnyOrder(t *testing.T) {
	const forks = 4
	for first := range forks {
		for step := 1; step < forks; step += 2 { // 1 and 3 visit each fork
			tree := New()
			base := chain(tree, 1)[0]
			c := tree.Claim([]*Node{base})
			tree.InstallTables(c, tree.NewRun([]sstable.Meta{fiveRows(1)}), nil)
			tree.Unclaim(c)
			tb := base.Run.Tables[0]
			var all []*Fork
			for i := range forks {
				f := &Fork{ID: ids.ForkID(10 + i), Name: string(rune('a' + i)), Top: base, MemtableID: ids.NodeID(10 + i)}
				tree.AddFork(f)
				f.Mem, f.Low = count(1), 50
				c := tree.Claim([]*Node{tree.Freeze(f, 51, ids.NodeID(20+i))})
				tree.InstallTables(c, tree.NewRun(nil), []TableMarks{deadRows(tb, i)})
				tree.Unclaim(c)
				all = append(all, f)
			}
			tree.TakeTransaction()
			for i := range forks {
				require.Equal(t, forks-i, tb.Holders())
				f := all[(first+i*step)%forks]
				top := f.Top.ID
				tree.DropFork(f)
				require.False(t, tree.Release(9))
				require.NotContains(t, nodesOf(tb), top)
				require.NoError(t, tree.Verify(nil, nil))
				require.True(t, tree.Owes())
				require.Equal(t, []manifest.MarksKey{{Node: top, Table: 1}}, tree.TakeTransaction().DropMarks)
			}
			require.Zero(t, tree.MarkCount())
			require.Zero(t, tree.MarkBytes())
		}
	}
}

func TestAJobsMarksGoThroughEverySwapThatItMissed(t *testing.T) {
	tree, path := marked()
	f := tree.ForkByName("main")
	f.Mem, f.Low = count(1), 90
	top := tree.Freeze(f, 91, 92)
	late := tree.Claim([]*Node{top})
	found := []TableMarks{deadRows(path[2].Run.Tables[0], 0, 4), deadRows(path[0].Run.Tables[0], 2)}

	rewrite(tree, path[2], 11, 4, 3) // of table 1, rows 4 and 3 live on: as rows 1 and 0
	rewrite(tree, path[2], 12, 1)    // and of those only the former row 4
	require.Len(t, late.missed, 2)
	tree.InstallTables(late, tree.NewRun(nil), found)
	tree.Unclaim(late)
	require.Len(t, top.Marks(), 2)
	require.EqualValues(t, 1, top.MarksOn(path[2].Run.Tables[0]).Vector.Dead())
	require.True(t, found[1].Vector.Equal(top.MarksOn(path[0].Run.Tables[0]).Vector), "a table that is still there")
	require.NoError(t, tree.Verify(nil, nil))
}

// rewrite replaces the only table of a node by one with some of its rows.
func rewrite(tree *Tree, n *Node, id int, rows ...int) {
	r := prepareRewrite(tree, n, id, rows...)
	tree.Install(r, nil)
	tree.Unclaim(r.claim)
	for tree.Sweep(r, 1) {
	}
}

func prepareRewrite(tree *Tree, n *Node, id int, rows ...int) *Replacement {
	old := n.Run.Tables[0]
	var keep set
	for _, row := range rows {
		keep.add(row)
	}
	remap := sstable.NewRemapBuilder()
	source := remap.From(old.Meta.ID, old.Meta.Rows)
	m := fiveRows(id)
	m.Rows = uint64(len(rows))
	remap.To(m.ID)
	for row := range int(old.Meta.Rows) {
		if keep.has(row) {
			source.Keep(uint64(row))
		}
	}
	c := tree.Claim([]*Node{n})
	return tree.Replace(c, tree.NewRun([]sstable.Meta{m}), []*Table{old}, remap.Finish())
}

func TestClaimsBesideASwapLearnNothingOfIt(t *testing.T) {
	tree, path := marked()
	side := &Fork{ID: 2, Name: "side", Top: path[2], MemtableID: 90}
	tree.AddFork(side)
	side.Mem, side.Low = count(1), 90
	beside := tree.Claim([]*Node{tree.Freeze(side, 91, 92)})
	below := tree.Claim([]*Node{path[2]})
	above := tree.Claim([]*Node{path[0]})
	rewrite(tree, path[1], 11, 0)
	require.Empty(t, beside.missed)
	require.Empty(t, below.missed)
	require.Len(t, above.missed, 1)
}

func TestStageTakesAsManyAsItMay(t *testing.T) {
	tree, path := marked()
	one := path[2].Run.Tables[0]
	r := prepareRewrite(tree, path[2], 11, 0, 1, 2, 3, 4)
	require.Equal(t, 2, r.Todo())
	require.Zero(t, r.Staged())
	tree.Stage(r, 1)
	require.Equal(t, 1, r.Todo())
	require.Equal(t, 1, r.Staged())
	require.EqualValues(t, 1, tree.Translated())
	require.Equal(t, 4, tree.MarkCount())
	require.Same(t, one, path[2].Run.Tables[0], "nothing is swapped")
	require.NoError(t, tree.Verify([]*Claim{r.claim}, nil))
	tree.Install(r, nil)
	require.EqualValues(t, 2, tree.Translated(), "install does the rest")
	tree.Unclaim(r.claim)
	require.Equal(t, 2, r.Staged())
	require.Equal(t, 5, tree.MarkCount())
	tree.TakeTransaction()
	tree.TakeObsolete()
	require.False(t, tree.Owes())
	require.True(t, tree.Sweep(r, 1))
	require.True(t, tree.Owes(), "the manifest still has what was swept")
	require.Equal(t, 4, tree.MarkCount())
	require.False(t, tree.Sweep(r, 1))
	require.Equal(t, 3, tree.MarkCount())
	require.Zero(t, one.Holders())
	require.NoError(t, tree.Verify(nil, nil))
}

func TestStagePassesOverHoldersThatAreGone(t *testing.T) {
	tree, path := marked()
	side := &Fork{ID: 2, Name: "side", Top: path[1], MemtableID: 90}
	tree.AddFork(side)
	r := prepareRewrite(tree, path[2], 11, 0, 1, 2, 3, 4)
	tree.DropFork(tree.ForkByName("main")) // and with it the newest node
	require.Equal(t, 2, r.Todo())
	tree.Stage(r, 2)
	require.Equal(t, 1, r.Staged())
	tree.Release(9)
	tree.Install(r, nil)
	tree.Unclaim(r.claim)
	for tree.Sweep(r, 1) {
	}
	require.Equal(t, []ids.NodeID{path[1].ID}, nodesOf(path[2].Run.Tables[0]))
	require.Equal(t, 1, tree.MarkCount())
	require.NoError(t, tree.Verify(nil, nil))
}

func TestAnAbandonedReplacementLeavesNothing(t *testing.T) {
	tree, path := marked()
	r := prepareRewrite(tree, path[2], 11, 0, 1, 2, 3, 4)
	made := r.run.Tables[0]
	tree.Stage(r, 1)
	tree.Abandon(r)
	tree.Unclaim(r.claim)
	require.NoError(t, tree.Verify(nil, nil))
	require.False(t, tree.HasFile(11))
	require.Zero(t, r.Todo())
	require.Equal(t, 1, made.Holders())
	require.False(t, tree.Sweep(r, 9))
	require.Zero(t, made.Holders())
	require.Equal(t, 3, tree.MarkCount(), "the old marks stay")
	require.Equal(t, 2, path[2].Run.Tables[0].Holders())
	require.Empty(t, path[2].Run.Tables[0].replacing, "nothing is to be translated for it any more")
	files, _ := tree.TakeObsolete()
	require.Equal(t, []ids.FileNum{11}, files)
	rewrite(tree, path[2], 12, 0) // nothing of it is in the way of the next
	require.NoError(t, tree.Verify(nil, nil))
}

func TestSweepLeavesMarksOnTablesThatWereKept(t *testing.T) {
	tree, path := marked()
	n := path[2]
	// Two tables in place of one; then the second is replaced, and that abandoned.
	old := n.Run.Tables[0]
	remap := sstable.NewRemapBuilder()
	source := remap.From(old.Meta.ID, 5)
	var metas []sstable.Meta
	for i := range 2 {
		m := fiveRows(11 + i)
		m.Rows, m.Smallest, m.Largest = uint64(2+i), []byte{byte('a' + i)}, []byte{byte('a' + i)}
		metas = append(metas, m)
	}
	remap.To(11)
	for row := range uint64(5) {
		if row == 2 {
			remap.To(12)
		}
		source.Keep(row)
	}
	c := tree.Claim([]*Node{n})
	r := tree.Replace(c, tree.NewRun(metas), []*Table{old}, remap.Finish())
	tree.Install(r, nil)
	tree.Unclaim(c)
	for tree.Sweep(r, 1) {
	}
	kept, second := n.Run.Tables[0], n.Run.Tables[1]
	holders, marks := kept.Holders(), tree.MarkCount()
	require.Positive(t, holders)
	require.Positive(t, second.Holders())

	remap = sstable.NewRemapBuilder()
	remap.From(12, 3)
	c = tree.Claim([]*Node{n})
	r = tree.Replace(c, tree.RunOf([]*Table{kept}), []*Table{second}, remap.Finish())
	tree.Stage(r, 9)
	tree.Abandon(r)
	tree.Unclaim(c)
	require.Positive(t, r.Staged())
	for tree.Sweep(r, 1) {
	}
	require.Equal(t, holders, kept.Holders())
	require.Equal(t, marks, tree.MarkCount())
	require.NoError(t, tree.Verify(nil, nil))
}

func TestMisuseOfReplacementsIsAsserted(t *testing.T) {
	for name, misuse := range map[string]func(*Tree, []*Node){
		"it is installed twice": func(tree *Tree, path []*Node) {
			r := prepareRewrite(tree, path[2], 11, 0)
			tree.Install(r, nil)
			tree.Install(r, nil)
		},
		"it is abandoned after its install": func(tree *Tree, path []*Node) {
			r := prepareRewrite(tree, path[2], 11, 0)
			tree.Install(r, nil)
			tree.Abandon(r)
		},
		"it is staged after its end": func(tree *Tree, path []*Node) {
			r := prepareRewrite(tree, path[2], 11, 0)
			tree.Abandon(r)
			tree.Stage(r, 1)
		},
		"it is swept before its end": func(tree *Tree, path []*Node) {
			r := prepareRewrite(tree, path[2], 11, 0)
			tree.Stage(r, 1)
			tree.Sweep(r, 1)
		},
		"its claim was given back": func(tree *Tree, path []*Node) {
			c := tree.Claim(path[:1])
			tree.Unclaim(c)
			tree.Replace(c, tree.NewRun(nil), nil, nil)
		},
		"nobody knows where the rows are": func(tree *Tree, path []*Node) {
			tree.Replace(tree.Claim(path[:1]), tree.NewRun(nil), path[0].Run.Tables, nil)
		},
		"a table is kept and consumed": func(tree *Tree, path []*Node) {
			remap := sstable.NewRemapBuilder()
			remap.From(3, 5)
			tree.Replace(tree.Claim(path[:1]), path[0].Run, path[0].Run.Tables, remap.Finish())
		},
		"marks are on a table of another size": func(tree *Tree, path []*Node) {
			tree.addMarks(path[0], path[1].Run.Tables[0], sstable.WholeVector(6))
		},
		"marks are on a table that no node holds": func(tree *Tree, path []*Node) {
			tb := path[0].Run.Tables[0]
			c := tree.Claim(path[:1])
			r := prepareRewriteOf(tree, c)
			tree.Install(r, []TableMarks{deadRows(&Table{Meta: tb.Meta}, 0)})
		},
		"marks are dropped and put back in one transaction": func(tree *Tree, path []*Node) {
			tb := path[2].Run.Tables[0]
			tree.dropMarks(path[0], tb)
			tree.addMarks(path[0], tb, deadRows(tb, 0).Vector)
		},
	} {
		t.Run(name, func(t *testing.T) {
			tree, path := marked()
			defer func() {
				_, ok := recover().(invariant.Violation)
				require.True(t, ok, "no assertion failed")
			}()
			misuse(tree, path)
		})
	}
}

// prepareRewriteOf replaces the only table of a claimed node by nothing.
func prepareRewriteOf(tree *Tree, c *Claim) *Replacement {
	remap := sstable.NewRemapBuilder()
	remap.From(c.Swap.Run.Tables[0].Meta.ID, 5)
	return tree.Replace(c, tree.NewRun(nil), c.Swap.Run.Tables, remap.Finish())
}

func TestLoadBringsMarksBack(t *testing.T) {
	tree, path := marked()
	state := manifest.NewState()
	state.Apply(tree.TakeTransaction())
	loaded, err := Load(state, nil, nil)
	require.NoError(t, err)
	require.NoError(t, loaded.Verify(nil, nil))
	require.Equal(t, tree.MarkCount(), loaded.MarkCount())
	require.Equal(t, tree.MarkBytes(), loaded.MarkBytes())
	for n := range Path(loaded.ForkByName("main").Top) {
		for i, m := range n.Marks() {
			was := tree.nodes[n.ID].Marks()[i]
			require.Equal(t, was.Table.Meta.ID, m.Table.Meta.ID)
			require.True(t, was.Vector.Equal(m.Vector))
		}
	}
	again := manifest.NewState()
	again.Apply(loaded.TakeTransaction())
	require.Equal(t, len(state.Marks), len(again.Marks), "all of it is new to the manifest")
	require.Len(t, path[0].Marks(), 2)
}

func TestLoadForgetsMarksThatSayNothing(t *testing.T) {
	for name, put := range map[string]func(*manifest.State, *sstable.Vector){
		"of a node that is not there": func(s *manifest.State, v *sstable.Vector) {
			s.Marks[manifest.MarksKey{Node: 77, Table: 1}] = v
		},
		"on a table that is not there": func(s *manifest.State, v *sstable.Vector) {
			s.Marks[manifest.MarksKey{Node: 2, Table: 77}] = v
		},
		"of a node that nothing reaches": func(s *manifest.State, v *sstable.Vector) {
			s.Nodes[90] = manifest.Node{ID: 90, Older: 2}
			s.Marks[manifest.MarksKey{Node: 90, Table: 1}] = v
		},
		"on a table that another path has": func(s *manifest.State, v *sstable.Vector) {
			s.Nodes[90] = manifest.Node{ID: 90}
			s.Forks.Put(manifest.Fork{ID: 9, Name: "side", Top: 90, Memtable: 91})
			s.Marks[manifest.MarksKey{Node: 90, Table: 1}] = v
		},
		"on a newer table": func(s *manifest.State, v *sstable.Vector) {
			s.Marks[manifest.MarksKey{Node: 2, Table: 3}] = v
		},
	} {
		t.Run(name, func(t *testing.T) {
			tree, _ := marked()
			state := manifest.NewState()
			state.Apply(tree.TakeTransaction())
			put(state, sstable.WholeVector(5))
			loaded, err := Load(state, nil, nil)
			require.NoError(t, err)
			require.NoError(t, loaded.Verify(nil, nil))
			require.Equal(t, 3, loaded.MarkCount())
			require.Len(t, loaded.TakeTransaction().AddMarks, 3)
		})
	}
}

func TestLoadRefusesMarksThatCannotBe(t *testing.T) {
	t.Run("of a node in memory", func(t *testing.T) {
		state, frozen, mems := loadable()
		state.Marks[manifest.MarksKey{Node: 3, Table: 1}] = sstable.WholeVector(1)
		_, err := Load(state, frozen, mems)
		require.ErrorContains(t, err, "node 3 is in memory")
	})
	t.Run("on a table of another size", func(t *testing.T) {
		state, frozen, mems := loadable()
		state.Marks[manifest.MarksKey{Node: 2, Table: 1}] = sstable.WholeVector(2)
		_, err := Load(state, frozen, mems)
		require.ErrorContains(t, err, "as one of 2 rows, it has 1")
	})
}
