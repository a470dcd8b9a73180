package forktree

import (
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/manifest"
)

// Tree holds every node, fork, snapshot, run, table and table file of a store.
// It is not safe for concurrent use: the engine's lock guards all of it.
type Tree struct {
	nodes     map[ids.NodeID]*Node
	forks     *manifest.Forks
	active    []*Fork // those with a Fork, in no order
	snaps     map[ids.SnapshotID]*Snapshot
	snapOrder snapshotOrder
	tables    map[ids.TableID]*Table
	chunks    map[*Table][]*chunk // by their first table
	cuts      cuts
	lastChunk ids.ChunkID // the highest that there was
	files     map[ids.FileNum]*file
	gappy     map[*file]struct{} // less than four fifths of them are alive

	claims       map[*Claim]struct{}       // open ones
	replacements map[*Replacement]struct{} // those that have not ended

	freed   []*Node // refs fell to zero, not yet taken apart
	watches []*Watch

	// What the manifest does not know yet.
	dirtyForks []ids.ForkID // each once
	dirtySnaps map[ids.SnapshotID]struct{}
	dirtyNodes []*Node
	goneNodes  []ids.NodeID
	newTables  []*Table
	newChunks  []*chunk
	goneChunks []*chunk
	goneTables []ids.TableID
	newMarks   []manifest.Marks
	goneMarks  map[manifest.MarksKey]struct{}

	goneFiles   []ids.FileNum // no table of them is held or pinned
	goneReaders []*Table      // tables nothing holds or pins

	memoryBytes    int64  // of all nodes in memory
	memoryNodes    int    // how many nodes are in memory
	consolidations uint64 // counts installs of them
	markCount      int    // vectors
	markBytes      int64  // of all vectors
	translated     uint64 // vectors carried over to new tables
	liveBytes      uint64 // of all tables that nodes hold
	shape          uint64 // counts changes that may give a picker new work
	swaps          uint64 // counts swaps: a view from before one may hold on to old files
}

// New makes an empty tree.
func New() *Tree {
	return &Tree{
		nodes:      map[ids.NodeID]*Node{},
		forks:      &manifest.Forks{},
		snaps:      map[ids.SnapshotID]*Snapshot{},
		tables:     map[ids.TableID]*Table{},
		chunks:     map[*Table][]*chunk{},
		cuts:       defaultCuts,
		files:      map[ids.FileNum]*file{},
		gappy:      map[*file]struct{}{},
		dirtySnaps: map[ids.SnapshotID]struct{}{},
		goneMarks:  map[manifest.MarksKey]struct{}{},

		claims:       map[*Claim]struct{}{},
		replacements: map[*Replacement]struct{}{},
	}
}

// Freeze turns the fork's memtable into a node on top of its path. The fork goes
// on with an empty memtable that will become node next. frozen is the LSN of the
// record that says so. The memtable must hold something.
func (t *Tree) Freeze(f *Fork, frozen ids.LSN, next ids.NodeID) *Node {
	if f.Mem == nil || f.Low == 0 { // the arguments of Check allocate
		invariant.Check(false, "fork %d: nothing to freeze", f.ID)
	}
	t.checkActive(f)
	n := t.newNode(f.MemtableID, f.ID)
	n.Mem, n.Low, n.Frozen = f.Mem, f.Low, frozen
	n.Older = f.Top // takes over the fork's reference on it
	n.adopt()
	n.refs = 1
	f.Top, f.Mem, f.Low, f.MemtableID = n, nil, 0, next
	t.memoryBytes += n.Mem.Bytes()
	t.memoryNodes++
	t.repointed(f)
	t.shape++
	return n
}

func (t *Tree) newNode(id ids.NodeID, fork ids.ForkID) *Node {
	if id == 0 || t.nodes[id] != nil { // the arguments of Check allocate
		invariant.Check(false, "node id %d is used twice", id)
	}
	n := &Node{ID: id, Fork: fork}
	t.nodes[id] = n
	t.stirAt(n)
	return n
}

// AddSnapshot puts a name on a node (nil: an empty state).
func (t *Tree) AddSnapshot(s *Snapshot) {
	invariant.Check(t.snaps[s.ID] == nil, "snapshot id %d is used twice", s.ID)
	invariant.Check(t.snapOrder.named(s.Name) == nil, "snapshot name %q is used twice", s.Name)
	t.ref(s.Node)
	t.snaps[s.ID] = s
	t.snapOrder.put(s)
	t.dirtySnaps[s.ID] = struct{}{}
	t.shape++
}

// DropSnapshot takes the name away and releases its node.
func (t *Tree) DropSnapshot(s *Snapshot) {
	invariant.Check(t.snaps[s.ID] == s, "snapshot %d is dropped twice", s.ID)
	s.dropped = true
	delete(t.snaps, s.ID)
	t.snapOrder.take(s.Name)
	t.dirtySnaps[s.ID] = struct{}{}
	n := s.Node
	s.Node = nil
	t.unref(n)
	t.shape++
}

// RenameSnapshot gives a snapshot another name, which must be free.
func (t *Tree) RenameSnapshot(s *Snapshot, name string) {
	invariant.Check(t.snapOrder.named(name) == nil, "snapshot name %q is used twice", name)
	t.snapOrder.take(s.Name)
	s.Name = name
	t.snapOrder.put(s)
	t.dirtySnaps[s.ID] = struct{}{}
}

// NodeByID gives the node with that id, nil if there is none.
func (t *Tree) NodeByID(id ids.NodeID) *Node { return t.nodes[id] }

// SnapshotByName gives the snapshot of that name, nil if there is none.
func (t *Tree) SnapshotByName(name string) *Snapshot { return t.snapOrder.named(name) }

// SnapshotByID gives the snapshot with that id, nil if there is none.
func (t *Tree) SnapshotByID(id ids.SnapshotID) *Snapshot { return t.snaps[id] }

// ForkCount, SnapshotCount and NodeCount count what is alive.
func (t *Tree) ForkCount() int     { return t.forks.Len() }
func (t *Tree) SnapshotCount() int { return len(t.snaps) }
func (t *Tree) NodeCount() int     { return len(t.nodes) }

// MemoryBytes is the memory that frozen nodes hold, in bytes.
func (t *Tree) MemoryBytes() int64 { return t.memoryBytes }

// MemoryNodes is the number of nodes that are still in memory.
func (t *Tree) MemoryNodes() int { return t.memoryNodes }

// LiveBytes is the size of all tables that nodes hold.
func (t *Tree) LiveBytes() uint64 { return t.liveBytes }

// FileCount is the number of table files that are pinned or have a table that is held
// or pinned.
func (t *Tree) FileCount() int { return len(t.files) }

// Shape rises whenever a picker might find new work.
func (t *Tree) Shape() uint64 { return t.shape }

// Swaps rises with every swap. A view from before a swap on its path still reads right,
// but may keep files that nothing else needs: see Unchanged.
func (t *Tree) Swaps() uint64 { return t.swaps }

// HasFile tells whether that file is pinned, or a table of it held or pinned.
func (t *Tree) HasFile(n ids.FileNum) bool { return t.files[n] != nil }
