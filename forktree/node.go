package forktree

import "github.com/tinedb/tine/internal/ids"

// Memory is a memtable as the tree sees it: something with a size. A nil Memory
// in a Node means that the node's rows are in tables.
type Memory interface {
	// Bytes is the memory held, for budgets.
	Bytes() int64
	// Len is the number of distinct keys.
	Len() int
}

// Node is a place in the tree that paths go through. Its content is fixed when
// it is frozen; Mem or Run, and Older, are its present physical form and change
// only by a swap. Owned by its Tree, under the Tree's lock.
type Node struct {
	ID    ids.NodeID
	Fork  ids.ForkID // who wrote it; only shown, never followed
	Older *Node      // the node below, nil at the root

	Mem Memory // the rows, while they are in memory
	Run *Run   // the rows, once they are in tables; exactly one of Mem and Run is set

	// Frozen is the LSN of the record that froze the node. A manifest
	// transaction that holds the node's tables waits for it to be durable.
	Frozen ids.LSN
	// Low is the lowest LSN that the content in Mem came from: the log must be
	// kept from there on. Meaningless once Mem is nil.
	Low ids.LSN

	marks []*Marks // by table id

	kids             *Node // one of those that lie on this one, nil if none does
	nextKid, prevKid *Node // the node's neighbours among those that lie on Older

	refs   int32  // older pointers of children, fork tops, snapshots, and jobs
	jobs   int32  // how many of refs are jobs
	writer bool   // a job will swap this node
	reads  int32  // jobs that read this node as part of a range
	logged bool   // the manifest has a record of it
	dirty  bool   // it is in Tree.dirtyNodes
	stirs  stir   // see Watch
	swap   uint64 // see Unchanged
	freed  bool   // refs fell to zero: waiting for Release, or released
}

// Live tells whether anything but jobs holds the node.
func (n *Node) Live() bool { return n.refs > n.jobs }

// Holders is the number of children, fork tops and snapshots that point at the
// node. One that is reached from a single child and has one holder is entered
// by nobody else: it is inside a segment, not a branch point.
func (n *Node) Holders() int { return int(n.refs - n.jobs) }

// Claimed tells whether a job will swap the node or reads it for a swap.
func (n *Node) Claimed() bool { return n.writer || n.reads > 0 }

// ClaimedForSwap tells whether a job will swap the node.
func (n *Node) ClaimedForSwap() bool { return n.writer }

// ClaimedForReading tells whether a job reads the node for a swap above it.
func (n *Node) ClaimedForReading() bool { return n.reads > 0 }

// Fork is a name, a top node, and a memtable. Owned by its Tree, which keeps one only
// of forks that are active; the others are records without a pointer, see forks.go.
// What a Fork and its record have in common is the same in both, always.
type Fork struct {
	ID              ids.ForkID
	Name            string
	Parent          ids.ForkID // 0 if none; only shown, the parent may be gone
	CreatedUnixNano int64
	CreatedLSN      ids.LSN

	Top        *Node      // nil: the fork began empty
	MemtableID ids.NodeID // the id of the node that Mem will become
	Mem        Memory     // nil until the first write
	Low        ids.LSN    // the LSN of the first write in Mem

	// Local is the engine's own handle on the fork; the tree never looks at it.
	Local any

	place   uint32 // in Tree.active, from 1 on; 0 if it is not there
	dropped bool
}

// Dropped tells whether the fork is gone from its tree.
func (f *Fork) Dropped() bool { return f.dropped }

// Snapshot is a name on a node. Owned by its Tree.
type Snapshot struct {
	ID              ids.SnapshotID
	Name            string
	Fork            ids.ForkID // whose state it is
	CreatedUnixNano int64
	Node            *Node // nil: the fork was empty

	// Local is the engine's own handle; the tree never looks at it.
	Local any

	dropped bool
}

// Dropped tells whether the snapshot is gone from its tree.
func (s *Snapshot) Dropped() bool { return s.dropped }
