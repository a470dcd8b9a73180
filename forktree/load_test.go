package forktree

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/manifest"
	"github.com/tinedb/tine/sstable"
)

// loadable is a store of two forks over node 2 (in tables) over node 1 (in
// memory), and a snapshot of node 1.
func loadable() (*manifest.State, map[ids.NodeID]Frozen, map[ids.NodeID]Memtable) {
	s := manifest.NewState()
	s.Forks.Put(manifest.Fork{ID: 1, Name: "main", Top: 2, Memtable: 4})
	s.Forks.Put(manifest.Fork{ID: 2, Name: "a", Top: 3, Memtable: 5})
	s.Snapshots[3] = manifest.Snapshot{ID: 3, Name: "s", Node: 1}
	s.Nodes[2] = manifest.Node{ID: 2, Older: 1, Frozen: 5, Tables: []ids.TableID{1, 2}}
	s.Tables[1] = sstable.Meta{ID: 1, File: 1, Length: 10, Rows: 1, Smallest: []byte("a"), Largest: []byte("b")}
	s.Tables[2] = sstable.Meta{ID: 2, File: 1, Length: 10, Offset: 10, Rows: 1, Smallest: []byte("c"), Largest: []byte("d")}
	frozen := map[ids.NodeID]Frozen{1: {Fork: 1, LSN: 2}, 3: {Fork: 2, Older: 2, LSN: 9}}
	mems := map[ids.NodeID]Memtable{1: {Mem: count(1), Low: 1}, 3: {Mem: count(2), Low: 7}, 5: {Mem: count(3), Low: 11}}
	return s, frozen, mems
}

func TestLoadKeepsExactlyWhatIsReached(t *testing.T) {
	state, frozen, mems := loadable()
	state.Nodes[9] = manifest.Node{ID: 9, Older: 2}
	frozen[8], mems[8] = Frozen{Older: 2, LSN: 20}, Memtable{Mem: count(1), Low: 19}
	mems[2] = Memtable{Mem: count(9), Low: 3} // in tables: what the log says of it is old
	tree, err := Load(state, frozen, mems)
	require.NoError(t, err)
	require.NoError(t, tree.Verify(nil, nil))
	require.Equal(t, 3, tree.NodeCount())
	require.Equal(t, 2, tree.MemoryNodes())
	require.EqualValues(t, 30, tree.MemoryBytes())
	require.NotNil(t, tree.ForkByName("main").Top.Run)
	require.Equal(t, ids.LSN(5), tree.ForkByName("main").Top.Frozen)
	require.Nil(t, tree.ForkByName("main").Mem)
	require.Equal(t, count(3), tree.ForkByName("a").Mem)
	require.Equal(t, ids.LSN(11), tree.ForkByName("a").Low)
	require.Equal(t, ids.LSN(9), tree.ForkByName("a").Top.Frozen)
	require.Equal(t, ids.LSN(1), tree.LowLSN(100, nil))

	all := tree.Recovered()
	require.Equal(t, 2, all.Forks.Len())
	require.Len(t, all.Snapshots, 1)
	require.Len(t, all.Nodes, 1)
	require.Len(t, all.Tables, 2)
	require.True(t, tree.TakeTransaction().Empty())
}

