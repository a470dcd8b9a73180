package manifest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/sstable"
)

// soundState has two forks that share a node, a snapshot, a node in the log
// only, two nodes of chunks, and six tables in one file.
func soundState() *State {
	s := NewState()
	s.Counters = Counters{Applied: 40, Trimmed: 30, NextID: 100, NextLSN: 50}
	table := func(id ids.TableID, offset uint64, smallest, largest string) {
		s.Tables[id] = sstable.Meta{
			ID: id, File: 20, Offset: offset, Length: 1000, Rows: 5, Tombstones: 1, KeyBytes: 50, ValueBytes: 500,
			Smallest: []byte(smallest), Largest: []byte(largest),
		}
	}
	table(30, 0, "a", "c")
	table(31, 1000, "d", "f")
	table(32, 2000, "b", "e")
	s.Nodes[10] = Node{ID: 10, Fork: 1, Frozen: 12, Tables: []ids.TableID{30, 31}}
	s.Nodes[11] = Node{ID: 11, Older: 10, Fork: 1, Frozen: 14, Tables: []ids.TableID{32, 31}[:1]}
	table(33, 3000, "g", "h")
	table(34, 4000, "i", "j")
	table(35, 5000, "k", "l")
	s.Chunks[7] = []ids.TableID{31, 33}
	s.Chunks[8] = []ids.TableID{34}
	s.Chunks[9] = []ids.TableID{34, 35}
	s.Nodes[17] = Node{ID: 17, Older: 15, Frozen: 20, Chunks: []ids.ChunkID{7, 8}}
	s.Nodes[18] = Node{ID: 18, Older: 10, Chunks: []ids.ChunkID{7, 9}} // the first is shared
	s.Marks[MarksKey{11, 30}] = vectorOf(5, 0, 3)
	s.Marks[MarksKey{11, 31}] = sstable.WholeVector(5)
	s.Forks.Put(Fork{ID: 1, Name: "main", Top: 11, Memtable: 12, CreatedLSN: 1})
	s.Forks.Put(Fork{ID: 2, Name: "agent", Parent: 1, Top: 15, Memtable: 16, CreatedLSN: 13})
	s.Snapshots[3] = Snapshot{ID: 3, Name: "main", Node: 11, Fork: 9}
	return s
}

func TestCheckAcceptsSoundStates(t *testing.T) {
	require.NoError(t, NewState().Check())
	require.NoError(t, soundState().Check())
	s := soundState()
	s.Marks[MarksKey{90, 30}] = vectorOf(5, 1) // of a node that is to come, or was dropped
	s.Marks[MarksKey{11, 90}] = vectorOf(7, 1) // on a table that is to come, or is gone
	require.NoError(t, s.Check())
}

