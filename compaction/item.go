package compaction

import "github.com/tinedb/tine/internal/ids"

// Item is one node of a path as the picker sees it. A path runs from an entered
// node, its item 0, to the root: newest first, oldest last.
type Item struct {
	Node       ids.NodeID
	Bytes      uint64 // of the node's run; 0 if the run is empty
	Rows       uint64 // tombstones included
	Tombstones uint64

	Memory bool // the rows are still in memory

	// Entered: a branch point, something besides the path's next newer node
	// points at it. A merge that swallows it does not make it go away.
	// Meaningless for item 0.
	Entered bool

	Claimed     bool // a job will swap it
	ClaimedRead bool // jobs read it for the swap of a newer node

	// Young: the fork that wrote it was made not long ago, and may well be dropped
	// before what is merged for it has paid. See picker.tier.
	Young bool

	// Rotten: of some table of its run, at least Policy.MaxDeadRatio is dead by
	// marks of nodes through which every path to the table goes, so that nobody
	// needs those rows.
	Rotten bool
	// DeadBy tells which items of the path marked rows of the run, by rising Item.
	// No row is counted twice. A run in memory has none.
	DeadBy []DeadBy
}

// DeadBy says how many rows of an item's run are dead by the marks of one item of
// the path: a newer one, or the item itself if it took over an older one's run
// for which it had marks.
type DeadBy struct {
	Item int
	Rows uint64
}

// Kind says what a plan does.
type Kind uint8

// The kinds of plan.
const (
	KindConsolidate Kind = iota + 1 // several nodes in memory become one in memory
	KindMerge                       // several nodes in tables become one in tables
	KindRewrite                     // one node's tables are written again
)

// String names the kind as logs and scripts do.
func (k Kind) String() string {
	switch k {
	case KindConsolidate:
		return "consolidate"
	case KindMerge:
		return "merge"
	case KindRewrite:
		return "rewrite"
	}
	return "unknown"
}

// The reasons of plans, for logs and scripts.
const (
	// ReasonEmpty: at most one node of the range has rows, so that its run (or
	// memtable) can be swapped in as it is, without reading or writing it.
	ReasonEmpty      = "empty"
	ReasonSpace      = "space"
	ReasonTombstones = "tombstones"
	ReasonTier       = "tier"
	ReasonReadBound  = "read bound"
	// ReasonDead: many rows are marked dead. Of a rewrite, by nodes through which
	// every path goes; of a merge, by nodes of its range.
	ReasonDead = "dead"
	// ReasonShadowed: many rows are shadowed by newer runs of the range, and nothing
	// is written that the other rules could wait for.
	ReasonShadowed = "shadowed"
)

// Plan is one job: the runs of items First to Last become one, which is swapped
// in at item First; what lies below Last stays below.
type Plan struct {
	Kind        Kind
	First, Last int // indexes into the path, newest and oldest, both inclusive
	Reason      string
}
