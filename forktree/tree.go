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
	forks     map[ids.ForkID]*Fork
	forkNames map[string]*Fork
	snaps     map[ids.SnapshotID]*Snapshot
	snapNames map[string]*Snapshot
	tables    map[ids.TableID]*Table
	files     map[ids.FileNum]*file
	sparse    map[*file]struct{} // less than half of them is alive

	claims       map[*Claim]struct{}       // open ones
	replacements map[*Replacement]struct{} // those that have not ended

	freed []*Node // refs fell to zero, not yet taken apart

	// What the manifest does not know yet.
	dirtyForks map[ids.ForkID]struct{}
	dirtySnaps map[ids.SnapshotID]struct{}
	dirtyNodes []*Node
	goneNodes  []ids.NodeID
	newTables  []*Table
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
		forks:      map[ids.ForkID]*Fork{},
		forkNames:  map[string]*Fork{},
		snaps:      map[ids.SnapshotID]*Snapshot{},
		snapNames:  map[string]*Snapshot{},
		tables:     map[ids.TableID]*Table{},
		files:      map[ids.FileNum]*file{},
		sparse:     map[*file]struct{}{},
		dirtyForks: map[ids.ForkID]struct{}{},
		dirtySnaps: map[ids.SnapshotID]struct{}{},
		goneMarks:  map[manifest.MarksKey]struct{}{},

		claims:       map[*Claim]struct{}{},
		replacements: map[*Replacement]struct{}{},
	}
}

// AddFork adds a fork whose top is top (nil: empty). The name must be free.
func (t *Tree) AddFork(f *Fork) {
	invariant.Check(t.forks[f.ID] == nil, "fork id %d is used twice", f.ID)
	invariant.Check(t.forkNames[f.Name] == nil, "fork name %q is used twice", f.Name)
	t.ref(f.Top)
	t.forks[f.ID] = f
	t.forkNames[f.Name] = f
	t.dirtyForks[f.ID] = struct{}{}
	t.shape++
}

// DropFork takes a fork away. Its memtable becomes garbage; its path is
// released by Release. O(1).
func (t *Tree) DropFork(f *Fork) {
	invariant.Check(t.forks[f.ID] == f, "fork %d is dropped twice", f.ID)
	f.dropped = true
	delete(t.forks, f.ID)
	delete(t.forkNames, f.Name)
	t.dirtyForks[f.ID] = struct{}{}
	top := f.Top
	f.Top, f.Mem = nil, nil
	t.unref(top)
	t.shape++
}

// RenameFork gives a fork another name, which must be free.
func (t *Tree) RenameFork(f *Fork, name string) {
	invariant.Check(t.forkNames[name] == nil, "fork name %q is used twice", name)
	delete(t.forkNames, f.Name)
	f.Name = name
	t.forkNames[name] = f
	t.dirtyForks[f.ID] = struct{}{}
}

// ResetFork points a fork at another top, with a new memtable id. What it had
// in memory becomes garbage. O(1).
func (t *Tree) ResetFork(f *Fork, top *Node, memtable ids.NodeID) {
	t.ref(top)
	old := f.Top
	f.Top, f.Mem, f.Low, f.MemtableID = top, nil, 0, memtable
	t.unref(old)
	t.dirtyForks[f.ID] = struct{}{}
	t.shape++
}

// Freeze turns the fork's memtable into a node on top of its path. The fork goes
// on with an empty memtable that will become node next. frozen is the LSN of the
// record that says so. The memtable must hold something.
func (t *Tree) Freeze(f *Fork, frozen ids.LSN, next ids.NodeID) *Node {
	invariant.Check(f.Mem != nil && f.Low != 0, "fork %d: nothing to freeze", f.ID)
	n := t.newNode(f.MemtableID, f.ID)
	n.Mem, n.Low, n.Frozen = f.Mem, f.Low, frozen
	n.Older = f.Top // takes over the fork's reference on it
	n.refs = 1
	f.Top, f.Mem, f.Low, f.MemtableID = n, nil, 0, next
	t.memoryBytes += n.Mem.Bytes()
	t.memoryNodes++
	t.dirtyForks[f.ID] = struct{}{}
	t.shape++
	return n
}

func (t *Tree) newNode(id ids.NodeID, fork ids.ForkID) *Node {
	invariant.Check(id != 0 && t.nodes[id] == nil, "node id %d is used twice", id)
	n := &Node{ID: id, Fork: fork}
	t.nodes[id] = n
	return n
}

// AddSnapshot puts a name on a node (nil: an empty state).
func (t *Tree) AddSnapshot(s *Snapshot) {
	invariant.Check(t.snaps[s.ID] == nil, "snapshot id %d is used twice", s.ID)
	invariant.Check(t.snapNames[s.Name] == nil, "snapshot name %q is used twice", s.Name)
	t.ref(s.Node)
	t.snaps[s.ID] = s
	t.snapNames[s.Name] = s
	t.dirtySnaps[s.ID] = struct{}{}
	t.shape++
}

// DropSnapshot takes the name away and releases its node.
func (t *Tree) DropSnapshot(s *Snapshot) {
	invariant.Check(t.snaps[s.ID] == s, "snapshot %d is dropped twice", s.ID)
	s.dropped = true
	delete(t.snaps, s.ID)
	delete(t.snapNames, s.Name)
	t.dirtySnaps[s.ID] = struct{}{}
	n := s.Node
	s.Node = nil
	t.unref(n)
	t.shape++
}

// RenameSnapshot gives a snapshot another name, which must be free.
func (t *Tree) RenameSnapshot(s *Snapshot, name string) {
	invariant.Check(t.snapNames[name] == nil, "snapshot name %q is used twice", name)
	delete(t.snapNames, s.Name)
	s.Name = name
	t.snapNames[name] = s
	t.dirtySnaps[s.ID] = struct{}{}
}

// ForkByName gives the fork of that name, nil if there is none.
func (t *Tree) ForkByName(name string) *Fork { return t.forkNames[name] }

// ForkByID gives the fork with that id, nil if there is none.
func (t *Tree) ForkByID(id ids.ForkID) *Fork { return t.forks[id] }

// SnapshotByName gives the snapshot of that name, nil if there is none.
func (t *Tree) SnapshotByName(name string) *Snapshot { return t.snapNames[name] }

// SnapshotByID gives the snapshot with that id, nil if there is none.
func (t *Tree) SnapshotByID(id ids.SnapshotID) *Snapshot { return t.snaps[id] }

// ForkCount, SnapshotCount and NodeCount count what is alive.
func (t *Tree) ForkCount() int     { return len(t.forks) }
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

// Swaps rises with every swap. A view from before a swap still reads right, but
// may keep files that nothing else needs.
func (t *Tree) Swaps() uint64 { return t.swaps }

// HasFile tells whether that file is pinned, or a table of it held or pinned.
func (t *Tree) HasFile(n ids.FileNum) bool { return t.files[n] != nil }
