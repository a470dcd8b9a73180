package forktree

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/manifest"
	"github.com/tinedb/tine/sstable"
)

// chain makes a fork "main" over n nodes in memory, and gives them newest first.
func chain(t *Tree, n int) []*Node {
	f := &Fork{ID: 1, Name: "main", MemtableID: 1}
	t.AddFork(f)
	for i := range n {
		f.Mem, f.Low = count(1), ids.LSN(2*i+1)
		t.Freeze(f, ids.LSN(2*i+2), ids.NodeID(i+2))
	}
	return slices.Collect(Path(f.Top))
}

// TestClaimsExcludeEachOther takes every claim on a path of four nodes while
// every other is held. Two go together exactly if neither swaps a node that the
// other swaps or reads.
func TestClaimsExcludeEachOther(t *testing.T) {
	const nodes = 4
	type span struct{ newest, oldest int } // positions on the path
	var spans []span
	for i := range nodes {
		for j := i; j < nodes; j++ {
			spans = append(spans, span{i, j})
		}
	}
	together := 0
	for _, held := range spans {
		for _, asked := range spans {
			t.Run(fmt.Sprintf("%d to %d is asked for while %d to %d is held", asked.newest, asked.oldest, held.newest, held.oldest), func(t *testing.T) {
				tree := New()
				path := chain(tree, nodes)
				first := tree.Claim(path[held.newest : held.oldest+1])
				require.NotNil(t, first)

				within := func(n int, s span) bool { return s.newest <= n && n <= s.oldest }
				want := !within(held.newest, asked) && !within(asked.newest, held)
				second := tree.Claim(path[asked.newest : asked.oldest+1])
				require.Equal(t, want, second != nil)
				claims := []*Claim{first}
				if want {
					together++
					claims = append(claims, second)
				}
				require.NoError(t, tree.Verify(claims, nil), "a refused claim must leave nothing behind")

				for i, n := range path {
					require.Equal(t, i == held.newest || want && i == asked.newest, n.ClaimedForSwap())
					require.Equal(t, within(i, held) || want && within(i, asked), n.Claimed())
					require.Equal(t, 1, n.Holders(), "a job is no holder")
				}
				for _, c := range claims {
					tree.Unclaim(c)
				}
				require.NoError(t, tree.Verify(nil, nil))
				again := tree.Claim(path[asked.newest : asked.oldest+1])
				require.NotNil(t, again, "nothing may be left of claims that were given back")
			})
		}
	}
	require.Positive(t, together)
}

func TestOneClaimOfManyReadersGivenBackLeavesTheOthers(t *testing.T) {
	tree := New()
	path := chain(tree, 3)
	f := tree.ForkByName("main")
	other := &Fork{ID: 2, Name: "other", Top: path[1], MemtableID: 90}
	tree.AddFork(other)
	other.Mem, other.Low = count(1), 90
	tree.Freeze(other, 91, 92)

	a := tree.Claim([]*Node{f.Top, path[1]})
	b := tree.Claim([]*Node{other.Top, path[1]})
	require.NotNil(t, a)
	require.NotNil(t, b, "reading is shared")
	tree.Unclaim(a)
	require.Nil(t, tree.Claim([]*Node{path[1]}), "the other still reads it")
	tree.Unclaim(b)
	require.NotNil(t, tree.Claim([]*Node{path[1]}))
}

func TestANodeThatWaitsForReleaseIsNotClaimed(t *testing.T) {
	tree := New()
	path := chain(tree, 2)
	require.False(t, tree.Owes())
	tree.DropFork(tree.ForkByName("main"))
	require.True(t, tree.Owes(), "nodes are still to be taken apart")
	require.Nil(t, tree.Claim(path[:1]))
	require.Nil(t, tree.Claim(path), "nor as the newest of a range")
	require.False(t, tree.Release(2))
	require.Zero(t, tree.NodeCount())
}

