package manifest

import (
	"fmt"
	"iter"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/sstable"
)

// Fork is the record of one fork: constant size but for its name, whatever the
// fork holds. The caller's engine decides what a parent's disappearance means:
// Parent may name a fork that is gone.
type Fork struct {
	ID       ids.ForkID
	Name     string     // an attribute, 1 to maxNameBytes bytes
	Parent   ids.ForkID // 0: none
	Top      ids.NodeID // newest frozen node, 0: none; may be a node that only the log holds
	Memtable ids.NodeID // the node that the fork's memtable will become

	CreatedUnixNano int64
	CreatedLSN      ids.LSN
}

// Snapshot is the record of one name on a node.
type Snapshot struct {
	ID   ids.SnapshotID
	Name string     // 1 to maxNameBytes bytes
	Node ids.NodeID // 0: the empty keyspace; may be a node that only the log holds
	Fork ids.ForkID // where it was taken; may be gone

	CreatedUnixNano int64
}

// Node is the record of one node whose content is in tables. Nodes still in
// memory have no record: the write-ahead log holds them.
type Node struct {
	ID     ids.NodeID
	Older  ids.NodeID    // 0: none; may be a node that only the log holds
	Fork   ids.ForkID    // who wrote it; may be gone
	Frozen ids.LSN       // the record that froze it, 0: made by a compaction
	Tables []ids.TableID // the run: sorted by key, disjoint; may be empty
	Chunks []ids.ChunkID // the run in another form: what these list, in this order; one of the two is empty
}

// Chunk is the record of a list of tables that long runs have in common: sorted by key,
// disjoint, 1 to MaxChunkTables of them. It never changes under its id. A node whose run
// differs in a few tables from another's names the same chunks but for those with them.
type Chunk struct {
	ID     ids.ChunkID
	Tables []ids.TableID
}

// Counters are the numbers that must survive everything else. None of them ever
// falls.
type Counters struct {
	Applied ids.LSN // the fork table is exactly the log's through this record
	Trimmed ids.LSN // records below may be gone from the log
	NextID  uint64  // ids below may be in use, ids at or above it never were
	NextLSN ids.LSN // likewise for LSNs
}

// State is everything the manifest says: the objects by id, and the counters.
// It is not safe for concurrent use; a Log guards the one it owns with its own
// lock. Check tells what holds between the objects.
type State struct {
	StoreID [16]byte // of the store, fixed at its creation; never in a transaction
	Counters
	Forks     *Forks // nil in a Log that gets them from Options.Forks
	Snapshots map[ids.SnapshotID]Snapshot
	Nodes     map[ids.NodeID]Node
	Chunks    map[ids.ChunkID][]ids.TableID
	Tables    map[ids.TableID]sstable.Meta
	Marks     map[MarksKey]*sstable.Vector // may be of nodes and tables that are not there, see Marks
}

// NewState returns the state of a store without a fork.
func NewState() *State {
	return &State{
		Forks:     &Forks{},
		Snapshots: map[ids.SnapshotID]Snapshot{},
		Nodes:     map[ids.NodeID]Node{},
		Chunks:    map[ids.ChunkID][]ids.TableID{},
		Tables:    map[ids.TableID]sstable.Meta{},
		Marks:     map[MarksKey]*sstable.Vector{},
	}
}

// Apply makes the transaction's after-images the state: puts first, then drops,
// then marks are added, then vectors dropped. Applying it twice equals applying it
// once, and dropping what is not there is allowed. Marks that contradict what is
// known of their table are a bug of the caller, who asks admits about bytes that come
// from a disk. The state keeps t's strings, slices and vectors, which must not change
// afterwards. Cost: O(objects in t), and for marks O(bytes of the vectors they are
// added to).
func (s *State) Apply(t *Transaction) {
	err := s.admits(t)
	invariant.Check(err == nil, "manifest: %v", err)
	s.apply(t)
}

// apply is Apply of a transaction that the state admits.
func (s *State) apply(t *Transaction) {
	if t.Counters != nil {
		s.Counters = *t.Counters
	}
	for i := range t.PutTables {
		s.Tables[t.PutTables[i].ID] = t.PutTables[i]
	}
	for _, c := range t.PutChunks {
		s.Chunks[c.ID] = c.Tables
	}
	for i := range t.PutNodes {
		s.Nodes[t.PutNodes[i].ID] = t.PutNodes[i]
	}
	if s.Forks != nil {
		for i := range t.PutForks {
			s.Forks.Put(t.PutForks[i])
		}
	}
	for i := range t.PutSnapshots {
		s.Snapshots[t.PutSnapshots[i].ID] = t.PutSnapshots[i]
	}
	for _, id := range t.DropSnapshots {
		delete(s.Snapshots, id)
	}
	for _, id := range t.DropForks {
		s.Forks.Drop(id)
	}
	for _, id := range t.DropNodes {
		delete(s.Nodes, id)
	}
	for _, id := range t.DropChunks {
		delete(s.Chunks, id)
	}
	for _, id := range t.DropTables {
		delete(s.Tables, id)
	}
	for i := range t.AddMarks {
		s.addMarks(&t.AddMarks[i])
	}
	for _, k := range t.DropMarks {
		delete(s.Marks, k)
	}
}

// Run gives the tables of a node's run, in key order. Chunks that are not there are
// left out.
func (s *State) Run(n *Node) iter.Seq[ids.TableID] {
	return func(yield func(ids.TableID) bool) {
		for _, id := range n.Tables {
			if !yield(id) {
				return
			}
		}
		for _, c := range n.Chunks {
			for _, id := range s.Chunks[c] {
				if !yield(id) {
					return
				}
			}
		}
	}
}

// String sums the state up in one line.
func (s *State) String() string {
	return fmt.Sprintf("%d forks, %d snapshots, %d nodes, %d tables, %d vectors, applied %d, trimmed %d, next id %d, next lsn %d",
		s.Forks.Len(), len(s.Snapshots), len(s.Nodes), len(s.Tables), len(s.Marks), s.Applied, s.Trimmed, s.NextID, s.NextLSN)
}