func TestLoadRefusesWhatCannotBe(t *testing.T) {
	type frozenNodes = map[ids.NodeID]Frozen
	type memtables = map[ids.NodeID]Memtable
	for _, c := range []struct {
		name   string
		damage func(*manifest.State, frozenNodes, memtables)
		says   string
	}{
		{"a node that nobody knows", func(s *manifest.State, fz frozenNodes, _ memtables) { delete(fz, 1) }, "neither in the manifest nor in the log"},
		{"a node without its writes", func(_ *manifest.State, _ frozenNodes, m memtables) { delete(m, 1) }, "none of its writes"},
		{"a node above a newer one", func(_ *manifest.State, fz frozenNodes, _ memtables) { fz[3] = Frozen{Older: 7} }, "not older"},
		{"a node above itself", func(_ *manifest.State, fz frozenNodes, _ memtables) { fz[3] = Frozen{Older: 3} }, "not older"},
		{"a table that nobody knows", func(s *manifest.State, _ frozenNodes, _ memtables) { delete(s.Tables, 2) }, "table 2"},
		{"tables that overlap", func(s *manifest.State, _ frozenNodes, _ memtables) {
			m := s.Tables[2]
			m.Smallest = []byte("b")
			s.Tables[2] = m
		}, "overlap"},
		{"tables out of order", func(s *manifest.State, _ frozenNodes, _ memtables) {
			s.Nodes[2] = manifest.Node{ID: 2, Older: 1, Tables: []ids.TableID{2, 1}}
		}, "overlap"},
		{"a table without rows", func(s *manifest.State, _ frozenNodes, _ memtables) {
			m := s.Tables[2]
			m.Rows = 0
			s.Tables[2] = m
		}, "impossible"},
		{"a fork's name used twice", func(s *manifest.State, _ frozenNodes, _ memtables) {
			s.Forks.Put(manifest.Fork{ID: 7, Name: "a", Memtable: 8})
		}, "used twice"},
		{"a snapshot's name used twice", func(s *manifest.State, _ frozenNodes, _ memtables) {
			s.Snapshots[7] = manifest.Snapshot{ID: 7, Name: "s"}
		}, "used twice"},
		{"a memtable that is a node in tables", func(s *manifest.State, _ frozenNodes, _ memtables) {
			s.Forks.Put(manifest.Fork{ID: 7, Name: "b", Memtable: 2})
		}, "memtable 2"},
		{"a memtable that is a node in memory", func(s *manifest.State, _ frozenNodes, _ memtables) {
			s.Forks.Put(manifest.Fork{ID: 7, Name: "b", Memtable: 3})
		}, "memtable 3"},
		{"a memtable below its top", func(s *manifest.State, _ frozenNodes, _ memtables) {
			s.Forks.Put(manifest.Fork{ID: 2, Name: "a", Top: 8, Memtable: 7})
			s.Nodes[8] = manifest.Node{ID: 8}
		}, "memtable 7"},
		{"a memtable shared by two forks", func(s *manifest.State, _ frozenNodes, _ memtables) {
			s.Forks.Put(manifest.Fork{ID: 7, Name: "b", Memtable: 5})
		}, "memtable 5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 64 { // the order in which forks are visited must not matter
				state, frozen, mems := loadable()
				c.damage(state, frozen, mems)
				_, err := Load(state, frozen, mems)
				require.ErrorContains(t, err, c.says)
			}
		})
	}
}

// TestAFileIsSparseAfterALoadToo loads a file of which only the second table is
// left: the space before it is as dead as it was before the store was closed.
func TestAFileIsSparseAfterALoadToo(t *testing.T) {
	state := manifest.NewState()
	state.Forks.Put(manifest.Fork{ID: 1, Name: "main", Top: 2, Memtable: 4})
	state.Nodes[2] = manifest.Node{ID: 2, Tables: []ids.TableID{2}}
	state.Tables[2] = sstable.Meta{ID: 2, File: 1, Offset: 11, Length: 10, Rows: 1, Smallest: []byte("c"), Largest: []byte("d")}
	tree, err := Load(state, nil, nil)
	require.NoError(t, err)
	require.Equal(t, tree.ForkByID(1).Top.Run.Tables, tree.Sparse(false, 1, 1))
}

func TestAFileIsAsLongAsTheTreeIsTold(t *testing.T) {
	state, frozen, mems := loadable()
	tree, err := Load(state, frozen, mems)
	require.NoError(t, err)
	sparse := func(atRest bool) int { return len(tree.Sparse(atRest, 100, 100)) }
	require.Zero(t, sparse(false))
	tree.SetFileBytes(1, 25)
	require.Zero(t, sparse(true), "four fifths of it are alive")
	require.False(t, tree.Gappy())
	tree.SetFileBytes(1, 26)
	require.Equal(t, 2, sparse(true))
	require.Zero(t, sparse(false))
	require.True(t, tree.Gappy())
	tree.SetFileBytes(1, 40)
	require.Zero(t, sparse(false), "half of it is alive")
	tree.SetFileBytes(1, 41)
	require.Equal(t, 2, sparse(false))
	tree.SetFileBytes(99, 1) // a file without a table is nobody's
	require.NoError(t, tree.Verify(nil, nil))
}