// TestTheInputsOfAJobStayUntilItsClaimIsGivenBack: its iterators may still be
// open when its result is installed.
func TestTheInputsOfAJobStayUntilItsClaimIsGivenBack(t *testing.T) {
	tree := New()
	path := chain(tree, 1)
	c := tree.Claim(path)
	tree.InstallTables(c, tree.NewRun([]sstable.Meta{{ID: 1, File: 7, Length: 10, Rows: 1}}), nil)
	tree.Unclaim(c)

	c = tree.Claim(path)
	tree.installMerge(c, tree.NewRun([]sstable.Meta{{ID: 2, File: 8, Length: 10, Rows: 1}}))
	files, tables := tree.TakeObsolete()
	require.Empty(t, files)
	require.Empty(t, tables)
	require.True(t, tree.HasFile(7))
	tree.Unclaim(c)
	files, tables = tree.TakeObsolete()
	require.Equal(t, []ids.FileNum{7}, files)
	require.Len(t, tables, 1)
	require.False(t, tree.HasFile(7))
}

// TestARunHeldAgainStaysInTheManifest lets a pinned run go and takes it up again
// before the manifest is told of either.
func TestARunHeldAgainStaysInTheManifest(t *testing.T) {
	tree := New()
	path := chain(tree, 1)
	run := tree.NewRun([]sstable.Meta{{ID: 1, File: 7, Length: 10, Rows: 1}})
	c := tree.Claim(path)
	tree.InstallTables(c, run, nil)
	tree.Unclaim(c)
	state := manifest.NewState()
	state.Apply(tree.TakeTransaction())

	tree.Pin(run)
	for _, r := range []*Run{tree.NewRun(nil), run} {
		c := tree.Claim(path)
		tree.installMerge(c, r)
		tree.Unclaim(c)
	}
	require.NoError(t, tree.Verify(nil, map[*Run]int{run: 1}))
	state.Apply(tree.TakeTransaction())
	require.Contains(t, state.Tables, ids.TableID(1))
	require.Equal(t, []ids.TableID{1}, state.Nodes[path[0].ID].Tables)

	tree.Unpin(run)
	require.NoError(t, tree.Verify(nil, nil))
	files, _ := tree.TakeObsolete()
	require.Empty(t, files)
	tree.DropFork(tree.ForkByName("main"))
	require.False(t, tree.Release(9))
	state.Apply(tree.TakeTransaction())
	require.Empty(t, state.Tables)
	files, _ = tree.TakeObsolete()
	require.Equal(t, []ids.FileNum{7}, files)
}

func TestMisuseOfClaimsIsAsserted(t *testing.T) {
	violates := func(t *testing.T, fn func()) {
		t.Helper()
		defer func() {
			_, ok := recover().(invariant.Violation)
			require.True(t, ok, "no assertion failed")
		}()
		fn()
	}
	t.Run("a claim is given back twice", func(t *testing.T) {
		tree := New()
		c := tree.Claim(chain(tree, 1))
		tree.Unclaim(c)
		violates(t, func() { tree.Unclaim(c) })
	})
	t.Run("a range is not a path", func(t *testing.T) {
		tree := New()
		path := chain(tree, 3)
		violates(t, func() { tree.Claim([]*Node{path[0], path[2]}) })
	})
	t.Run("a flush of two nodes", func(t *testing.T) {
		tree := New()
		c := tree.Claim(chain(tree, 2))
		violates(t, func() { tree.InstallTables(c, tree.NewRun(nil), nil) })
	})
	t.Run("a merge of memory", func(t *testing.T) {
		tree := New()
		c := tree.Claim(chain(tree, 2))
		violates(t, func() { tree.installMerge(c, tree.NewRun(nil)) })
	})
	t.Run("tables of a run share a key", func(t *testing.T) {
		a := sstable.Meta{ID: 1, File: 1, Smallest: []byte("a"), Largest: []byte("b")}
		b := sstable.Meta{ID: 2, File: 1, Smallest: []byte("b"), Largest: []byte("c")}
		violates(t, func() { New().NewRun([]sstable.Meta{a, b}) })
	})
	t.Run("a run that is gone is pinned", func(t *testing.T) {
		tree := New()
		c := tree.Claim(chain(tree, 1))
		run := tree.NewRun(nil)
		tree.InstallTables(c, run, nil)
		tree.Unclaim(c)
		c = tree.Claim([]*Node{c.Swap})
		tree.installMerge(c, tree.NewRun(nil))
		tree.Unclaim(c)
		violates(t, func() { tree.Pin(run) })
		c = tree.Claim([]*Node{c.Swap})
		violates(t, func() { tree.installMerge(c, run) })
	})
}