func TestCheckNamesWhatDoesNotFit(t *testing.T) {
	fork := func(id ids.ForkID, change func(*Fork)) func(*State) {
		return func(s *State) { f, _ := s.Forks.Get(id); s.Forks.Drop(id); change(&f); s.Forks.Put(f) }
	}
	snapshot := func(change func(*Snapshot)) func(*State) {
		return func(s *State) { p := s.Snapshots[3]; change(&p); s.Snapshots[3] = p }
	}
	node := func(id ids.NodeID, change func(*Node)) func(*State) {
		return func(s *State) { n := s.Nodes[id]; change(&n); s.Nodes[id] = n }
	}
	table := func(id ids.TableID, change func(*sstable.Meta)) func(*State) {
		return func(s *State) { m := s.Tables[id]; change(&m); s.Tables[id] = m }
	}
	vector := func(node ids.NodeID, table ids.TableID, v *sstable.Vector) func(*State) {
		return func(s *State) { s.Marks[MarksKey{node, table}] = v }
	}
	for _, c := range []struct {
		name   string
		change func(*State)
		want   string
	}{
		{"a fork has no name", fork(2, func(f *Fork) { f.Name = "" }), "name of 0 bytes"},
		{"a fork has a long name", fork(2, func(f *Fork) { f.Name = strings.Repeat("n", 129) }), "name of 129 bytes"},
		{"a fork is its own parent", fork(2, func(f *Fork) { f.Parent = 2 }), "its own parent"},
		{"two forks have one name", fork(2, func(f *Fork) { f.Name = "main" }), `both named "main"`},
		{"two forks have one memtable", fork(2, func(f *Fork) { f.Memtable = 12 }), "share memtable 12"},
		{"a fork has no memtable", fork(2, func(f *Fork) { f.Memtable = 0 }), "memtable 0"},
		{"a fork's memtable is its top", fork(2, func(f *Fork) { f.Memtable = 15 }), "memtable 15 over top 15"},
		{"a fork's memtable is in tables already", fork(2, func(f *Fork) { f.Memtable = 10 }), "memtable 10 of fork 2 is a node in tables"},
		{"a fork's id was never given out", fork(2, func(f *Fork) { f.Memtable = 100 }), "fork 2 carries id 100, but the next id is 100"},
		{"a fork's lsn was never given out", fork(2, func(f *Fork) { f.CreatedLSN = 50 }), "fork 2 carries lsn 50, but the next lsn is 50"},
		{"a snapshot is filed under another id", snapshot(func(p *Snapshot) { p.ID = 4 }), "snapshot 4 is filed under 3"},
		{"a snapshot has no name", snapshot(func(p *Snapshot) { p.Name = "" }), "name of 0 bytes"},
		{"two snapshots have one name", func(s *State) { s.Snapshots[5] = Snapshot{ID: 5, Name: "main"} }, `snapshots 3 and 5 are both named "main"`},
		{"a snapshot's node was never given out", snapshot(func(p *Snapshot) { p.Node = 200 }), "snapshot 3 carries id 200"},
		{"a node is filed under another id", node(11, func(n *Node) { n.ID = 17 }), "node 17 is filed under 11"},
		{"a node is older than itself", node(11, func(n *Node) { n.Older = 11 }), "node 11 is older than itself"},
		{"two nodes are older than each other", node(10, func(n *Node) { n.Older = 11 }), "is older than itself"},
		{"a node names a table that is not there", node(11, func(n *Node) { n.Tables = []ids.TableID{39} }), "table 39, which does not exist"},
		{"a node names table 0", node(11, func(n *Node) { n.Tables = []ids.TableID{0} }), "names table 0"},
		{"a run is not sorted", node(10, func(n *Node) { n.Tables = []ids.TableID{31, 30} }), "run of node 10: table 31 does not end before table 30 begins"},
		{"a run names a table twice", node(10, func(n *Node) { n.Tables = []ids.TableID{30, 30, 31} }), "table 30 does not end before table 30 begins"},
		{"tables of a run touch", table(31, func(m *sstable.Meta) { m.Smallest = []byte("c") }), "table 30 does not end before table 31 begins"},
		{"a node was frozen by a record to come", node(10, func(n *Node) { n.Frozen = 60 }), "node 10 carries lsn 60"},
		{"a node's older id was never given out", node(10, func(n *Node) { n.Older = 101 }), "node 10 carries id 101"},
		{"a node names chunk 0", node(17, func(n *Node) { n.Chunks = []ids.ChunkID{0} }), "node 17 names chunk 0"},
		{"a node names a chunk that is not there", node(17, func(n *Node) { n.Chunks = []ids.ChunkID{7, 6} }), "node 17 names chunk 6, which does not exist"},
		{"a node names tables and chunks", node(17, func(n *Node) { n.Tables = []ids.TableID{30} }), "node 17 names tables and chunks"},
		{"a chunk is used by nobody", node(18, func(n *Node) { n.Chunks = n.Chunks[:1] }), "chunk 9 is used by no node"},
		{"a chunk is empty", func(s *State) { s.Chunks[8] = nil }, "chunk 8 has 0 tables, it may have 1 to 128"},
		{"a chunk is too long", func(s *State) { s.Chunks[8] = make([]ids.TableID, 129) }, "chunk 8 has 129 tables"},
		{"a chunk names table 0", func(s *State) { s.Chunks[8] = []ids.TableID{0} }, "chunk 8 names table 0"},
		{"a chunk names a table that is not there", func(s *State) { s.Chunks[8] = []ids.TableID{34, 39} }, "chunk 8 names table 39, which does not exist"},
		{"a chunk is not sorted", func(s *State) { s.Chunks[9] = []ids.TableID{35, 34} }, "run of chunk 9: table 35 does not end before table 34 begins"},
		{"chunks of a run are out of order", node(18, func(n *Node) { n.Chunks = []ids.ChunkID{9, 7} }), "run of node 18: table 35 does not end before table 31 begins"},
		{"a run names a chunk twice", node(17, func(n *Node) { n.Chunks = []ids.ChunkID{7, 7, 8} }), "run of node 17: table 33 does not end before table 31 begins"},
		{"a chunk has an id that none can have", func(s *State) {
			s.Chunks[1<<62+1] = s.Chunks[8]
			s.Nodes[17] = Node{ID: 17, Chunks: []ids.ChunkID{7, 1<<62 + 1}}
		}, "chunk with id 4611686018427387905"},
		{"a table is filed under another id", table(31, func(m *sstable.Meta) { m.ID = 33 }), "table 33 is filed under 31"},
		{"a table is used by nobody", node(11, func(n *Node) { n.Tables = nil }), "table 32 is used by no node"},
		{"a table has no rows", table(31, func(m *sstable.Meta) { m.Rows = 0 }), "0 rows"},
		{"a table has more tombstones than rows", table(31, func(m *sstable.Meta) { m.Tombstones = 6 }), "5 rows, 6 of them tombstones"},
		{"a table has no bytes", table(31, func(m *sstable.Meta) { m.Length = 0 }), "length 0"},
		{"a table wraps around", table(31, func(m *sstable.Meta) { m.Offset = 1<<64 - 10 }), "offset 18446744073709551606"},
		{"a table ends before it begins", table(32, func(m *sstable.Meta) { m.Largest = []byte("a") }), "ends before it begins"},
		{"a table lies in no file", table(31, func(m *sstable.Meta) { m.File = 0 }), "lies in file 0"},
		{"a table's file was never given out", table(31, func(m *sstable.Meta) { m.File = 101 }), "table 31 carries id 101"},
		{"a table has more rows than a vector can number", table(31, func(m *sstable.Meta) { m.Rows = 1 << 32 }), "4294967296 rows"},
		{"marks are of another number of rows", vector(11, 30, vectorOf(6, 0)), "node 11 marks rows of table 30 as if it had 6 rows instead of 5"},
		{"marks of an unknown node are of another number of rows", vector(90, 30, vectorOf(4, 0)), "node 90 marks rows of table 30 as if it had 4 rows instead of 5"},
		{"marks are of node 0", vector(0, 30, vectorOf(5, 0)), "marks of node 0 on table 30"},
		{"marks are on table 0", vector(11, 0, vectorOf(5, 0)), "marks of node 11 on table 0"},
		{"marks without a vector", vector(11, 32, nil), "marks of node 11 on table 32 have no vector"},
		{"marks of a node that was never given out", vector(100, 30, vectorOf(5, 0)), "marks of node 100, but the next id is 100"},
		{"marks on a table that was never given out", vector(11, 100, vectorOf(5, 0)), "marks of node 11 carries id 100"},
		{"two tables share bytes", table(31, func(m *sstable.Meta) { m.Offset = 1999 }), "tables 31 and 32 share bytes of 000020.sst"},
		{"the applied lsn is to come", func(s *State) { s.Applied = 50 }, "lsn 50"},
		{"more was trimmed than was written", func(s *State) { s.Trimmed = 51 }, "trimmed through 51"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := soundState()
			c.change(s)
			require.ErrorContains(t, s.Check(), c.want)
		})
	}
}
